// SPDX-License-Identifier: Apache-2.0
// Owns the ring of ids that probes and sentinels go around: a sorted set whose copies share what they do not change.

import ClusterTypes

/// Ids in ascending order, in chunks of at most `chunkMax`. A change copies one chunk (2 KB) and the list of chunks: among
/// 10 000 simulated nodes a death changes 10 000 rings, and each as one array would be 160 KB of its own.
package struct MemberRing: Sendable {
    /// None is empty.
    private var chunks: [[NodeID]] = []
    package private(set) var count = 0

    /// A chunk that grows beyond it is halved; two neighbours that hold half of it together become one.
    static let chunkMax = 128

    package init() {}

    /// All ids, ascending.
    package var ids: [NodeID] { chunks.flatMap { $0 } }

    /// The id at `place`, counted from the smallest.
    package subscript(place: Int) -> NodeID {
        precondition((0..<count).contains(place), "place \(place) on a ring of \(count)")
        var rest = place
        var chunk = 0
        while rest >= chunks[chunk].count {
            rest -= chunks[chunk].count
            chunk += 1
        }
        return chunks[chunk][rest]
    }

    /// How many ids are smaller than `id`; nil when it is not on the ring.
    package func place(of id: NodeID) -> Int? {
        guard !chunks.isEmpty else { return nil }
        let chunk = chunk(for: id)
        let offset = Self.offset(of: id, in: chunks[chunk])
        guard offset < chunks[chunk].count, chunks[chunk][offset] == id else { return nil }
        var place = offset
        for before in 0..<chunk { place += chunks[before].count }
        return place
    }

    /// False when it is there already.
    package mutating func insert(_ id: NodeID) -> Bool {
        guard !chunks.isEmpty else {
            chunks = [[id]]
            count = 1
            return true
        }
        let chunk = chunk(for: id)
        let offset = Self.offset(of: id, in: chunks[chunk])
        if offset < chunks[chunk].count, chunks[chunk][offset] == id { return false }
        chunks[chunk].insert(id, at: offset)
        count += 1
        if chunks[chunk].count > Self.chunkMax {
            let half = chunks[chunk].count / 2
            let upper = Array(chunks[chunk][half...])
            chunks[chunk].removeSubrange(half...)
            chunks.insert(upper, at: chunk + 1)
        }
        return true
    }

    /// False when it is not there.
    package mutating func remove(_ id: NodeID) -> Bool {
        guard !chunks.isEmpty else { return false }
        let chunk = chunk(for: id)
        let offset = Self.offset(of: id, in: chunks[chunk])
        guard offset < chunks[chunk].count, chunks[chunk][offset] == id else { return false }
        chunks[chunk].remove(at: offset)
        count -= 1
        if chunks[chunk].isEmpty {
            chunks.remove(at: chunk)
        } else {
            let lower = max(0, chunk - 1)
            if lower + 1 < chunks.count, chunks[lower].count + chunks[lower + 1].count <= Self.chunkMax / 2 {
                let upper = chunks.remove(at: lower + 1)
                chunks[lower].append(contentsOf: upper)
            }
        }
        return true
    }

    /// The chunk that `id` is in or belongs into: the last one that does not begin beyond it, or the first.
    private func chunk(for id: NodeID) -> Int {
        var low = 0
        var high = chunks.count
        while low < high {
            let middle = (low + high) / 2
            if chunks[middle][0] <= id { low = middle + 1 } else { high = middle }
        }
        return max(0, low - 1)
    }

    private static func offset(of id: NodeID, in chunk: [NodeID]) -> Int {
        var low = 0
        var high = chunk.count
        while low < high {
            let middle = (low + high) / 2
            if chunk[middle] < id { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Whether both hold `id`, or the place where it would be, in one piece of memory.
    package func sharesChunk(with other: MemberRing, of id: NodeID) -> Bool {
        guard !chunks.isEmpty, !other.chunks.isEmpty else { return false }
        return chunks[chunk(for: id)].withUnsafeBufferPointer { mine in
            other.chunks[other.chunk(for: id)].withUnsafeBufferPointer { mine.baseAddress == $0.baseAddress }
        }
    }

    package func checkInvariants() {
        precondition(chunks.reduce(0) { $0 + $1.count } == count, "the ring does not hold \(count) ids")
        precondition(
            chunks.allSatisfy { (1...Self.chunkMax).contains($0.count) }, "chunks of \(chunks.map(\.count)) ids")
    }
}
