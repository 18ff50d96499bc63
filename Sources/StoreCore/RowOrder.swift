// SPDX-License-Identifier: Apache-2.0
// Owns the order of all rows, and with it the sums of their hashes over any range.

/// Number of rows in a range, and the sum of their short hashes modulo 2^64.
package struct RangeSummary: Hashable, Sendable {
    package var rows: Int
    package var hash: UInt64

    package init(rows: Int, hash: UInt64) {
        self.rows = rows
        self.hash = hash
    }

    package static let empty = RangeSummary(rows: 0, hash: 0)

    mutating func add(_ shortHash: UInt64) {
        rows += 1
        hash &+= shortHash
    }

    mutating func subtract(_ shortHash: UInt64) {
        rows -= 1
        hash &-= shortHash
    }

    static func += (a: inout RangeSummary, b: RangeSummary) {
        a.rows += b.rows
        a.hash &+= b.hash
    }

    static func -= (a: inout RangeSummary, b: RangeSummary) {
        a.rows -= b.rows
        a.hash &-= b.hash
    }
}

/// The handles of all rows, kept sorted by their user, in chunks that know their summary.
///
/// A chunk keeps its number while others are split before it, so a row whose content changes finds its chunk without a
/// search. Takes 16 bytes a row: handle, number of the chunk, short hash (kept, because a range begins and ends within
/// chunks, and hashing up to a chunk of large values anew for each end would stall the node). A range costs one pass
/// over the summaries in it, 24 bytes for each 256 to 512 rows, and half a chunk of short hashes at most at each end: at
/// 1 000 000 rows about 5 µs. Groups of chunks would not pay.
struct RowOrder: Sendable {
    /// Rows of one chunk: a compromise between moving them and the number of chunks.
    static var chunkMax: Int { 512 }

    struct Position: Hashable, Comparable, Sendable {
        /// Index of the chunk in the sequence.
        fileprivate var chunk: Int
        fileprivate var offset: Int

        static func < (a: Position, b: Position) -> Bool {
            a.chunk != b.chunk ? a.chunk < b.chunk : a.offset < b.offset
        }
    }

    /// Numbers of the chunks in order. None is empty, none longer than `chunkMax`.
    private var sequence: [UInt32] = []
    /// By number of the chunk.
    private var chunks: [[UInt32]] = []
    private var summaries: [RangeSummary] = []
    /// Numbers that no chunk has.
    private var vacant: [UInt32] = []
    /// By handle: the number of the row's chunk, and its short hash.
    private var homes: [UInt32] = []
    private var hashes: [UInt64] = []
    private(set) var count = 0

    var start: Position { Position(chunk: 0, offset: 0) }
    var end: Position { Position(chunk: sequence.count, offset: 0) }

    /// Nil at the end.
    func element(at position: Position) -> UInt32? {
        position.chunk < sequence.count ? chunks[number(position.chunk)][position.offset] : nil
    }

    func position(after position: Position) -> Position {
        guard position.offset + 1 < chunks[number(position.chunk)].count else {
            return Position(chunk: position.chunk + 1, offset: 0)
        }
        return Position(chunk: position.chunk, offset: position.offset + 1)
    }

    /// `distance` rows further, at most the end.
    func position(_ position: Position, advancedBy distance: Int) -> Position {
        var position = position
        var left = distance
        while position.chunk < sequence.count {
            let room = summaries[number(position.chunk)].rows - position.offset
            if left < room { return Position(chunk: position.chunk, offset: position.offset + left) }
            left -= room
            position = Position(chunk: position.chunk + 1, offset: 0)
        }
        return end
    }

    /// The first row for which `precedes` is false; it must be true for a prefix of the rows and for no other.
    func partitionPoint(_ precedes: (UInt32) -> Bool) -> Position {
        // Keys often arrive in order: look at the end first.
        guard let number = sequence.last, let last = chunks[Int(number)].last, !precedes(last) else { return end }
        let chunk = Self.partitionPoint(sequence) {
            let rows = chunks[Int($0)]
            return precedes(rows[rows.count - 1])
        }
        return Position(chunk: chunk, offset: Self.partitionPoint(chunks[self.number(chunk)], precedes))
    }

    func shortHash(of handle: UInt32) -> UInt64 { hashes[Int(handle)] }

    /// The rows from `first` to before `end`, which must not come before it.
    func summary(from first: Position, to end: Position) -> RangeSummary {
        var sum = head(of: end)
        sum -= head(of: first)
        for chunk in first.chunk..<end.chunk { sum += summaries[number(chunk)] }
        return sum
    }

