// SPDX-License-Identifier: Apache-2.0
// Owns the writing connection: records into tables, whole batches into transactions.

import BackupFormat
import ClusterTypes
import StoreCore

/// What the storage thread works with. Not `Sendable`; `StoreDatabase` guards it.
final class StoreWriter {
    let connection: Connection
    let limits: HistoryLimits
    var meta: StoredMeta
    var context: ContextTable
    let keyHistory: KeyHistory
    /// The first failure that nothing can repair: what is on disk is no longer known.
    private(set) var failure: PersistenceFailure?
    private(set) var commits: UInt64 = 0
    private(set) var records: UInt64 = 0

    /// Entries at the beginning of history that the clock has not reached yet.
    var ahead = Ahead()

    /// The changes that are kept for watches, as far as they have been counted.
    var window = ChangeWindow()

    struct ChangeWindow {
        /// The oldest of them; nil: not counted yet.
        var first: UInt64?
        var bytes: UInt64 = 0
    }

    struct Ahead {
        var through: UInt64 = 0
        /// When the first of them is reached, in milliseconds.
        var until: UInt64 = .max
    }

    private let begin: Statement
    private let end: Statement
    private let putMeta: Statement
    private let putRow: Statement
    private let removeRow: Statement
    private let putChange: Statement
    private let putFloor: Statement
    private let putRequest: Statement
    private let putQueued: Statement
    private let removeQueued: Statement

    init(
        _ connection: Connection, meta: StoredMeta, limits: HistoryLimits
    ) throws(PersistenceFailure) {
        self.connection = connection
        self.limits = limits
        self.meta = meta
        context = try ContextTable(connection)
        keyHistory = try KeyHistory(connection)
        begin = try connection.prepare("BEGIN IMMEDIATE")
        end = try connection.prepare("COMMIT")
        putMeta = try connection.prepare(StoredMeta.replacement)
        putRow = try connection.prepare(
            "INSERT INTO row (key, part, data) VALUES (?1, ?2, ?3)"
                + " ON CONFLICT (key, part) DO UPDATE SET data = excluded.data")
        removeRow = try connection.prepare("DELETE FROM row WHERE key = ?1 AND part = ?2")
        putChange = try connection.prepare(HistoryRow.insertion)
        putFloor = try connection.prepare("INSERT OR REPLACE INTO floor (id, data) VALUES (1, ?1)")
        putRequest = try connection.prepare(
            "INSERT OR REPLACE INTO request (id, fingerprint, key, version, at) VALUES (?1, ?2, ?3, ?4, ?5)")
        putQueued = try connection.prepare(
            "INSERT OR REPLACE INTO queued (number, cause, queued_at, data) VALUES (?1, ?2, ?3, ?4)")
        removeQueued = try connection.prepare("DELETE FROM queued WHERE number = ?1")
    }

    func commit(_ batches: [[StoreRecord]]) throws(PersistenceFailure) {
        if batches.allSatisfy(\.isEmpty) { return }
        try transaction { () throws(PersistenceFailure) in
            for batch in batches {
                for record in batch { try apply(record) }
            }
            try context.flush()
        }
        commits += 1
        records += batches.reduce(0) { $0 + UInt64($1.count) }
    }

    /// Writes the row of `meta`: a new database exists from here on.
    func storeMeta() throws(PersistenceFailure) {
        try transaction { () throws(PersistenceFailure) in
            meta.bind(to: putMeta)
            try putMeta.run()
        }
    }

    /// All of `body` becomes durable, or nothing.
    func transaction(_ body: () throws(PersistenceFailure) -> Void) throws(PersistenceFailure) {
        if let failure { throw failure }
        let (before, counted) = (meta, window)
        do throws(PersistenceFailure) {
            try begin.run()
            try body()
            if meta != before {
                meta.bind(to: putMeta)
                try putMeta.run()
            }
            try end.run()
        } catch {
            meta = before
            window = counted
            context.discard()
            throw rollBack(after: error)
        }
    }

    /// The failure to report: `.diskFull` and `.busy` only when everything is as it was.
    private func rollBack(after cause: PersistenceFailure) -> PersistenceFailure {
        var cause = cause
        if connection.isInTransaction {
            do throws(PersistenceFailure) {
                try connection.execute("ROLLBACK")
            } catch {
                cause = error
                failure = error
            }
        }
        return note(cause)
    }

