// SPDX-License-Identifier: Apache-2.0
// Owns the tests of exchanges between two stores: floors, catching up, pace, what a hostile peer may send.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Exchange of stores")
struct SyncTests {
    @Test("rows do not travel between different floors: the responder says its own and closes")
    func floors() {
        let right = KernelBench.holding(store(rows(0..<3), floor: someFloor), number: 2, peers: [1])
        var pair = ExchangePair(.holding(store(rows(0..<2))), right)
        pair.synchronise()
        #expect(pair.messages.contains(.floor(someFloor)))
        #expect(!pair.messages.contains { if case .row = $0 { true } else { false } })
        #expect(pair.streamsOpen == 0)
        #expect(pair.left.kernel.store.rowCount == 2)
    }

    @Test("a peer that resets gets the floor and everything, in batches, whatever its floor")
    func reset() {
        var bench = KernelBench.holding(store(rows(0..<600, bytes: 1_000), floor: someFloor))
        let stream = bench.accept(from: 2)
        let full = bench.kernel.store.context
        bench.hear([.storeRequest(StoreRequest(context: full, isReset: true))], on: stream, from: 2)
        #expect(bench.frames(on: stream).first == .floor(someFloor))
        for _ in 0..<10 where bench.frames(on: stream).last == .storeBatchEnd {
            bench.pass(.milliseconds(100))
            bench.hear([.storeContinue], on: stream, from: 2)
        }
        let frames = bench.frames(on: stream)
        let sent = frames.compactMap { if case .row(let row) = $0 { row.id.key } else { nil } }
        #expect(Set(sent).count == 600 && sent.count == 600)
        #expect(frames.contains(.storeBatchEnd))
        #expect(frames.last == .storeComplete(full))
    }

    @Test("rows and announcements in a datagram stand behind the mark of their floor")
    func marks() {
        var bench = KernelBench.holding(store(rows(0..<1), floor: someFloor))
        bench.command(.put(key: "small", value: [1]))
        bench.pass(.milliseconds(10))
        bench.command(.put(key: "large", value: [UInt8](repeating: 1, count: 5_000)))
        let carrying = bench.sent.map(\.packet.messages).filter {
            $0.contains { message in
                switch message {
                case .row, .announcement: true
                default: false
                }
            }
        }
        #expect(carrying.count >= 2)
        for messages in carrying {
            let mark = messages.firstIndex(of: .floorMark(someFloor.mark))
            let row = messages.firstIndex {
                switch $0 {
                case .row, .announcement: true
                default: false
                }
            }
            #expect(mark.map { $0 < row ?? 0 } ?? false, "\(messages)")
        }
    }

    @Test("a difference between small contexts takes one round trip")
    func contexts() {
        let all = rows(0..<2_000)
        var pair = ExchangePair(
            .holding(store(all.dropLast())), .holding(store(all, number: 2), number: 2, peers: [1]))
        pair.synchronise()
        #expect(pair.isEqual)
        #expect(pair.roundTrips == 1)
        #expect(pair.bytesBesideRows < 400)
        #expect(!pair.messages.contains { if case .ranges = $0 { true } else { false } })
    }

    @Test("an exchange that was broken off goes on where it stood")
    func interrupted() {
        var pair = ExchangePair(
            .holding(store([])), .holding(store(rows(0..<2_000, bytes: 1_000), number: 2), number: 2, peers: [1]))
        pair.synchronise(.milliseconds(8))
        let received = pair.left.kernel.store.rowCount
        #expect(received > 100 && received < 2_000)
        pair.breakStreams()
        let before = pair.rowBytes
        pair.synchronise()
        #expect(pair.isEqual)
        #expect(pair.rowBytes - before < (2_000 - received + 300) * 1_200)
    }

