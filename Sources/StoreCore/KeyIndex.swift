// SPDX-License-Identifier: Apache-2.0
// Owns what is known of each key as a whole: its visible type, its newest write, how much of it is live.

import ClusterTypes

/// The rows of one type under one key, summed up.
struct TypeSummary: Hashable, Sendable {
    var type: KeyType
    /// Live rows.
    var live: UInt32
    /// The newest event among the rows, tombstones included.
    var version: Version
}

/// One record for each key that has rows.
struct KeyIndex: Sendable {
    private struct Record: Sendable {
        var key: String
        var hash: UInt32
        /// Of the visible type, as are `author` (a number in the actor table) and `stamp`.
        var live: UInt32
        var author: UInt32
        var type: KeyType
        var hasAside: Bool
        var stamp: HybridTimestamp
        /// Handle of the register's row, `none` without one.
        var register: UInt32
    }

    static let none = UInt32.max

    private var records: [Record] = []
    private var table = HandleTable()
    /// Keys with rows of several types: the types that are not visible, sorted. Only ever looked up.
    private var aside: [UInt32: [TypeSummary]] = [:]
    /// Keys whose visible type has live content.
    private(set) var liveCount = 0

    /// Places of records that are gone; they are used again.
    private var free: [UInt32] = []

    var count: Int { records.count - free.count }
    /// Places that take memory.
    var capacity: Int { records.count }

    func key(_ handle: UInt32) -> String { records[Int(handle)].key }
    /// True when the key comes before `key`.
    func precedes(_ handle: UInt32, _ key: String) -> Bool { ConfigurationKey.precedes(records[Int(handle)].key, key) }
    func register(_ handle: UInt32) -> UInt32 { records[Int(handle)].register }
    func isLive(_ handle: UInt32) -> Bool { records[Int(handle)].live > 0 }

    func find(_ key: String) -> UInt32? {
        let hash = ConfigurationKey.tableHash(key)
        return table.find(hash: hash) {
            records[Int($0)].hash == hash && ConfigurationKey.equal(records[Int($0)].key, key)
        }
    }

    /// Makes a record for a key that has none.
    mutating func insert(_ key: String, first summary: TypeSummary, author: UInt32) -> UInt32 {
        let handle = free.popLast() ?? UInt32(records.count)
        let hash = ConfigurationKey.tableHash(key)
        table.insert(handle, hash: hash) { [records] in records[Int($0)].hash }
        let record = Record(
            key: key, hash: hash, live: summary.live, author: author, type: summary.type, hasAside: false,
            stamp: summary.version.stamp, register: Self.none)
        if Int(handle) < records.count { records[Int(handle)] = record } else { records.append(record) }
        if summary.live > 0 { liveCount += 1 }
        return handle
    }

    /// Forgets a key that has no rows any more.
    mutating func remove(_ handle: UInt32) {
        let at = Int(handle)
        table.remove(handle, hash: records[at].hash) { [records] in records[Int($0)].hash }
        if records[at].live > 0 { liveCount -= 1 }
        aside[handle] = nil
        records[at] = Record(
            key: "", hash: 0, live: 0, author: 0, type: .register, hasAside: false, stamp: .zero, register: Self.none)
        free.append(handle)
    }

    mutating func setRegister(_ row: UInt32, of handle: UInt32) { records[Int(handle)].register = row }

    func visible(_ handle: UInt32, actors: ActorTable) -> TypeSummary {
        let record = records[Int(handle)]
        return TypeSummary(
            type: record.type, live: record.live,
            version: Version(stamp: record.stamp, author: actors[record.author]))
    }

    /// The types that are not visible, sorted.
    func aside(_ handle: UInt32) -> [TypeSummary] {
        records[Int(handle)].hasAside ? aside[handle] ?? [] : []
    }

    /// As `visible`, but the type alone.
    func visibleType(_ handle: UInt32) -> KeyType { records[Int(handle)].type }

    /// True when all rows of the key are of `type`.
    func holdsOnly(_ type: KeyType, _ handle: UInt32) -> Bool {
        !records[Int(handle)].hasAside && records[Int(handle)].type == type
    }

    /// A row of the key's only type now has `version` as its newest event, and `liveChange` (-1, 0 or 1) rows more are
    /// live.
    mutating func update(_ handle: UInt32, version: Version, liveChange: Int, actors: inout ActorTable) {
        let visible = visible(handle, actors: actors)
        let at = Int(handle)
        precondition(!records[at].hasAside, "\(records[at].key) has rows of several types")
        let live = UInt32(Int(visible.live) + liveChange)
        liveCount += (live > 0 ? 1 : 0) - (visible.live > 0 ? 1 : 0)
        records[at].live = live
        guard visible.version < version else { return }
        records[at].stamp = version.stamp
        records[at].author = actors.number(of: version.author)
    }

    /// Sums the key up anew: `top` is visible, the others are not; sorted by type.
    mutating func replace(
        _ handle: UInt32, by top: TypeSummary, aside others: [TypeSummary], actors: inout ActorTable
    ) {
        let at = Int(handle)
        aside[handle] = others.isEmpty ? nil : others
        liveCount += (top.live > 0 ? 1 : 0) - (records[at].live > 0 ? 1 : 0)
        let author = actors.number(of: top.version.author)
        records[at].type = top.type
        records[at].live = top.live
        records[at].stamp = top.version.stamp
        records[at].author = author
        records[at].hasAside = !others.isEmpty
    }
}
