// SPDX-License-Identifier: Apache-2.0
// Owns opening the database: settings that are checked, migration, reading everything back.

import BackupFormat
import ClusterTypes
import Glibc
import StoreCore

struct StoreRecovery {
    var directory: DirectoryHandle
    var file: String
    var fileSystem: String?

    /// Settings of every connection. `trusted_schema`: functions that a damaged schema names are not run.
    private static let settings =
        "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;"

    /// Of the writer. The log is folded by ourselves (`checkpoint`), and cut to 16 MiB when it begins anew. Free pages
    /// are not overwritten with zeros: the file is as secret as the values in it.
    private static let writerSettings =
        settings
        + " PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 16777216; PRAGMA secure_delete = OFF;"
        + " PRAGMA cache_size = -8192;"

    /// A connection that commits durably, to a database of the present schema. `migrating` is called when it is of a former one.
    func openWriter(
        migrating: (_ from: Int, _ to: Int) -> Void
    ) throws(PersistenceFailure) -> Connection {
        try create()
        let connection = try Connection.open(file, readOnly: false, fileSystem: fileSystem)
        let version = try Schema.check(connection)
        try connection.execute(Self.writerSettings)
        connection.watchLog()
        let mode = try connection.text("PRAGMA journal_mode = WAL")
        guard mode == "wal" else { throw wrong("journal_mode", mode ?? "unknown") }
        try connection.execute("PRAGMA synchronous = FULL")
        let level = try connection.integer("PRAGMA synchronous")
        guard level == 2 else { throw wrong("synchronous", level.map(String.init) ?? "unknown") }
        if version > 0, version < Schema.version { migrating(version, Schema.version) }
        try Schema.migrate(connection, from: version)
        return connection
    }

    func openReader() throws(PersistenceFailure) -> Connection {
        let connection = try Connection.open(file, readOnly: true, fileSystem: fileSystem)
        try connection.execute(Self.settings + " PRAGMA query_only = ON; PRAGMA cache_size = -2048;")
        return connection
    }

    private func wrong(_ setting: String, _ value: String) -> PersistenceFailure {
        .database(
            operation: "open", file: file, code: 0, message: "\(setting) is \(value), so nothing would be durable")
    }

    /// SQLite gives its log the mode of the database, and would give the database mode 0644.
    private func create() throws(PersistenceFailure) {
        let descriptor = openat(
            directory.descriptor, StoreDatabase.fileName, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if descriptor < 0 { throw .system(operation: "create", path: file, errno: errno) }
        defer { _ = close(descriptor) }
        guard fsync(directory.descriptor) == 0 else {
            throw .system(operation: "fsync", path: directory.path, errno: errno)
        }
    }

    /// What the database holds.
    struct Contents {
        var meta: StoredMeta
        var recovered: RecoveredStore
    }

    /// Nil: it is empty, so it is new.
    func read(
        _ connection: Connection, actor: ActorID, configuration: StoreConfiguration,
        progress: (_ rows: Int, _ total: Int?) -> Void
    ) throws(PersistenceFailure) -> Contents? {
        do throws(PersistenceFailure) {
            guard var meta = try StoredMeta.read(connection) else { return nil }
            try checkStructure(connection)
            let floor = try floor(connection)
            let context = try ContextTable.read(connection)
            var store = Store(
                actor: actor, configuration: configuration, floor: floor, context: context,
                expiredThrough: meta.expiredThrough)
            store.observe(meta.clock)
            try readRows(connection, into: &store, progress: progress)
            let last = try connection.integer("SELECT max(revision) FROM history").map { UInt64(bitPattern: $0) }
            meta.revision = max(meta.revision, last ?? 0)
            let queued = try connection.integer("SELECT count(*) FROM queued") ?? 0
            let recovered = RecoveredStore(
                store: store, revision: meta.revision, promised: meta.promised, requests: try requests(connection),
                queuedCount: Int(queued), queuedLast: meta.queuedLast, expiredThrough: meta.expiredThrough)
            return Contents(meta: meta, recovered: recovered)
        } catch {
            // With every table there, only damage makes a statement wrong.
            if case .database(let operation, let file, 1, let message) = error {
                throw .corrupt(file: file, reason: "\(operation): \(message)")
            }
            throw error
        }
    }

    /// The tables that are not read whole anyway.
    private func checkStructure(_ connection: Connection) throws(PersistenceFailure) {
        for table in ["meta", "floor", "pruned", "request", "queued"] {
            let result = try connection.text("PRAGMA quick_check(\(table))")
            if result != "ok" { throw .corrupt(file: file, reason: "\(table): \(result ?? "nothing")") }
        }
    }

    private func floor(_ connection: Connection) throws(PersistenceFailure) -> CollectionFloor {
        let statement = try connection.prepare("SELECT data FROM floor WHERE id = 1")
        guard try statement.step() else { return .none }
        guard let floor = StoredFloorCodec.decode(statement.bytes(0)) else {
            throw .corrupt(file: file, reason: "its collection floor is damaged")
        }
        return floor
    }

    private func readRows(
        _ connection: Connection, into store: inout Store, progress: (_ rows: Int, _ total: Int?) -> Void
    ) throws(PersistenceFailure) {
        let statement = try connection.prepare("SELECT key, part, data FROM row ORDER BY key, part")
        var count = 0
        var before: RowID?
        while try statement.step() {
            let row = try Self.row(statement, key: 0, part: 1, data: 2, file: file)
            if let before, !(before < row.id) { throw .corrupt(file: file, reason: "its rows are out of order") }
            before = row.id
            try install(row, into: &store)
            count += 1
            if count % Self.progressRows == 0 { progress(count, nil) }
        }
        progress(count, count)
    }

    private static let progressRows = 65_536

    /// A row that says the same as its columns.
    static func row(
        _ statement: Statement, key: CInt, part: CInt, data: CInt, file: String
    ) throws(PersistenceFailure) -> Row {
        let row: Row
        do throws(StoredRowCodec.Damage) {
            row = try statement.withBytes(data) { bytes throws(StoredRowCodec.Damage) in
                try StoredRowCodec.decode(bytes)
            }
        } catch {
            throw .corrupt(file: file, reason: "the row of key \(statement.text(key)) is damaged: \(error.reason)")
        }
        let isInPlace =
            statement.withBytes(key) { $0.elementsEqual(row.id.key.utf8) }
            && statement.withBytes(part) { $0.elementsEqual(row.id.part.columnBytes) }
        guard isInPlace else {
            throw .corrupt(file: file, reason: "the row of key \(statement.text(key)) is in a wrong place")
        }
        return row
    }

    private func install(_ row: Row, into store: inout Store) throws(PersistenceFailure) {
        if store.load(row) { return }
        guard store.rowCount < store.configuration.rowsMax else {
            throw .database(operation: "open", file: file, code: 0, message: "it has too many rows")
        }
        throw .corrupt(file: file, reason: "the row of key \(row.id.key) breaks a rule")
    }

    private func requests(_ connection: Connection) throws(PersistenceFailure) -> [RequestRecord] {
        let statement = try connection.prepare(
            "SELECT id, fingerprint, key, version, at FROM"
                + " (SELECT * FROM request ORDER BY number DESC LIMIT ?1) ORDER BY number")
        statement.bind(1, Int64(Bounds.requestsMax))
        var requests: [RequestRecord] = []
        while try statement.step() {
            requests.append(
                RequestRecord(
                    id: statement.text(0), fingerprint: statement.unsigned(1), key: statement.text(2),
                    version: statement.text(3), at: WallTime(milliseconds: statement.unsigned(4))))
        }
        return requests
    }
}
