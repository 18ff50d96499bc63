// SPDX-License-Identifier: Apache-2.0
// Owns the tests of probing: acks, relays, nacks, streams, local health, the order of probes.

import ClusterTypes
import SWIMCore
import Testing

@Suite("Probing")
struct ProbeTests {
    @Test("alive stays alive")
    func aliveStaysAlive() throws {
        var bench = Bench.knowing(2...2)
        for _ in 0..<20 {
            let sequence = try bench.probe(of: 2)
            bench.pass(.milliseconds(3))
            bench.hear(.ack(Ack(sequence: sequence)))
        }
        #expect(bench.state(2) == .alive)
        #expect(bench.events.isEmpty)
        #expect(bench.machine.statistics.probesAcknowledged == 20)
        #expect(bench.machine.awareness.score == 0)
    }

    @Test("no ack leads to suspect with relays used")
    func noAckLeadsToSuspect() throws {
        var bench = Bench.knowing(2...6) { $0.probeTimeoutMin = .milliseconds(500) }
        let sequence = try bench.probe(of: 4)
        bench.clear()
        let begin = bench.now
        bench.pass(.milliseconds(499))
        #expect(bench.indirect.isEmpty && bench.streams.isEmpty)
        bench.pass(.milliseconds(1))
        #expect(bench.indirect.count == 3)
        #expect(Set(bench.indirect.map(\.relay)).count == 3)
        #expect(bench.indirect.allSatisfy { $0.relay != address(4) && $0.request.target == id(4) })
        #expect(bench.indirect.allSatisfy { $0.request.deadlineMilliseconds == 500 && $0.request.sequence == sequence })
        #expect(bench.streams.map(\.target) == [id(4)])
        bench.pass(until: begin + .seconds(1))
        #expect(bench.state(4) == .suspect)
        guard case .suspected(let evidence)? = bench.kinds(4).first else {
            Issue.record("no suspicion was told")
            return
        }
        #expect(evidence.accuser == id(1) && evidence.isLocal)
        #expect(evidence.probes == 5)
        #expect(evidence.pathsFailed == [.udp, .relay, .stream])
        #expect(evidence.since.now == begin)
        #expect(bench.queued(4) == suspect(4, by: 1))
    }

    @Test("an ack passed on by a relay saves the peer")
    func relayedAck() throws {
        var bench = Bench.knowing(2...6)
        let sequence = try bench.probe(of: 4)
        bench.pass(.milliseconds(500))
        let relay = try #require(bench.indirect.first?.relay)
        let number = try #require((2...6).first { address($0) == relay })
        bench.hear(.ack(Ack(sequence: sequence)), from: number)
        #expect(bench.machine.statistics.probesAcknowledgedByRelay == 1)
        #expect(bench.state(4) == .alive)
        // Somebody else's answer is of no use.
        let second = try bench.probe(of: 4)
        let before = bench.machine.statistics.probesAcknowledged
        bench.hear(.ack(Ack(sequence: second)), from: 9)
        #expect(bench.machine.statistics.probesAcknowledged == before)
    }

    @Test("stream fallback saves a UDP-blocked peer")
    func streamFallback() throws {
        var bench = Bench.knowing(2...2)
        let sequence = try bench.probe(of: 2)
        bench.pass(.milliseconds(500))
        #expect(bench.streams.map(\.sequence) == [sequence])
        bench.perform { $0.onStreamProbe(sequence: sequence, outcome: .acknowledged, clock: $1, into: &$3) }
        bench.pass(.milliseconds(600))
        #expect(bench.state(2) == .alive)
        #expect(bench.events.isEmpty)
        #expect(bench.machine.statistics.probesAcknowledgedByStream == 1)
        #expect(bench.machine.awareness.score == 0)
    }

    @Test("health score degrades, recovers, handles missed nacks")
    func healthScore() throws {
        var bench = Bench.knowing(2...6) { $0.probeTimeoutMin = .milliseconds(500) }
        // Three relays were asked and none said a word: the trouble may be here.
        _ = try bench.probe(of: 4)
        bench.pass(.seconds(1))
        #expect(bench.machine.awareness.score == 3)
        // The next period has begun with another ping.
        for case .ping(let ping) in bench.sent.flatMap(\.messages) where ping.target != id(4) {
            bench.hear(.ack(Ack(sequence: ping.sequence)), from: Int(ping.target.low))
        }
        // Each answer takes one off, and then the score stays at 0.
        for _ in 0..<5 {
            let sequence = try bench.probe(of: 2)
            bench.hear(.ack(Ack(sequence: sequence)), from: 2)
        }
        #expect(bench.awareness == [3, 2, 1, 0])
    }

