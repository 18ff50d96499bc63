// SPDX-License-Identifier: Apache-2.0
// Owns a reading connection and its transactions: one state for each, given up when the log must shrink.

import BackupFormat
import ClusterTypes
import StoreCore

/// Not `Sendable`; `StoreReader` guards it.
final class StoreReading {
    let connection: Connection
    private let gate: ReaderGate
    private var turn: UInt64 = 0
    private var values: WrittenValues?

    init(_ connection: Connection, gate: ReaderGate) {
        self.connection = connection
        self.gate = gate
    }

    func transaction<Result>(
        _ body: () throws(StoreReadFailure) -> Result
    ) throws(StoreReadFailure) -> Result {
        do throws(PersistenceFailure) { try begin() } catch { throw .storage(error) }
        defer { end() }
        return try body()
    }

    /// As `transaction`, for bodies that throw what their caller likes.
    func snapshot<Result>(_ body: () throws -> Result) throws -> Result {
        try begin()
        defer { end() }
        return try body()
    }

    private func begin() throws(PersistenceFailure) {
        turn = gate.current
        try connection.execute("BEGIN")
    }

    /// Statements that a failure left unfinished are reset by their end of life or by the rollback.
    private func end() {
        // Nothing was written: there is nothing that could fail to be undone.
        try? connection.execute("ROLLBACK")
    }

    /// To be asked between rows.
    func checkTurn() throws(StoreReadFailure) {
        if gate.current != turn { throw .evicted }
    }

    func query<Result>(
        _ body: () throws(PersistenceFailure) -> Result
    ) throws(StoreReadFailure) -> Result {
        do throws(PersistenceFailure) { return try body() } catch { throw .storage(error) }
    }

    /// Made when they are asked for first: watches ask for one put after the other.
    func writtenValues() throws(PersistenceFailure) -> WrittenValues {
        if let values { return values }
        let made = try WrittenValues(connection)
        values = made
        return made
    }

    func meta() throws(StoreReadFailure) -> StoredMeta {
        guard let meta = try query({ () throws(PersistenceFailure) in try StoredMeta.read(connection) }) else {
            throw .storage(.corrupt(file: connection.file, reason: "it has no meta data"))
        }
        return meta
    }

    func queued(after: UInt64, limit: Int) throws(StoreReadFailure) -> StorePage<QueuedWrite> {
        try query { () throws(PersistenceFailure) in
            let statement = try connection.prepare(
                "SELECT number, cause, queued_at, data FROM queued WHERE number > ?1 ORDER BY number")
            statement.bind(1, after)
            var page = StorePage<QueuedWrite>()
            var budget = PageBudget(count: limit)
            while try statement.step() {
                if budget.isSpent {
                    page.hasMore = true
                    break
                }
                guard let cause = UInt8(exactly: statement.integer(1)).flatMap(QueuedWrite.Cause.init),
                    let row = try? statement.withBytes(3, StoredRowCodec.decode)
                else { throw .corrupt(file: connection.file, reason: "a row of its import queue is damaged") }
                budget.spend(row.estimatedBytes)
                page.entries.append(
                    QueuedWrite(
                        number: statement.unsigned(0), cause: cause, row: row,
                        queuedAt: WallTime(milliseconds: statement.unsigned(2))))
            }
            return page
        }
    }

    func export(begin: (SnapshotHead) throws -> Void, row: (Row) throws -> Void) throws {
        let meta = try meta()
        let floor = try floor()
        let count = try connection.integer("SELECT count(*) FROM row") ?? 0
        try checkTurn()
        try begin(
            SnapshotHead(
                storeID: meta.storeID, revision: meta.revision, context: try ContextTable.read(connection),
                floor: floor, rowCount: UInt64(count)))
        let statement = try connection.prepare("SELECT key, part, data FROM row ORDER BY key, part")
        while try statement.step() {
            try row(StoreRecovery.row(statement, key: 0, part: 1, data: 2, file: connection.file))
            try checkTurn()
        }
    }

    private func floor() throws(PersistenceFailure) -> CollectionFloor {
        let statement = try connection.prepare("SELECT data FROM floor WHERE id = 1")
        guard try statement.step() else { return .none }
        guard let floor = StoredFloorCodec.decode(statement.bytes(0)) else {
            throw .corrupt(file: connection.file, reason: "its collection floor is damaged")
        }
        return floor
    }
}
