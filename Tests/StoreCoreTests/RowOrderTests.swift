// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the rows' order: that it stays sorted, and that its sums are those of the rows.

import ClusterTypes
import Testing

@testable import StoreCore

@Suite struct RowOrderTests {
    /// Rows sorted by a number that the test gives them, beside what the order must say.
    struct Model {
        var order = RowOrder()
        /// By handle; nil for a handle that is not in use.
        var values: [Int?] = []
        var hashes: [UInt64] = []
        var sorted: [UInt32] = []

        mutating func insert(_ value: Int, hash: UInt64) {
            let handle: UInt32
            if let free = values.firstIndex(of: nil) {
                handle = UInt32(free)
                values[free] = value
                hashes[free] = hash
            } else {
                handle = UInt32(values.count)
                values.append(value)
                hashes.append(hash)
            }
            order.insert(handle, shortHash: hash, at: position(of: value))
            let index = sorted.firstIndex { (values[Int($0)] ?? 0) >= value } ?? sorted.count
            sorted.insert(handle, at: index)
        }

        mutating func remove(at index: Int) {
            let handle = sorted.remove(at: index)
            order.remove(handle)
            values[Int(handle)] = nil
        }

        mutating func change(at index: Int, hash: UInt64) {
            hashes[Int(sorted[index])] = hash
            order.update(sorted[index], shortHash: hash)
        }

        func position(of value: Int) -> RowOrder.Position { order.partitionPoint { (values[Int($0)] ?? 0) < value } }

        func sum(_ range: Range<Int>) -> RangeSummary {
            RangeSummary(rows: range.count, hash: sorted[range].reduce(0) { $0 &+ hashes[Int($1)] })
        }
    }

    @Test("It agrees with a sorted array through inserts, changes and removals", arguments: Array(1...6) as [UInt64])
    func model(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        var model = Model()
        // Every second seed inserts mostly at the end, as a load in order does.
        for step in 0..<5_000 {
            let isGrowing = step < 3_500
            if model.sorted.isEmpty || rng.chance(isGrowing ? 0.7 : 0.1) {
                let value = seed.isMultiple(of: 2) ? step * 8 : rng.index(below: 40_000)
                model.insert(value, hash: rng.next())
            } else if rng.chance(0.4) {
                model.change(at: rng.index(below: model.sorted.count), hash: rng.next())
            } else {
                model.remove(at: rng.index(below: model.sorted.count))
            }
        }
        model.order.checkInvariants()
        #expect(model.sorted.count > RowOrder.chunkMax && model.order.count == model.sorted.count)
        var walked: [UInt32] = []
        model.order.forEach { walked.append($0) }
        #expect(walked == model.sorted, "seed \(seed)")
        for _ in 0..<300 {
            let first = rng.index(below: model.sorted.count + 1)
            let end = first + rng.index(below: model.sorted.count + 1 - first)
            let from = model.order.position(model.order.start, advancedBy: first)
            let to = model.order.position(from, advancedBy: end - first)
            #expect(model.order.summary(from: from, to: to) == model.sum(first..<end))
            #expect(model.order.element(at: to) == (end < model.sorted.count ? model.sorted[end] : nil))
        }
    }

    @Test("Emptied chunks are used again, and the order may become empty and grow anew")
    func emptied() {
        var model = Model()
        for round in 0..<3 {
            for value in 0..<1_500 { model.insert(value, hash: UInt64(value * 31 + round)) }
            model.order.checkInvariants()
            while !model.sorted.isEmpty { model.remove(at: round == 1 ? model.sorted.count - 1 : 0) }
            model.order.checkInvariants()
            #expect(model.order.count == 0 && model.order.start == model.order.end)
            #expect(model.order.summary(from: model.order.start, to: model.order.end) == .empty)
        }
    }

    @Test("A full chunk is split wherever the next row goes")
    func split() {
        for at in stride(from: 0, through: RowOrder.chunkMax, by: 8) {
            var model = Model()
            for value in 0..<RowOrder.chunkMax { model.insert(value * 2, hash: UInt64(value)) }
            model.insert(at * 2 - 1, hash: 7)
            model.order.checkInvariants()
            var walked: [UInt32] = []
            model.order.forEach { walked.append($0) }
            #expect(walked == model.sorted, "inserted at \(at)")
        }
    }
}
