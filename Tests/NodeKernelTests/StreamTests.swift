// SPDX-License-Identifier: Apache-2.0
// Owns the tests of streams and of anti-entropy over them.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Streams")
struct StreamTests {
    private func request(_ entries: [MemberTableEntry] = []) -> Message {
        .memberTable(MemberTablePart(role: .request, isLast: true, entries: entries))
    }

    /// Two kernels whose streams are wired by hand: `left` starts, `right` serves.
    private struct Pair {
        var left: KernelBench
        var right: KernelBench
        let outgoing: StreamID
        let incoming: StreamID
        private var fromLeft = 0
        private var fromRight = 0
        private(set) var batches = 0

        init(left: KernelBench, right: KernelBench) {
            self.left = left
            self.right = right
            outgoing = left.opened[left.opened.count - 1].id
            incoming = self.right.accept(from: left.number)
            self.left.written.removeAll()
            self.right.written.removeAll()
            self.left.handle(.streamOpened(outgoing))
        }

        /// Carries one frame; false when none waits.
        mutating func step() -> Bool {
            if fromLeft < left.written.count {
                let frame = left.written[fromLeft]
                fromLeft += 1
                right.handle(.streamPacket(incoming, frame.packet))
                return true
            }
            if fromRight < right.written.count {
                let frame = right.written[fromRight]
                fromRight += 1
                if frame.packet.messages.contains(.storeBatchEnd) { batches += 1 }
                left.handle(.streamPacket(outgoing, frame.packet))
                return true
            }
            return false
        }

        /// Until nothing more comes, also after a while: batches keep to a pace.
        mutating func run() {
            for _ in 0..<100 {
                while step() {}
                left.pass(.milliseconds(5))
                right.pass(.milliseconds(5))
            }
        }
    }

    /// Starts a store synchronisation from `left` by another root.
    private func pair(left: KernelBench, right: KernelBench) -> Pair {
        var left = left
        left.clear()
        left.differ(from: 2)
        return Pair(left: left, right: right)
    }

    private func second(knowing peers: [Int] = [1]) -> KernelBench {
        var bench = KernelBench(2)
        bench.handle(.start)
        bench.hear(peers.map { alive($0) }, from: 1)
        return bench
    }

