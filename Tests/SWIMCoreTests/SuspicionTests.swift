// SPDX-License-Identifier: Apache-2.0
// Owns the tests of suspicion: Lifeguard's formula, confirmations, evidence, refutation.

import ClusterTypes
import SWIMCore
import Testing

@Suite("Suspicion")
struct SuspicionTests {
    /// timeout = max - (max - min) * ln(C + 1) / ln(K + 1), computed by hand.
    @Test(
        "suspicion shrinks with confirmations as Lifeguard's formula says",
        arguments: [
            (min: 2.0, max: 12.0, expected: 3, confirmations: 0, seconds: 12.0),
            (2.0, 12.0, 3, 1, 7.0),
            (2.0, 12.0, 3, 2, 4.075_187_496),
            (2.0, 12.0, 3, 3, 2.0),
            (4.0, 24.0, 1, 0, 24.0),
            (4.0, 24.0, 1, 1, 4.0),
            (5.0, 30.0, 2, 1, 14.226_756_161),
            (2.0, 12.0, 0, 0, 2.0),
        ])
    func formula(min: Double, max: Double, expected: Int, confirmations: Int, seconds: Double) {
        var suspicion = Suspicion(
            evidence: Evidence(accuser: id(2), isLocal: false, since: Bench.clock(Bench.start)),
            startedAt: Bench.start, generation: 1, timeoutMin: .seconds(min), timeoutMax: .seconds(max),
            expectedConfirmations: expected)
        for node in 0..<confirmations {
            let isNews = suspicion.confirm(by: id(10 + node))
            #expect(isNews)
        }
        #expect(abs(suspicion.timeout.seconds - seconds) < 1e-8)
    }

    @Test("suspicion shrinks with 1/2/3 confirmations and ignores a 4th from the same node")
    func confirmations() {
        var bench = Bench.knowing(2...9)
        let begin = bench.now
        bench.hear(suspect(4, by: 2))
        // 9 active nodes: log10(9) < 1, so min = 3 * 1 * 1 s and max = 6 * 3 s.
        #expect(bench.suspicionEnds(4) == begin + .seconds(18))
        bench.hear(suspect(4, by: 2))
        #expect(bench.suspicionEnds(4) == begin + .seconds(18), "the accuser cannot confirm itself")
        bench.hear(suspect(4, by: 3))
        #expect(bench.suspicionEnds(4) == begin + .milliseconds(10_500))
        bench.hear(suspect(4, by: 3))
        #expect(bench.suspicionEnds(4) == begin + .milliseconds(10_500), "a repetition is no confirmation")
        bench.hear(suspect(4, by: 5))
        bench.hear(suspect(4, by: 6))
        #expect(bench.suspicionEnds(4) == begin + .seconds(3))
        let timers = bench.timers.count
        bench.hear(suspect(4, by: 6))
        bench.hear(suspect(4, by: 7))
        #expect(bench.timers.count == timers, "three are enough")
        #expect(bench.queued(4) == suspect(4, by: 6), "each confirmation travels on, superfluous ones do not")
        bench.pass(.seconds(3))
        bench.hear(failed(4, by: 2))
        guard case .failed(let evidence, let after)? = bench.kinds(4).last else {
            Issue.record("no failure was told")
            return
        }
        #expect(evidence.accuser == id(2))
        #expect(evidence.confirmedBy == [id(3), id(5), id(6)])
        #expect(after == .seconds(3))
        #expect(bench.kinds(4).filter(\.isSuspected).count == 1)
    }

    @Test("a confirmation that comes after the shorter deadline ends the suspicion at once and is no stall")
    func lateConfirmation() {
        var bench = Bench.knowing(2...9) { $0.awarenessMax = 0 }
        bench.hear(suspect(4, by: 2))
        bench.pass(.seconds(5))
        for accuser in [3, 5, 6] { bench.hear(suspect(4, by: accuser)) }
        // It ends with one probe, because all that is known is hearsay.
        bench.pass(.milliseconds(1_001))
        #expect(bench.state(4) == .failed)
        #expect(bench.machine.statistics.stalls == 0)
    }

    /// A suspicion by hearsay that is confirmed and runs out after three seconds. Node 4 answers routine probes, but
    /// never refutes; returns the sequence number of the ping that is to decide.
    private func ranOut(_ bench: inout Bench) throws -> UInt32 {
        let end = bench.now + .seconds(3)
        for accuser in [2, 3, 5, 6] { bench.hear(suspect(4, by: accuser)) }
        while true {
            let sequence = try bench.probe(of: 4, within: .seconds(4))
            if bench.now >= end {
                #expect(bench.now == end)
                return sequence
            }
            bench.hear(.ack(Ack(sequence: sequence)), from: 4)
        }
    }

