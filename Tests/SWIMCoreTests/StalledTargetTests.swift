// SPDX-License-Identifier: Apache-2.0
// Owns the tests of probes whose target accepts a stream and does not answer on it.

import ClusterTypes
import SWIMCore
import Testing

@Suite("Stalled targets")
struct StalledTargetTests {
    @Test("a member that accepts the stream and says nothing stands still: it is suspected later, and costs no health")
    func stalledTarget() throws {
        var bench = Bench.knowing(2...2)
        bench.machine.forgetQueue()
        let sequence = try bench.probe(of: 2)
        let begin = bench.now
        bench.pass(.milliseconds(500))
        bench.report(.connected, sequence)
        bench.pass(until: begin + .milliseconds(2_999))
        #expect(bench.state(2) == .alive && bench.kinds(2).isEmpty)
        #expect(bench.queued(2) == nil, "nobody hears of a suspicion meanwhile")
        bench.pass(.milliseconds(1))
        #expect(bench.state(2) == .suspect)
        #expect(bench.machine.awareness.score == 0)
        guard case .suspected(let evidence)? = bench.kinds(2).first else {
            Issue.record("no suspicion was told")
            return
        }
        #expect(evidence.since.now == begin && evidence.pathsFailed == [.udp, .stream])
    }

    @Test("a member that stood still and answers late is not suspected, and its round trip is not taken for long")
    func stalledTargetAnswers() throws {
        var bench = Bench.knowing(2...2)
        let sequence = try bench.probe(of: 2)
        bench.pass(.milliseconds(500))
        bench.report(.connected, sequence)
        bench.pass(.milliseconds(1_900))
        bench.hear(.ack(Ack(sequence: sequence)), from: 2)
        bench.pass(.milliseconds(700))
        #expect(bench.state(2) == .alive && bench.kinds(2).isEmpty)
        #expect(bench.machine.table[id(2)]?.roundTrip == nil)
    }

    @Test("a connection that breaks off while a probe waits for a stalled member ends the wait")
    func stalledTargetDies() throws {
        var bench = Bench.knowing(2...6)
        let sequence = try bench.probe(of: 4)
        bench.pass(.milliseconds(500))
        bench.report(.connected, sequence)
        bench.pass(.seconds(1))
        #expect(bench.state(4) == .alive)
        bench.report(.failed, sequence)
        #expect(bench.state(4) == .suspect)
        bench.report(.failed, sequence)
        #expect(bench.kinds(4).count == 1)
    }
}
