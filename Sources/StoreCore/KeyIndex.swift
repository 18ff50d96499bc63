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

    /// The visible type of a key is the one that comes last here: what is live before what is not, then by newest event,
    /// then by type. So nothing that is dead decides what shows, and it may be collected.
    static func isShadowed(_ a: TypeSummary, by b: TypeSummary) -> Bool {
        if (a.live > 0) != (b.live > 0) { return b.live > 0 }
        return a.version != b.version ? a.version < b.version : a.type < b.type
    }
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

    /// A row of `type` now has `version` as its newest event, and `liveChange` (-1, 0 or 1) rows more are live.
    mutating func update(
        _ handle: UInt32, type: KeyType, version: Version, liveChange: Int, actors: inout ActorTable
    ) {
        let visible = visible(handle, actors: actors)
        let at = Int(handle)
        if visible.type == type, !records[at].hasAside {
            let live = UInt32(Int(visible.live) + liveChange)
            liveCount += (live > 0 ? 1 : 0) - (visible.live > 0 ? 1 : 0)
            records[at].live = live
            guard visible.version < version else { return }
            records[at].stamp = version.stamp
            records[at].author = actors.number(of: version.author)
            return
        }
        var summaries = aside(handle) + [visible]
        if let index = summaries.firstIndex(where: { $0.type == type }) {
            summaries[index].live = UInt32(Int(summaries[index].live) + liveChange)
            summaries[index].version = max(summaries[index].version, version)
        } else {
            summaries.append(TypeSummary(type: type, live: UInt32(liveChange), version: version))
        }
        replace(handle, by: summaries, actors: &actors)
    }

    /// Sums the key up anew; `summaries` holds each type that has rows once, and is not empty.
    mutating func replace(_ handle: UInt32, by summaries: [TypeSummary], actors: inout ActorTable) {
        let at = Int(handle)
        var summaries = summaries
        guard let top = summaries.max(by: TypeSummary.isShadowed) else { return }
        summaries.removeAll { $0.type == top.type }
        aside[handle] = summaries.isEmpty ? nil : summaries.sorted { $0.type < $1.type }
        liveCount += (top.live > 0 ? 1 : 0) - (records[at].live > 0 ? 1 : 0)
        let author = actors.number(of: top.version.author)
        records[at].type = top.type
        records[at].live = top.live
        records[at].stamp = top.version.stamp
        records[at].author = author
        records[at].hasAside = !summaries.isEmpty
    }
}
