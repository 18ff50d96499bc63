// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what `doctor` finds out about the ways to peers, and of what is answered to peers that ask.

import ClusterTypes
import NodeKernel
import SWIMCore
import Testing

@Suite("Examining peers")
struct ExaminationTests {
    /// What peer 3 lets through; all others answer everything.
    struct Ways: Sendable, CustomTestStringConvertible {
        var name: String
        var small = true
        var large = true
        var stream: StreamEnd?
        var isOldVersion = false
        var testDescription: String { name }
    }

    static let ways: [Ways] = [
        Ways(name: "everything"), Ways(name: "no datagrams", small: false, large: false),
        Ways(name: "no large datagrams", large: false), Ways(name: "streams refused", stream: .refused),
        Ways(name: "streams time out", stream: .timedOut),
        Ways(name: "nothing", small: false, large: false, stream: .unreachable),
        Ways(name: "a version without views", isOldVersion: true),
    ]

    private func view(_ id: UInt32, wall: UInt64) -> Message {
        .viewAnswer(
            ViewAnswer(
                id: id, state: .suspect, streamOnlyProbes: 2, awareness: 1, roundTripMicroseconds: 70, wall: wall))
    }

    /// Answers what the bench has sent since, as `ways` let it through.
    private func answer(_ bench: inout KernelBench, _ ways: Ways, from seen: inout Int) {
        let datagrams = bench.sent
        bench.sent.removeAll()
        let wall = bench.clock.wall.milliseconds + 500
        for (packet, to) in datagrams {
            guard let peer = (2...9).first(where: { address($0) == to }) else { continue }
            let isLarge = packet.messages.contains { if case .padding = $0 { true } else { false } }
            guard peer != 3 || (isLarge ? ways.large : ways.small) else { continue }
            for message in packet.messages {
                if case .ping(let ping) = message { bench.hear([.ack(Ack(sequence: ping.sequence))], from: peer) }
                if case .viewRequest(let id) = message, !ways.isOldVersion || peer != 3 {
                    bench.hear([view(id, wall: wall)], from: peer)
                }
            }
        }
        while seen < bench.opened.count {
            let (stream, to) = bench.opened[seen]
            seen += 1
            guard let peer = (2...9).first(where: { address($0) == to }) else { continue }
            if peer == 3, let end = ways.stream {
                bench.handle(.streamClosed(stream, end))
                continue
            }
            bench.handle(.streamOpened(stream))
            for case .ping(let ping) in bench.frames(on: stream) {
                var messages: [Message] = [.ack(Ack(sequence: ping.sequence))]
                for case .viewRequest(let id) in bench.frames(on: stream) where !ways.isOldVersion || peer != 3 {
                    messages.insert(view(id, wall: wall), at: 0)
                }
                bench.hear(messages, on: stream, from: peer)
            }
        }
    }

    private func examine(_ bench: inout KernelBench, _ ways: Ways) -> ExaminationReport? {
        bench.clear()
        let id = bench.command(.examine)
        var seen = 0
        for _ in 0..<300 {
            answer(&bench, ways, from: &seen)
            if case .examined(let report)? = bench.answers(to: id).first { return report }
            bench.pass(.milliseconds(10))
        }
        return nil
    }

