// SPDX-License-Identifier: Apache-2.0
// Owns the tests of probes before their turn, of unreachable members, and of this host's own trouble.

import ClusterTypes
import SWIMCore
import Testing

@Suite("Hints and second looks")
struct HintTests {
    /// A bench whose round trips are known to be short, so that a direct wait takes 100 ms.
    private func measured(_ peers: ClosedRange<Int>) throws -> Bench {
        var bench = Bench.knowing(peers)
        let sequence = try bench.probe(of: peers.lowerBound)
        bench.hear(.ack(Ack(sequence: sequence)), from: peers.lowerBound)
        bench.clear()
        return bench
    }

    private func pings(to number: Int, _ bench: Bench) -> [UInt32] {
        bench.messages(to: number).compactMap { if case .ping(let ping) = $0 { ping.sequence } else { nil } }
    }

    private func lastPing(to number: Int, _ bench: Bench) throws -> UInt32 {
        try #require(pings(to: number, bench).last)
    }

    @Test("a hint pings and connects at once; refused and silent together mean that the process is gone")
    func hintRefused() throws {
        var bench = try measured(2...6)
        let begin = bench.now
        bench.perform { $0.onHint(.streamEnded, about: id(4), clock: $1, into: &$3) }
        let sequence = try lastPing(to: 4, bench)
        #expect(bench.streams.map(\.sequence) == [sequence] && bench.indirect.isEmpty)
        bench.report(.refused, sequence)
        #expect(bench.state(4) == .alive, "the ack may still come")
        bench.pass(until: begin + .milliseconds(100))
        #expect(bench.state(4) == .suspect)
        bench.pass(until: begin + .milliseconds(600))
        #expect(bench.state(4) == .failed)
        guard case .failed(let evidence, _)? = bench.kinds(4).last else {
            Issue.record("no failure was told")
            return
        }
        #expect(evidence.hint == .streamEnded && evidence.streamRefused)
    }

    @Test("a hint about a member that answers comes to nothing, refused connect or not", arguments: [false, true])
    func hintAnswered(isRefused: Bool) throws {
        var bench = try measured(2...6)
        bench.perform { $0.onHint(.streamEnded, about: id(4), clock: $1, into: &$3) }
        let sequence = try lastPing(to: 4, bench)
        if isRefused { bench.report(.refused, sequence) }
        bench.hear(.ack(Ack(sequence: sequence)), from: 4)
        bench.pass(.milliseconds(700))
        #expect(bench.state(4) == .alive && bench.kinds(4).isEmpty)
    }

    @Test("datagram and connect both refused decide at once")
    func bothRefused() throws {
        var bench = try measured(2...6)
        bench.perform { $0.onRefused(address(4), clock: $1, into: &$3) }
        let sequence = try lastPing(to: 4, bench)
        bench.perform { $0.onRefused(address(4), clock: $1, into: &$3) }
        #expect(bench.state(4) == .alive, "forged, it would decide nothing")
        bench.report(.refused, sequence)
        #expect(bench.state(4) == .suspect)
        #expect(bench.suspicionEnds(4) == bench.now + .milliseconds(500))
    }

    @Test("forged refusals cause one probe a period and no suspicion of a member that answers")
    func forgedRefusals() throws {
        var bench = try measured(2...6)
        for _ in 0..<50 {
            bench.perform { $0.onRefused(address(4), clock: $1, into: &$3) }
            for sequence in pings(to: 4, bench) {
                bench.hear(.ack(Ack(sequence: sequence)), from: 4)
            }
            bench.pass(.milliseconds(1))
        }
        #expect(bench.machine.statistics.hintedProbes == 1)
        #expect(bench.state(4) == .alive && bench.kinds(4).isEmpty)
    }

    @Test("a member that nothing reaches fails a second after three others agree; one that is mute does not")
    func unreachable() throws {
        for isMute in [false, true] {
            var bench = Bench.knowing(2...31) { $0.probeTimeoutMin = .milliseconds(500) }
            let sequence = try bench.probe(of: 4)
            bench.pass(.milliseconds(500))
            let relay = try #require(bench.indirect.first?.relay)
            let number = try #require((2...31).first { address($0) == relay })
            bench.hear(.nack(Nack(sequence: sequence)), from: number)
            if isMute { bench.report(.connected, sequence) }
            bench.pass(isMute ? .milliseconds(2_500) : .milliseconds(500))
            #expect(bench.state(4) == .suspect)
            let began = bench.now
            for accuser in 6...8 { bench.hear(suspect(4, by: accuser), from: accuser) }
            let least = isMute ? Interval.seconds(4) : .seconds(1)
            let ends = try #require(bench.suspicionEnds(4))
            #expect(isMute ? ends - began > least : ends - began == least)
        }
    }

