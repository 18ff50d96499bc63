// SPDX-License-Identifier: Apache-2.0
// Owns the tests of range-based reconciliation: any two stores end equal, for a price that follows the difference.

import ClusterTypes
import Testing

@testable import StoreCore

@Suite struct RangeReconciliationTests {
    /// Two stores that share rows of every type and then went apart.
    struct Pair {
        var left = store(1)
        var right = store(2)
        var rng: SeededGenerator
        /// Names of keys; some are long and share much, some have characters of several bytes.
        let prefix: String

        init(seed: UInt64, shared: Int, setElements: Int = 0) throws {
            rng = SeededGenerator(seed: seed)
            prefix = ["k/", "fleet/north/rack-0/unit/", "größe/ключ/", "a/😀/"][Int(seed % 4)]
            var filled = left
            for number in 0..<shared { right.mergeAll(try write(number, on: &filled, at: 0)) }
            left = filled
            for number in 0..<setElements {
                right.mergeAll(try left.add(bytes("element \(number)"), to: "one/set", wall: wall(0)).rows)
            }
        }

        /// Mostly registers; what a key holds follows from its number.
        mutating func write(_ number: Int, on store: inout Store, at time: UInt64) throws -> [Row] {
            let key = "\(prefix)\(Hex.string(UInt32(truncatingIfNeeded: number) &* 2_654_435_761))"
            if number % 11 == 3 { return try store.increment("counter/\(number % 50)", by: 1, wall: wall(time)).rows }
            if number % 5 == 2 {
                let element = bytes("e\(rng.index(below: 40))")
                return try store.add(element, to: "set/\(number % 9)", wall: wall(time)).rows
            }
            return try store.put([UInt8(rng.index(below: 256))], for: key, wall: wall(time)).rows
        }

        /// Writes, deletes and removes that the other side does not hear of. Returns how many rows were touched.
        mutating func diverge(_ count: Int, numbers: Int) throws -> Int {
            var touched = 0
            for _ in 0..<count {
                let number = rng.index(below: numbers)
                let isLeft = rng.chance(0.5)
                var store = isLeft ? left : right
                let time = UInt64(rng.index(below: 5))
                let key = "\(prefix)\(Hex.string(UInt32(truncatingIfNeeded: number) &* 2_654_435_761))"
                if rng.chance(0.2), store.read(key) != nil {
                    touched += try store.delete(key, wall: wall(time)).rows.count
                } else if rng.chance(0.05), store.read("set/\(number % 9)") != nil {
                    touched += try store.delete("set/\(number % 9)", wall: wall(time)).rows.count
                } else {
                    touched += try write(number, on: &store, at: time).count
                }
                if isLeft { left = store } else { right = store }
            }
            return touched
        }
    }

    static func bytesMax(differences: Int, rows: Int) -> Int {
        80 * (differences + 1) * (UInt64.bitWidth - UInt64(rows + 2).leadingZeroBitCount)
    }

    @Test("Any two stores end equal, with traffic bounded by the difference", arguments: Array(1...40) as [UInt64])
    func anyTwo(seed: UInt64) throws {
        var sizes = SeededGenerator(seed: seed ^ 0xabc)
        let shared = [0, 1, 40, 300, 1_500][sizes.index(below: 5)]
        var pair = try Pair(seed: seed, shared: shared)
        let touched = try pair.diverge([0, 1, 3, 30, 400][sizes.index(below: 5)], numbers: shared + 20)
        let areEqual = pair.left.root == pair.right.root
        #expect(areEqual == (touched == 0))
        var exchange = RangeExchange(pair.left, pair.right, wall: wall(5))
        exchange.run()
        #expect(exchange.problems.isEmpty, "seed \(seed)")
        #expect(exchange.left.root == exchange.right.root && exchange.left.rowCount == exchange.right.rowCount)
        #expect(exchange.rows <= 2 * touched)
        let bytesMax = Self.bytesMax(differences: touched, rows: exchange.left.rowCount)
        #expect(exchange.bytes <= bytesMax, "seed \(seed): \(touched) differences took \(exchange.bytes) bytes")
        #expect(exchange.largest <= 65_536)
        // Three messages for two splits and the lists, three for the rows and the end, more when messages are full.
        #expect(exchange.messages <= 6 + exchange.bytes / 8_192)
        exchange.left.checkInvariants()
        exchange.right.checkInvariants()
    }

