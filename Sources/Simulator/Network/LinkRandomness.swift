// SPDX-License-Identifier: Apache-2.0
// Owns the randomness of links: what happens to a packet depends on the seed, the link and its number there alone.

import ClusterTypes

/// A stream of generators for each directed link, one for each packet.
///
/// Counting instead of splitting keeps 4 bytes a link, and nobody else's draws - another link's, an observer's -
/// can move a packet's fate.
package struct LinkRandomness: Sendable {
    private let seed: UInt64
    /// `counts[from][to]` packets so far; a row is made when its node first sends.
    private var counts: [[UInt32]] = []
    /// The same for clusters in which a node talks to few of the others.
    private var sparse: [[UInt32: UInt32]] = []
    private let nodes: Int
    /// Rows of more nodes would take more than 16 MB in all.
    private static let denseNodesMax = 2_000

    package init(seed: UInt64, nodes: Int) {
        self.seed = seed
        self.nodes = nodes
        if nodes <= Self.denseNodesMax {
            counts = Array(repeating: [], count: nodes)
        } else {
            sparse = Array(repeating: [:], count: nodes)
        }
    }

    package mutating func next(from: Int, to: Int) -> SeededGenerator {
        SeededGenerator(seed: Self.mix(seed, UInt64(from) << 32 | UInt64(to), UInt64(count(from: from, to: to))))
    }

    private mutating func count(from: Int, to: Int) -> UInt32 {
        guard nodes <= Self.denseNodesMax else {
            sparse[from][UInt32(to), default: 0] &+= 1
            return sparse[from][UInt32(to)] ?? 0
        }
        if counts[from].isEmpty { counts[from] = Array(repeating: 0, count: nodes) }
        counts[from][to] &+= 1
        return counts[from][to]
    }

    /// Three numbers into one, so that neighbours differ in half of the bits (the finalizer of MurmurHash3).
    static func mix(_ a: UInt64, _ b: UInt64, _ c: UInt64) -> UInt64 {
        var hash = a
        for word in [b, c] {
            hash = (hash ^ word) &* 0xff51_afd7_ed55_8ccd
            hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
            hash ^= hash >> 29
        }
        return hash
    }
}
