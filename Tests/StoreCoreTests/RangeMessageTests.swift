// SPDX-License-Identifier: Apache-2.0
// Owns the tests of range messages: their size, what is refused, and that nothing a peer sends does harm.

import ClusterTypes
import Testing

@testable import StoreCore

@Suite struct RangeMessageTests {
    static func end(_ key: String, _ part: RowID.Part = .register) -> RowID { RowID(key: key, part: part) }

    private static func filled(keys: Int) throws -> Store {
        var filled = store(1)
        for number in 0..<keys { _ = try filled.put(bytes("v\(number)"), for: "k/\(number)", wall: wall(0)) }
        return filled
    }

    private static func message(_ ranges: [(RowID?, RangeMessage.Content)]) -> RangeMessage {
        RangeMessage(ranges: ranges.map { RangeMessage.Range(end: $0.0, content: $0.1) })
    }

    @Test("Each end counts for what it adds to the one before")
    func size() {
        let first: [(RowID?, RangeMessage.Content)] = [(Self.end("app/a"), .sum(rows: 127, hash: 1))]
        // Kind, number of ranges; head, shared prefix, rest and its length, rows, hash; head of the last.
        #expect(Self.message(first + [(nil, .settled)]).encodedBytes == 2 + (1 + 1 + 6 + 1 + 8) + 1)
        let second = first + [(Self.end("app/b", .element([1, 2])), .rows([1, 2]))]
        #expect(Self.message(second + [(nil, .settled)]).encodedBytes == 2 + 17 + (1 + 1 + 2 + 1 + 3 + 1 + 16) + 1)
        let third = second + [(Self.end("app/b", .element([1, 3])), .settled)]
        #expect(Self.message(third + [(nil, .settled)]).encodedBytes == 2 + 17 + 25 + (1 + 1 + 1 + 1 + 2) + 1)
        let fourth = third + [(Self.end("app/b", .counter(actor(1))), .sum(rows: 128, hash: 1))]
        #expect(Self.message(fourth + [(nil, .settled)]).encodedBytes == 2 + 17 + 25 + 6 + (1 + 2 + 20 + 2 + 8) + 1)
        #expect(RangeMessage.varintBytes(0) == 1 && RangeMessage.varintBytes(.max) == 10)
    }

    static let refused: [(RangeFailure, RangeMessage)] = [
        (.incomplete, message([])),
        (.incomplete, message([(end("a"), .settled)])),
        (.incomplete, message([(nil, .settled), (nil, .settled)])),
        (.unsortedEnds, message([(end("b"), .settled), (end("a"), .settled), (nil, .settled)])),
        (.unsortedEnds, message([(end("b"), .settled), (end("b"), .settled), (nil, .settled)])),
        (.unsortedEnds, message([(end("a", .element([1])), .settled), (end("a"), .settled), (nil, .settled)])),
        (.invalidEnd, message([(end(""), .settled), (nil, .settled)])),
        (.invalidEnd, message([(end(String(repeating: "a", count: 513)), .settled), (nil, .settled)])),
        (.invalidEnd, message([(end("a", .element(Array(repeating: 0, count: 4_097))), .settled), (nil, .settled)])),
        (.tooManyRanges, message(Array(repeating: (end("a"), .settled), count: RangeReconciliation.rangesMax + 1))),
        (.tooManyHashes, message([(nil, .rows(Array(0...4_096)))])),
        (.tooManyHashes, message((0..<33).map { ($0 == 32 ? nil : end("\(10 + $0)"), .wanted(Array(0..<4_096))) })),
        (.unsortedHashes, message([(nil, .rows([2, 1]))])),
        (.unsortedHashes, message([(nil, .wanted([2, 1]))])),
    ]

    @Test("A message that makes no sense is refused", arguments: refused.indices)
    func refusal(index: Int) throws {
        let (failure, message) = Self.refused[index]
        let filled = try Self.filled(keys: 50)
        var machine = RangeReconciliation()
        #expect(throws: failure) { try machine.answer(message, store: filled) }
        #expect(machine.steps == 0)
    }

    /// Random ranges around the keys of the store, mostly well formed.
    private static func random(_ rng: inout SeededGenerator, _ hashes: [UInt64]) -> RangeMessage {
        var ends: [RowID] = []
        for _ in 0..<rng.index(below: 12) {
            let key = "k/\(rng.index(below: 700))"
            let part: RowID.Part =
                switch rng.index(below: 4) {
                case 0: .element([UInt8(rng.index(below: 256))])
                case 1: .counter(actor(rng.index(below: 3)))
                case _: .register
                }
            ends.append(RowID(key: rng.chance(0.2) ? "set" : key, part: part))
        }
        if rng.chance(0.95) { ends = Array(Set(ends)).sorted() }
        func list() -> [UInt64] {
            let list = (0..<rng.index(below: 40)).map { _ in
                rng.chance(0.7) ? hashes[rng.index(below: hashes.count)] : rng.next()
            }
            return rng.chance(0.97) ? list.sorted() : list
        }
        func content() -> RangeMessage.Content {
            switch rng.index(below: 4) {
            case 0: .settled
            case 1: .rows(list())
            case 2: .wanted(list())
            case _: .sum(rows: rng.chance(0.5) ? UInt64(rng.index(below: 5)) : rng.next(), hash: rng.next())
            }
        }
        var ranges = ends.map { RangeMessage.Range(end: $0, content: content()) }
        if rng.chance(0.95) { ranges.append(RangeMessage.Range(end: nil, content: content())) }
        return RangeMessage(ranges: ranges)
    }