    @Test("One difference costs at most three round trips and 2 KB", arguments: 0..<12)
    func oneDifference(number: Int) throws {
        var pair = try Pair(seed: UInt64(number), shared: 6_000, setElements: 3_000)
        switch number % 3 {
        case 0: _ = try pair.left.put(bytes("new"), for: "k/\(number)", wall: wall(1))
        case 1: _ = try pair.right.add(bytes("element \(number * 200)"), to: "one/set", wall: wall(1))
        case _: _ = try pair.left.remove(bytes("element \(number * 200)"), from: "one/set", wall: wall(1))
        }
        var exchange = RangeExchange(pair.left, pair.right, wall: wall(1))
        exchange.run()
        #expect(exchange.problems.isEmpty && exchange.left.root == exchange.right.root)
        #expect(exchange.roundTrips <= 3 && exchange.bytes <= 2_048)
        #expect(exchange.rows == (number % 3 == 0 ? 1 : 2))
    }

    @Test("Equal stores find out with one message and its answer", arguments: [0, 10, 3_000])
    func noDifference(rows: Int) throws {
        let pair = try Pair(seed: 1, shared: rows)
        var exchange = RangeExchange(pair.left, pair.right, wall: wall(1))
        exchange.run()
        #expect(exchange.problems.isEmpty && exchange.messages == 2 && exchange.rows == 0)
    }

    @Test("An empty store and a full one end equal, whoever begins", arguments: [true, false], [1, 1_000])
    func empty(isLeftEmpty: Bool, rowsMax: Int) throws {
        let pair = try Pair(seed: 3, shared: 700)
        let rows = pair.left.rowCount
        var exchange =
            isLeftEmpty
            ? RangeExchange(store(3), pair.left, wall: wall(1)) : RangeExchange(pair.left, store(3), wall: wall(1))
        exchange.limit = RangeLimit(rowsMax: rowsMax)
        exchange.run()
        #expect(exchange.problems.isEmpty && exchange.left.root == exchange.right.root)
        #expect(exchange.rows == rows)
        if rowsMax > rows { #expect(exchange.bytes < 1_200 && exchange.roundTrips <= 3) }
    }

    @Test("Messages keep their bound although ends are long and everything differs")
    func longEnds() throws {
        var left = store(1)
        let key = String(repeating: "x/", count: 250) + "y"
        let right = store(2)
        for number in 0..<160 {
            let element = Array(repeating: UInt8(7), count: 4_080) + bytes("\(number)")
            _ = try left.add(element, to: key, wall: wall(0))
        }
        var other = right
        for row in left.allRows { other.mergeAll([row]) }
        for number in 0..<160 {
            let element = Array(repeating: UInt8(7), count: 4_080) + bytes("\(number)")
            _ = try other.add(element, to: key, wall: wall(1))
        }
        var exchange = RangeExchange(left, other, wall: wall(1))
        exchange.limit = RangeLimit(rowsMax: 30)
        exchange.run()
        #expect(exchange.problems.isEmpty && exchange.left.root == exchange.right.root)
        #expect(exchange.largest <= 65_536)
    }

    @Test("What changes during an exchange is repaired by it or by the next", arguments: Array(1...10) as [UInt64])
    func changesMeanwhile(seed: UInt64) throws {
        var pair = try Pair(seed: seed, shared: 600)
        _ = try pair.diverge(60, numbers: 600)
        var exchange = RangeExchange(pair.left, pair.right, wall: wall(9))
        var left = 40
        exchange.run { exchange in
            guard left > 0 else { return }
            left -= 1
            let key = "\(pair.prefix)\(Hex.string(UInt32(left * 7) &* 2_654_435_761))"
            _ = try? exchange.left.put(bytes("l\(left)"), for: key, wall: wall(6))
            _ = try? exchange.right.put(bytes("r\(left)"), for: key, wall: wall(6))
        }
        #expect(exchange.problems.isEmpty && left == 0)
        var next = RangeExchange(exchange.left, exchange.right, wall: wall(9))
        next.run()
        #expect(next.problems.isEmpty && next.left.root == next.right.root, "seed \(seed)")
    }
}

@Suite struct RangeComparisonTests {
    private static func isInside(_ key: String, _ range: DifferingKeys) -> Bool {
        !ConfigurationKey.precedes(key, range.first) && range.end.map { ConfigurationKey.precedes(key, $0) } ?? true
    }

