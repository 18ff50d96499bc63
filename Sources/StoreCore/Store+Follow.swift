// SPDX-License-Identifier: Apache-2.0
// Owns the short way of a strict group's rows: nearly every one follows a row of the same group, and nothing else.

import ClusterTypes

extension Store {
    /// What `merge` would have answered, as far as there is anything to tell.
    package enum Following: Hashable, Sendable {
        /// Applied, as it came; nil: nothing visible changed.
        case applied(Change?)
        /// Nothing was done: `merge` has to look.
        case unknown
    }

    /// As `merge`, for a row that takes the place of an earlier one of the same strict group under a key that holds
    /// nothing else.
    package mutating func follow(_ row: Row) -> Following {
        guard row.author.isStrictFeed, row.author != actor, row.versions.count == 1,
            row.versions[0].actor == row.author,
            case .register(let value) = row.content, value?.count ?? 0 <= Bounds.valueBytesMax,
            row.stamp <= HybridClock.stampMax, row.hasSoundDetails, row.details.expiresAt == 0, !namesFolded(row)
        else { return .unknown }
        let event = row.versions[0]
        guard event.counter <= Dot.counterMax, let key = keys.find(row.id.key), keys.holdsOnly(.register, key) else {
            return .unknown
        }
        let handle = keys.register(key)
        guard handle != KeyIndex.none, row.id.part == .register else { return .unknown }
        let place = Int(handle)
        let author = rows[place].author
        guard actors[author] == row.author, rows[place].firstActor == author, rows[place].firstCounter < event.counter,
            rows[place].moreVersions.isEmpty, rows[place].details.expiresAt == 0, !rows[place].isExpired
        else { return .unknown }

        let before = rows[place].content.registerValue
        let isRepeated =
            rows[place].stamp == row.stamp && rows[place].details.index == row.details.index && before == value
        replace(handle, by: row, value, event)
        actors.move(author, from: rows[place].firstCounter, to: event.counter, row: handle)
        rows[place].follow(row, value, event)
        context.insert(event)
        if (before == nil) != (value == nil) {
            if value == nil { dead.insert(handle) } else { dead.remove(handle) }
        }
        keys.update(
            key, version: row.version, liveChange: (value == nil ? 0 : 1) - (before == nil ? 0 : 1), actors: &actors)

        if before == nil && value == nil || before != nil && isRepeated { return .applied(nil) }
        return .applied(
            Change(
                key: row.id.key, type: .register, kind: value.map { .put($0) } ?? .delete, version: row.version,
                old: before.map { .register($0) }, details: row.details))
    }

    /// The sums over all rows.
    private mutating func replace(_ handle: UInt32, by row: Row, _ value: [UInt8]?, _ event: Dot) {
        let old = rows[Int(handle)]
        let former = Row.hash(
            ofRegister: row.id.key, old.content.registerValue, Dot(actor: row.author, counter: old.firstCounter),
            old.stamp, old.details)
        let hash = Row.hash(ofRegister: row.id.key, value, event, row.stamp, row.details)
        root += hash
        root -= former
        bytes += row.details.estimatedBytes - old.details.estimatedBytes
        bytes += (value?.count ?? 0) - (old.content.registerValue?.count ?? 0)
        order.update(handle, shortHash: hash.low)
    }
}

extension StoredRow {
    /// The next row of the same author, which is its only version.
    fileprivate mutating func follow(_ row: Row, _ value: [UInt8]?, _ event: Dot) {
        firstCounter = event.counter
        stamp = row.stamp
        content = value.map { .value($0) } ?? .tombstone
        extra = row.details == .none ? nil : Extra(details: row.details, isExpired: false)
    }
}

extension StoredRow.Content {
    /// nil: deleted, or no register.
    fileprivate var registerValue: [UInt8]? { if case .value(let value) = self { value } else { nil } }
}