    /// Remembers a failure that is final.
    func note(_ cause: PersistenceFailure) -> PersistenceFailure {
        switch cause {
        case .diskFull, .busy: break
        case .corrupt(_, let reason):
            failure = cause
            // An opening may not come upon what a commit has come upon.
            DamageMark.put(reason, beside: connection.file)
        case .notADirectory, .locked, .corruptIdentity, .corruptKeys, .exposedKeys, .newerFormat, .bootEpochsUsedUp,
            .system, .corruptStrictLog, .missingStrictLog, .corruptSnapshot, .newerSchema, .database, .queueFull,
            .stopped:
            failure = cause
        }
        return cause
    }

    private func apply(_ record: StoreRecord) throws(PersistenceFailure) {
        switch record {
        case .row(let row): try put(row)
        case .rows(let snapshot): try snapshot.forEach { row throws(PersistenceFailure) in try put(row) }
        case .fed(let fed):
            // First: it covers the events of the rows.
            try context.join(fed.events)
            for row in fed.rows { try put(row) }
            for change in fed.changes { try put(change) }
        case .rowRemoved(let id):
            removeRow.bind(1, id.key)
            removeRow.bind(2, id.part.columnBytes)
            try removeRow.run()
        case .context(let events): try context.join(events)
        case .contextReplaced(let events): try context.replace(by: events)
        case .floor(let floor):
            putFloor.bind(1, StoredFloorCodec.encode(floor))
            try putFloor.run()
            meta.clock = max(meta.clock, floor.cutoff)
        case .promised(let cutoff): meta.promised = max(meta.promised, cutoff)
        case .change(let change): try put(change)
        case .request(let request): try put(request)
        case .queued(let write): try put(write)
        case .dequeued(let numbers):
            for number in numbers {
                removeQueued.bind(1, number)
                try removeQueued.run()
            }
        case .expiredThrough(let time): meta.expiredThrough = time
        case .reset(let revision): try reset(revision)
        }
    }

    private func put(_ row: Row) throws(PersistenceFailure) {
        putRow.bind(1, row.id.key)
        putRow.bind(2, row.id.part.columnBytes)
        try putRow.run(binding: 3, StoredRowCodec.encode(row))
        context.insert(row.versions)
        meta.clock = max(meta.clock, row.stamp)
    }

    private func put(_ record: ChangeRecord) throws(PersistenceFailure) {
        let before = try before(record.change)
        HistoryRow(record, before: before).bind(to: putChange)
        try putChange.run()
        window.bytes += before.storedBytes
        meta.revision = max(meta.revision, record.revision)
    }

    /// What undoing the change has to bring back.
    private func before(_ change: Change) throws(PersistenceFailure) -> Before {
        switch change.kind {
        case .put, .increment: return .content(change.old)
        // Undone by the element itself, unless it is the first of a set that took another type's place.
        case .add, .remove: return change.old == nil ? .same : .content(change.old)
        // The store says what a register or counter showed; a set that gave way as a whole is not kept.
        case .delete: return change.type == .set && change.old == nil ? .unknown : .content(change.old)
        case .typeConflict(let kept, let aside):
            // What a register or counter showed before comes with the next change.
            let last = try keyHistory.newestType(of: change.key) ?? Int64(aside.rawValue)
            return last == Int64(KeyType.set.rawValue) && kept != .set ? .unknown : .same
        }
    }

    private func put(_ request: RequestRecord) throws(PersistenceFailure) {
        putRequest.bind(1, request.id)
        putRequest.bind(2, request.fingerprint)
        putRequest.bind(3, request.key)
        putRequest.bind(4, request.version)
        putRequest.bind(5, request.at.milliseconds)
        try putRequest.run()
    }

    private func put(_ write: QueuedWrite) throws(PersistenceFailure) {
        putQueued.bind(1, write.number)
        putQueued.bind(2, Int64(write.cause.rawValue))
        putQueued.bind(3, write.queuedAt.milliseconds)
        putQueued.bind(4, StoredRowCodec.encode(write.row))
        try putQueued.run()
        meta.queuedLast = max(meta.queuedLast, write.number)
    }

    /// What earlier records of the same transaction wrote goes as well. The clock and the expiry may have run ahead of
    /// the cluster, which can be why there is a reset: what follows says how far they are.
    private func reset(_ revision: UInt64) throws(PersistenceFailure) {
        context.discard()
        for table in ["row", "context", "floor", "history", "pruned", "request"] {
            try connection.execute("DELETE FROM \(table)")
        }
        window = ChangeWindow()
        meta.clock = .zero
        meta.expiredThrough = 0
        meta.revision = max(meta.revision, revision)
        meta.historySince = meta.revision
        meta.prunedThrough = meta.revision
        meta.gapThrough = meta.revision
        meta.swept = meta.revision
    }
}
