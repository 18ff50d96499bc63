// SPDX-License-Identifier: Apache-2.0
// Owns the tests of finding the cluster.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Joining")
struct JoinTests {
    private func entry(_ number: Int) -> MemberTableEntry {
        MemberTableEntry(id: id(number), incarnation: 1, state: .alive, ageSeconds: 0, info: info(number))
    }

    private func reply(_ numbers: [Int]) -> Message {
        .memberTable(MemberTablePart(role: .reply, isLast: true, entries: numbers.map(entry)))
    }

    private func started(_ seeds: [String], address own: Address? = nil) -> KernelBench {
        var bench = KernelBench(address: own) { $0.seeds = seeds }
        bench.handle(.start)
        return bench
    }

    private var failures: (KernelEvent) -> Bool { { if case .joinFailed = $0 { true } else { false } } }

    @Test("join by seed: tables are exchanged, then the stores")
    func seed() {
        var bench = started(["10.0.0.2:7946"])
        let stream = bench.opened[0].id
        #expect(bench.opened[0].to == address(2))
        #expect(bench.written.isEmpty, "nothing is written before the stream is open")
        bench.handle(.streamOpened(stream))
        guard case .memberTable(let part)? = bench.frames(on: stream).first else {
            Issue.record("no table was sent")
            return
        }
        #expect(part.role == .request && part.isLast && part.entries.map(\.id) == [id(1)])
        bench.hear([reply([2, 3, 4])], on: stream, from: 2)
        #expect(bench.closed == [stream])
        #expect(bench.kernel.membership.table.count(of: .alive) == 4)
        #expect(bench.events.contains(.joinSucceeded(seed: "10.0.0.2:7946", address: address(2), members: 4)))
        let second = bench.opened[1]
        #expect(second.to == address(2))
        bench.handle(.streamOpened(second.id))
        #expect(bench.frames(on: second.id) == [.storeRequest(StoreRequest(context: CausalContext()))])
    }

    @Test("backoff: a silent seed is tried ever more rarely, at least once a second while alone")
    func backoff() {
        var bench = started(["10.0.0.2:7946"])
        var tries: [Instant] = []
        for _ in 0..<40 {
            if let stream = bench.opened.popLast() {
                tries.append(bench.now)
                bench.handle(.streamClosed(stream.id, .refused))
            }
            bench.pass(
                until: bench.timers.filter { if case .join = $0.token { true } else { false } }.map(\.at).min()
                    ?? bench.now)
        }
        let gaps = zip(tries, tries.dropFirst()).map { ($1 - $0).milliseconds }
        #expect(gaps.count >= 30)
        #expect(gaps.first.map { (150...500).contains($0) } == true)
        #expect(gaps.dropFirst(5).allSatisfy { (800...1_200).contains($0) }, "\(gaps)")
        // Told on the 1st, 2nd, 4th, 8th, 16th and 32nd failure.
        let told = bench.events.filter(failures)
        #expect(told.count == 6)
        #expect(told.first == .joinFailed(seed: "10.0.0.2:7946", reason: .refused, attempts: 1))
        #expect(bench.waiting { if case .join = $0 { true } else { false } } <= 2)
    }

    @Test(
        "each way to fail is named",
        arguments: [
            (StreamEnd.refused, JoinFailure.refused), (.timedOut, .timedOut), (.unreachable, .unreachable),
            (.reset, .brokenOff), (.finished, .brokenOff), (.invalid, .brokenOff), (.localLimit, .brokenOff),
            (.unsealed, .noCommonKey),
        ])
    func reasons(end: StreamEnd, reason: JoinFailure) {
        var bench = started(["10.0.0.2:7946"])
        bench.handle(.streamClosed(bench.opened[0].id, end))
        #expect(bench.events.filter(failures) == [.joinFailed(seed: "10.0.0.2:7946", reason: reason, attempts: 1)])
    }

