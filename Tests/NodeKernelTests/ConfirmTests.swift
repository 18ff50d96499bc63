// SPDX-License-Identifier: Apache-2.0
// Owns the tests of confirmations: who holds a write durably.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Confirmations")
struct ConfirmTests {
    /// Puts a value and asks who holds it.
    private func ask(
        _ bench: inout KernelBench, atLeast: Int, deadline: Interval = .seconds(5), value: [UInt8] = [1]
    ) throws -> CommandID {
        let written = bench.command(.put(key: "a", value: value))
        guard case .written(let report)? = bench.answers(to: written).first else { throw Unexpected(what: "no answer") }
        bench.settleGossip()
        bench.clear()
        return bench.command(.confirm(key: "a", version: report.version, atLeast: atLeast, deadline: deadline))
    }

    private func questions(_ bench: KernelBench) -> [(to: Address, request: ConfirmRequest)] {
        bench.sent.flatMap { sent in
            sent.packet.messages.compactMap {
                if case .confirmRequest(let request) = $0 { (sent.to, request) } else { nil }
            }
        }
    }

    private func confirmation(_ bench: KernelBench, _ id: CommandID) -> HoldersReport? {
        guard case .confirmed(let confirmation)? = bench.answers(to: id).first, bench.answers(to: id).count == 1 else {
            return nil
        }
        return confirmation
    }

    @Test("a client is answered as soon as enough nodes hold the write")
    func reached() throws {
        var bench = KernelBench.knowing(2...5)
        let id = try ask(&bench, atLeast: 3)
        let asked = questions(bench)
        #expect(asked.count == 4 && Set(asked.map(\.request)).count == 1)
        let question = try #require(asked.first).request
        #expect(question.dots == [Dot(actor: bench.kernel.store.actor, counter: 1)])
        bench.hear([.confirmed(question.id)], from: 2)
        bench.hear([.confirmed(question.id)], from: 2)
        bench.hear([.confirmed(question.id &+ 1)], from: 3)
        #expect(bench.answers(to: id).isEmpty, "one peer counts once, and for what it was asked")
        bench.hear([.confirmed(question.id)], from: 4)
        #expect(confirmation(bench, id) == HoldersReport(holding: 3, total: 5, missing: ["n3", "n5"]))
        // Nothing is asked any more.
        bench.clear()
        bench.passAnswering(.seconds(6))
        #expect(questions(bench).isEmpty && bench.answers(to: id).isEmpty)
    }

    @Test("only those who have not confirmed are asked again, ever more rarely, until the deadline")
    func deadline() throws {
        var bench = KernelBench.knowing(2...4)
        let id = try ask(&bench, atLeast: 9, deadline: .seconds(3))
        let question = try #require(questions(bench).first).request
        bench.hear([.confirmed(question.id)], from: 3)
        bench.clear()
        var rounds: [Instant] = []
        let end = bench.now + .milliseconds(3_100)
        while bench.now < end {
            bench.pass(.milliseconds(10))
            if !questions(bench).isEmpty { rounds.append(bench.now) }
            #expect(questions(bench).allSatisfy { $0.to != address(3) })
            bench.acknowledge()
        }
        // After 50, 150, 350, 750, 1 550, 2 550 ms.
        #expect(rounds.count == 6)
        #expect(confirmation(bench, id) == HoldersReport(holding: 2, total: 4, missing: ["n2", "n4"]))
    }

    @Test("at most 16 questions of a client are open, and each answer makes room for the next")
    func inFlight() throws {
        var bench = KernelBench.knowing(2...40)
        let id = try ask(&bench, atLeast: 40)
        var asked: [Address] = questions(bench).map(\.to)
        #expect(asked.count == 16)
        let question = try #require(questions(bench).first).request
        var answered = 0
        while answered < asked.count {
            let peer = asked[answered]
            answered += 1
            bench.clear()
            let number = try #require((2...40).first { address($0) == peer })
            bench.hear([.confirmed(question.id)], from: number)
            asked += questions(bench).map(\.to)
            #expect(asked.count - answered <= 16)
        }
        #expect(Set(asked).count == 39 && asked.count == 39)
        #expect(confirmation(bench, id) == HoldersReport(holding: 40, total: 40, missing: []))
    }

    @Test("a write that only this node need hold is confirmed at once; one that nobody knows is refused")
    func alone() throws {
        var bench = KernelBench.knowing(2...3)
        let id = try ask(&bench, atLeast: 1)
        #expect(confirmation(bench, id)?.holding == 1)
        #expect(questions(bench).isEmpty)
        let unknown = bench.command(
            .confirm(key: "zz", version: "0123456789abcdef-00000000", atLeast: 1, deadline: .seconds(1)))
        guard case .failure(.noSuchKey("zz"))? = bench.answers(to: unknown).first else {
            Issue.record("\(bench.answers(to: unknown))")
            return
        }
        for version in ["", "x", "ffffffffffffffff-00000000", "0123456789abcdef-99999999"] {
            let id = bench.command(.confirm(key: "a", version: version, atLeast: 1, deadline: .seconds(1)))
            guard case .failure(.invalid)? = bench.answers(to: id).first else {
                Issue.record("\(version): \(bench.answers(to: id))")
                continue
            }
        }
    }