    @Test("a catch-up costs little beside its rows, is reported, and is not gossiped on")
    func catchUp() {
        let right = KernelBench.holding(store(rows(0..<20_000, bytes: 100), number: 2), number: 2, peers: [1]) {
            $0.repairBytesPerSecond = 1 << 20
        }
        var pair = ExchangePair(.holding(store([])), right)
        pair.left.differ(from: 2)
        pair.right.now = pair.left.now
        pair.left.sent.removeAll()
        pair.run(.seconds(10))
        #expect(pair.isEqual)
        #expect(pair.bytesBesideRows * 100 < pair.rowBytes)
        let told = pair.left.events.compactMap {
            if case .catchUp(_, let received, let total) = $0 { [received, total] } else { nil }
        }
        #expect(told.count >= 2 && told.count <= 5, "\(told)")
        #expect(told.last == [20_000, 20_000])
        #expect(told.allSatisfy { $0[1] == 20_000 })
        let waiting = pair.left.command(.statistics)
        guard case .statistics(let view)? = pair.left.answers(to: waiting).first else { return }
        #expect(view.queues.storeChanges < 1_100)
    }

    @Test("repair keeps to its bandwidth", arguments: [1 << 20, 4 << 20])
    func pace(rate: Int) {
        let right = KernelBench.holding(store(rows(0..<4_000, bytes: 1_000), number: 2), number: 2, peers: [1]) {
            $0.repairBytesPerSecond = rate
        }
        var pair = ExchangePair(.holding(store([])), right)
        pair.left.differ(from: 2)
        pair.right.now = pair.left.now
        let began = pair.now
        pair.run(.seconds(20)) { $0.isEqual }
        #expect(pair.isEqual)
        let seconds = Double((pair.now - began).nanoseconds) / 1e9
        let least = Double(pair.rowBytes) / Double(rate)
        #expect(seconds > least * 0.7 && seconds < least * 1.4, "\(seconds) s for \(pair.rowBytes) bytes")
    }

    @Test("repair lets new changes go first, but not for ever")
    func freshFirst() {
        var bench = KernelBench.holding(store(rows(0..<50)))
        bench.command(.put(key: "a", value: [1]))
        for number in 0..<600 { bench.command(.put(key: "k\(number)", value: [UInt8](repeating: 1, count: 900))) }
        let stream = bench.accept(from: 2)
        bench.hear([.storeRequest(StoreRequest(context: CausalContext()))], on: stream, from: 2)
        #expect(bench.frames(on: stream).isEmpty)
        bench.pass(.milliseconds(102))
        #expect(bench.frames(on: stream).count > 10)
    }

    /// What has no place in an exchange.
    enum Hostile: CaseIterable {
        case unsortedRanges, tooManyDots, earlyComplete, strayRows, sumTwice
    }

    @Test("what makes no sense ends the exchange and is counted", arguments: Hostile.allCases)
    func hostile(kind: Hostile) {
        var bench = KernelBench.holding(store(rows(0..<100)))
        let stream = bench.accept(from: 2)
        let register = { (key: String) in RowID(key: key, part: .register) }
        let before = bench.kernel.statistics.ignored(.unexpected)
        switch kind {
        case .unsortedRanges:
            let ranges = ["b", "a"].map { RangeMessage.Range(end: register($0), content: .settled) }
            bench.hear([.ranges(RangeMessage(ranges: ranges))], on: stream, from: 2)
        case .tooManyDots:
            let actor = ActorID(node: id(9), epoch: 1)
            bench.hear([.rowRequest((1...65).map { Dot(actor: actor, counter: $0) })], on: stream, from: 2)
        case .earlyComplete:
            bench.hear([.storeRequest(StoreRequest(context: CausalContext(), isReset: true))], on: stream, from: 2)
            bench.hear([.storeComplete(CausalContext())], on: stream, from: 2)
        case .strayRows:
            bench.hear([.storeRequest(StoreRequest(context: CausalContext(), isReset: true))], on: stream, from: 2)
            bench.hear([.row(.register("x", [1], by: 2, counter: 1))], on: stream, from: 2)
            #expect(bench.value("x") == nil)
        case .sumTwice:
            let sum = Message.ranges(
                RangeMessage(ranges: [RangeMessage.Range(end: nil, content: .sum(rows: 1, hash: 2))]))
            bench.differ(from: 2)
            let own = bench.opened[0].id
            bench.handle(.streamOpened(own))
            bench.hear([sum, sum], on: own, from: 2)
            #expect(bench.closed == [own])
            #expect(bench.kernel.statistics.ignored(.unexpected) == before + 1)
            return
        }
        #expect(bench.closed == [stream])
        #expect(bench.kernel.statistics.ignored(.unexpected) == before + 1)
    }
}