    @Test("each way of each peer is told apart, and what the peer says of us", arguments: ways)
    func eachWay(_ ways: Ways) throws {
        var bench = KernelBench.knowing(2...5)
        let began = bench.now
        let report = try #require(examine(&bench, ways))
        #expect(report.left == 0 && report.peers.map(\.member.member.info.name) == ["n2", "n3", "n4", "n5"])
        for peer in report.peers where peer.member.member.id != id(3) {
            #expect(peer.datagram.isAnswered && peer.largeDatagram.isAnswered && peer.stream.isAnswered)
        }
        let odd = report.peers[1]
        #expect(odd.datagram.isAnswered == ways.small)
        #expect(odd.stream.isAnswered == (ways.stream == nil))
        switch ways.stream {
        case .refused: #expect(odd.stream == .failed(.refused))
        case .timedOut: #expect(odd.stream == .failed(.timedOut))
        case .unreachable: #expect(odd.stream == .failed(.unreachable))
        default: break
        }
        #expect(odd.largeDatagram == .silent || ways.large || !ways.small)
        #expect(odd.largeDatagram == .notTried || ways.small)
        let saysNothing = ways.isOldVersion || !ways.small && ways.stream != nil
        #expect((odd.view == nil) == saysNothing)
        if let view = odd.view {
            #expect(view.state == .suspect && view.streamOnlyProbes == 2)
            #expect(abs((odd.clockOffset ?? 0) - 500) < 30)
        }
        // Only silence takes time, and no more than two pings' worth.
        #expect(bench.now - began <= .milliseconds(2_300))
        if ways.small, ways.large { #expect(bench.now - began < .milliseconds(50)) }
    }

    @Test("the large datagram is as large as one may be, and carries nothing but the ping")
    func size() {
        var bench = KernelBench.knowing(2...2)
        bench.command(.examine)
        let large = bench.sent.map(\.packet).filter { packet in
            packet.messages.contains { if case .padding = $0 { true } else { false } }
        }
        #expect(large.count == 1 && large[0].messages.count == 2)
        let bytes = large[0].messages.reduce(FakeSizes.header) { $0 + FakeSizes.size(of: $1) }
        #expect(bytes == bench.kernel.configuration.datagramBytesMax)
    }

    @Test("a lost datagram is sent once more before it counts as silence")
    func lossIsNoSilence() throws {
        var bench = KernelBench.knowing(2...3)
        let id = bench.command(.examine)
        var seen = 0
        // All of the first round is lost.
        bench.sent.removeAll()
        bench.pass(.milliseconds(1_050))
        answer(&bench, Ways(name: ""), from: &seen)
        guard case .examined(let report)? = bench.answers(to: id).first else {
            Issue.record("\(bench.answers(to: id))")
            return
        }
        #expect(report.peers.allSatisfy { $0.datagram.isAnswered && $0.largeDatagram.isAnswered })
    }

    @Test("what this host cannot send is not the peer's silence")
    func notSent() throws {
        var bench = KernelBench.knowing(2...3)
        let id = bench.command(.examine)
        var seen = 0
        bench.handle(.sendFailed(to: address(3)))
        for _ in 0..<230 {
            answer(&bench, Ways(name: "", small: false, large: false), from: &seen)
            bench.pass(.milliseconds(10))
        }
        guard case .examined(let report)? = bench.answers(to: id).first else {
            Issue.record("no answer")
            return
        }
        #expect(report.peers.map(\.datagram.isAnswered) == [true, false])
        #expect(report.peers[1].datagram == .notSent)
    }

    @Test("of many peers 64 are asked; who asks meanwhile shares the answer; an operator's own ping stays his")
    func bounds() throws {
        var bench = KernelBench.knowing(2...100)
        bench.clear()
        let first = bench.command(.examine)
        let second = bench.command(.examine)
        bench.command(.ping("n5"))
        #expect(bench.opened.count == 64)
        bench.pass(.seconds(3))
        for id in [first, second] {
            guard case .examined(let report)? = bench.answers(to: id).first else {
                Issue.record("no answer")
                return
            }
            #expect(report.peers.count == 64 && report.left == 99 - 64)
        }
        #expect(bench.replies.count == 3)
    }

    @Test("a member is told how we hold it, over both ways; a stranger is told nothing")
    func asked() {
        var bench = KernelBench.knowing(2...3)
        bench.hear([.update(MemberUpdate(subject: id(3), incarnation: 1, claim: .suspect(by: id(2))))], from: 2)
        bench.sent.removeAll()
        bench.hear([.viewRequest(7)], from: 3)
        bench.hear([.viewRequest(8)], from: 9)
        func answers(_ messages: [Message]) -> [ViewAnswer] {
            messages.compactMap { if case .viewAnswer(let answer) = $0 { answer } else { nil } }
        }
        #expect(answers(bench.messages(to: 3)).map(\.id) == [7])
        #expect(answers(bench.messages(to: 3)).map(\.state) == [.suspect])
        #expect(answers(bench.messages(to: 9)).isEmpty)
        let stream = bench.accept(from: 2)
        bench.hear([.viewRequest(9), .ping(Ping(sequence: 1, target: id(1)))], on: stream, from: 2)
        #expect(answers(bench.frames(on: stream)).map(\.state) == [.alive])
    }
}
