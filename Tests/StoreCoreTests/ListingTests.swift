// SPDX-License-Identifier: Apache-2.0
// Owns the tests of listing, and of the two containers under the store's indexes.

import ClusterTypes
import Testing

@testable import StoreCore

@Suite struct ListingTests {
    static func keys(_ page: KeyPage) -> [String] { page.entries.map(\.key) }

    static func sample() throws -> Store {
        var sample = store(1)
        for key in ["b/2", "a", "b/1", "b", "c/é", "b-", "c/z", "bb", "b/10"] {
            _ = try sample.put(bytes(key), for: key, wall: wall(0))
        }
        for name in 0..<20 { _ = try sample.add(bytes("\(name)"), to: "b/set", wall: wall(0)) }
        _ = try sample.increment("b/count", by: 3, wall: wall(0))
        _ = try sample.delete("b/1", wall: wall(0))
        return sample
    }

    @Test("Keys that no strict log wrote are told apart from those that one wrote, dead ones left out")
    func ordinaryKeys() throws {
        var sample = try Self.sample()
        let feed = ActorID.strictFeed(group: 5)
        let row = Row(
            id: RowID(key: "b/2", part: .register), versions: [Dot(actor: feed, counter: 1)],
            stamp: HybridTimestamp(rawValue: wall(1).milliseconds << 16), author: feed,
            content: .register(bytes("strict")), details: EventDetails(index: 9))
        sample.mergeAll([row], wall: wall(2))
        #expect(sample.ordinaryKeys(below: "b/", looks: 100, max: 100) == ["b/10", "b/count", "b/set"])
        #expect(sample.ordinaryKeys(below: "b/", looks: 100, max: 2) == ["b/10", "b/count"])
        // Of the four rows, "b/1" is dead and "b/2" the log's.
        #expect(sample.ordinaryKeys(below: "b/", looks: 2, max: 100) == ["b/10"])
        #expect(sample.ordinaryKeys(below: "d", looks: 100, max: 100).isEmpty)
    }

    @Test(
        "Keys come in the order of their bytes, without deleted ones",
        arguments: [
            ("", ["a", "b", "b-", "b/10", "b/2", "b/count", "b/set", "bb", "c/z", "c/é"]),
            ("b", ["b", "b-", "b/10", "b/2", "b/count", "b/set", "bb"]),
            ("b/", ["b/10", "b/2", "b/count", "b/set"]), ("b/1", ["b/10"]), ("c/é", ["c/é"]), ("d", []), ("b/set/", []),
        ])
    func prefix(prefix: String, expected: [String]) throws {
        let sample = try Self.sample()
        let page = sample.list(prefix: prefix)
        #expect(Self.keys(page) == expected && page.next == nil)
        for limit in 1...3 {
            var all: [String] = []
            var after: String?
            repeat {
                let page = sample.list(prefix: prefix, after: after, limit: limit)
                #expect(page.entries.count <= limit)
                all += Self.keys(page)
                after = page.next
            } while after != nil && all.count < 50
            #expect(all == expected)
        }
    }

    @Test("A page goes on behind a key that is not there any more")
    func afterDeleted() throws {
        let sample = try Self.sample()
        #expect(Self.keys(sample.list(prefix: "b/", after: "b/1")) == ["b/10", "b/2", "b/count", "b/set"])
        #expect(Self.keys(sample.list(prefix: "b/", after: "a")) == ["b/10", "b/2", "b/count", "b/set"])
        #expect(Self.keys(sample.list(prefix: "b/", after: "zzz")).isEmpty)
    }

    @Test("A page ends when its bytes are used up, but never before the first key")
    func pageBytes() throws {
        var sample = store(1)
        for index in 0..<5 { _ = try sample.put(Array(repeating: 0, count: 1_000), for: "k\(index)", wall: wall(0)) }
        #expect(sample.list(bytesMax: 0).entries.count == 1)
        #expect(sample.list(bytesMax: 2_500).entries.count == 3)
    }

    @Test("What is shown names the key's newest write")
    func view() throws {
        var sample = try Self.sample()
        let last = try sample.add(bytes("last"), to: "b/set", wall: wall(7))
        let view = try #require(sample.read("b/set"))
        #expect(view.version == last.version && view.type == .set && view.elementsCount == 21)
        #expect(sample.count("b/count") == 3)
        let version = Version(
            stamp: HybridTimestamp(rawValue: 0x0123_4567_89ab_cdef),
            author: ActorID(node: NodeID(high: 0xfeed_beef_0000_0000, low: 0), epoch: 3))
        #expect(version.description == "0123456789abcdef-feedbeef")
    }

    @Test("Counts follow writes and deletes")
    func counts() throws {
        var sample = try Self.sample()
        #expect(sample.liveKeyCount == 10 && sample.rowCount == 30)
        _ = try sample.delete("b/set", wall: wall(1))
        #expect(sample.liveKeyCount == 9 && sample.rowCount == 30)
        #expect(sample.bytes == sample.allRows.reduce(0) { $0 + $1.estimatedBytes })
    }
}

extension KeyView {
    fileprivate var elementsCount: Int {
        guard case .set(let elements) = content else { return 0 }
        return elements.count
    }
}

@Suite struct ContainerTests {
    @Test("A chunked array agrees with a sorted array", arguments: Array(1...6) as [UInt64])
    func chunks(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        var chunked = ChunkedArray<Int>()
        var plain: [Int] = []
        let range = seed.isMultiple(of: 2) ? 5_000 : 1_000_000
        for step in 0..<6_000 {
            let value = rng.chance(0.2) ? step + range : rng.index(below: range)
            let position = chunked.partitionPoint { $0 < value }
            let index = plain.firstIndex { $0 >= value } ?? plain.count
            if rng.chance(0.3), index < plain.count {
                chunked.remove(at: position)
                plain.remove(at: index)
            } else {
                chunked.insert(value, at: position)
                plain.insert(value, at: index)
            }
        }
        chunked.checkInvariants()
        var walked: [Int] = []
        var position = chunked.partitionPoint { _ in false }
        while let value = chunked.element(at: position) {
            walked.append(value)
            position = chunked.position(after: position)
        }
        #expect(walked == plain && chunked.count == plain.count, "seed \(seed)")
        #expect(plain.count > ChunkedArray<Int>.chunkMax * 3)
    }

    @Test("A full chunk is split wherever the next element goes")
    func split() {
        for at in 0...ChunkedArray<Int>.chunkMax {
            var chunked = ChunkedArray<Int>()
            for value in 0..<ChunkedArray<Int>.chunkMax { chunked.insert(value * 2, at: chunked.end) }
            let value = at * 2 - 1
            chunked.insert(value, at: chunked.partitionPoint { $0 < value })
            chunked.checkInvariants()
            var before = Int.min
            var isSorted = true
            chunked.forEach { element in
                isSorted = isSorted && before < element
                before = element
            }
            #expect(isSorted, "inserted at \(at)")
        }
    }

    @Test("A handle table finds what was put in, even when all hashes collide", arguments: [0, 3, UInt32.max])
    func handles(mask: UInt32) {
        func hash(_ handle: UInt32) -> UInt32 { (handle &* 0x9e37_79b1) & mask }
        var table = HandleTable()
        for handle in UInt32(0)..<500 { table.insert(handle, hash: hash(handle), hashOf: hash) }
        #expect(table.count == 500)
        for handle in UInt32(0)..<500 { #expect(table.find(hash: hash(handle)) { $0 == handle } == handle) }
        #expect(table.find(hash: hash(501)) { $0 == 501 } == nil)
    }
}
