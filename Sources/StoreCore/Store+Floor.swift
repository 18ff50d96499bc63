// SPDX-License-Identifier: Apache-2.0
// Owns the raise of the collection floor: dead rows go, and actors that are gone become one.

import ClusterTypes

extension Store {
    /// Joins `other` into the floor, drops what is dead at its cutoff and folds the actors that it names anew. The
    /// context keeps the dots of dropped rows. Content that shows stays as it is (`expire(through:)` up to the cutoff
    /// goes first); a key's version becomes that of the newest row that is left.
    ///
    /// Our own actor is never among those that we agree to fold (`holdsExactly`). Should it be named all the same, we
    /// write under another from now on.
    package mutating func raise(to other: CollectionFloor) -> FloorChange {
        let raised = floor.joined(with: other)
        let gone = raised.folded.map(\.actor).filter { !floor.names($0) && $0 != .folded }
        floor = raised
        clock.observe(raised.cutoff)
        var fold = Fold(gone: gone)
        for handle in deadHandles(at: raised.cutoff) { drop(handle, &fold) }
        if !gone.isEmpty { foldRows(&fold) }
        for key in fold.keys.sorted() { refresh(key) }
        for actor in gone { context.remove(actor) }
        if floor.names(actor) { renewActor(to: actor) }
        return FloorChange(
            removed: fold.removed.sorted(), rewritten: fold.rewritten.map(row(at:)).sorted { $0.id < $1.id },
            folded: gone.count)
    }

    /// What has happened so far. The order of the sets never leaves the store.
    private struct Fold {
        /// Sorted.
        var gone: [ActorID]
        var removed: [RowID] = []
        var rewritten: Set<UInt32> = []
        /// Keys of removed rows.
        var keys: Set<UInt32> = []

        func isGone(_ actor: ActorID) -> Bool { gone.contains(actor) }
    }

    private mutating func drop(_ handle: UInt32, _ fold: inout Fold) {
        fold.keys.insert(rows[Int(handle)].key)
        fold.removed.append(row(at: handle).id)
        remove(handle)
    }

    /// Takes the actors that are gone out of every row that names them.
    private mutating func foldRows(_ fold: inout Fold) {
        var named: Set<UInt32> = []
        for actor in fold.gone { actors.forEachRow(of: actor) { named.insert($0) } }
        for handle in named.sorted() {
            let old = row(at: handle)
            var new = Self.withoutVersions(old, fold)
            if case .counter(let owner) = old.id.part, fold.isGone(owner) {
                drop(handle, &fold)
                new.id.part = .counter(.folded)
                add(share: new, &fold)
                continue
            }
            if case .element(let entries) = old.content { new.content = .element(Self.folded(entries, fold)) }
            let place = Place(key: rows[Int(handle)].key, row: handle)
            _ = install(new, isExpired: rows[Int(handle)].isExpired, over: old, at: place)
            fold.rewritten.insert(handle)
        }
    }

    /// Adds a share to that of the folded actors.
    private mutating func add(share: Row, _ fold: inout Fold) {
        let place = locate(share.id)
        let old = place.row.map(row(at:))
        let new = old.map { Self.summed($0, share) } ?? share
        _ = install(new, isExpired: false, over: old, at: place)
        if let handle = locate(share.id).row { fold.rewritten.insert(handle) }
    }

    /// A transaction of a folded author is complete everywhere, and its events can no longer be waited for.
    private static func withoutVersions(_ row: Row, _ fold: Fold) -> Row {
        var row = row
        row.versions.removeAll { fold.isGone($0.actor) }
        if fold.isGone(row.author) { row.details.transaction = nil }
        return row
    }

    /// How many of the folded actors had added the element, and how many of these adds were removed.
    private static func folded(_ entries: [ElementEntry], _ fold: Fold) -> [ElementEntry] {
        var left: [ElementEntry] = []
        var sum = ElementEntry(actor: .folded, added: 0, removed: 0)
        for entry in entries {
            if entry.actor == .folded {
                sum.added += entry.added
                sum.removed += entry.removed
            } else if fold.isGone(entry.actor) {
                sum.added += 1
                sum.removed += entry.removed < entry.added ? 0 : 1
            } else {
                left.append(entry)
            }
        }
        // Only a made up entry comes near the bound; the row must stay one that a disk and a peer take.
        sum.added = min(sum.added, ElementEntry.foldedMax)
        sum.removed = min(sum.removed, sum.added)
        // Comes before every actor of a node.
        return sum.added > 0 ? [sum] + left : left
    }

    /// Two shares of folded actors as one. What every node knows of them alike (increments, decrements, generation)
    /// stays alike; what was set back joins by maximum as before.
    private static func summed(_ a: Row, _ b: Row) -> Row {
        guard case .counter(let x) = a.content, case .counter(let y) = b.content else { return a }
        let newer = a.version < b.version ? b : a
        func sum(_ x: UInt64, _ y: UInt64) -> UInt64 {
            let (sum, overflow) = x.addingReportingOverflow(y)
            return overflow ? .max : sum
        }
        let entry = CounterEntry(
            generation: max(x.generation, y.generation), increments: sum(x.increments, y.increments),
            decrements: sum(x.decrements, y.decrements), resetIncrements: sum(x.resetIncrements, y.resetIncrements),
            resetDecrements: sum(x.resetDecrements, y.resetDecrements))
        return Row(
            id: a.id, versions: Row.joinedVersions(a.versions, b.versions), stamp: newer.stamp, author: newer.author,
            content: .counter(entry), details: Row.joinedDetails(a, b))
    }
}
