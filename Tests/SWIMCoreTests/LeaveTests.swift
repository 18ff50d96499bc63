// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the graceful leave.

import ClusterTypes
import SWIMCore
import Testing

@Suite("Leaving")
struct LeaveTests {
    private func leave(_ bench: inout Bench, within deadline: Interval) {
        bench.perform { $0.leave(deadline: $1.now + deadline, clock: $1, using: &$2, into: &$3) }
    }

    /// The goodbyes sent since `start`: whom they went to and with which sequence number.
    private func goodbyes(_ bench: Bench, since start: Int = 0) -> [(number: Int, sequence: UInt32)] {
        bench.sent[start...].compactMap { datagram in
            guard datagram.messages.first == .update(left(1)), case .ping(let ping)? = datagram.messages.last else {
                return nil
            }
            return (Int(ping.target.low), ping.sequence)
        }
    }

    @Test("leave acknowledged by quorum")
    func quorum() {
        var bench = Bench.knowing(2...6)
        leave(&bench, within: .seconds(5))
        let asked = goodbyes(bench)
        #expect(Set(asked.map(\.number)) == Set(2...6))
        for goodbye in asked.prefix(2) { bench.hear(.ack(Ack(sequence: goodbye.sequence)), from: goodbye.number) }
        // The same peer twice is one acknowledgement.
        bench.hear(.ack(Ack(sequence: asked[0].sequence)), from: asked[0].number)
        #expect(bench.departed.isEmpty)
        bench.hear(.ack(Ack(sequence: asked[2].sequence)), from: asked[2].number)
        #expect(bench.departed.map(\.acknowledged) == [3])
        #expect(bench.departed.map(\.asked) == [5])
        #expect(bench.state(1) == .left && bench.kinds(1) == [.left])
        bench.pass(.seconds(10))
        #expect(bench.departed.count == 1)
    }

    @Test("leave ends at its deadline when nobody answers, asking again meanwhile")
    func deadline() {
        var bench = Bench.knowing(2...4)
        let begin = bench.now
        leave(&bench, within: .seconds(1))
        bench.pass(.milliseconds(999))
        #expect(bench.departed.isEmpty)
        #expect(goodbyes(bench).count == 15, "three peers, at once and after 200, 400, 600 and 800 ms")
        bench.pass(until: begin + .seconds(1))
        #expect(bench.departed.map(\.acknowledged) == [0])
        let sent = bench.sent.count
        bench.pass(.seconds(60))
        #expect(bench.sent.count == sent, "whoever has left is silent")
    }

    @Test("an acknowledgement of an earlier attempt counts, and who has acknowledged is not asked again")
    func earlierAttempt() {
        var bench = Bench.knowing(2...4)
        leave(&bench, within: .seconds(5))
        let first = goodbyes(bench)
        let count = bench.sent.count
        bench.pass(.milliseconds(250))
        bench.hear(.ack(Ack(sequence: first[0].sequence)), from: first[0].number)
        bench.pass(.milliseconds(200))
        let again = goodbyes(bench, since: count + 3)
        #expect(!again.isEmpty && again.allSatisfy { $0.number != first[0].number })
        bench.hear(.ack(Ack(sequence: first[1].sequence)), from: first[1].number)
        #expect(bench.departed.map(\.acknowledged) == [2])
    }

    @Test("alone, a node leaves at once")
    func alone() {
        var bench = Bench()
        leave(&bench, within: .seconds(5))
        #expect(bench.departed.map(\.asked) == [0])
    }

    @Test("a large cluster is told through eight peers")
    func large() {
        var bench = Bench.knowing(2...40)
        leave(&bench, within: .seconds(5))
        #expect(goodbyes(bench).count == 8)
        #expect(Set(goodbyes(bench).map(\.number)).count == 8)
    }

    @Test("a leaving node neither refutes nor accuses")
    func quiet() throws {
        var bench = Bench.knowing(2...6)
        _ = try bench.probe(of: 4)
        leave(&bench, within: .seconds(5))
        bench.hear(suspect(1, by: 2))
        bench.hear(failed(1, by: 2))
        #expect(bench.state(1) == .left && bench.incarnation(1) == 1)
        bench.hear(suspect(3, by: 2))
        bench.pass(.seconds(60))
        #expect(!bench.events.contains { $0.kind.isRefuted || $0.kind.isFailed })
    }
}