    @Test("the health score stays within its bounds")
    func awarenessBounds() {
        var awareness = Awareness(max: 8)
        let formers = [-1, 100, 1].map { awareness.add($0) }
        #expect(formers == [nil, 0, nil])
        #expect(awareness.score == 8)
        #expect(awareness.scale(.milliseconds(500)) == .milliseconds(4_500))
        let former = awareness.add(-9)
        #expect(former == 8 && awareness.score == 0)
    }

    @Test("all relays answering costs no health")
    func nacksCostNoHealth() throws {
        var bench = Bench.knowing(2...6)
        let sequence = try bench.probe(of: 4)
        bench.pass(.milliseconds(500))
        for (relay, _) in bench.indirect {
            let number = try #require((2...6).first { address($0) == relay })
            bench.hear(.nack(Nack(sequence: sequence)), from: number)
            // A second nack of the same relay counts once.
            bench.hear(.nack(Nack(sequence: sequence)), from: number)
        }
        #expect(bench.machine.statistics.nacksReceived == 3)
        bench.pass(.milliseconds(500))
        #expect(bench.state(4) == .suspect)
        #expect(bench.machine.awareness.score == 0)
        #expect(bench.awareness.isEmpty)
    }

    @Test("a refused stream shortens suspicion to the floor and costs no health")
    func refusedStream() throws {
        var bench = Bench.knowing(2...6)
        let sequence = try bench.probe(of: 4)
        bench.pass(.milliseconds(500))
        bench.perform { $0.onStreamProbe(sequence: sequence, outcome: .refused, clock: $1, into: &$3) }
        #expect(bench.state(4) == .suspect)
        #expect(bench.suspicionEnds(4) == bench.now + .milliseconds(500))
        bench.pass(.milliseconds(500))
        #expect(bench.state(4) == .failed)
        #expect(bench.machine.awareness.score == 0)
        guard case .failed(let evidence, let after)? = bench.kinds(4).last else {
            Issue.record("no failure was told")
            return
        }
        #expect(evidence.streamRefused && evidence.pathsFailed == [.udp, .relay, .stream])
        #expect(after == .seconds(1))
    }

    @Test("the only peer dies before its round trip is known: its failure takes no second look", arguments: 1...20)
    func refusedAtOnce(seed: UInt64) {
        var cluster = Cluster(2, seed: seed)
        cluster.set(.crashed, of: 2)
        // A period to begin with, the longest wait for an ack, the floor of the suspicion, and a probe to spare.
        cluster.run(for: .milliseconds(1_000 + 500 + 500 + 500))
        #expect(cluster.nodes[0].state(2) == .failed, "seed \(seed): \(cluster.story)")
    }

    @Test("local send errors are not blamed on the peer")
    func sendErrors() throws {
        var bench = Bench.knowing(2...6)
        _ = try bench.probe(of: 4)
        bench.machine.onSendFailed(to: address(4))
        bench.pass(.seconds(1))
        #expect(bench.state(4) == .alive)
        #expect(bench.events.isEmpty)
        #expect(bench.machine.awareness.score == 1)
    }

    @Test("a peer that cannot be sent to is suspected when the relays got no answer")
    func sendErrorsAndNacks() throws {
        var bench = Bench.knowing(2...6)
        let sequence = try bench.probe(of: 4)
        bench.machine.onSendFailed(to: address(4))
        bench.pass(.milliseconds(500))
        for (relay, _) in bench.indirect {
            let number = try #require((2...6).first { address($0) == relay })
            bench.hear(.nack(Nack(sequence: sequence)), from: number)
        }
        bench.pass(.milliseconds(500))
        #expect(bench.state(4) == .suspect)
        guard case .suspected(let evidence)? = bench.kinds(4).first else {
            Issue.record("no suspicion was told")
            return
        }
        #expect(evidence.pathsFailed == [.relay, .stream] && evidence.probes == 4)
    }