    @Test("other cluster's reason: a seed of another cluster says so, on both ends")
    func otherCluster() {
        var bench = started(["10.0.0.2:7946"])
        let stream = bench.opened[0].id
        bench.handle(.streamOpened(stream))
        bench.handle(
            .streamPacket(stream, Packet(cluster: ClusterID(name: "other"), sender: id(2), messages: [])))
        #expect(
            bench.events.filter(failures)
                == [.joinFailed(seed: "10.0.0.2:7946", reason: .otherCluster, attempts: 1)])
        // The other end: it answers with its own cluster and closes.
        let accepted = bench.accept(from: 2)
        bench.clear()
        bench.handle(
            .streamPacket(
                accepted, Packet(cluster: ClusterID(name: "other"), sender: id(2), messages: [reply([2])])))
        #expect(bench.written.map(\.packet) == [Packet(cluster: KernelBench.cluster, sender: id(1), messages: [])])
        #expect(bench.closed == [accepted])
        #expect(bench.kernel.membership.table.count == 1)
    }

    @Test("self-seed: a seed list that names this node contacts the others once")
    func selfSeed() {
        let bench = started(["10.0.0.1:7946", "10.0.0.2:7946", "10.0.0.3:7946", "10.0.0.2:7946"])
        #expect(bench.opened.map(\.to) == [address(2), address(3)])
        #expect(bench.events.filter(failures).isEmpty)
        #expect(bench.waiting { if case .join = $0 { true } else { false } } <= 2)
    }

    @Test("a seed that is this node itself under another address is no double")
    func selfUnderAnotherAddress() {
        var bench = started(["127.0.1.1:7946"])
        let outgoing = bench.opened[0].id
        let incoming = bench.accept(from: 1)
        bench.handle(.streamOpened(outgoing))
        bench.hear(bench.frames(on: outgoing), on: incoming, from: 1)
        #expect(bench.closed == [incoming])
        #expect(bench.written.last?.packet.messages == [])
        bench.hear([], on: outgoing, from: 1)
        #expect(bench.events.isEmpty)
        #expect(bench.closed == [incoming, outgoing])
        // It is looked at again some time, like any seed that answered.
        bench.pass(.seconds(10))
        #expect(bench.opened.count == 1)
    }

    @Test("a double at a seed's address is told on both ends")
    func double() {
        var bench = started(["10.0.0.2:7946"])
        let stream = bench.opened[0].id
        bench.handle(.streamOpened(stream))
        bench.hear([], on: stream, from: 1)
        #expect(bench.events.contains(.identityInUse(at: address(2))))
        var settled = KernelBench.knowing(2...3)
        let accepted = settled.accept(from: 7)
        settled.hear([.memberTable(MemberTablePart(role: .request, isLast: true, entries: []))], on: accepted, from: 1)
        #expect(settled.events.count == 1)
        guard case .identityInUse? = settled.events.first else {
            Issue.record("\(settled.events)")
            return
        }
    }

    @Test("names are resolved at each attempt, and each address gets its turn")
    func names() {
        var bench = started(["seed.example:7946"])
        #expect(bench.resolving == ["seed.example:7946"] && bench.opened.isEmpty)
        bench.handle(.resolved(seed: "seed.example:7946", []))
        #expect(
            bench.events.filter(failures) == [.joinFailed(seed: "seed.example:7946", reason: .unresolved, attempts: 1)])
        bench.pass(.seconds(1))
        #expect(bench.resolving.count == 2)
        bench.handle(.resolved(seed: "seed.example:7946", [address(5), address(6)]))
        let first = bench.opened[0]
        bench.handle(.streamClosed(first.id, .timedOut))
        bench.pass(.seconds(2))
        bench.handle(.resolved(seed: "seed.example:7946", [address(5), address(6)]))
        #expect(Set([first.to, bench.opened[1].to]) == [address(5), address(6)])
    }

    @Test("remembered peers are tried like seeds, in silence")
    func remembered() {
        var bench = KernelBench {
            $0.rememberedPeers = [RememberedPeer(id: id(2), name: "n2", address: address(2))]
        }
        bench.handle(.start)
        #expect(bench.opened.map(\.to) == [address(2)])
        bench.handle(.streamClosed(bench.opened[0].id, .refused))
        #expect(bench.events.filter(failures).isEmpty)
    }

    @Test("a client's join is answered when each of its seeds has answered or failed")
    func command() {
        var bench = started([])
        let id = bench.command(.join(["10.0.0.2:7946", "10.0.0.3:7946", "10.0.0.2:7946"]))
        #expect(bench.opened.count == 2)
        bench.handle(.streamClosed(bench.opened[1].id, .refused))
        #expect(bench.answers(to: id).isEmpty)
        bench.handle(.streamOpened(bench.opened[0].id))
        bench.hear([reply([2])], on: bench.opened[0].id, from: 2)
        guard case .joined(let report)? = bench.answers(to: id).first, bench.answers(to: id).count == 1 else {
            Issue.record("\(bench.replies)")
            return
        }
        #expect(report.answered == ["10.0.0.2:7946"])
        #expect(report.failed.map(\.seed) == ["10.0.0.3:7946"] && report.failed.map(\.reason) == [.refused])
        // Its one attempt is over.
        let count = bench.opened.count
        bench.passAnswering(.seconds(5))
        #expect(!bench.opened[count...].contains { $0.to == address(3) })
        let empty = bench.command(.join([]))
        guard case .failure(.invalid)? = bench.answers(to: empty).first else {
            Issue.record("a join of nothing was taken")
            return
        }
    }

    @Test("a client's join does not end a configured seed")
    func commandForConfiguredSeed() {
        var bench = started(["10.0.0.2:7946"])
        let command = bench.command(.join(["10.0.0.2:7946"]))
        bench.handle(.streamClosed(bench.opened[0].id, .refused))
        #expect(bench.answers(to: command).count == 1)
        bench.pass(.seconds(2))
        #expect(bench.opened.count > 1)
    }

    @Test("reloaded seeds: the old ones are given up, the new ones tried at once")
    func replaced() {
        var bench = started(["10.0.0.2:7946"])
        bench.handle(.streamClosed(bench.opened[0].id, .refused))
        bench.clear()
        bench.command(.replaceSeeds(["10.0.0.3:7946"]))
        #expect(bench.opened.map(\.to) == [address(3)])
        bench.handle(.streamClosed(bench.opened[0].id, .refused))
        bench.pass(.seconds(10))
        #expect(bench.opened.allSatisfy { $0.to == address(3) })
    }

    @Test("64 remembered peers that are all known cost no stream and one timer")
    func manyKnown() {
        var bench = KernelBench {
            $0.rememberedPeers = (2...65).map { RememberedPeer(id: id($0), name: "n\($0)", address: address($0)) }
        }
        bench.handle(.start)
        for stream in bench.opened.dropFirst() { bench.handle(.streamClosed(stream.id, .refused)) }
        bench.handle(.streamOpened(bench.opened[0].id))
        bench.hear([reply(Array(2...65))], on: bench.opened[0].id, from: 2)
        bench.clear()
        bench.passAnswering(.milliseconds(900))
        #expect(bench.opened.filter { stream in (3...65).contains { address($0) == stream.to } }.isEmpty)
        bench.passAnswering(.seconds(40))
        #expect(bench.waiting { if case .join = $0 { true } else { false } } <= 8)
    }
}
