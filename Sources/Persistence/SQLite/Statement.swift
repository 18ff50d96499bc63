// SPDX-License-Identifier: Apache-2.0
// Owns one prepared statement: typed binds, steps and columns.

import CSQLite
import Glibc

/// A prepared statement, to be used again and again. Parameters count from 1, columns from 0, as in SQLite.
final class Statement {
    private let handle: OpaquePointer
    private let connection: Connection
    private let operation: String

    init(_ handle: OpaquePointer, connection: Connection, operation: String) {
        self.handle = handle
        self.connection = connection
        self.operation = operation
    }

    deinit { _ = sqlite3_finalize(handle) }

    // A bind can only fail for want of memory or by a wrong index; the step that follows then reports it or stores
    // NULL, which every table refuses where it would matter.

    func bind(_ index: CInt, _ value: Int64) { _ = sqlite3_bind_int64(handle, index, value) }

    /// Keeps the bits: SQLite's integers are signed.
    func bind(_ index: CInt, _ value: UInt64) { bind(index, Int64(bitPattern: value)) }

    func bind(_ index: CInt, _ value: Int64?) {
        if let value { bind(index, value) } else { bindNull(index) }
    }

    func bind(_ index: CInt, _ text: String) {
        var text = text
        text.withUTF8 { bytes in
            let start = UnsafeRawPointer(bytes.baseAddress)?.assumingMemoryBound(to: CChar.self)
            if let start {
                _ = sqlite3_bind_text(handle, index, start, CInt(bytes.count), gossipd_sqlite_transient())
            } else {
                _ = sqlite3_bind_text(handle, index, "", 0, gossipd_sqlite_transient())
            }
        }
    }

    func bind(_ index: CInt, _ bytes: [UInt8]) {
        bytes.withUnsafeBytes { raw in
            if let start = raw.baseAddress, !raw.isEmpty {
                _ = sqlite3_bind_blob(handle, index, start, CInt(raw.count), gossipd_sqlite_transient())
            } else {
                _ = sqlite3_bind_zeroblob(handle, index, 0)
            }
        }
    }

    /// Runs the statement with these bytes, which are not copied; all other parameters must be bound.
    func run(binding index: CInt, _ bytes: [UInt8]) throws(PersistenceFailure) {
        let result = bytes.withUnsafeBytes { raw -> Result<Void, PersistenceFailure> in
            if let start = raw.baseAddress, !raw.isEmpty {
                _ = sqlite3_bind_blob(handle, index, start, CInt(raw.count), gossipd_sqlite_static())
            } else {
                _ = sqlite3_bind_zeroblob(handle, index, 0)
            }
            // The bytes are gone afterwards, whatever happens.
            defer { bindNull(index) }
            do throws(PersistenceFailure) {
                return .success(try run())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    func bindNull(_ index: CInt) { _ = sqlite3_bind_null(handle, index) }

    /// True: a row is there to be read.
    func step() throws(PersistenceFailure) -> Bool {
        errno = 0
        let code = sqlite3_step(handle)
        switch code {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case _:
            let failure = connection.failure(code, operation)
            _ = sqlite3_reset(handle)
            throw failure
        }
    }

    /// Steps to the end and makes the statement ready for its next use.
    func run() throws(PersistenceFailure) {
        while try step() {}
        reset()
    }

    /// Ends reading: until then the statement holds its transaction open.
    func reset() { _ = sqlite3_reset(handle) }

    func isNull(_ column: CInt) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

    func integer(_ column: CInt) -> Int64 { sqlite3_column_int64(handle, column) }

    func unsigned(_ column: CInt) -> UInt64 { UInt64(bitPattern: integer(column)) }

    func optionalInteger(_ column: CInt) -> Int64? { isNull(column) ? nil : integer(column) }

    /// The bytes of a blob or text; they live until the next step or reset.
    func withBytes<Result, Failure: Error>(
        _ column: CInt, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let start = sqlite3_column_blob(handle, column)
        return try body(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))))
    }

    func bytes(_ column: CInt) -> [UInt8] { withBytes(column) { Array($0) } }

    /// Invalid UTF-8 is repaired: keys are compared with checked ones elsewhere.
    func text(_ column: CInt) -> String { withBytes(column) { String(decoding: $0, as: UTF8.self) } }
}