    @Test("wrong-node ping ignored")
    func wrongNodePing() {
        var bench = Bench.knowing(2...2)
        bench.hear(.ping(Ping(sequence: 7, target: id(9))))
        #expect(bench.sent.isEmpty)
        #expect(bench.machine.statistics.wrongTarget == 1)
        bench.hear(.ping(Ping(sequence: 8, target: id(1))))
        bench.hear(.ping(Ping(sequence: 9, target: .unknown)))
        #expect(bench.messages(to: 2) == [ack(8, bench), ack(9, bench)])
    }

    @Test("ack handlers fire, expire, clean up")
    func ackHandlers() throws {
        var bench = Bench.knowing(2...3)
        // Fire: the answer arrives and carries the round trip.
        let first = try bench.ping(2)
        bench.pass(.milliseconds(7))
        bench.hear(.ack(Ack(sequence: first)), from: 3)
        #expect(bench.answers.isEmpty, "another node's ack is no answer")
        bench.hear(.ack(Ack(sequence: first)), from: 2)
        #expect(bench.answers.map(\.roundTrip) == [.milliseconds(7)])
        // Clean up: the same ack again finds nobody, and the expiry says nothing.
        bench.hear(.ack(Ack(sequence: first)), from: 2)
        bench.pass(.seconds(2))
        #expect(bench.answers.count == 1)
        // Expire: no answer in time.
        let second = try bench.ping(3)
        bench.pass(bench.machine.operatorPingTimeout)
        #expect(bench.answers.count == 2)
        #expect(bench.answers.last?.sequence == second)
        #expect(bench.answers.last?.roundTrip == nil)
        bench.hear(.ack(Ack(sequence: second)), from: 3)
        #expect(bench.answers.count == 2)
        #expect(throws: NothingSent.self) { try bench.ping(9) }
    }

    @Test("a relay nacks at 80 % of the requester's deadline and still passes a late ack on")
    func relayNack() throws {
        var bench = Bench.knowing(2...3)
        bench.clear()
        let begin = bench.now
        let request = IndirectPing(sequence: 77, target: id(3), targetAddress: address(3), deadlineMilliseconds: 500)
        bench.hear(.indirectPing(request), from: 2)
        guard case .ping(let ping)? = bench.messages(to: 3).first else {
            Issue.record("the target was not pinged")
            return
        }
        #expect(ping.target == id(3))
        bench.pass(until: begin + .milliseconds(399))
        #expect(bench.messages(to: 2).filter { $0 == .nack(Nack(sequence: 77)) }.isEmpty)
        bench.pass(until: begin + .milliseconds(400))
        #expect(bench.messages(to: 2).filter { $0 == .nack(Nack(sequence: 77)) }.count == 1)
        bench.pass(until: begin + .milliseconds(450))
        bench.hear(.ack(Ack(sequence: ping.sequence)), from: 3)
        #expect(bench.messages(to: 2).contains(.ack(Ack(sequence: 77))))
        // It is forgotten then: a second ack goes nowhere.
        bench.clear()
        bench.hear(.ack(Ack(sequence: ping.sequence)), from: 3)
        #expect(bench.sent.isEmpty)
    }

    @Test("relayed pings are bounded and expire")
    func relayedPingsBounded() {
        var bench = Bench.knowing(2...3)
        for sequence in 0..<2_000 {
            let request = IndirectPing(
                sequence: UInt32(sequence), target: id(3), targetAddress: address(3), deadlineMilliseconds: .max)
            bench.hear(.indirectPing(request), from: 2)
        }
        #expect(bench.machine.statistics.indirectPingsRelayed == 1_024)
        bench.pass(.seconds(60))
        bench.hear(
            .indirectPing(
                IndirectPing(sequence: 1, target: id(3), targetAddress: address(3), deadlineMilliseconds: 1)), from: 2)
        #expect(bench.machine.statistics.indirectPingsRelayed == 1_025)
    }

    @Test("a known round trip shortens the direct wait, within bounds")
    func adaptiveTimeout() throws {
        var bench = Bench.knowing(2...2)
        for _ in 0..<10 {
            let sequence = try bench.probe(of: 2)
            bench.pass(.milliseconds(2))
            bench.hear(.ack(Ack(sequence: sequence)))
            bench.sent.removeAll()
        }
        _ = try bench.probe(of: 2)
        let asked = bench.now
        bench.pass(.milliseconds(99))
        #expect(bench.streams.isEmpty)
        bench.pass(until: asked + .milliseconds(100))
        #expect(bench.streams.count == 1)
    }

