// SPDX-License-Identifier: Apache-2.0
// Owns the tests of datagrams and rounds of gossip.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Gossip")
struct GossipTests {
    private func size(_ packet: Packet) -> Int {
        packet.messages.reduce(FakeSizes.header) { $0 + FakeSizes.size(of: $1) }
    }

    @Test("a process that did not run says so, once for many late timers")
    func stall() {
        var bench = KernelBench.knowing(2...4)
        func stalls() -> Int { bench.events.count { if case .stalled = $0 { true } else { false } } }
        for _ in 0..<8 where bench.kernel.membership.probesInFlight == 0 { bench.pass(.milliseconds(200)) }
        bench.now = bench.now + .seconds(4)
        bench.pass(.milliseconds(500))
        #expect(bench.kernel.membership.statistics.stalls > 0)
        #expect(stalls() == 1)
    }

    @Test("of ten members, fresh updates leave at once to gossipFanout + 1 peers", arguments: [1, 3, 5])
    func fresh(fanout: Int) {
        var bench = KernelBench.knowing(2...9) { $0.swim.gossipFanout = fanout }
        bench.pass(.milliseconds(5))
        bench.clear()
        bench.hear([alive(30)], from: 2)
        let told = bench.sent.filter { $0.packet.messages.contains(alive(30)) }
        #expect(told.count == fanout + 1)
        #expect(Set(told.map(\.to)).count == fanout + 1)
    }

    @Test("an update is sent as often as the configuration says, and then no more")
    func transmissions() {
        var bench = KernelBench.knowing(2...9)
        bench.hear([alive(30)], from: 2)
        bench.pass(.seconds(20))
        let sent = bench.sent.flatMap(\.packet.messages).filter { $0 == alive(30) }
        // 10 members: 4 * ceil(log10(11)) = 8.
        #expect(sent.count == 8)
    }

    @Test("a row of 600 bytes is sent whole half of the times, and then announced; a small one always whole")
    func reminders() {
        for (bytes, whole, announced) in [(600, 4, 4), (20, 8, 0)] {
            var bench = KernelBench.knowing(2...40)
            bench.pass(.milliseconds(5))
            bench.clear()
            bench.command(.put(key: "k", value: [UInt8](repeating: 1, count: bytes)))
            bench.pass(.seconds(1))
            let sent = bench.sent.flatMap(\.packet.messages)
            let rows = sent.filter { if case .row = $0 { true } else { false } }
            let dot = Dot(actor: bench.kernel.store.actor, counter: 1)
            #expect(rows.count == whole, "\(bytes) bytes")
            #expect(sent.count { $0 == .announcement([dot]) } == announced, "\(bytes) bytes")
        }
    }

