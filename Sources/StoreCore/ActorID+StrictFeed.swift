// SPDX-License-Identifier: Apache-2.0
// Owns the author of strict keys' rows: no node, but the log of the group.

import ClusterTypes

extension ActorID {
    /// The author of all changes that the log of this strict group makes; change n is its event n. No node writes under it, so it
    /// is never gone and never folded.
    package static func strictFeed(group: UInt64) -> ActorID {
        ActorID(node: NodeID(high: strictFeedMark, low: group), epoch: 0)
    }

    /// Whether it is the author of some strict group. A node's id begins so with a probability of 2^-64.
    package var isStrictFeed: Bool { node.high == Self.strictFeedMark }

    /// "strict" and two bytes 0.
    private static let strictFeedMark: UInt64 = 0x7374_7269_6374_0000
}