    @Test("store sync between two kernels goes through batches with flow control and adopts the context")
    func batches() {
        var left = KernelBench.knowing(2...3)
        var right = second()
        for number in 0..<300 { left.command(.put(key: "left/\(number)", value: [UInt8](repeating: 1, count: 2_000))) }
        for number in 0..<300 {
            right.command(.put(key: "right/\(number)", value: [UInt8](repeating: 2, count: 2_000)))
        }
        // An overwritten event: its dot is in no row, only in the context.
        right.command(.put(key: "right/0", value: [3]))
        var pair = pair(left: left, right: right)
        pair.run()
        #expect(pair.left.kernel.store.root == pair.right.kernel.store.root)
        #expect(pair.left.kernel.store.liveKeyCount == 600)
        #expect(pair.left.kernel.store.context == pair.right.kernel.store.context)
        #expect(!pair.left.kernel.store.context.hasGaps)
        #expect(pair.batches >= 2, "600 KB take several batches of 256 KB")
        #expect(pair.left.closed == [pair.outgoing] && pair.right.closed == [pair.incoming])
        for bench in [pair.left, pair.right] {
            let told = bench.events.compactMap { if case .synchronised(let summary) = $0 { summary } else { nil } }
            #expect(told.map(\.rowsReceived) == [300] && told.map(\.rowsSent) == [300])
        }
        #expect(
            pair.left.persists.flatMap(\.records).contains {
                if case .store(.context(let context)) = $0 {
                    context.isSuperset(of: right.kernel.store.context)
                } else {
                    false
                }
            })
    }

    @Test("a responder sends no further batch before it is asked to")
    func flowControl() {
        var right = second()
        for number in 0..<600 { right.command(.put(key: "k/\(number)", value: [UInt8](repeating: 2, count: 2_000))) }
        right.written.removeAll()
        let stream = right.accept(from: 1)
        right.hear([.storeRequest(StoreRequest(context: CausalContext()))], on: stream, from: 1)
        // The changes above go first.
        right.pass(.milliseconds(110))
        let first = right.frames(on: stream).count
        #expect(right.frames(on: stream).last == .storeBatchEnd)
        #expect(first < 200)
        right.pass(.seconds(1))
        #expect(right.frames(on: stream).count == first)
        right.hear([.storeContinue], on: stream, from: 1)
        #expect(right.frames(on: stream).count > first)
        // A second request on the stream is not served.
        let second = right.frames(on: stream).count
        right.hear([.storeRequest(StoreRequest(context: CausalContext()))], on: stream, from: 1)
        #expect(right.frames(on: stream).count == second)
    }

    @Test("the peer's context is not adopted when one of its rows was refused")
    func incomplete() {
        var left = KernelBench.knowing(2...3)
        left.clear()
        left.differ(from: 2)
        let stream = left.opened[0].id
        left.handle(.streamOpened(stream))
        let actor = ActorID(node: id(2), epoch: 1)
        var context = CausalContext()
        for counter in 1...5 as ClosedRange<UInt64> { context.insert(Dot(actor: actor, counter: counter)) }
        left.hear(
            [.row(.register("far", [1], by: 2, counter: 5, wall: 1 << 47)), .storeComplete(context)], on: stream,
            from: 2)
        #expect(left.kernel.store.context.isEmpty)
        #expect(left.kernel.statistics.rowsQuarantined == 1)
    }

    @Test("streams bound: no more than configured, both ways")
    func bound() {
        var bench = KernelBench.knowing(2...3) { $0.streamsMax = 4 }
        let streams = (0..<6).map { _ in bench.accept(from: 2) }
        #expect(bench.closed == Array(streams.suffix(3)))
        bench.handle(.streamClosed(streams[0], .finished))
        let after = bench.accept(from: 2)
        #expect(!bench.closed.contains(after))
        // Our own take what is left, and no more.
        bench.clear()
        let join = bench.command(.join(["192.0.2.1:1", "192.0.2.2:1"]))
        #expect(bench.opened.count == 1)
        bench.handle(.streamClosed(bench.opened[0].id, .refused))
        guard case .joined(let report)? = bench.answers(to: join).first else {
            Issue.record("\(bench.replies)")
            return
        }
        #expect(report.failed.map(\.reason) == [.brokenOff, .refused])
    }

    @Test("a quarter of the streams is kept from peers, so that this node can probe", arguments: [2, 4, 8, 128])
    func reserve(max: Int) {
        var bench = KernelBench.knowing(2...2) { $0.streamsMax = max }
        for _ in 0..<(2 * max) { _ = bench.accept(from: 9) }
        #expect(bench.closed.count == 2 * max - (max - Swift.max(1, max / 4)))
        bench.pass(.seconds(3))
        #expect(bench.opened.first?.to == address(2))
    }

    @Test("idle streams closed")
    func idle() {
        var bench = KernelBench.knowing(2...3)
        let idle = bench.accept(from: 2)
        let busy = bench.accept(from: 3)
        for _ in 0..<15 {
            bench.passAnswering(.seconds(1))
            bench.hear([.storeContinue], on: busy, from: 3)
        }
        #expect(bench.closed == [idle])
        #expect(bench.waiting { if case .streamIdle(busy) = $0 { true } else { false } } == 1)
        bench.passAnswering(.seconds(11))
        #expect(bench.closed == [idle, busy])
    }

    @Test("a ping on a stream is answered on it, one for somebody else is not")
    func ping() {
        var bench = KernelBench.knowing(2...3)
        let stream = bench.accept(from: 2)
        bench.hear(
            [.ping(Ping(sequence: 4, target: id(1))), .ping(Ping(sequence: 5, target: id(9)))], on: stream, from: 2)
        #expect(bench.frames(on: stream) == [.digest(bench.kernel.digest), .ack(Ack(sequence: 4))])
    }

    @Test("a silent peer is probed over a stream, and its answer there saves it")
    func probe() {
        var bench = KernelBench.knowing(2...2)
        while bench.opened.isEmpty { bench.pass(.milliseconds(10)) }
        let stream = bench.opened[0]
        #expect(stream.to == address(2))
        bench.handle(.streamOpened(stream.id))
        guard case .ping(let ping)? = bench.frames(on: stream.id).first else {
            Issue.record("no ping on the stream")
            return
        }
        bench.hear([.ack(Ack(sequence: ping.sequence))], on: stream.id, from: 2)
        #expect(bench.closed == [stream.id])
        #expect(bench.kernel.membership.statistics.probesAcknowledgedByStream == 1)
        #expect(bench.state(2) == .alive)
    }

    @Test("a refused stream makes the verdict quick")
    func refused() {
        var bench = KernelBench.knowing(2...4)
        while bench.opened.isEmpty { bench.passAnswering(.milliseconds(10), except: 3) }
        bench.handle(.streamClosed(bench.opened[0].id, .refused))
        #expect(bench.state(3) == .suspect)
        bench.passAnswering(.milliseconds(600), except: 3)
        #expect(bench.state(3) == .failed)
    }

    @Test("an answer of the wrong kind ends the exchange, and the next one can begin")
    func wrongAnswer() {
        var bench = KernelBench.knowing(2...9)
        for attempt in 1...2 {
            bench.clear()
            for _ in 0..<60 where bench.kernel.statistics.memberSyncsStarted < UInt64(attempt) {
                bench.hear([.digest(Digest(members: 42, store: bench.kernel.store.root))], from: 2)
                bench.passAnswering(.milliseconds(100))
            }
            #expect(bench.kernel.statistics.memberSyncsStarted == UInt64(attempt))
            guard let stream = bench.opened.last?.id else { return }
            bench.handle(.streamOpened(stream))
            bench.hear([request()], on: stream, from: 2)
            #expect(bench.closed == [stream])
        }
    }

    @Test("one stream serves the table once")
    func servedOnce() {
        var bench = KernelBench.knowing(2...3)
        let stream = bench.accept(from: 2)
        bench.hear([request()], on: stream, from: 2)
        #expect(bench.frames(on: stream).count == 1)
        bench.hear([request()], on: stream, from: 2)
        #expect(bench.frames(on: stream).count == 1)
        #expect(bench.closed == [stream])
    }

    @Test("a large table goes in several parts")
    func largeTable() {
        var bench = KernelBench.knowing(2...3)
        for number in 10..<1_500 { bench.hear([alive(number)], from: 2) }
        let stream = bench.accept(from: 2)
        bench.hear([request()], on: stream, from: 2)
        let parts = bench.frames(on: stream).compactMap { if case .memberTable(let part) = $0 { part } else { nil } }
        #expect(parts.count > 1)
        #expect(parts.map(\.isLast) == Array(repeating: false, count: parts.count - 1) + [true])
        #expect(Set(parts.flatMap(\.entries).map(\.id)).count == 1_493)
    }
}