    @Test(
        "however large the cluster, two rounds leave a member out in fewer than one change of ten, and a third follows")
    func rounds() {
        let swim = SWIMConfiguration()
        #expect(
            [9, 10, 99, 100, 999, 1_000, 9_999, 10_000].map(swim.gossipFanout(among:)) == [3, 4, 4, 5, 5, 6, 6, 7])
        // e^8, e^10...: ten times as many members for each two more.
        for (members, left) in [(99, 2_980.0), (999, 22_026), (9_999, 162_754), (10_000, 1_202_604)] {
            #expect(Double(members) / left < 0.1)
        }
        for members in [100, 1_000, 10_000] {
            let transmissions = swim.retransmitMultiplier * Logarithm.decimalDigits(members)
            #expect((2...3).contains(transmissions / swim.gossipFanout(among: members)))
        }
    }

    @Test("the second and the third round of news follow after a quarter of the interval, the others after the whole")
    func soonRounds() {
        var bench = KernelBench.knowing(2...40) { $0.swim.gossipFanout = 1 }
        bench.pass(.milliseconds(5))
        bench.clear()
        let begin = bench.now
        bench.hear([alive(50)], from: 2)
        var times: [Interval] = []
        for _ in 0..<400 {
            let before = bench.sent.count { $0.packet.messages == [alive(50)] }
            bench.pass(.milliseconds(1))
            if bench.sent.count(where: { $0.packet.messages == [alive(50)] }) > before {
                times.append(bench.now - begin)
            }
        }
        #expect(times.prefix(3).map { Int($0.seconds * 1_000 + 0.5) } == [25, 50, 150])
    }

    @Test("news that an ack carries leaves to the others at once")
    func newsOnAck() {
        var bench = KernelBench.knowing(2...9)
        bench.pass(.milliseconds(5))
        bench.clear()
        bench.hear([alive(30), .ping(Ping(sequence: 5, target: id(1)))], from: 2)
        let told = bench.sent.filter { $0.packet.messages.contains(alive(30)) }
        #expect(told.count == 5, "the ack and four more")
        #expect(bench.messages(to: 2).contains(bench.ack(5)))
    }

    @Test("an update that fits into no datagram does not speed up the rounds")
    func oversized() {
        var bench = KernelBench.knowing(2...9) { configuration in
            configuration.sizes = WireSizes(header: 28) { message in
                if case .update(let update) = message, update.subject == id(30) { return 5_000 }
                return FakeSizes.size(of: message)
            }
        }
        bench.hear([alive(30)], from: 2)
        let rounds = bench.kernel.statistics.gossipRounds
        bench.pass(.seconds(1))
        #expect(bench.kernel.statistics.gossipRounds - rounds <= 12)
    }

    @Test("pings and acks carry the digest, the rest does not")
    func digests() {
        var bench = KernelBench.knowing(2...3)
        bench.hear([.ping(Ping(sequence: 5, target: id(1)))], from: 2)
        // The first ack to a peer also says where this node is.
        #expect(Array(bench.messages(to: 2).dropFirst()) == [bench.ack(5), .digest(bench.kernel.digest)])
        bench.clear()
        bench.hear([.ping(Ping(sequence: 6, target: id(1)))], from: 2)
        #expect(bench.messages(to: 2) == [bench.ack(6), .digest(bench.kernel.digest)])
        bench.clear()
        bench.pass(.seconds(1))
        let pings = bench.sent.filter { if case .ping? = $0.packet.messages.first { true } else { false } }
        #expect(!pings.isEmpty)
        #expect(pings.allSatisfy { $0.packet.messages.contains(.digest(bench.kernel.digest)) })
    }

    @Test("a datagram never exceeds the configured size", arguments: [1_232, 1_400, 9_000])
    func datagramSize(limit: Int) {
        var bench = KernelBench.knowing(2...6) { $0.datagramBytesMax = limit }
        var rng = SeededGenerator(seed: UInt64(limit))
        for number in 30..<130 {
            let tags = (0..<rng.index(below: 30)).map {
                Tag(name: "tag\($0)", value: String(repeating: "v", count: rng.index(below: 20)))
            }
            let info = MemberInfo(name: "n\(number)", address: address(number), tags: tags, protocolVersion: 1)
            bench.hear(
                [.update(MemberUpdate(subject: id(number), incarnation: 1, claim: .alive(info)))], from: 2)
            bench.command(.put(key: "k\(number)", value: [UInt8](repeating: 1, count: rng.index(below: 3_000))))
            if number % 10 == 0 { bench.hear([.ping(Ping(sequence: 1, target: id(1)))], from: 3) }
            bench.pass(.milliseconds(1))
        }
        bench.pass(.seconds(3))
        #expect(bench.sent.count > 100)
        let largest = bench.sent.map { size($0.packet) }.max() ?? 0
        #expect(largest <= limit)
        #expect(largest > min(limit, 1_400) * 3 / 4, "datagrams are filled: the largest has \(largest) bytes")
        #expect(bench.sent.allSatisfy { !$0.packet.messages.isEmpty })
    }

    @Test("a value too large for gossip is announced by its dot")
    func announcement() {
        var bench = KernelBench.knowing(2...4)
        bench.command(.put(key: "big", value: [UInt8](repeating: 1, count: 2_000)))
        let messages = bench.sent.flatMap(\.packet.messages)
        #expect(messages.contains(.announcement([Dot(actor: bench.kernel.store.actor, counter: 1)])))
        #expect(!messages.contains { if case .row = $0 { true } else { false } })
    }

    @Test("alone, a node keeps nothing to gossip")
    func alone() {
        var bench = KernelBench()
        bench.handle(.start)
        for number in 0..<100 { bench.command(.put(key: "k\(number)", value: [1])) }
        bench.pass(.seconds(1))
        #expect(bench.kernel.membership.queue.isEmpty)
        let command = bench.command(.statistics)
        guard case .statistics(let view)? = bench.answers(to: command).first else {
            Issue.record("no statistics")
            return
        }
        #expect(view.queues.storeChanges == 0 && view.queues.writes == 0)
        #expect(bench.sent.isEmpty)
    }

    @Test("many changes at once share datagrams and one chain of timers")
    func burst() {
        var bench = KernelBench.knowing(2...9)
        bench.pass(.milliseconds(10))
        bench.clear()
        for number in 0..<200 { bench.command(.put(key: "k\(number)", value: [1])) }
        #expect(bench.sent.count <= 3)
        bench.pass(.milliseconds(1))
        #expect(bench.waiting { if case .gossip = $0 { true } else { false } } <= 2)
        bench.pass(.seconds(3))
        #expect(bench.waiting { if case .gossip = $0 { true } else { false } } <= 1)
        let rows = bench.sent.flatMap(\.packet.messages).filter { if case .row = $0 { true } else { false } }
        #expect(rows.count == 200 * 4, "each of 200 rows four times")
        #expect(bench.sent.count < 200)
    }

    @Test("other cluster's packets are counted and of no effect")
    func otherCluster() {
        var bench = KernelBench.knowing(2...3)
        for _ in 0..<50 {
            let packet = Packet(
                cluster: ClusterID(name: "other"), sender: id(2),
                messages: [failed(3, by: 2), .ping(Ping(sequence: 1, target: id(1)))])
            bench.handle(.packet(packet, from: address(2)))
            bench.pass(.milliseconds(2))
        }
        #expect(bench.kernel.statistics.ignored(.otherCluster) == 50)
        #expect(bench.events.filter { $0 == .packetIgnored(.otherCluster, from: address(2)) }.count == 1)
        #expect(bench.state(3) == .alive)
        #expect(bench.messages(to: 2).filter { if case .ack = $0 { true } else { false } }.isEmpty)
    }

    @Test("our own id from elsewhere -> identityInUse, once a minute")
    func ownID() {
        var bench = KernelBench.knowing(2...3)
        bench.hear([failed(2, by: 1)], from: 1, at: address(50))
        bench.hear([failed(2, by: 1)], from: 1, at: address(51))
        #expect(bench.events == [.identityInUse(at: address(50))])
        #expect(bench.state(2) == .alive)
        bench.passAnswering(.seconds(60))
        bench.hear([], from: 1, at: address(50))
        #expect(bench.events.filter { $0 == .identityInUse(at: address(50)) }.count == 2)
    }

    @Test("what this node sent to its own address is no double")
    func ownAddress() {
        var bench = KernelBench.knowing(2...3)
        bench.hear([.ping(Ping(sequence: 1, target: id(9)))], from: 1, at: address(1))
        #expect(bench.events.isEmpty && bench.sent.isEmpty)
    }

    @Test("messages that belong on a stream are not taken from a datagram")
    func streamMessages() {
        var bench = KernelBench.knowing(2...3)
        bench.hear([.storeRequest(StoreRequest(context: CausalContext())), .storeBatchEnd, .storeContinue], from: 2)
        #expect(bench.kernel.statistics.ignored(.unexpected) == 3)
        #expect(bench.sent.isEmpty && bench.written.isEmpty)
    }

    @Test("a local send error is counted and blames nobody")
    func sendError() {
        var bench = KernelBench.knowing(2...2)
        while !bench.sent.contains(where: { if case .ping? = $0.packet.messages.first { true } else { false } }) {
            bench.pass(.milliseconds(10))
        }
        bench.handle(.sendFailed(to: address(2)))
        bench.pass(.milliseconds(990))
        #expect(bench.kernel.statistics.sendFailures == 1)
        #expect(bench.state(2) == .alive)
    }
}
