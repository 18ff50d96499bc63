// SPDX-License-Identifier: Apache-2.0
// Owns the strict feed's wait for the store's disk: which changes go together, and when.

import ClusterTypes
import StoreCore

/// Changes of strict keys that are in the store's memory and not yet on their way to its disk.
///
/// One commit of the store for each change would take the disk, and the processor, away from the log that clients wait
/// for. What waits here is lost by a crash; the log makes it again, or a peer brings it: nothing that says of this node's disk
/// that it holds these changes may overtake them, and peers get none of them before.
struct StrictFeedQueue: Sendable {
    /// In the order of the log; of each key the last one goes to the disk.
    private var rows: [Row] = []
    private var changes: [ChangeRecord] = []
    private var events = CausalContext()
    /// Of the rows and of what the changes replaced.
    private var bytes = 0
    /// Commits under way, and how many rows each has.
    private var commits: [PersistToken: Int] = [:]
    /// When the last commit was begun.
    private var begunAt: Instant?
    /// From one commit to the next at least; the first change after a pause does not wait.
    private(set) var pause = pauseMin
    /// Rows that ever came, and those of them that need no more waiting for.
    private(set) var fed: UInt64 = 0
    private(set) var settled: UInt64 = 0
    /// Snapshots of the group's state that must not become durable before the rows of what they reflect.
    private var held: [(action: StrictDiskAction, fed: UInt64)] = []

    /// The pause while there is little to do.
    static let pauseMin = Interval.milliseconds(20)
    /// Under load the pause is doubled up to this: pages that many rows share are written once, and of rows that are written
    /// again and again the last state alone.
    static let pauseMax = Interval.milliseconds(160)
    /// More than so many rows for each `pauseMin` are load: 3 200 a second. One client makes half of that.
    static let rowsLittle = 64
    /// So many rows, or bytes of theirs, do not wait for the pause to end: half of what may wait for a reader of a watch, who gets
    /// a commit's changes at once.
    static let rowsMax = 2_048
    static let bytesMax = 2 << 20

    var isEmpty: Bool { rows.isEmpty }
    /// Rows here.
    var count: Int { rows.count }
    /// Rows here and on their way to the disk.
    var rowsWaiting: Int { Int(fed - settled) }

    /// When what is here may go; nil: nothing is here, or the commit under way comes first.
    var dueAt: Instant? {
        guard !rows.isEmpty, commits.isEmpty else { return nil }
        guard rows.count < Self.rowsMax, bytes < Self.bytesMax, let begunAt else { return .origin }
        return begunAt + pause
    }

    /// `changes` are of this row; they have no revisions yet.
    mutating func append(_ row: Row, _ change: ChangeRecord?, _ others: ArraySlice<ChangeRecord> = []) {
        rows.append(row)
        bytes += row.estimatedBytes
        for dot in row.versions where dot.actor == row.author { events.insert(dot) }
        if let change {
            if case .register(let value) = change.change.old { bytes += value.count }
            changes.append(change)
        }
        changes += others
        fed += 1
    }

    mutating func take(at now: Instant) -> FedChanges {
        if let begunAt, now - begunAt >= Self.pauseMin {
            let little = Int64(Self.rowsLittle) * (now - begunAt).nanoseconds
            let isLoad = Int64(rows.count) * Self.pauseMin.nanoseconds > little
            pause = isLoad ? min(pause * 2, Self.pauseMax) : Self.pauseMin
        }
        begunAt = now
        defer { empty() }
        return FedChanges(rows: newest, changes: changes, events: events)
    }

    /// The last row of each key, in the order of the keys: neighbours in the database are written together.
    private var newest: [Row] {
        let keys = rows.indices.map { rows[$0].id.key }
        let order = rows.indices.sorted { a, b in
            let order = ConfigurationKey.order(keys[a], keys[b])
            return order == 0 ? a < b : order < 0
        }
        var newest: [Row] = []
        newest.reserveCapacity(order.count)
        for (place, index) in order.enumerated() {
            if place + 1 < order.count, ConfigurationKey.equal(keys[order[place + 1]], keys[index]) { continue }
            newest.append(rows[index])
        }
        return newest
    }

    private mutating func empty() {
        rows = []
        changes = []
        events = CausalContext()
        bytes = 0
    }

    mutating func noteCommit(_ token: PersistToken, rows: Int) { commits[token] = rows }

    /// False: it was no commit of the feed.
    mutating func finish(_ token: PersistToken) -> Bool {
        guard let rows = commits.removeValue(forKey: token) else { return false }
        settled += UInt64(rows)
        return true
    }

    /// The store is about to be another one, to which peers bring these rows.
    mutating func forget() {
        settled += UInt64(rows.count)
        empty()
    }

    mutating func hold(_ action: StrictDiskAction) { held.append((action, fed)) }

    /// What was held and need not wait any more.
    mutating func release() -> [StrictDiskAction] {
        let free = held.prefix { $0.fed <= settled }.map(\.action)
        held.removeFirst(free.count)
        return free
    }
}
