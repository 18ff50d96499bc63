// SPDX-License-Identifier: Apache-2.0
// Owns what happens to a row from a peer.

import ClusterTypes

extension Store {
    /// Joins a peer's row with ours. Rows may come in any order, repeated, or not at all: a row says what it holds and
    /// nothing about other rows, so a missing one never acts as a delete (PEERS.md: akka #22188). A row that we do not
    /// hold is judged by context and floor first (decision 0007); one that we hold is always joined, which changes
    /// nothing when its events are known, and heals ours should it ever lack one of them.
    package mutating func merge(_ row: Row, wall: WallTime) -> MergeOutcome {
        if let defect = row.defect { return .invalid(defect) }
        let own = row.lastEvent(of: actor)
        if own >= nextCounter { return .foreignUseOfOwnActor(Dot(actor: actor, counter: own)) }
        if namesFolded(row) { return .beforeFloor }
        // Only a folded author is not among the versions.
        if row.lastEvent(of: row.author) == 0, context.highest(of: row.author) > 0 { return .invalid(.unknownAuthor) }
        // The strict log has its own clock, which tells no other write the time.
        if !row.author.isStrictFeed, let ahead = quarantine(of: row.stamp, at: wall) {
            return .quarantined(aheadMilliseconds: ahead)
        }

        let place = locate(row.id)
        guard let handle = place.row else {
            // What was seen and is gone was collected, and stays so.
            if holds(row.versions) { return .known }
            if row.stamp <= floor.cutoff, floor.cutoff > .zero { return .beforeFloor }
            if rowCount >= configuration.rowsMax { return .storeFull }
            return .applied(apply(judged(row, beside: nil), over: nil, at: place, wall: wall))
        }
        let old = self.row(at: handle)
        let joined = Row.joined(old, judged(row, beside: old))
        if joined == old {
            // Events that ours had overwritten already: they are reflected, so they count as seen.
            for dot in row.versions { context.insert(dot) }
            return .known
        }
        if joined.versions.count > Bounds.rowActorsMax { return .invalid(.tooManyActors) }
        if case .element(let entries) = joined.content, entries.count > Bounds.rowActorsMax {
            return .invalid(.tooManyActors)
        }
        if !joined.hasSoundDetails { return .invalid(.impossibleDetails) }
        for dot in row.versions { context.insert(dot) }
        return .applied(apply(joined, over: old, at: place, wall: wall))
    }

    /// By how many milliseconds a stamp is further ahead of `wall` than is allowed; nil when it may be taken.
    package func quarantine(of stamp: HybridTimestamp, at wall: WallTime) -> UInt64? {
        let ahead = HybridClock.milliseconds(of: stamp, aheadOf: wall)
        return ahead > configuration.clockSkewMaxMilliseconds && stamp > toleratedThrough ? ahead : nil
    }

    /// True when the row names an actor that is folded here: it comes from before the floor.
    func namesFolded(_ row: Row) -> Bool {
        if floor.folded.isEmpty { return false }
        return row.versions.contains { floor.names($0.actor) }
    }

    /// The row with those adds taken as removed that we have seen and hold no more: they were collected. Where we hold
    /// the actor's entry the join decides. Folded adds are the same on all nodes with one floor, so where ours are gone
    /// they were collected too.
    private func judged(_ row: Row, beside old: Row?) -> Row {
        guard case .element(var entries) = row.content else { return row }
        var known: [ElementEntry] = []
        if let old, case .element(let entries) = old.content { known = entries }
        var isChanged = false
        for (index, entry) in entries.enumerated() where entry.removed < entry.added {
            if known.contains(where: { $0.actor == entry.actor }) { continue }
            guard entry.actor == .folded || context.contains(Dot(actor: entry.actor, counter: entry.added)) else {
                continue
            }
            entries[index].removed = entry.added
            isChanged = true
        }
        if !isChanged { return row }
        var judged = row
        judged.content = .element(entries)
        return judged
    }
}

extension CollectionFloor {
    /// True when the actor is among the folded ones.
    func names(_ actor: ActorID) -> Bool {
        var low = 0
        var high = folded.count
        while low < high {
            let middle = (low + high) / 2
            if folded[middle].actor < actor { low = middle + 1 } else { high = middle }
        }
        return low < folded.count && folded[low].actor == actor
    }
}
