// SPDX-License-Identifier: Apache-2.0
// Owns the checks that the simulator runs after its steps.

import ClusterTypes

extension Store {
    /// Checks that cost the same however many rows there are: after every step.
    package func checkInvariantsQuickly() {
        precondition(order.count == rowCount, "\(rowCount) rows, \(order.count) in order")
        precondition(keys.count <= rowCount, "\(keys.count) keys, \(rowCount) rows")
        precondition(deadCount <= rowCount, "\(deadCount) of \(rowCount) rows are dead")
        precondition(keys.liveCount <= keys.count, "\(keys.liveCount) of \(keys.count) keys are live")
        precondition(rowCount <= configuration.rowsMax, "\(rowCount) rows exceed the bound")
        precondition(rowCount > 0 || (root == .zero && bytes == 0), "no rows, but root \(root) and \(bytes) bytes")
    }

    /// Recomputes everything that is kept incrementally and compares. Linear in the rows.
    package func checkInvariants() {
        checkInvariantsQuickly()
        context.checkInvariants()
        actors.checkInvariants()
        order.checkInvariants()
        expiry.checkInvariants()
        checkPlaces()
        var root = Hash128.zero
        var bytes = 0
        var pairs = 0
        let vacant = Set(free)
        for handle in rows.indices.map(UInt32.init) where !vacant.contains(handle) {
            let row = row(at: handle)
            root += row.stableHash
            bytes += row.estimatedBytes
            pairs += row.versions.count
            precondition(row.defect == nil, "row \(row.id) breaks \(String(describing: row.defect))")
            precondition(order.shortHash(of: handle) == row.shortHash, "row \(row.id) is summed up with another hash")
            precondition(locate(row.id).row == handle, "row \(row.id) is not found at \(handle)")
            precondition(
                row.stamp <= clock.seen || row.author.isStrictFeed, "row \(row.id) has a stamp beyond the clock")
            for dot in row.versions {
                precondition(!floor.names(dot.actor), "row \(row.id) names the folded \(dot.actor)")
                precondition(context.contains(dot), "row \(row.id) names \(dot), the context lacks it")
                precondition(actors.contains(dot, row: handle), "\(dot) of row \(row.id) is not indexed")
            }
        }
        precondition(root == self.root, "the rows sum up to \(root), kept is \(self.root)")
        precondition(bytes == self.bytes, "the rows take \(bytes) bytes, kept is \(self.bytes)")
        precondition(pairs == actors.eventCount, "\(pairs) pairs of row and actor, \(actors.eventCount) indexed")
        precondition(!floor.names(actor), "we write under the folded \(actor)")
        for entry in floor.folded {
            precondition(context.highest(of: entry.actor) == 0, "the context holds events of the folded \(entry.actor)")
        }
        checkKeys()
    }

    /// The indexes of vacant places, of dead rows, and of those that expire.
    private func checkPlaces() {
        let vacant = Set(free)
        precondition(vacant.count == free.count, "a place is vacant twice")
        var expiring = 0
        var expired = 0
        var dead = 0
        for (index, row) in rows.enumerated() {
            let handle = UInt32(index)
            precondition(vacant.contains(handle) == (row.key == .max), "place \(handle) is vacant, or should be")
            if vacant.contains(handle) { continue }
            if !row.content.isLive {
                dead += 1
                precondition(self.dead.contains(handle), "the dead row at \(handle) is not indexed")
            }
            if row.isExpired { expired += 1 }
            let due = ExpiryIndex.Due(at: row.details.expiresAt, row: handle)
            guard due.at > 0 else { continue }
            expiring += 1
            precondition(expiry.contains(due), "\(due) is not indexed")
            precondition(row.isExpired || due.at > expiredThrough, "\(due) shows after \(expiredThrough)")
        }
        precondition(dead == self.dead.count, "\(dead) rows are dead, \(self.dead.count) indexed")
        precondition(expiring == expiry.count, "\(expiring) rows expire, \(expiry.count) indexed")
        precondition(expired == expiredCount, "\(expired) rows are expired, kept is \(expiredCount)")
    }

    /// The order of the rows, and every key's summary against its rows.
    private func checkKeys() {
        var before: RowID?
        var current: UInt32?
        var keyCount = 0
        var liveCount = 0
        order.forEach { handle in
            let row = row(at: handle)
            if let before { precondition(before < row.id, "\(before) and \(row.id) are swapped") }
            before = row.id
            let key = rows[Int(handle)].key
            if key == current { return }
            current = key
            keyCount += 1
            if checkSummary(key) { liveCount += 1 }
        }
        precondition(keyCount == keys.count, "\(keyCount) keys have rows, \(keys.count) have records")
        precondition(liveCount == keys.liveCount, "\(liveCount) keys are live, kept is \(keys.liveCount)")
    }

    /// Returns true when the key is live.
    private func checkSummary(_ key: UInt32) -> Bool {
        let types = summaries(of: key)
        guard let top = types.max(by: TypeRank.precedes)?.summary else { return false }
        let aside = types.map(\.summary).filter { $0.type != top.type }
        precondition(keys.find(keys.key(key)) == key, "\(keys.key(key)) is not found at \(key)")
        precondition(keys.visible(key, actors: actors) == top, "\(keys.key(key)) shows another type than \(top)")
        precondition(keys.aside(key) == aside, "\(keys.key(key)) keeps other types aside than \(aside)")
        return top.live > 0
    }
}