    /// The rows of the chunk before the position.
    private func head(of position: Position) -> RangeSummary {
        guard position.offset > 0 else { return .empty }
        let number = number(position.chunk)
        let rows = chunks[number]
        if position.offset <= rows.count / 2 { return summary(of: rows[..<position.offset]) }
        var sum = summaries[number]
        sum -= summary(of: rows[position.offset...])
        return sum
    }

    private func summary(of rows: ArraySlice<UInt32>) -> RangeSummary {
        var sum = RangeSummary(rows: rows.count, hash: 0)
        for row in rows { sum.hash &+= hashes[Int(row)] }
        return sum
    }

    private func number(_ chunk: Int) -> Int { Int(sequence[chunk]) }

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

    /// Calls `body` with each row in order.
    func forEach(_ body: (UInt32) -> Void) {
        for number in sequence { chunks[Int(number)].forEach(body) }
    }
}

extension RowOrder {
    /// A handle that is not in the order; at most one more than the highest there ever was.
    mutating func insert(_ handle: UInt32, shortHash: UInt64, at position: Position) {
        count += 1
        if Int(handle) == homes.count {
            homes.append(0)
            hashes.append(shortHash)
        } else {
            hashes[Int(handle)] = shortHash
        }
        var position = position
        if position.chunk == sequence.count {
            if let last = sequence.last, chunks[Int(last)].count < Self.chunkMax {
                position = Position(chunk: sequence.count - 1, offset: chunks[Int(last)].count)
            } else {
                addChunk([], at: position.chunk)
            }
        } else if chunks[number(position.chunk)].count == Self.chunkMax {
            position = split(position)
        }
        let number = number(position.chunk)
        chunks[number].insert(handle, at: position.offset)
        summaries[number].add(shortHash)
        homes[Int(handle)] = UInt32(number)
    }

    /// The row's content has changed.
    mutating func update(_ handle: UInt32, shortHash: UInt64) {
        summaries[Int(homes[Int(handle)])].hash &+= shortHash &- hashes[Int(handle)]
        hashes[Int(handle)] = shortHash
    }

    /// Takes the row out; its handle may be inserted again.
    mutating func remove(_ handle: UInt32) {
        let number = homes[Int(handle)]
        guard let offset = chunks[Int(number)].firstIndex(of: handle) else {
            preconditionFailure("row \(handle) is not in its chunk \(number)")
        }
        count -= 1
        chunks[Int(number)].remove(at: offset)
        summaries[Int(number)].subtract(hashes[Int(handle)])
        guard chunks[Int(number)].isEmpty, let chunk = sequence.firstIndex(of: number) else { return }
        sequence.remove(at: chunk)
        chunks[Int(number)] = []
        vacant.append(number)
    }

    /// Moves the upper half of the position's chunk into a new one; returns where the position is now.
    private mutating func split(_ position: Position) -> Position {
        let number = number(position.chunk)
        let half = Self.chunkMax / 2
        let upper = Array(chunks[number][half...])
        chunks[number].removeLast(Self.chunkMax - half)
        let moved = addChunk(upper, at: position.chunk + 1)
        summaries[number] -= moved
        if position.offset <= half { return position }
        return Position(chunk: position.chunk + 1, offset: position.offset - half)
    }

    @discardableResult
    private mutating func addChunk(_ rows: [UInt32], at chunk: Int) -> RangeSummary {
        let summary = summary(of: rows[...])
        let number: UInt32
        if let free = vacant.popLast() {
            number = free
            chunks[Int(number)] = rows
            summaries[Int(number)] = summary
        } else {
            number = UInt32(chunks.count)
            chunks.append(rows)
            summaries.append(summary)
        }
        for row in rows { homes[Int(row)] = number }
        sequence.insert(number, at: chunk)
        return summary
    }

    /// Recomputes counts, sums and homes.
    func checkInvariants() {
        precondition(
            sequence.count + vacant.count == chunks.count, "\(chunks.count) chunks, \(sequence.count) in order")
        precondition(homes.count == hashes.count && count <= homes.count, "\(count) rows, \(homes.count) homes")
        var counted = 0
        for number in sequence {
            let rows = chunks[Int(number)]
            precondition(!rows.isEmpty && rows.count <= Self.chunkMax, "chunk \(number) has \(rows.count) rows")
            let sum = summary(of: rows[...])
            let kept = summaries[Int(number)]
            precondition(sum == kept, "chunk \(number) sums up to \(sum), kept is \(kept)")
            precondition(rows.allSatisfy { homes[Int($0)] == number }, "a row of chunk \(number) has another home")
            counted += rows.count
        }
        precondition(counted == count, "\(counted) rows in chunks, kept is \(count)")
        precondition(Set(sequence).union(vacant).count == chunks.count, "a chunk has two places")
    }
}
