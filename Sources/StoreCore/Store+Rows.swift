// SPDX-License-Identifier: Apache-2.0
// Owns how rows come into the store and leave it, with every index kept in step.

import ClusterTypes

extension Store {
    /// Puts a row in the place of `old` (nil: of none) and brings everything else in step. Returns the key's handle.
    mutating func install(_ new: Row, isExpired: Bool, over old: Row?, at place: Place) -> UInt32 {
        for dot in new.versions { context.insert(dot) }
        if !new.author.isStrictFeed { clock.observe(new.stamp) }
        if isExpired { hiddenThrough = max(hiddenThrough, new.details.expiresAt) }
        let hash = new.stableHash
        root += hash
        bytes += new.estimatedBytes
        guard let handle = place.row, let key = place.key, let old else {
            return append(new, isExpired: isExpired, key: place.key, shortHash: hash.low)
        }
        order.update(handle, shortHash: hash.low)
        root -= old.stableHash
        bytes -= old.estimatedBytes
        for dot in old.versions where new.lastEvent(of: dot.actor) != dot.counter { actors.remove(dot, row: handle) }
        for dot in new.versions where old.lastEvent(of: dot.actor) != dot.counter { actors.insert(dot, row: handle) }
        let wasShown = rows[Int(handle)].isShown
        delist(handle)
        rows[Int(handle)] = StoredRow(new, isExpired: isExpired, key: key, actors: &actors)
        enlist(handle)
        note(
            new.id.part.type, version: new.version, of: key,
            liveChange: (rows[Int(handle)].isShown ? 1 : 0) - (wasShown ? 1 : 0))
        return key
    }

    private mutating func append(_ new: Row, isExpired: Bool, key: UInt32?, shortHash: UInt64) -> UInt32 {
        let handle = free.popLast() ?? UInt32(rows.count)
        let type = new.id.part.type
        let live = new.isLive && !isExpired ? 1 : 0
        let position = position(of: new.id.key, handle: key, part: new.id.part)
        let keyHandle =
            key
            ?? keys.insert(
                new.id.key, first: TypeSummary(type: type, live: UInt32(live), version: new.version),
                author: actors.number(of: new.author))
        let stored = StoredRow(new, isExpired: isExpired, key: keyHandle, actors: &actors)
        if type == .register {
            keys.setRegister(handle, of: keyHandle)
        } else {
            parts.insert(handle, hash: stored.partHash) { [rows] in rows[Int($0)].partHash }
        }
        if Int(handle) < rows.count { rows[Int(handle)] = stored } else { rows.append(stored) }
        order.insert(handle, shortHash: shortHash, at: position)
        for dot in new.versions { actors.insert(dot, row: handle) }
        enlist(handle)
        if key != nil { note(type, version: new.version, of: keyHandle, liveChange: live) }
        return keyHandle
    }

    /// Brings the summary of a key in step with a row of `type` that is in its place.
    private mutating func note(_ type: KeyType, version: Version, of key: UInt32, liveChange: Int) {
        if keys.holdsOnly(type, key) {
            keys.update(key, version: version, liveChange: liveChange, actors: &actors)
        } else {
            refresh(key)
        }
    }

    /// Takes a row out of everything but the summary of its key, which `refresh` brings in step afterwards.
    mutating func remove(_ handle: UInt32) {
        let row = row(at: handle)
        let key = rows[Int(handle)].key
        order.remove(handle)
        root -= row.stableHash
        bytes -= row.estimatedBytes
        for dot in row.versions { actors.remove(dot, row: handle) }
        if row.id.part == .register {
            keys.setRegister(KeyIndex.none, of: key)
        } else {
            parts.remove(handle, hash: rows[Int(handle)].partHash) { [rows] in rows[Int($0)].partHash }
        }
        delist(handle)
        rows[Int(handle)] = .vacant
        free.append(handle)
    }

    /// Sums a key up anew, and forgets it when it has no rows. Linear in the key's rows: for keys with several types,
    /// which are conflicts that should not last, and after collection.
    mutating func refresh(_ key: UInt32) {
        var types = summaries(of: key)
        guard let top = types.indices.max(by: { TypeRank.precedes(types[$0], types[$1]) }) else {
            return keys.remove(key)
        }
        let visible = types.remove(at: top).summary
        keys.replace(key, by: visible, aside: types.map(\.summary), actors: &actors)
    }

    /// The rows of each type under a key summed up, sorted by type.
    func summaries(of key: UInt32) -> [TypeRank] {
        var types: [TypeRank] = []
        forEachRow(of: key) { handle in
            let row = rows[Int(handle)]
            let type = row.content.part.type
            let version = Version(stamp: row.stamp, author: actors[row.author])
            if types.last?.summary.type != type {
                types.append(TypeRank(summary: TypeSummary(type: type, live: 0, version: version)))
            }
            let last = types.count - 1
            types[last].summary.version = max(types[last].summary.version, version)
            if row.isShown {
                types[last].summary.live += 1
                types[last].newestLive = max(types[last].newestLive ?? version, version)
            }
            return true
        }
        return types
    }

    /// Shows the value of a register, or stops to; its row stays as it is.
    mutating func show(_ handle: UInt32, isExpired: Bool) {
        let row = rows[Int(handle)]
        rows[Int(handle)].extra = StoredRow.Extra(details: row.details, isExpired: isExpired)
        expiredCount += isExpired ? 1 : -1
        if isExpired { hiddenThrough = max(hiddenThrough, row.details.expiresAt) }
        note(
            .register, version: Version(stamp: row.stamp, author: actors[row.author]), of: row.key,
            liveChange: isExpired ? -1 : 1)
    }

    /// Enters a row into the indexes of dead and of expiring rows.
    private mutating func enlist(_ handle: UInt32) {
        let row = rows[Int(handle)]
        if !row.content.isLive { dead.insert(handle) }
        if row.details.expiresAt > 0 { expiry.insert(ExpiryIndex.Due(at: row.details.expiresAt, row: handle)) }
        if row.isExpired { expiredCount += 1 }
    }

    private mutating func delist(_ handle: UInt32) {
        let row = rows[Int(handle)]
        if !row.content.isLive { dead.remove(handle) }
        if row.details.expiresAt > 0 { expiry.remove(ExpiryIndex.Due(at: row.details.expiresAt, row: handle)) }
        if row.isExpired { expiredCount -= 1 }
    }
}

/// Decides which type of a key is visible: the one that comes last.
struct TypeRank {
    var summary: TypeSummary
    /// Nil when no row is live.
    var newestLive: Version?

    /// What is live before what is not; then by the newest live row, or the newest row where none is live; then by type.
    /// So nothing dead decides about what shows, and it may be collected.
    static func precedes(_ a: TypeRank, _ b: TypeRank) -> Bool {
        if (a.newestLive == nil) != (b.newestLive == nil) { return a.newestLive == nil }
        let left = a.newestLive ?? a.summary.version
        let right = b.newestLive ?? b.summary.version
        return left != right ? left < right : a.summary.type < b.summary.type
    }
}