    @Test("Random messages are refused or answered within the bounds", arguments: Array(1...8) as [UInt64])
    func fuzz(seed: UInt64) throws {
        var rng = SeededGenerator(seed: seed)
        var filled = try Self.filled(keys: 500)
        for number in 0..<300 { _ = try filled.add([UInt8(number & 255), 1], to: "set", wall: wall(0)) }
        let hashes = filled.allRows.map(\.shortHash)
        var refused = 0
        for purpose in [RangeReconciliation.Purpose.repair, .compare] {
            var machine = RangeReconciliation(purpose: purpose)
            for _ in 0..<150 {
                let message = Self.random(&rng, hashes)
                do {
                    let step = try machine.answer(message, store: filled, limit: RangeLimit(rowsMax: 100))
                    try step.reply?.check()
                    #expect((step.reply?.encodedBytes ?? 0) <= 65_536 && step.rowsToSend.count <= 100)
                    #expect(step.isFinished == (step.reply?.isSettled ?? true))
                    if purpose == .compare { #expect(step.rowsToSend.isEmpty) }
                } catch {
                    refused += 1
                }
                #expect(machine.differing.count <= RangeReconciliation.differingMax)
            }
        }
        #expect(refused > 0 && refused < 200)
    }

    @Test("A message as large as allowed is answered within the bound")
    func largest() throws {
        var filled = store(1)
        for number in 10_000..<20_000 { _ = try filled.put([1], for: "k/\(number)", wall: wall(0)) }
        let ranges = (10_000..<20_000).map {
            RangeMessage.Range(end: Self.end("k/\($0)"), content: .sum(rows: 2, hash: UInt64($0)))
        }
        let wide = RangeMessage(ranges: ranges + [RangeMessage.Range(end: nil, content: .settled)])
        var machine = RangeReconciliation()
        let step = try machine.answer(wide, store: filled)
        #expect((step.reply?.encodedBytes ?? .max) <= 65_536 && !step.isFinished)
        // What found no room is one range to the end.
        guard case .sum(let rows, _) = step.reply?.ranges.last?.content else {
            Issue.record("the rest of the order has no sum")
            return
        }
        #expect(rows > 1_000)
        let lists = (0..<32).map {
            RangeMessage.Range(
                end: $0 == 31 ? nil : Self.end("k/\(10_100 + $0 * 100)"), content: .rows(Array(1...4_096)))
        }
        let second = try machine.answer(RangeMessage(ranges: lists), store: filled)
        #expect((second.reply?.encodedBytes ?? .max) <= 65_536 && !second.isFinished)
    }
}

@Suite struct StoreRangeTests {
    @Test("Sums and rows by short hash are those of the rows in the range", arguments: Array(1...8) as [UInt64])
    func sums(seed: UInt64) throws {
        var pair = try RangeReconciliationTests.Pair(seed: seed, shared: 1_200, setElements: 100)
        _ = try pair.diverge(100, numbers: 1_200)
        let rows = pair.left.allRows.sorted { $0.id < $1.id }
        #expect(pair.left.summary().rows == rows.count && pair.left.shortHash(of: rows[0]) == rows[0].shortHash)
        for _ in 0..<60 {
            let bounds = [rows[pair.rng.index(below: rows.count)].id, rows[pair.rng.index(below: rows.count)].id]
                .sorted()
            let first = pair.rng.chance(0.1) ? nil : bounds[0]
            let end = pair.rng.chance(0.1) ? nil : bounds[1]
            let inside = rows.filter { row in
                first.map { !(row.id < $0) } ?? true && end.map { row.id < $0 } ?? true
            }
            let hash = inside.reduce(UInt64(0)) { $0 &+ $1.shortHash }
            #expect(pair.left.summary(from: first, to: end) == RangeSummary(rows: inside.count, hash: hash))
            let wanted = rows.filter { _ in pair.rng.chance(0.05) }
            let hashes = (wanted.map(\.shortHash) + [pair.rng.next()]).sorted()
            let expected = wanted.map(\.id).filter { id in inside.contains { $0.id == id } }
            #expect(pair.left.rows(withShortHashes: hashes, from: first, to: end) == expected)
        }
        #expect(pair.left.summary(from: rows[9].id, to: rows[3].id) == .empty)
    }

    @Test("A separator is behind one row, not behind the other, and no longer than it must be")
    func separators() throws {
        let keys = ["a", "a/b", "a/bc", "b", "ключ", "ключи", "клюв", "😀", "😀a", "😁"]
        let parts: [RowID.Part] = [
            .register, .element([]), .element([1]), .element([1, 2]), .element([2]), .counter(actor(1)),
            .counter(actor(2)),
        ]
        let ids = keys.flatMap { key in parts.map { RowID(key: key, part: $0) } }.sorted()
        for (index, a) in ids.enumerated() {
            for b in ids[(index + 1)...] {
                let end = RowID.separator(of: a, and: b)
                #expect(a < end && !(b < end))
                #expect(b.key.utf8.starts(with: end.key.utf8))
                guard !ConfigurationKey.equal(a.key, b.key) else { continue }
                let shorter = RowID(key: String(end.key.unicodeScalars.dropLast()), part: .register)
                #expect(end.part == .register && !(a < shorter))
            }
        }
    }
}
