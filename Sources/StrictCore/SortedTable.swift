// SPDX-License-Identifier: Apache-2.0
// Owns a sorted table in chunks, of which a snapshot holds a copy while entries go on being applied.

/// Finding costs two binary searches, changing moves one chunk at most. A copy costs nothing until one of the two
/// changes: then the list of chunks, and each chunk that changes, is copied once.
struct SortedTable<Key: Comparable & Sendable, Value: Sendable>: Sendable {
    struct Item: Sendable {
        var key: Key
        var value: Value
    }

    /// Items of one chunk: a compromise between moving them and the number of chunks.
    static var chunkMax: Int { 256 }

    /// None is empty, none longer than `chunkMax`.
    private var chunks: [[Item]] = []
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    /// Where the first item is for which `precedes` is false; it must be true for a prefix of the keys and no other.
    private func place(_ precedes: (Key) -> Bool) -> (chunk: Int, offset: Int) {
        // Log indexes arrive in order: look at the end first.
        guard let last = chunks.last?.last, !precedes(last.key) else { return (chunks.count, 0) }
        var low = 0
        var high = chunks.count - 1
        while low < high {
            let middle = (low + high) / 2
            if precedes(chunks[middle][chunks[middle].count - 1].key) { low = middle + 1 } else { high = middle }
        }
        let chunk = low
        low = 0
        high = chunks[chunk].count - 1
        while low < high {
            let middle = (low + high) / 2
            if precedes(chunks[chunk][middle].key) { low = middle + 1 } else { high = middle }
        }
        return (chunk, low)
    }

    /// Where `key` is, or would be.
    private func place(of key: Key) -> (chunk: Int, offset: Int) { place { $0 < key } }

    private func isHere(_ place: (chunk: Int, offset: Int), _ key: Key) -> Bool {
        place.chunk < chunks.count && chunks[place.chunk][place.offset].key == key
    }

    private func item(at place: (chunk: Int, offset: Int)) -> Item? {
        place.chunk < chunks.count ? chunks[place.chunk][place.offset] : nil
    }

    subscript(key: Key) -> Value? {
        let place = place(of: key)
        return isHere(place, key) ? chunks[place.chunk][place.offset].value : nil
    }

    var first: Item? { chunks.first?.first }
    var last: Item? { chunks.last?.last }
    func first(from key: Key) -> Item? { item(at: place(of: key)) }
    func first(after key: Key) -> Item? { item(at: place { !(key < $0) }) }
    /// The first for which `precedes` is false; it must be true for a prefix of the keys and no other.
    func first(after precedes: (Key) -> Bool) -> Item? { item(at: place(precedes)) }

    /// The first of all without `key`.
    func next(after key: Key?) -> Item? { key.map { first(after: $0) } ?? first }

    /// - Returns: What was there.
    @discardableResult
    mutating func set(_ key: Key, _ value: Value) -> Value? {
        let place = place(of: key)
        if isHere(place, key) {
            let old = chunks[place.chunk][place.offset].value
            chunks[place.chunk][place.offset].value = value
            return old
        }
        insert(Item(key: key, value: value), at: place)
        return nil
    }

    private mutating func insert(_ item: Item, at place: (chunk: Int, offset: Int)) {
        count += 1
        guard place.chunk < chunks.count else {
            if let last = chunks.last, last.count < Self.chunkMax {
                chunks[chunks.count - 1].append(item)
            } else {
                chunks.append([item])
            }
            return
        }
        var place = place
        if chunks[place.chunk].count == Self.chunkMax {
            let half = Self.chunkMax / 2
            chunks.insert(Array(chunks[place.chunk][half...]), at: place.chunk + 1)
            chunks[place.chunk].removeLast(Self.chunkMax - half)
            if place.offset > half { place = (place.chunk + 1, place.offset - half) }
        }
        chunks[place.chunk].insert(item, at: place.offset)
    }

    /// - Returns: What was there.
    @discardableResult
    mutating func remove(_ key: Key) -> Value? {
        let place = place(of: key)
        guard isHere(place, key) else { return nil }
        count -= 1
        let old = chunks[place.chunk].remove(at: place.offset).value
        if chunks[place.chunk].isEmpty { chunks.remove(at: place.chunk) }
        return old
    }

    /// Changes a value in its place. Does nothing when it is not there.
    mutating func modify(_ key: Key, _ body: (inout Value) -> Void) {
        let place = place(of: key)
        if isHere(place, key) { body(&chunks[place.chunk][place.offset].value) }
    }

    func forEach(_ body: (Key, Value) -> Void) {
        for chunk in chunks { for item in chunk { body(item.key, item.value) } }
    }

    func checkInvariants() {
        precondition(chunks.reduce(0) { $0 + $1.count } == count, "the chunks do not hold \(count) items")
        precondition(chunks.allSatisfy { !$0.isEmpty && $0.count <= Self.chunkMax }, "a chunk is empty or too long")
        var before: Key?
        forEach { key, _ in
            if let before { precondition(before < key, "\(before) and \(key) are swapped") }
            before = key
        }
    }
}

extension SortedTable where Value: Equatable {
    /// The chunks may lie differently.
    static func == (a: Self, b: Self) -> Bool {
        guard a.count == b.count else { return false }
        var key: Key?
        while let item = a.next(after: key) {
            guard let other = b.next(after: key), item.key == other.key, item.value == other.value else { return false }
            key = item.key
        }
        return true
    }
}