    @Test("the smoothed round trip follows RFC 6298")
    func smoothedRoundTrip() {
        var trip = RoundTrip(first: .milliseconds(100))
        #expect(trip.smoothed == .milliseconds(100) && trip.variance == .milliseconds(50))
        #expect(trip.timeout == .milliseconds(300))
        trip.add(.milliseconds(180))
        // RTTVAR = 3/4 * 50 + 1/4 * 80 = 57.5; SRTT = 7/8 * 100 + 1/8 * 180 = 110.
        #expect(trip.smoothed == .milliseconds(110))
        #expect(trip.variance == .microseconds(57_500))
        #expect(trip.timeout == .milliseconds(340))
    }

    @Test("shuffled round-robin: once the joins are over everyone is probed once a round", arguments: 1...5)
    func roundRobin(seed: Int) throws {
        let peers = 12
        var bench = Bench.knowing(2...(peers + 1), seed: UInt64(seed)) { $0.indirectProbes = 0 }
        var probed: [Int] = []
        while probed.count < 10 * peers {
            let before = bench.sent.count
            bench.pass(.milliseconds(100))
            for datagram in bench.sent[before...] {
                for case .ping(let ping) in datagram.messages {
                    probed.append(Int(ping.target.low))
                    bench.hear(.ack(Ack(sequence: ping.sequence)), from: Int(ping.target.low))
                }
            }
        }
        for peer in 2...(peers + 1) {
            let turns = probed.indices.filter { probed[$0] == peer }
            let gaps = zip(turns, turns.dropFirst()).map { $1 - $0 }
            // SWIM's bound: once in each round, so at most two rounds apart.
            #expect(gaps.allSatisfy { $0 < 2 * peers }, "node \(peer) had its turns at \(turns)")
            #expect((9...11).contains(turns.count) && (turns.first ?? .max) < 2 * peers)
        }
        // Rounds begin where the wall clock says; each is a permutation of all peers, and not always the same one.
        let beginnings = (0..<peers).filter { offset in
            (0..<8).allSatisfy { Set(probed[(offset + $0 * peers)..<(offset + ($0 + 1) * peers)]).count == peers }
        }
        let offset = try #require(beginnings.first, "\(probed)")
        let rounds = (0..<8).map { Array(probed[(offset + $0 * peers)..<(offset + ($0 + 1) * peers)]) }
        #expect(Set(rounds).count > 1)
    }

    @Test("one chain of periods: a minute holds as many probes as seconds")
    func onePeriodChain() {
        var bench = Bench.knowing(2...9)
        for _ in 0..<600 {
            let before = bench.sent.count
            bench.pass(.milliseconds(100))
            for datagram in bench.sent[before...] {
                for case .ping(let ping) in datagram.messages {
                    bench.hear(.ack(Ack(sequence: ping.sequence)), from: Int(ping.target.low))
                }
            }
        }
        #expect((59...61).contains(bench.machine.statistics.probes))
        #expect(bench.timers.count < 12, "\(bench.timers.count) timers are set at rest")
    }

    @Test("a stalled process (late timers) does not accuse")
    func stalledProcess() throws {
        var bench = Bench.knowing(2...6)
        let sequence = try bench.probe(of: 4)
        // Stopped for four seconds; the ack waits in the socket and is read after the timers.
        bench.stall(.seconds(4))
        #expect(bench.state(4) == .alive)
        #expect(bench.machine.statistics.stalls > 0)
        #expect(bench.machine.awareness.score > 0)
        bench.hear(.ack(Ack(sequence: sequence)), from: 4)
        #expect(bench.state(4) == .alive)
        #expect(bench.events.isEmpty)
    }

    @Test("a stalled process looks again before a suspicion runs out")
    func stalledSuspicion() {
        var bench = Bench.knowing(2...6)
        bench.hear(suspect(4, by: 2))
        bench.stall(.seconds(60))
        #expect(bench.state(4) == .suspect)
        bench.hear(alive(4, 2), from: 4)
        #expect(bench.state(4) == .alive)
        #expect(bench.kinds(4).filter(\.isFailed).isEmpty)
    }
}
