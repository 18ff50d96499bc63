// SPDX-License-Identifier: Apache-2.0
// Owns the tests of peers that are odd but not silent: blocked datagrams, a double of this node, a flood of requests.

import ClusterTypes
import SWIMCore
import Testing

@Suite("Odd peers")
struct OddPeerTests {
    @Test("three probes in a row that only a stream answers are told, once until UDP works again")
    func udpBlocked() throws {
        var bench = Bench.knowing(2...2)
        func probe(byStream: Bool) throws {
            let sequence = try bench.probe(of: 2)
            if byStream {
                bench.pass(.milliseconds(500))
                bench.perform { $0.onStreamProbe(sequence: sequence, outcome: .acknowledged, clock: $1, into: &$3) }
            } else {
                bench.hear(.ack(Ack(sequence: sequence)), from: 2)
            }
        }
        for _ in 1...2 { try probe(byStream: true) }
        #expect(bench.kinds(2).isEmpty)
        for _ in 3...6 { try probe(byStream: true) }
        #expect(bench.kinds(2) == [.udpBlocked(probes: 3, sendsFail: false)])
        try probe(byStream: false)
        for _ in 1...3 { try probe(byStream: true) }
        #expect(
            bench.kinds(2) == [
                .udpBlocked(probes: 3, sendsFail: false), .udpRestored, .udpBlocked(probes: 3, sendsFail: false),
            ])
        #expect(bench.state(2) == .alive)
    }

    @Test("a host that cannot send blames itself and not the member that answers over a stream")
    func cannotSend() throws {
        var bench = Bench.knowing(2...2)
        for _ in 1...3 {
            let sequence = try bench.probe(of: 2)
            bench.machine.onSendFailed(to: address(2))
            bench.pass(.milliseconds(500))
            bench.perform { $0.onStreamProbe(sequence: sequence, outcome: .acknowledged, clock: $1, into: &$3) }
        }
        #expect(bench.kinds(2) == [.udpBlocked(probes: 3, sendsFail: true)])
        #expect(bench.machine.awareness.score == 3)
        #expect(bench.state(2) == .alive)
    }

    @Test("somebody who claims to be this node at another address is told, and outrun")
    func double() {
        var bench = Bench.knowing(2...3)
        let mine = bench.machine.me.incarnation
        let theirs = MemberInfo(name: "n1", address: address(9), tags: [], protocolVersion: 1)
        bench.hear(MemberUpdate(subject: id(1), incarnation: mine + 5, claim: .alive(theirs)))
        #expect(bench.doubles == [address(9)])
        #expect(bench.machine.me.incarnation == mine + 6)
        // What an earlier life of this node left behind is no double.
        bench.hear(MemberUpdate(subject: id(1), incarnation: mine, claim: .alive(theirs)))
        #expect(bench.doubles.count == 1)
    }

    @Test("a flood of requests to relay is bounded, timers included, and strangers are not served")
    func relayFlood() {
        var bench = Bench.knowing(2...4)
        func request(_ number: UInt32, from sender: Int) {
            let ping = IndirectPing(
                sequence: number, target: id(3), targetAddress: address(3), deadlineMilliseconds: 60_000)
            bench.hear(.indirectPing(ping), from: sender)
            for case .ping(let relayed) in bench.messages(to: 3) {
                bench.hear(.ack(Ack(sequence: relayed.sequence)), from: 3)
            }
            bench.clear()
        }
        request(0, from: 77)
        #expect(bench.machine.statistics.indirectPingsRelayed == 0)
        for number in 1...3_000 { request(UInt32(number), from: 2) }
        #expect(bench.machine.statistics.indirectPingsRelayed == 1_024)
        bench.pass(.seconds(61))
        bench.clear()
        request(1, from: 2)
        #expect(bench.machine.statistics.indirectPingsRelayed == 1_025)
    }
}
