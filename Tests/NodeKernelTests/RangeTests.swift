// SPDX-License-Identifier: Apache-2.0
// Owns the tests of repair by ranges between two kernels.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Repair by ranges")
struct RangeTests {
    /// Enough actors to make a context larger than a comparison of ranges.
    private static let manyActors = 60

    private func pair(_ left: [Row], _ right: [Row]) -> ExchangePair {
        ExchangePair(.holding(store(left)), .holding(store(right, number: 2), number: 2, peers: [1]))
    }

    private func usesRanges(_ pair: ExchangePair) -> Bool {
        if case .ranges? = pair.messages.first { true } else { false }
    }

    @Test(
        "one difference among many rows: three round trips and 2 KB beside the row at most", arguments: [true, false])
    func oneDifference(isOurs: Bool) {
        let all = rows(0..<30_000, actors: Self.manyActors)
        var less = all
        // The last event of its actor: nobody has a gap.
        less.removeLast()
        var pair = isOurs ? pair(all, less) : pair(less, all)
        pair.synchronise()
        #expect(pair.isEqual)
        #expect(usesRanges(pair))
        #expect(pair.roundTrips <= 3)
        #expect(pair.bytesBesideRows <= 2_048, "\(pair.bytesBesideRows) bytes")
        #expect(pair.streamsOpen == 0)
        #expect(pair.left.kernel.statistics.streamsEndedEarly == 0)
        #expect(pair.right.kernel.statistics.streamsEndedEarly == 0)
    }

    @Test("many differences both ways end equal, in bounded frames", arguments: [1, 50, 3_000])
    func manyDifferences(count: Int) {
        let all = rows(0..<12_000, actors: Self.manyActors)
        let lacking = Set(stride(from: 3, to: 9_000, by: 70))
        let left = all.indices.filter { !lacking.contains($0) }.map { all[$0] }
        #expect(left.count < 11_900)
        let right = Array(all.dropLast(count))
        var pair = pair(left, right)
        pair.synchronise()
        #expect(pair.isEqual)
        #expect(usesRanges(pair))
        #expect(pair.left.kernel.store.rowCount == 12_000)
        #expect(!pair.left.kernel.store.context.hasGaps)
        let largest = pair.frames.map { $0.packet.messages.reduce(0) { $0 + FakeSizes.size(of: $1) } }.max() ?? 0
        #expect(largest <= 61_000)
        let told = pair.left.events.compactMap { if case .synchronised(let summary) = $0 { summary } else { nil } }
        #expect(told.count == 1)
        #expect(told.first?.rowsReceived == 12_000 - left.count)
    }

    @Test("equal contexts and different roots: the ranges tell on the same stream")
    func equalContexts() {
        var ours = rows(0..<500)
        var theirs = ours
        ours[200].content = .register([1])
        theirs[200].content = .register([2])
        theirs[200].stamp = HybridTimestamp(rawValue: theirs[200].stamp.rawValue + 1)
        var pair = pair(ours, theirs)
        #expect(pair.left.kernel.store.context == pair.right.kernel.store.context)
        pair.synchronise()
        #expect(pair.isEqual)
        #expect(pair.left.value(ours[200].id.key) == [2])
        let requests = pair.messages.count { if case .storeRequest = $0 { true } else { false } }
        #expect(requests == 1)
        #expect(pair.streamsOpen == 0)
    }

    @Test("gaps in the context are closed by contexts after the ranges")
    func gaps() {
        let all = rows(0..<6_000, actors: Self.manyActors)
        // An event of the first actor that was overwritten by a later one: no row holds it.
        var right = all
        right[0].versions[0].counter = 1_000
        var context = store(right, number: 2)
        for counter in 1...1_000 as ClosedRange<UInt64> {
            let dot = Dot(actor: all[0].versions[0].actor, counter: counter)
            var seen = CausalContext()
            seen.insert(dot)
            _ = context.adopt(context: seen)
        }
        var pair = ExchangePair(.holding(store(all)), .holding(context, number: 2, peers: [1]))
        pair.synchronise()
        #expect(pair.isEqual)
        #expect(usesRanges(pair))
        #expect(!pair.left.kernel.store.context.hasGaps)
    }

    @Test("an exchange by ranges that was broken off is completed by the next one")
    func interrupted() {
        let all = rows(0..<6_000, actors: Self.manyActors, bytes: 300)
        var pair = pair(Array(all[..<4_000]), Array(all[2_000...]))
        pair.synchronise(.milliseconds(30))
        #expect(!pair.isEqual)
        #expect(pair.left.kernel.store.rowCount > 4_000)
        pair.breakStreams()
        pair.synchronise()
        #expect(pair.isEqual)
    }

    @Test("ranges are refused between different floors")
    func floors() {
        let all = rows(0..<6_000, actors: Self.manyActors)
        var pair = ExchangePair(
            .holding(store(all.dropLast(), floor: someFloor)), .holding(store(all, number: 2), number: 2, peers: [1]))
        pair.synchronise()
        #expect(usesRanges(pair) || pair.messages.first == .floorMark(someFloor.mark))
        #expect(pair.messages.contains(.floor(.none)))
        #expect(!pair.messages.contains { if case .row = $0 { true } else { false } })
        #expect(pair.streamsOpen == 0)
    }

    @Test(
        "of two exchanges that begin at once that of the higher id is kept", arguments: [true, false], [true, false])
    func crossing(isHigher: Bool, isOpen: Bool) throws {
        let all = rows(0..<6_000, actors: Self.manyActors)
        let (mine, theirs) = isHigher ? (2, 1) : (1, 2)
        var bench = KernelBench.holding(store(all.dropLast(), number: mine), number: mine, peers: [theirs])
        bench.differ(from: theirs)
        let own = try #require(bench.opened.last?.id)
        if isOpen { bench.handle(.streamOpened(own)) }
        let other = bench.accept(from: theirs)
        var reconciliation = RangeReconciliation()
        let first = reconciliation.begin(store(all))
        bench.hear([.floorMark(CollectionFloor.none.mark), .ranges(first)], on: other, from: theirs)
        let isServed = bench.frames(on: other).contains { if case .ranges = $0 { true } else { false } }
        #expect(isServed)
        #expect(bench.closed == (isHigher ? [] : [own]))
        #expect(bench.kernel.statistics.streamsEndedEarly == 0)
        // Ours is not waited for: the next difference begins one again.
        bench.handle(.streamClosed(other, .finished))
        bench.pass(.seconds(3))
        bench.differ(from: theirs)
        #expect(bench.kernel.statistics.storeSyncsStarted == (isHigher ? 1 : 2))
    }
}
