// SPDX-License-Identifier: Apache-2.0
// Owns a sorted sequence in chunks, into which a million elements can be inserted in any order.

/// A sequence that its user keeps sorted. Finding costs a binary search, inserting and removing move at most one chunk
/// (and, when a chunk is split, the list of chunks).
struct ChunkedArray<Element: Sendable>: Sendable {
    /// Elements of one chunk: a compromise between moving them and the number of chunks.
    static var chunkMax: Int { 512 }

    struct Position: Hashable, Sendable {
        fileprivate var chunk: Int
        fileprivate var offset: Int
    }

    /// None is empty, none longer than `chunkMax`.
    private var chunks: [[Element]] = []
    private(set) var count = 0

    var end: Position { Position(chunk: chunks.count, offset: 0) }

    /// Nil at the end.
    func element(at position: Position) -> Element? {
        position.chunk < chunks.count ? chunks[position.chunk][position.offset] : nil
    }

    func position(after position: Position) -> Position {
        guard position.offset + 1 < chunks[position.chunk].count else {
            return Position(chunk: position.chunk + 1, offset: 0)
        }
        return Position(chunk: position.chunk, offset: position.offset + 1)
    }

    /// The first element for which `precedes` is false; it must be true for a prefix of the elements and for no other.
    func partitionPoint(_ precedes: (Element) -> Bool) -> Position {
        // Keys and dots often arrive in order: look at the end first.
        guard let last = chunks.last?.last, !precedes(last) else { return end }
        let chunk = Self.partitionPoint(chunks) { precedes($0[$0.count - 1]) }
        return Position(chunk: chunk, offset: Self.partitionPoint(chunks[chunk], precedes))
    }

    mutating func insert(_ element: Element, at position: Position) {
        count += 1
        guard position.chunk < chunks.count else {
            if let last = chunks.last, last.count < Self.chunkMax {
                chunks[chunks.count - 1].append(element)
            } else {
                chunks.append([element])
            }
            return
        }
        var position = position
        if chunks[position.chunk].count == Self.chunkMax {
            let half = Self.chunkMax / 2
            chunks.insert(Array(chunks[position.chunk][half...]), at: position.chunk + 1)
            chunks[position.chunk].removeLast(Self.chunkMax - half)
            if position.offset > half { position = Position(chunk: position.chunk + 1, offset: position.offset - half) }
        }
        chunks[position.chunk].insert(element, at: position.offset)
    }

    /// Removes the element at `position`, which is not the end.
    mutating func remove(at position: Position) {
        count -= 1
        chunks[position.chunk].remove(at: position.offset)
        if chunks[position.chunk].isEmpty { chunks.remove(at: position.chunk) }
    }

    private static func partitionPoint<Item>(_ items: [Item], _ precedes: (Item) -> Bool) -> Int {
        items.withUnsafeBufferPointer { items in
            var low = 0
            var high = items.count
            while low < high {
                let middle = (low + high) / 2
                if precedes(items[middle]) { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    /// Calls `body` with each element in order.
    func forEach(_ body: (Element) -> Void) {
        for chunk in chunks { chunk.forEach(body) }
    }

    func checkInvariants() {
        precondition(chunks.reduce(0) { $0 + $1.count } == count, "the chunks do not hold \(count) elements")
        precondition(chunks.allSatisfy { !$0.isEmpty && $0.count <= Self.chunkMax }, "a chunk is empty or too long")
    }
}
