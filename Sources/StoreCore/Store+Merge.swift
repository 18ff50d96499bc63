// SPDX-License-Identifier: Apache-2.0
// Owns what happens to a row from a peer.

import ClusterTypes

extension Store {
    /// Joins a peer's row with ours. Rows may come in any order, repeated, or not at all: a row says what it holds and
    /// nothing about other rows, so a missing one never acts as a delete (PEERS.md: akka #22188).
    package mutating func merge(_ row: Row, wall: WallTime) -> MergeOutcome {
        if let defect = row.defect { return .invalid(defect) }
        let own = row.lastEvent(of: actor)
        if own >= nextCounter { return .foreignUseOfOwnActor(Dot(actor: actor, counter: own)) }
        let ahead = HybridClock.milliseconds(of: row.stamp, aheadOf: wall)
        if ahead > configuration.clockSkewMaxMilliseconds { return .quarantined(aheadMilliseconds: ahead) }

        let place = locate(row.id)
        guard let handle = place.row else {
            if rows.count >= configuration.rowsMax { return .storeFull }
            return .applied(apply(row, over: nil, at: place))
        }
        let old = self.row(at: handle)
        let joined = Row.joined(old, row)
        if joined == old {
            // Events that ours had overwritten already: they are reflected, so they count as seen.
            for dot in row.versions { context.insert(dot) }
            return .known
        }
        if joined.versions.count > Bounds.rowActorsMax { return .invalid(.tooManyActors) }
        for dot in row.versions { context.insert(dot) }
        return .applied(apply(joined, over: old, at: place))
    }
}