    @Test("hearsay fails nobody: a suspect is probed and told before the verdict, and refutes", arguments: 1...8)
    func probedBeforeVerdict(seed: Int) throws {
        var bench = Bench.knowing(2...9, seed: UInt64(seed))
        _ = try ranOut(&bench)
        #expect(bench.state(4) == .suspect)
        let datagram = try #require(bench.sent.last { $0.to == address(4) })
        #expect(datagram.messages.first == .update(suspect(4, by: 2)))
        bench.pass(.milliseconds(2))
        bench.hear(alive(4, 2), from: 4)
        #expect(bench.state(4) == .alive)
        #expect(bench.kinds(4).filter(\.isFailed).isEmpty)
    }

    @Test("hearsay fails nobody: whoever does not answer the last probe has failed", arguments: 1...8)
    func lastProbeFails(seed: Int) throws {
        var bench = Bench.knowing(2...9, seed: UInt64(seed)) { $0.awarenessMax = 0 }
        _ = try ranOut(&bench)
        // The direct wait is 100 or 500 ms, depending on whether a round trip is known, and that for relays 500 ms.
        bench.pass(.milliseconds(600))
        #expect(bench.state(4) == .suspect)
        bench.pass(.milliseconds(401))
        guard case .failed(let evidence, let after)? = bench.kinds(4).last else {
            Issue.record("no failure was told")
            return
        }
        #expect(evidence.isLocal && evidence.confirmedBy == [id(3), id(5), id(6)])
        #expect(after == .milliseconds(3_601) || after == .milliseconds(4_001))
    }

    @Test("whoever answers without refuting is probed again and again, and not called failed")
    func answersWithoutRefuting() throws {
        var bench = Bench.knowing(2...9)
        var sequence = try ranOut(&bench)
        for _ in 0..<5 {
            bench.hear(.ack(Ack(sequence: sequence)), from: 4)
            sequence = try bench.probe(of: 4, within: .milliseconds(1_100))
            #expect(bench.state(4) == .suspect)
        }
    }

    @Test("a verdict of somebody else spares the last probe")
    func verdictSparesProbe() throws {
        var bench = Bench.knowing(2...9)
        _ = try ranOut(&bench)
        bench.hear(failed(4, by: 3))
        #expect(bench.state(4) == .failed)
    }

    @Test("an accusation of our own that grew old is checked before it becomes a verdict")
    func oldOwnEvidence() throws {
        var bench = Bench.knowing(2...9)
        // The one ping that node 4 does not answer; nobody confirms, so the suspicion lasts 18 s from a second later.
        _ = try bench.probe(of: 4)
        let begin = bench.now
        while bench.now < begin + .seconds(25) {
            let sequence = try bench.probe(of: 4)
            #expect(bench.state(4) == .suspect)
            bench.hear(.ack(Ack(sequence: sequence)), from: 4)
        }
        #expect(bench.kinds(4).filter(\.isFailed).isEmpty)
        // And now it dies.
        _ = try bench.probe(of: 4)
        bench.pass(.seconds(2))
        #expect(bench.state(4) == .failed)
    }

    @Test("the shortest suspicion grows with the logarithm of the cluster")
    func shortestTimeout() {
        let configuration = SWIMConfiguration()
        let expected = [(1, 3.0), (10, 3.0), (30, 4.431_363_764), (100, 6.0), (1_000, 9.0)]
        for (members, seconds) in expected {
            #expect(abs(Suspicion.timeoutMin(configuration, members: members).seconds - seconds) < 1e-8)
        }
    }

    @Test("two nodes have nobody to wait for: the suspicion runs at its shortest")
    func twoNodes() {
        var bench = Bench.knowing(2...2)
        let begin = bench.now
        bench.hear(suspect(2, by: 2))
        #expect(bench.suspicionEnds(2) == begin + .seconds(3))
    }

    @Test("evidence gathers: who probed, which paths failed, who confirmed, after how long")
    func evidence() throws {
        var bench = Bench.knowing(2...9) { $0.awarenessMax = 0 }
        bench.hear(suspect(4, by: 2))
        let begin = bench.now
        bench.pass(.milliseconds(10))
        bench.hear(suspect(4, by: 3))
        _ = try bench.probe(of: 4, within: .seconds(6))
        bench.pass(.seconds(12))
        guard case .failed(let evidence, let after)? = bench.kinds(4).last(where: \.isFailed) else {
            Issue.record("no failure was told")
            return
        }
        #expect(evidence.accuser == id(2))
        #expect(evidence.isLocal && evidence.probes >= 5)
        #expect(evidence.pathsFailed == [.udp, .relay, .stream])
        #expect(evidence.confirmedBy == [id(3), id(1)])
        #expect(evidence.since.now == begin)
        #expect(after >= .seconds(6) && after < .seconds(8))
    }

