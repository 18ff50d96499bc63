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
            hide(handle)
            changes += self.changes(of: key, before: before, by: row, wasShown: true, isShown: false, from: row)
        }
        return changes
    }

    /// True when the row's value is over: by what was expired so far, or by `wall`.
    func isExpired(_ row: Row, at wall: WallTime) -> Bool {
        row.details.expiresAt > 0 && row.details.expiresAt <= max(expiredThrough, wall.milliseconds)
    }
}
