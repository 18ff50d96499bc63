// SPDX-License-Identifier: Apache-2.0
// Owns reading the past and the whole: history, old watches, export, backup, beside the writing connection.

import BackupFormat
import ClusterTypes
import StoreCore

/// A read-only connection. Each call reads one consistent state, that of the last commit before it. Calls may come from
/// any thread and are carried out one after the other; they block for the disk's time.
package final class StoreReader: Sendable {
    init() {}

    /// The entries of a key, newest first, older than `before`.
    package func history(
        of key: String, before: UInt64? = nil, limit: Int
    ) throws(StoreReadFailure) -> [HistoryEntry] { throw .evicted }

    /// What a key showed at a point; nil: nothing. An author with the unknown node stands for a version that is not
    /// kept any more.
    package func view(of key: String, at point: HistoryPoint) throws(StoreReadFailure) -> KeyView? { throw .evicted }

    /// The keys under a prefix that showed something else at `from` than at `to` (nil: now).
    package func diff(
        prefix: String, from: HistoryPoint, to: HistoryPoint? = nil, after: String? = nil, limit: Int
    ) throws(StoreReadFailure) -> HistoryDifferences { throw .evicted }

    /// The changes with revisions above `revision`, oldest first, with what they wrote.
    package func changes(after revision: UInt64, limit: Int) throws(StoreReadFailure) -> ChangesPage { throw .evicted }

    /// The import queue in order of its numbers, beginning behind `after`.
    package func queued(after: UInt64 = 0, limit: Int) throws(StoreReadFailure) -> [QueuedWrite] { throw .evicted }

    /// All rows in the order of their ids, after `begin` with what lies beside them. What the closures throw ends the
    /// export and is thrown on.
    package func exportSnapshot(
        begin: (SnapshotHead) throws -> Void, row: (Row) throws -> Void
    ) throws { throw StoreReadFailure.evicted }

    /// Writes a backup (`BackupFormat`) piece by piece.
    @discardableResult
    package func writeBackup(
        node: String, createdAt: WallTime, to sink: ([UInt8]) throws -> Void
    ) throws -> BackupSummary { throw StoreReadFailure.evicted }
}