    @Test("a ping to a suspect carries the suspicion (buddy) and is refuted")
    func buddy() throws {
        var bench = Bench.knowing(2...5)
        bench.hear(suspect(4, by: 2))
        bench.clear()
        _ = try bench.probe(of: 4)
        let datagram = try #require(bench.sent.first { $0.to == address(4) })
        #expect(datagram.messages.first == .update(suspect(4, by: 2)))

        var target = Bench(4)
        target.hear(alive(1), from: 1)
        target.clear()
        for message in datagram.messages { target.hear(message, from: 1) }
        #expect(target.incarnation(4) == 2)
        #expect(target.kinds(4) == [.refuted(accuser: id(2), incarnation: 2)])
        let refutation = try #require(target.queued(4))
        #expect(refutation == alive(4, 2))
        bench.hear(refutation, from: 4)
        #expect(bench.state(4) == .alive)
        #expect(bench.incarnation(4) == 2)
    }

    @Test("a relay tells a suspect of the suspicion too")
    func buddyThroughRelay() {
        var bench = Bench.knowing(2...5)
        bench.hear(suspect(4, by: 2))
        bench.clear()
        bench.hear(
            .indirectPing(
                IndirectPing(sequence: 1, target: id(4), targetAddress: address(4), deadlineMilliseconds: 500)), from: 3
        )
        #expect(bench.messages(to: 4).first == .update(suspect(4, by: 2)))
    }

    @Test("refutation waits for a durable fence")
    func refutationWaits() throws {
        var bench = Bench.knowing(2...3)
        bench.persistsAtOnce = false
        let fence = try #require(bench.fences.last)
        bench.hear(suspect(1, fence, by: 2))
        #expect(bench.incarnation(1) == 1, "an incarnation beyond the fence is not used yet")
        #expect(bench.queued(1) == nil || bench.queued(1) == alive(1, 1))
        #expect(bench.fences.last.map { $0 > fence } == true)
        bench.persistFence()
        #expect(bench.incarnation(1) == fence + 1)
        #expect(bench.queued(1) == alive(1, fence + 1))
    }

    @Test("one accusation heard many times is refuted once")
    func refutedOnce() throws {
        var bench = Bench.knowing(2...9)
        bench.persistsAtOnce = false
        let fence = try #require(bench.fences.last)
        for accuser in 2...9 { bench.hear(suspect(1, fence, by: accuser), from: accuser) }
        #expect(bench.kinds(1).filter(\.isRefuted).count == 1)
        #expect(bench.machine.awareness.score == 1)
        bench.persistFence()
        for accuser in 2...9 { bench.hear(suspect(1, fence, by: accuser), from: accuser) }
        #expect(bench.kinds(1).filter(\.isRefuted).count == 1)
        #expect(bench.fences.count == 2)
    }

    @Test("nothing is sent before the first fence is durable")
    func startWaits() {
        var bench = Bench(fence: 41, starts: false)
        bench.persistsAtOnce = false
        bench.start()
        #expect(bench.fences.count == 1)
        #expect(bench.timers.isEmpty && bench.sent.isEmpty)
        bench.hear(.ping(Ping(sequence: 1, target: id(1))))
        #expect(bench.sent.isEmpty)
        bench.persistFence()
        #expect(bench.incarnation(1) == 42)
        #expect(bench.fences[0] >= 42)
        #expect(!bench.timers.isEmpty)
    }

    @Test(
        "an accusation at the highest incarnation neither overflows nor silences a node",
        arguments: [Bounds.incarnationMax - 1, Bounds.incarnationMax, .max])
    func highestIncarnation(incarnation: UInt64) throws {
        var bench = Bench.knowing(2...3)
        bench.hear(suspect(1, incarnation, by: 2))
        bench.hear(alive(1, incarnation))
        bench.hear(failed(1, incarnation, by: 2))
        let own = try #require(bench.incarnation(1))
        #expect(own <= Bounds.incarnationMax)
        var peer = Bench(2)
        peer.hear(alive(1), from: 1)
        peer.hear(suspect(1, incarnation, by: 3), from: 3)
        peer.hear(alive(1, own), from: 1)
        #expect(peer.state(1) == .alive, "what a node says of itself must stay acceptable to its peers")
        // A later process with this fence can still speak.
        let restarted = Bench(1, fence: try #require(bench.fences.last))
        #expect((restarted.incarnation(1) ?? .max) <= Bounds.incarnationMax)
    }

    @Test("any stored fence is survived")
    func storedFence() {
        let bench = Bench(1, fence: .max)
        #expect((bench.incarnation(1) ?? .max) <= Bounds.incarnationMax)
    }
}
