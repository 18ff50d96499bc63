// SPDX-License-Identifier: Apache-2.0
// Owns the expiry of values: when the next one is due, and what a watcher sees of it.

import ClusterTypes

extension Store {
    /// Milliseconds since 1970 at which `expire(through:)` is due; nil when no value expires.
    package var nextExpiry: UInt64? { expiry.first(after: expiredThrough)?.at }

    /// Values whose time is over by `wall` stop to show. Their rows stay as they are, and so do root and context: every
    /// node comes to the same by itself. The changes are in the order in which the values expired, then of their keys.
    package mutating func expire(through wall: WallTime) -> [Change] {
        guard wall.milliseconds > expiredThrough else { return [] }
        let dues = expiry.due(after: expiredThrough, through: wall.milliseconds)
        expiredThrough = wall.milliseconds
        var changes: [Change] = []
        let hidden = dues.filter { !rows[Int($0.row)].isExpired }.map { (at: $0.at, handle: $0.row) }
        let sorted = hidden.sorted { a, b in
            a.at != b.at
                ? a.at < b.at
                : ConfigurationKey.precedes(keys.key(rows[Int(a.handle)].key), keys.key(rows[Int(b.handle)].key))
        }
        for (_, handle) in sorted {
            let row = row(at: handle)
            let key = rows[Int(handle)].key
            let before = shown(key)
            show(handle, isExpired: true)
            changes += self.changes(of: key, before: before, by: row, wasShown: true, isShown: false, from: row)
        }
        return changes
    }

    /// Values were judged to be over by a clock that was more than `milliseconds` ahead of `wall`.
    package func expiredTooEarly(beyond milliseconds: UInt64, of wall: WallTime) -> Bool {
        let through = max(expiredThrough, hiddenThrough)
        return through > floor.cutoff.milliseconds && through > wall.milliseconds
            && through - wall.milliseconds > milliseconds
    }

    /// The wall clock was set back to `wall`: values that expired too early show again. What was collected meanwhile
    /// does not come back. The changes are in the order of the times of expiry, then of keys.
    package mutating func setExpiryBack(to wall: WallTime) -> [Change] {
        let through = max(wall.milliseconds, floor.cutoff.milliseconds)
        guard through < max(expiredThrough, hiddenThrough) else { return [] }
        let early = expiry.due(after: through, through: .max).filter { rows[Int($0.row)].isExpired }
        expiredThrough = min(expiredThrough, through)
        hiddenThrough = through
        let sorted = early.sorted { a, b in
            a.at != b.at
                ? a.at < b.at
                : ConfigurationKey.precedes(keys.key(rows[Int(a.row)].key), keys.key(rows[Int(b.row)].key))
        }
        var changes: [Change] = []
        for due in sorted {
            let row = row(at: due.row)
            let key = rows[Int(due.row)].key
            let before = shown(key)
            show(due.row, isExpired: false)
            changes += self.changes(of: key, before: before, by: row, wasShown: false, isShown: true, from: row)
        }
        return changes
    }

    /// True when the row's value is over: by what was expired so far, or by `wall`.
    func isExpired(_ row: Row, at wall: WallTime) -> Bool {
        row.details.expiresAt > 0 && row.details.expiresAt <= max(expiredThrough, wall.milliseconds)
    }
}
