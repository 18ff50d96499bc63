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
    /// In the order of the log.
    private(set) var rows: [Row] = []
    private(set) var changes: [Change] = []
    /// Commits under way, and how many rows each has.
    private var commits: [PersistToken: Int] = [:]
    /// When the last commit was begun.
    private var begunAt: Instant?
    /// Rows that ever came, and those of them that need no more waiting for.
    private(set) var fed: UInt64 = 0
    private(set) var settled: UInt64 = 0
    /// Snapshots of the group's state that must not become durable before the rows of what they reflect.
    private var held: [(action: StrictDiskAction, fed: UInt64)] = []

    /// From one commit to the next at least; the first change after a pause does not wait.
    static let pause = Interval.milliseconds(20)
    /// So many rows do not wait for the pause to end.
    static let rowsMax = 1_024

    /// Rows here and on their way to the disk.
    var rowsWaiting: Int { Int(fed - settled) }

    /// When what is here may go; nil: nothing is here, or the commit under way comes first.
    var dueAt: Instant? {
        guard !rows.isEmpty, commits.isEmpty else { return nil }
        guard rows.count < Self.rowsMax, let begunAt else { return .origin }
        return begunAt + Self.pause
    }

    mutating func append(_ row: Row, _ changes: [Change]) {
        rows.append(row)
        self.changes += changes
        fed += 1
    }

    mutating func take(at now: Instant) -> (rows: [Row], changes: [Change]) {
        begunAt = now
        defer {
            rows = []
            changes = []
        }
        return (rows, changes)
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
        rows = []
        changes = []
    }

    mutating func hold(_ action: StrictDiskAction) { held.append((action, fed)) }

    /// What was held and need not wait any more.
    mutating func release() -> [StrictDiskAction] {
        let free = held.prefix { $0.fed <= settled }.map(\.action)
        held.removeFirst(free.count)
        return free
    }
}