    @Test("A comparison names ranges with all differing keys and moves no row", arguments: Array(1...12) as [UInt64])
    func compare(seed: UInt64) throws {
        var pair = try RangeReconciliationTests.Pair(
            seed: seed, shared: 2_000, setElements: seed.isMultiple(of: 2) ? 300 : 0)
        _ = try pair.diverge(Int(seed) - 1, numbers: 2_000)
        let keys = Set((pair.left.allRows + pair.right.allRows).map(\.id)).filter {
            pair.left.row($0) != pair.right.row($0)
        }
        var exchange = RangeExchange(pair.left, pair.right, wall: wall(5))
        exchange.purpose = .compare
        exchange.run()
        #expect(exchange.problems.isEmpty && exchange.rows == 0)
        #expect(exchange.differing.isEmpty == keys.isEmpty)
        for id in keys {
            #expect(exchange.differing.contains { Self.isInside(id.key, $0) }, "seed \(seed): \(id.key) is not named")
        }
        let named = Set(pair.left.allRows.map(\.id.key)).filter { key in
            exchange.differing.contains { Self.isInside(key, $0) }
        }
        #expect(named.count <= keys.count * RangeReconciliation.listedMax, "seed \(seed): too many keys are named")
        for (range, next) in zip(exchange.differing, exchange.differing.dropFirst()) {
            #expect(range.end.map { ConfigurationKey.precedes($0, next.first) } == true)
        }
    }

    @Test("An empty store differs everywhere", arguments: [true, false])
    func empty(isLeftEmpty: Bool) throws {
        let pair = try RangeReconciliationTests.Pair(seed: 2, shared: 900)
        let none = store(3)
        var exchange =
            isLeftEmpty ? RangeExchange(none, pair.left, wall: wall(1)) : RangeExchange(pair.left, none, wall: wall(1))
        exchange.purpose = .compare
        exchange.run()
        #expect(exchange.problems.isEmpty && exchange.rows == 0)
        #expect(exchange.differing == [DifferingKeys(first: "", end: nil)])
    }

    @Test("A store with few rows compares with one that has many", arguments: [true, false])
    func few(isLeftSmall: Bool) throws {
        let pair = try RangeReconciliationTests.Pair(seed: 5, shared: 6_000)
        var small = store(3)
        // So few that the small store cannot split, and so many that the large one has to, twice.
        let rows = pair.left.allRows.sorted { $0.id < $1.id }
        small.mergeAll(rows.enumerated().filter { $0.offset.isMultiple(of: 250) }.map(\.element))
        var exchange =
            isLeftSmall
            ? RangeExchange(small, pair.left, wall: wall(1)) : RangeExchange(pair.left, small, wall: wall(1))
        exchange.purpose = .compare
        exchange.run()
        #expect(exchange.problems.isEmpty && exchange.rows == 0)
        for (index, row) in rows.enumerated() where !index.isMultiple(of: 250) {
            #expect(exchange.differing.contains { Self.isInside(row.id.key, $0) }, "\(row.id.key) is not named")
        }
    }

    @Test("A comparison ends with the 64th range")
    func most() throws {
        var left = store(1)
        for number in 10_000..<22_000 { _ = try left.put([1], for: "k/\(number)", wall: wall(0)) }
        var right = store(2)
        right.pull(from: left)
        for number in stride(from: 10_000, to: 22_000, by: 100) {
            _ = try right.put([2], for: "k/\(number)", wall: wall(1))
        }
        var exchange = RangeExchange(left, right, wall: wall(1))
        exchange.purpose = .compare
        exchange.run()
        #expect(exchange.problems.isEmpty && exchange.rows == 0)
        #expect(exchange.differing.count == RangeReconciliation.differingMax)
    }
}
