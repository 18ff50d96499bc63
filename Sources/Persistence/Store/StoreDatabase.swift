// SPDX-License-Identifier: Apache-2.0
// Owns the configuration store's durable log as its user sees it: opening, committing, pruning.

import ClusterTypes
import Glibc
import StoreCore
import Synchronization

/// The file `store.db` in the data directory (Docs/storage.md). The data directory's lock must be held.
///
/// Calls may come from any thread and are carried out one after the other; they block for the disk's time, so they
/// belong on the storage thread (`DurabilityQueue`).
package final class StoreDatabase: Sendable {
    package static let fileName = "store.db"

    package let storeID: String
    private let writer: Monitor<StoreWriter>
    private let figures: Mutex<StoreFileStatistics>
    private let gate = ReaderGate()
    private let path: StoreRecovery
    private let marked: Mutex<(revision: UInt64?, at: UInt64)>

    /// Hands the writer over: nobody else keeps a reference to it.
    private init(_ writer: StoreWriter, path: StoreRecovery) {
        nonisolated(unsafe) let handed = writer
        storeID = writer.meta.storeID
        self.path = path
        marked = Mutex((nil, 0))
        figures = Mutex(Self.figures(of: writer))
        self.writer = Monitor(handed)
    }

    deinit { path.directory.close() }

    /// Opens or creates the database and reads everything in it. A damaged one is moved aside, never deleted, and an
    /// empty one with a new store id takes its place. `actor` is the author of the recovered store's writes; `progress`
    /// gets rows read and, once known, rows in all; `migrating` is called before a database of a former schema is brought to the
    /// present one, which can take minutes. After `.diskFull` the same call may be made again. `fault` is for tests.
    package static func open(
        directory: String, actor: ActorID, configuration: StoreConfiguration = StoreConfiguration(),
        history: HistoryLimits = HistoryLimits(), fault: StorageFault? = nil,
        migrating: (_ from: Int, _ to: Int) -> Void = { _, _ in },
        progress: (_ rows: Int, _ total: Int?) -> Void = { _, _ in }
    ) throws(PersistenceFailure) -> (database: StoreDatabase, recovery: Recovery) {
        let start = milliseconds()
        let handle = try DirectoryHandle.open(directory, fault: nil)
        do throws(PersistenceFailure) {
            let path = StoreRecovery(
                directory: handle, file: handle.name(fileName),
                fileSystem: fault.map { FaultyFileSystem.install($0, directory: directory) })
            var warnings: [String] = []
            var setAside: String?
            var opened: Opened
            do throws(PersistenceFailure) {
                if let reason = try DamageMark.reason(in: handle, file: fileName) {
                    throw .corrupt(file: path.file, reason: reason)
                }
                opened = try Self.opened(path, actor, configuration, history, migrating, progress)
            } catch .corrupt(let file, let reason) {
                let aside = try SetAside.move(fileName, in: handle)
                setAside = aside
                warnings.append(
                    "the database \(file) is damaged (\(reason)): moved to \(aside); starting empty, the configuration"
                        + " comes from a peer")
                opened = try Self.opened(path, actor, configuration, history, migrating, progress, isSetAside: true)
            }
            warnings += opened.warnings
            let recovery = Recovery(
                storeID: opened.storeID, recovered: opened.recovered, warnings: warnings, setAside: setAside,
                milliseconds: milliseconds() - start)
            return (opened.database, recovery)
        } catch {
            handle.close()
            throw error
        }
    }

    private struct Opened {
        var database: StoreDatabase
        var storeID: String
        var recovered: RecoveredStore
        var warnings: [String] = []
    }

    private static func opened(
        _ path: StoreRecovery, _ actor: ActorID, _ configuration: StoreConfiguration, _ limits: HistoryLimits,
        _ migrating: (_ from: Int, _ to: Int) -> Void, _ progress: (_ rows: Int, _ total: Int?) -> Void,
        isSetAside: Bool = false
    ) throws(PersistenceFailure) -> Opened {
        let connection = try path.openWriter(migrating: migrating)
        let found = try path.read(connection, actor: actor, configuration: configuration, progress: progress)
        let writer: StoreWriter
        var recovered: RecoveredStore
        var warnings: [String] = []
        if var found {
            let isOlder = try Self.compare(&found.meta, path, &warnings)
            writer = try StoreWriter(connection, meta: found.meta, limits: limits)
            recovered = found.recovered
            recovered.revision = found.meta.revision
            if isOlder { try writer.storeMeta() }
        } else {
            let meta = try Self.begun(path, isSetAside: isSetAside, &warnings)
            writer = try StoreWriter(connection, meta: meta, limits: limits)
            try writer.storeMeta()
            recovered = RecoveredStore(store: Store(actor: actor, configuration: configuration))
            recovered.revision = meta.revision
        }
        let storeID = writer.meta.storeID
        let database = StoreDatabase(writer, path: path)
        database.noteRevision()
        return Opened(database: database, storeID: storeID, recovered: recovered, warnings: warnings)
    }

    /// True: the database is an older one than it was before, and `meta` now tells how to go on.
    private static func compare(
        _ meta: inout StoredMeta, _ path: StoreRecovery, _ warnings: inout [String]
    ) throws(PersistenceFailure) -> Bool {
        guard let mark = RevisionMark.read(in: path.directory), mark.storeID == meta.storeID,
            mark.revision > meta.revision
        else { return false }
        warnings.append(
            "the database \(path.file) ends at revision \(meta.revision), but revision \(mark.revision) had been given"
                + " out: its log is damaged, or an older copy was put in its place; going on under a new store id, what"
                + " is missing comes from a peer")
        try meta.goOn(behind: mark)
        return true
    }

    /// The numbers of an empty database. When there was one before it, revisions go on above those of that one, and
    /// unless it was just named as damaged, its loss is told: an empty file, or a log that is gone, looks like a new one.
    private static func begun(
        _ path: StoreRecovery, isSetAside: Bool, _ warnings: inout [String]
    ) throws(PersistenceFailure) -> StoredMeta {
        var meta = try StoredMeta.mint()
        guard let mark = RevisionMark.read(in: path.directory), mark.revision > 0 else { return meta }
        if !isSetAside {
            warnings.append(
                "the database \(path.file) is empty, but revision \(mark.revision) had been given out: the file or its"
                    + " log was removed or is damaged; starting empty, the configuration comes from a peer")
        }
        try meta.goOn(behind: mark)
        return meta
    }

    /// Makes all batches durable, in order, in one transaction. After `.diskFull` and `.busy` nothing of them is, and
    /// the same call may be made again; any other failure is final.
    package func commit(_ batches: [[StoreRecord]]) throws(PersistenceFailure) {
        try writer.withLock { writer throws(PersistenceFailure) in
            try writer.commit(batches)
            try writer.checkpoint(gate)
            publish(writer)
        }
    }

    /// One small step of forgetting: history and answered requests beyond their bounds. True: there is more to do.
    /// Failures are as with `commit`.
    package func prune(now: WallTime) throws(PersistenceFailure) -> Bool {
        try writer.withLock { writer throws(PersistenceFailure) in
            let hasMore = try writer.prune(now: now)
            try writer.checkpoint(gate)
            publish(writer)
            mark(writer.meta, every: RevisionMark.intervalMilliseconds)
            return hasMore
        }
    }

    /// For an orderly stop: folds the log into the file, so that a copy of the file alone is whole, and writes down how
    /// far the revisions have come. Nothing depends on it, so failures are nothing to tell.
    package func finish() {
        writer.withLock { writer in
            _ = try? writer.connection.checkpoint(truncate: true)
        }
        noteRevision()
    }

    /// Writes down how far the revisions have come; `prune` does so now and then.
    package func noteRevision() {
        writer.withLock { writer in mark(writer.meta, every: 0) }
    }

    private func mark(_ meta: StoredMeta, every interval: UInt64) {
        marked.withLock { marked in
            let now = Self.milliseconds()
            guard marked.revision != meta.revision, marked.revision == nil || now >= marked.at + interval else {
                return
            }
            marked.at = now
            let mark = RevisionMark(storeID: storeID, revision: meta.revision)
            if mark.write(in: path.directory) { marked.revision = meta.revision }
        }
    }

    /// A connection of its own for reading.
    package func openReader() throws(PersistenceFailure) -> StoreReader {
        StoreReader(StoreReading(try path.openReader(), gate: gate), database: self)
    }

    /// Never waits for the disk.
    package var statistics: StoreFileStatistics {
        var figures = figures.withLock { $0 }
        figures.databaseBytes = Self.size(of: path.file)
        figures.walBytes = Self.size(of: path.file + "-wal")
        return figures
    }

    private func publish(_ writer: StoreWriter) {
        let new = Self.figures(of: writer)
        figures.withLock { $0 = new }
    }

    private static func figures(of writer: StoreWriter) -> StoreFileStatistics {
        var figures = StoreFileStatistics()
        figures.commits = writer.commits
        figures.records = writer.records
        figures.historySince = writer.meta.completeAfter
        figures.revision = writer.meta.revision
        return figures
    }

    private static func size(of file: String) -> UInt64 {
        var status = stat()
        return stat(file, &status) == 0 ? UInt64(status.st_size) : 0
    }

    private static func milliseconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000 + UInt64(now.tv_nsec) / 1_000_000
    }
}
