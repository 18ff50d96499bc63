// SPDX-License-Identifier: Apache-2.0
// Owns one SQLite connection: opening, plain statements, and what its result codes mean to us.

import CSQLite
import Glibc

/// A connection. Not `Sendable`: whoever owns it excludes concurrent use.
final class Connection {
    /// The file, for messages.
    let file: String
    private let handle: OpaquePointer
    private let log = Log()

    /// What SQLite's hook writes to.
    private final class Log {
        var pages = 0
    }

    private init(handle: OpaquePointer, file: String) {
        self.handle = handle
        self.file = file
    }

    /// Counts the log's pages from now on. `PRAGMA wal_autocheckpoint` would end it: that uses the same hook.
    func watchLog() {
        // Called on this connection's own thread, within a commit.
        _ = sqlite3_wal_hook(
            handle,
            { context, _, _, pages in
                if let context { Unmanaged<Log>.fromOpaque(context).takeUnretainedValue().pages = Int(pages) }
                return SQLITE_OK
            }, Unmanaged.passUnretained(log).toOpaque())
    }

    /// Pages in the log after the last commit, those included that are in the file as well.
    var logPages: Int { log.pages }

    /// Statements keep their connection; SQLite closes a connection once its last statement is gone.
    deinit { _ = sqlite3_close_v2(handle) }

    /// Opens `file`, creating it when it may be written. `fileSystem` names SQLite's VFS; nil: the usual one.
    static func open(
        _ file: String, readOnly: Bool, fileSystem: String? = nil
    ) throws(PersistenceFailure) -> Connection {
        _ = Self.isSetUp
        var handle: OpaquePointer?
        let flags =
            (readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)
            // No mutex: each connection has one owner. Extended codes: they tell a failed fsync from a full disk.
            | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        errno = 0
        let code = sqlite3_open_v2(file, &handle, flags, fileSystem)
        guard let handle else {
            throw .database(operation: "open", file: file, code: code, message: "out of memory")
        }
        let connection = Connection(handle: handle, file: file)
        if code != SQLITE_OK { throw connection.failure(code, "open") }
        // Only a tool that an operator runs beside the daemon can hold a lock; what then fails is tried again.
        _ = sqlite3_busy_timeout(handle, Self.busyMilliseconds)
        return connection
    }

    /// Once for the process.
    private static let isSetUp = gossipd_sqlite_count_no_memory() == SQLITE_OK

    private static let busyMilliseconds: CInt = 1_000

    /// Runs statements that give no rows.
    func execute(_ sql: String) throws(PersistenceFailure) {
        errno = 0
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        if code != SQLITE_OK { throw failure(code, Self.verb(of: sql)) }
    }

    func prepare(_ sql: String) throws(PersistenceFailure) -> Statement {
        var statement: OpaquePointer?
        errno = 0
        let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard code == SQLITE_OK, let statement else { throw failure(code, "prepare") }
        return Statement(statement, connection: self, operation: Self.verb(of: sql))
    }

    /// The single integer that `sql` gives; nil when it gives no row or NULL.
    func integer(_ sql: String) throws(PersistenceFailure) -> Int64? {
        let statement = try prepare(sql)
        return try statement.step() && !statement.isNull(0) ? statement.integer(0) : nil
    }

    /// The single text that `sql` gives.
    func text(_ sql: String) throws(PersistenceFailure) -> String? {
        let statement = try prepare(sql)
        return try statement.step() ? statement.text(0) : nil
    }

    var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Moves what the log holds into the file as far as readers let it. Pages in the log, and those moved.
    func checkpoint(truncate: Bool) throws(PersistenceFailure) -> (logged: Int, moved: Int) {
        var logged: CInt = 0
        var moved: CInt = 0
        errno = 0
        let mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE
        let code = sqlite3_wal_checkpoint_v2(handle, nil, mode, &logged, &moved)
        // A reader or another process is in the way: later.
        if code != SQLITE_OK, code & 0xff != SQLITE_BUSY { throw failure(code, "checkpoint") }
        if truncate, code == SQLITE_OK { log.pages = 0 }
        return (Int(logged), Int(moved))
    }

    /// How long to wait for another connection's lock: nil as usual.
    func wait(milliseconds: CInt?) { _ = sqlite3_busy_timeout(handle, milliseconds ?? Self.busyMilliseconds) }

    /// What a result code says.
    func failure(_ code: CInt, _ operation: String) -> PersistenceFailure {
        // The last thing that failed on this thread since the call, which began with 0. What SQLite keeps comes second:
        // it keeps nothing of what ended a COMMIT, and what it has may be left from a failure long ago.
        let last = errno
        let system = last == 0 ? sqlite3_system_errno(handle) : last
        let message = sqlite3_errmsg(handle).map { String(cString: $0) } ?? "unknown"
        switch code & 0xff {
        case SQLITE_FULL: return .diskFull(file: file)
        case SQLITE_CORRUPT, SQLITE_NOTADB: return .corrupt(file: file, reason: message)
        case SQLITE_BUSY: return .busy(file: file)
        // Nobody knows what a failed fsync has lost, whatever it failed for: never to be tried again.
        case SQLITE_IOERR where Self.isSynchronisation(code):
            return .system(operation: "fsync", path: file, errno: system == 0 ? EIO : system)
        case SQLITE_IOERR where system == ENOSPC || system == EDQUOT: return .diskFull(file: file)
        case SQLITE_IOERR where system != 0:
            return .system(operation: Self.systemCall(code) ?? operation, path: file, errno: system)
        case SQLITE_CANTOPEN where system != 0: return .system(operation: "open", path: file, errno: system)
        case _: return .database(operation: operation, file: file, code: code, message: message)
        }
    }

    /// `SQLITE_IOERR_FSYNC` and `SQLITE_IOERR_DIR_FSYNC`.
    private static func isSynchronisation(_ code: CInt) -> Bool {
        code == SQLITE_IOERR | (4 << 8) || code == SQLITE_IOERR | (5 << 8)
    }

    private static func systemCall(_ code: CInt) -> String? {
        switch code {
        case SQLITE_IOERR | (1 << 8), SQLITE_IOERR | (2 << 8): "read"
        case SQLITE_IOERR | (3 << 8): "write"
        case SQLITE_IOERR | (6 << 8): "truncate"
        case _: nil
        }
    }

    private static func verb(of sql: String) -> String {
        String(sql.prefix { $0 != " " && $0 != "\n" && $0 != ";" }).lowercased()
    }
}
