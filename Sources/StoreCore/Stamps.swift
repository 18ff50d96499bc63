// SPDX-License-Identifier: Apache-2.0
// Owns what orders and names the store's events: actors, dots and hybrid timestamps.

import ClusterTypes

/// The author of events in the store: a node and the epoch of its store. A node that may have lost memory writes
/// under a new epoch, so that no dot is ever used twice (PEERS.md: riak_kv #679).
package struct ActorID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var node: NodeID
    package var epoch: UInt32

    package init(node: NodeID, epoch: UInt32) {
        self.node = node
        self.epoch = epoch
    }

    package static func < (a: ActorID, b: ActorID) -> Bool {
        a.node != b.node ? a.node < b.node : a.epoch < b.epoch
    }

    package var description: String { "\(node.short).\(epoch)" }
}

/// One event of one actor: the nth it made, counted from 1 (Almeida et al., "Scalable and accurate causality
/// tracking for eventually consistent stores", 2014).
package struct Dot: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// A counter that no honest actor reaches; dots beyond it are refused, so that counting never overflows.
    package static let counterMax: UInt64 = 1 << 62

    package var actor: ActorID
    package var counter: UInt64

    package init(actor: ActorID, counter: UInt64) {
        self.actor = actor
        self.counter = counter
    }

    package static func < (a: Dot, b: Dot) -> Bool {
        a.actor != b.actor ? a.actor < b.actor : a.counter < b.counter
    }

    package var description: String { "\(actor):\(counter)" }
}

/// A hybrid logical timestamp (Kulkarni et al., "Logical physical clocks", 2014): milliseconds since 1970 in the
/// upper 48 bits, a logical counter in the lower 16, so that one comparison orders it.
package struct HybridTimestamp: Hashable, Comparable, Sendable {
    package var rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package init(wall: WallTime) { rawValue = wall.milliseconds << 16 }

    package static let zero = HybridTimestamp(rawValue: 0)

    package var milliseconds: UInt64 { rawValue >> 16 }
    package var wall: WallTime { WallTime(milliseconds: milliseconds) }

    package static func < (a: HybridTimestamp, b: HybridTimestamp) -> Bool { a.rawValue < b.rawValue }
}