    @Test("without a nack the silence may be our own: the suspicion keeps its patience")
    func unreachableAlone() throws {
        var bench = Bench.knowing(2...31) { $0.probeTimeoutMin = .milliseconds(500) }
        _ = try bench.probe(of: 4)
        bench.pass(.seconds(1))
        let began = bench.now
        for accuser in 6...8 { bench.hear(suspect(4, by: accuser), from: accuser) }
        #expect(try #require(bench.suspicionEnds(4)) - began > .seconds(4))
    }

    @Test("about ten of many nodes look at a suspect themselves, at any size of the cluster", arguments: [30, 90])
    func secondLooks(nodes: Int) {
        var looks = 0
        for observer in 1...nodes {
            var bench = Bench(observer)
            for peer in 1...nodes where peer != observer { bench.hear(alive(peer)) }
            bench.clear()
            if observer == 7 { continue }
            bench.hear(suspect(7, by: observer == 2 ? 3 : 2))
            if bench.timer({ if case .secondLook = $0 { true } else { false } }) != nil { looks += 1 }
        }
        #expect((4...20).contains(looks), "\(looks) nodes of \(nodes)")
    }

    @Test("an accuser that missed the refutation hears it with the answer to its ping")
    func lateAccuser() {
        var bench = Bench.knowing(2...6)
        bench.hear(suspect(1, by: 3))
        let incarnation = bench.incarnation(1)
        bench.machine.forgetQueue()
        bench.clear()
        bench.hear(suspect(1, by: 3), from: 5)
        bench.hear(.ping(Ping(sequence: 9, target: id(1))), from: 5)
        let told = bench.messages(to: 5).compactMap { if case .update(let update) = $0 { update } else { nil } }
        #expect(told.map(\.subject) == [id(1)] && told.first?.incarnation == incarnation)
        bench.clear()
        bench.hear(.ping(Ping(sequence: 10, target: id(1))), from: 5)
        #expect(bench.messages(to: 5).count == 1, "only who accuses is told")
    }

    @Test("local trouble raises awareness once a period, and every probe in flight gets more time")
    func localTrouble() throws {
        var bench = Bench.knowing(2...6)
        let sequence = try bench.probe(of: 4)
        for _ in 0..<5 { bench.perform { $0.onLocalTrouble(.datagramsDropped(3), clock: $1, into: &$3) } }
        #expect(bench.machine.awareness.score == 1)
        #expect(bench.machine.statistics.localTroubles == [0, 5, 0])
        bench.pass(.milliseconds(1_000))
        #expect(bench.state(4) == .alive)
        bench.hear(.ack(Ack(sequence: sequence)), from: 4)
        #expect(bench.state(4) == .alive && bench.kinds(4).isEmpty)
    }

    @Test("one dead peer among three healthy relays, which nack in time, costs the prober no health")
    func deadPeerCostsNoHealth() {
        var cluster = Cluster(5, seed: 11)
        cluster.set(.vanished, of: 4)
        cluster.tellsAwareness = true
        cluster.run(for: .seconds(30))
        #expect(cluster.nodes[0].state(4) == .failed)
        #expect(!cluster.story.contains { $0.contains("health score") }, "\(cluster.story)")
    }

    @Test("nodes that agree on ring and clock probe every member once in each period")
    func schedule() {
        let count = 9
        var benches = (1...count).map { number in
            var bench = Bench(number)
            for peer in 1...count where peer != number { bench.hear(alive(peer)) }
            bench.clear()
            return bench
        }
        var probed: [[Int]] = []
        for period in 1...24 {
            var targets: [Int] = []
            // The wall clock of the bench is whole seconds at whole seconds of virtual time.
            let end = Bench.start + .seconds(period)
            for index in benches.indices {
                benches[index].sent.removeAll()
                benches[index].pass(until: end)
                for datagram in benches[index].sent {
                    for case .ping(let ping) in datagram.messages {
                        targets.append(Int(ping.target.low))
                        benches[index].hear(.ack(Ack(sequence: ping.sequence)), from: Int(ping.target.low))
                    }
                }
            }
            probed.append(targets.sorted())
        }
        let whole = probed.dropFirst(2).filter { $0 == Array(1...count) }.count
        #expect(whole >= 20, "in \(whole) of 22 periods everybody was probed once: \(probed)")
    }
}
