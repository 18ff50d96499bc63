// SPDX-License-Identifier: Apache-2.0
// Owns the hybrid logical clock: stamps that follow wall time and never run backwards.

import ClusterTypes

/// A hybrid logical clock (Kulkarni et al., 2014). Every stamp is higher than all that were issued or observed before.
package struct HybridClock: Hashable, Sendable {
    /// Wall times beyond this (year 6429) are taken as this, so that a stamp never overflows.
    package static let wallMax = WallTime(milliseconds: 1 << 47)

    /// The highest stamp that there is. Nothing beyond it is taken from outside.
    package static let stampMax = HybridTimestamp(rawValue: wallMax.milliseconds << 16 | 0xffff)

    /// The highest stamp issued or observed; at most `stampMax`.
    package private(set) var seen: HybridTimestamp

    package init(seen: HybridTimestamp = .zero) { self.seen = min(seen, Self.stampMax) }

    /// Issues the next stamp: max(wall, seen + 1). At the end of time it stands still.
    package mutating func next(wall: WallTime) -> HybridTimestamp {
        let now = HybridTimestamp(wall: min(wall, Self.wallMax))
        seen = min(max(now, HybridTimestamp(rawValue: seen.rawValue + 1)), Self.stampMax)
        return seen
    }

    /// Takes note of a peer's stamp. The caller has checked that it is not too far ahead of its own wall clock.
    package mutating func observe(_ stamp: HybridTimestamp) { seen = max(seen, min(stamp, Self.stampMax)) }

    /// How far `stamp` is ahead of `wall`, in milliseconds; 0 when it is not.
    package static func milliseconds(of stamp: HybridTimestamp, aheadOf wall: WallTime) -> UInt64 {
        let wall = min(wall, wallMax)
        return stamp.milliseconds > wall.milliseconds ? stamp.milliseconds - wall.milliseconds : 0
    }
}
