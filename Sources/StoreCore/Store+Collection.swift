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
    package var deadCount: Int { dead.count + expiredCount }

    /// The rows that may be forgotten at `cutoff`: dead by then and written by then. Two nodes with the same hash hold
    /// the same dead rows, and the same live rows written since the last cutoff: else a live row that one of them has
    /// not got yet would be refused there as one from before the floor (`merge`). With `folds` the hash also says what
    /// is left of those actors' adds and counts: where it is equal on all nodes, no remove of a part of them is still
    /// under way, and sums of them join as the parts would.
    ///
    /// Costs a look at each row's stamp, and hashing the dead and expired rows, those of the actors to fold, and
    /// (briefly, by their events alone) those written between the two cutoffs.
    package func deadRows(at cutoff: HybridTimestamp, folds: [Dot] = []) -> (hash: Hash128, count: Int) {
        let handles = deadHandles(at: cutoff)
        var hash = Hash128.zero
        for handle in handles { hash += row(at: handle).stableHash }
        hash += eventsHash(after: floor.cutoff, through: cutoff)
        for dot in folds { hash += remainder(of: dot.actor) }
        return (hash, handles.count)
    }

    /// The cutoff, at most `limit`, at which about `rowsMax` rows are dead: what one step may drop.
    package func cutoff(upTo limit: HybridTimestamp, rowsMax: Int) -> HybridTimestamp {
        let handles = deadHandles(at: limit)
        guard handles.count > rowsMax, rowsMax > 0 else { return limit }
        let dues = handles.map { handle in
            let row = rows[Int(handle)]
            // What is live here is expired.
            guard row.content.isLive else { return row.stamp }
            return max(row.stamp, HybridTimestamp(rawValue: row.details.expiresAt << 16))
        }
        return dues.sorted()[rowsMax - 1]
    }

    /// True when `deadRows` would count at least one. Costs a look at the dead and expired rows alone.
    package func hasDeadRows(at cutoff: HybridTimestamp) -> Bool { !deadHandles(at: cutoff).isEmpty }

    /// Of the live rows written between the two, which events they reflect, which says all that matters among honest
    /// nodes. Field by field: a copy of each row would fetch its value into the cache only to count who holds it.
    private func eventsHash(after first: HybridTimestamp, through last: HybridTimestamp) -> Hash128 {
        rows.withUnsafeBufferPointer { rows in
            var sum = Hash128.zero
            for index in rows.indices {
                let stamp = rows[index].stamp
                guard stamp > first, stamp <= last, rows[index].content.isLive else { continue }
                var hasher = StableHasher()
                hasher.absorb(stamp.rawValue)
                hasher.absorb(actors[rows[index].author])
                if let dot = rows[index].firstVersion(actors) {
                    hasher.absorb(dot.actor)
                    hasher.absorb(dot.counter)
                }
                if !rows[index].moreVersions.isEmpty {
                    for dot in rows[index].moreVersions {
                        hasher.absorb(dot.actor)
                        hasher.absorb(dot.counter)
                    }
                }
                sum += hasher.finalize()
            }
            return sum
        }
    }

    /// Moves the clock past `stamp`: a persisted fence, or the cutoff of a promise, so that later writes are beyond it.
    package mutating func noteClock(_ stamp: HybridTimestamp) { clock.observe(stamp) }

    /// True when we have seen the events 1...counter of the dot's actor and no other, and the actor is not our own.
    package func holdsExactly(_ dot: Dot) -> Bool {
        dot.actor != actor && dot.counter > 0 && context.holdsExactly(dot)
    }

    /// Actors to fold, each with its last event: all of nodes that are gone, then of others those that a newer one has
    /// replaced. Which one that is, is a guess where `writer` does not know it; the node itself does. Never our own, none
    /// with a gap, no more than the floor can name.
    package func foldCandidates(
        isGone: (NodeID) -> Bool, writer: (NodeID) -> ActorID? = { _ in nil },
        where isWanted: (ActorID) -> Bool = { _ in true }, limit: Int
    ) -> [Dot] {
        var gone: [Dot] = []
        var replaced: [Dot] = []
        var parts = context.actors[...]
        while let node = parts.first?.actor.node {
            let siblings = parts.prefix { $0.actor.node == node }
            parts = parts.dropFirst(siblings.count)
            let isNodeGone = isGone(node)
            let newest = isNodeGone ? nil : writer(node) ?? newestActor(of: node, among: siblings.map(\.actor))
            for sibling in siblings where sibling.actor != actor && sibling.actor != newest {
                guard sibling.runs.count == 1, sibling.runs[0].first == 1, isWanted(sibling.actor) else { continue }
                let dot = Dot(actor: sibling.actor, counter: sibling.runs[0].last)
                if isNodeGone { gone.append(dot) } else { replaced.append(dot) }
            }
        }
        let room = max(0, CollectionFloor.foldedMax - floor.folded.count)
        return Array((gone + replaced).prefix(min(max(limit, 0), room)))
    }

    /// Rows that name the actor as one of their writers.
    package func rowCount(naming actor: ActorID) -> Int { actors.rowCount(of: actor) }

    /// The actor under which a living node probably writes: our own, or the one whose last event is on the newest row.
    private func newestActor(of node: NodeID, among siblings: [ActorID]) -> ActorID? {
        if node == actor.node { return actor }
        var newest: (stamp: HybridTimestamp, actor: ActorID)?
        for sibling in siblings {
            let stamp = actors.lastEvent(of: sibling).map { rows[Int($0.row)].stamp } ?? .zero
            if newest.map({ ($0.stamp, $0.actor) <= (stamp, sibling) }) ?? true { newest = (stamp, sibling) }
        }
        return newest?.actor
    }

    /// What is left of an actor's adds and counts, hashed.
    private func remainder(of actor: ActorID) -> Hash128 {
        var sum = Hash128.zero
        actors.forEachRow(of: actor) { handle in
            let stored = rows[Int(handle)]
            var hasher = StableHasher()
            hasher.absorb(actor)
            hasher.absorb(counted: keys.key(stored.key).utf8)
            switch stored.content {
            case .element(let bytes, let entries):
                guard let entry = entries.first(where: { $0.actor == actor }) else { return }
                hasher.absorb(counted: bytes)
                hasher.absorb(entry.added)
                hasher.absorb(entry.removed)
            case .counter(let owner, let entry):
                if owner != actor { return }
                hasher.absorb(entry.generation)
                hasher.absorb(entry.increments)
                hasher.absorb(entry.decrements)
                hasher.absorb(entry.resetIncrements)
                hasher.absorb(entry.resetDecrements)
            case .tombstone, .value: return
            }
            sum += hasher.finalize()
        }
        return sum
    }

    /// Sorted.
    func deadHandles(at cutoff: HybridTimestamp) -> [UInt32] {
        var handles = dead.filter { rows[Int($0)].stamp <= cutoff }.sorted()
        for due in expiry.due(after: 0, through: cutoff.milliseconds) where rows[Int(due.row)].stamp <= cutoff {
            handles.append(due.row)
        }
        return handles.sorted()
    }
}