    @Test("a peer answers when it holds the events and its disk does too, not before")
    func peerSide() {
        var bench = KernelBench.knowing(2...3)
        bench.persistsAtOnce = false
        let row = Row.register("a", [1], by: 2, counter: 1)
        let question = Message.confirmRequest(ConfirmRequest(id: 77, dots: row.versions))
        bench.hear([question], from: 2)
        bench.hear([question], from: 2)
        bench.hear([.row(row)], from: 3)
        bench.hear([.confirmRequest(ConfirmRequest(id: 78, dots: row.versions))], from: 3)
        #expect(bench.sent.isEmpty)
        bench.persistAll()
        #expect(bench.messages(to: 2).count { $0 == .confirmed(77) } == 1)
        #expect(bench.messages(to: 3).count { $0 == .confirmed(78) } == 1)
        // What is held durably is confirmed at once, once for each question.
        bench.clear()
        bench.hear([question], from: 2)
        #expect(bench.messages(to: 2).contains(.confirmed(77)))
        bench.clear()
        bench.persistAll()
        #expect(!bench.messages(to: 2).contains(.confirmed(77)))
    }

    @Test("a question is forgotten after ten seconds, and senseless ones at once")
    func forgotten() {
        var bench = KernelBench.knowing(2...3)
        let row = Row.register("a", [1], by: 2, counter: 1)
        bench.hear([.confirmRequest(ConfirmRequest(id: 77, dots: row.versions))], from: 2)
        bench.hear([.confirmRequest(ConfirmRequest(id: 78, dots: []))], from: 2)
        let dots = (1...65).map { Dot(actor: row.author, counter: $0) }
        bench.hear([.confirmRequest(ConfirmRequest(id: 79, dots: dots))], from: 2)
        bench.passAnswering(.seconds(10))
        bench.clear()
        bench.hear([.row(row)], from: 3)
        let confirmed = bench.sent.flatMap(\.packet.messages).filter {
            if case .confirmed = $0 { true } else { false }
        }
        #expect(confirmed.isEmpty)
    }

    @Test("a key that moved on is asked for under both events: whoever holds the newer one holds the write")
    func movedOn() throws {
        var bench = KernelBench.knowing(2...2)
        let first = bench.command(.put(key: "a", value: [1]))
        guard case .written(let report)? = bench.answers(to: first).first else { return }
        bench.command(.put(key: "a", value: [2]))
        let id = bench.command(.confirm(key: "a", version: report.version, atLeast: 2, deadline: .seconds(1)))
        let actor = bench.kernel.store.actor
        #expect(
            questions(bench).map(\.request.dots) == [[Dot(actor: actor, counter: 1)], [Dot(actor: actor, counter: 2)]])
        let question = try #require(questions(bench).first).request.id
        bench.hear([.confirmed(question)], from: 2)
        #expect(confirmation(bench, id)?.holding == 2)
    }

    @Test("a write of a peer, or of an earlier process, can be confirmed by its version")
    func foreignWrite() throws {
        var bench = KernelBench.knowing(2...3)
        let row = Row.register("a", [1], by: 2, counter: 4)
        bench.hear([.row(row)], from: 2)
        bench.clear()
        let id = bench.command(
            .confirm(key: "a", version: row.version.description, atLeast: 3, deadline: .seconds(1)))
        #expect(questions(bench).map(\.request.dots) == [row.versions, row.versions])
        bench.pass(.seconds(1))
        #expect(confirmation(bench, id)?.missing == ["n2", "n3"])
    }

    @Test("leaving answers whoever waits with what is known")
    func leaving() throws {
        var bench = KernelBench.knowing(2...3)
        let id = try ask(&bench, atLeast: 3, deadline: .seconds(60))
        bench.command(.leave(deadline: .milliseconds(100)))
        bench.pass(.seconds(1))
        #expect(confirmation(bench, id)?.holding == 1)
    }

    @Test("a cluster confirms writes of every kind to all, soon", arguments: [1, 2, 3] as [UInt64])
    func cluster(seed: UInt64) {
        var cluster = KernelCluster(5, seed: seed)
        cluster.start()
        cluster.run(.seconds(3))
        let commands: [(String, Command)] = [
            ("a", .put(key: "a", value: [1])), ("s", .addElement([7], key: "s")), ("c", .increment(key: "c", by: 3)),
            ("big", .put(key: "big", value: [UInt8](repeating: 1, count: 100_000))), ("a", .delete(key: "a")),
            ("t", .write([.put(key: "t", value: [1]), .put(key: "u", value: [2])], .none)),
        ]
        for (key, command) in commands {
            let written = cluster.command(command, on: 2)
            guard case .written(let report)? = cluster[2].answers(to: written).first else {
                Issue.record("\(cluster[2].answers(to: written))")
                return
            }
            let id = cluster.command(
                .confirm(key: key, version: report.version, atLeast: 5, deadline: .seconds(2)), on: 2)
            cluster.run(.milliseconds(500))
            #expect(confirmation(cluster[2], id) == HoldersReport(holding: 5, total: 5, missing: []), "\(key)")
        }
        // A dead node is named.
        cluster.crash(4)
        let written = cluster.command(.put(key: "a", value: [9]), on: 2)
        guard case .written(let report)? = cluster[2].answers(to: written).first else { return }
        let id = cluster.command(
            .confirm(key: "a", version: report.version, atLeast: 5, deadline: .milliseconds(300)), on: 2)
        cluster.run(.milliseconds(400))
        #expect(confirmation(cluster[2], id) == HoldersReport(holding: 4, total: 5, missing: ["n4"]))
    }
}
