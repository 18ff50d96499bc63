// SPDX-License-Identifier: Apache-2.0
// Owns reading the past and the whole: history, old watches, export, backup, beside the writing connection.

import BackupFormat
import ClusterTypes
import StoreCore

/// A read-only connection. Each call reads one consistent state, that of the last commit before it. Calls may come from
/// any thread and are carried out one after the other; they block for the disk's time.
package final class StoreReader: Sendable {
    /// Values of one page together, about: a page ends with the entry that reaches it.
    package static let pageBytesMax = 8 << 20

    private let reading: Monitor<StoreReading>
    /// The directory stays open as long as there are readers.
    private let database: StoreDatabase

    init(_ reading: sending StoreReading, database: StoreDatabase) {
        self.reading = Monitor(reading)
        self.database = database
    }

    /// The entries of a key, newest first, older than `before`.
    package func history(
        of key: String, before: UInt64? = nil, limit: Int
    ) throws(StoreReadFailure) -> StorePage<HistoryEntry> {
        try read { reading throws(StoreReadFailure) in try reading.history(of: key, before: before, limit: limit) }
    }

    /// What a key showed at a point; nil: nothing. An author with the unknown node stands for a version that is not
    /// kept any more.
    package func view(of key: String, at point: HistoryPoint) throws(StoreReadFailure) -> KeyView? {
        try read { reading throws(StoreReadFailure) in try reading.view(of: key, at: point) }
    }

    /// The keys under a prefix that showed something else at `from` than at `to` (nil: now).
    package func diff(
        prefix: String, from: HistoryPoint, to: HistoryPoint? = nil, after: String? = nil, limit: Int
    ) throws(StoreReadFailure) -> HistoryDifferences {
        try read { reading throws(StoreReadFailure) in
            try reading.diff(prefix: prefix, from: from, to: to, after: after, limit: limit)
        }
    }

    /// The last revision that this node had given out at a point; nil: now.
    package func revision(at point: HistoryPoint?) throws(StoreReadFailure) -> UInt64 {
        try read { reading throws(StoreReadFailure) in try reading.revision(at: point) }
    }

    /// The changes with revisions above `revision`, oldest first, with what they wrote.
    package func changes(after revision: UInt64, limit: Int) throws(StoreReadFailure) -> ChangesPage {
        try read { reading throws(StoreReadFailure) in try reading.changes(after: revision, limit: limit) }
    }

    /// The import queue in order of its numbers, beginning behind `after`.
    package func queued(after: UInt64 = 0, limit: Int) throws(StoreReadFailure) -> StorePage<QueuedWrite> {
        try read { reading throws(StoreReadFailure) in try reading.queued(after: after, limit: limit) }
    }

    /// All rows in the order of their ids, after `begin` with what lies beside them. What the closures throw ends the
    /// export and is thrown on.
    package func exportSnapshot(
        begin: (SnapshotHead) throws -> Void, row: (Row) throws -> Void
    ) throws {
        try reading.withLock { reading in
            try reading.snapshot { try reading.export(begin: begin, row: row) }
        }
    }

    /// Writes a backup (`BackupFormat`) piece by piece.
    @discardableResult
    package func writeBackup(
        node: String, createdAt: WallTime, strict: BackupHeader.StrictPoint? = nil, to sink: ([UInt8]) throws -> Void
    ) throws -> BackupSummary {
        var writer = BackupWriter()
        try exportSnapshot(
            begin: { head in
                let header = BackupHeader(
                    createdAt: createdAt, node: node, storeID: head.storeID, revision: head.revision, strict: strict)
                try writer.begin(header, context: head.context, floor: head.floor, to: sink)
            },
            row: { try writer.add($0, to: sink) })
        return try writer.finish(to: sink)
    }

    private func read<Result: Sendable>(
        _ body: (StoreReading) throws(StoreReadFailure) -> Result
    ) throws(StoreReadFailure) -> Result {
        try reading.withLock { reading throws(StoreReadFailure) in
            try reading.transaction { () throws(StoreReadFailure) in try body(reading) }
        }
    }
}
