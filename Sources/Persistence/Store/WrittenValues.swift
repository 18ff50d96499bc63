// SPDX-License-Identifier: Apache-2.0
// Owns finding what a put wrote: in the key's next entry, or in its row.

import BackupFormat
import ClusterTypes
import StoreCore

/// Statements of a reading connection; each is reset before a call returns.
struct WrittenValues {
    private let file: String
    private let parts: HistoryParts
    private let next: Statement
    private let row: Statement

    init(_ connection: Connection) throws(PersistenceFailure) {
        file = connection.file
        parts = try HistoryParts(connection)
        next = try connection.prepare(
            "SELECT before_type, before FROM history WHERE \(HistoryPart.column) = ?1 AND key = ?2"
                + " AND revision > ?3 AND before_type IS NOT 8 ORDER BY revision LIMIT 1")
        row = try connection.prepare("SELECT key, part, data FROM row WHERE key = ?1 AND part = ?2")
    }

    /// What the first entry of the key found that touched what was visible; nil: there is none.
    func before(after put: HistoryRow) throws(PersistenceFailure) -> Before? {
        var start = put.revision
        while let part = try parts.oldest(after: start) {
            defer { next.reset() }
            next.bind(1, part.number)
            next.bind(2, put.key)
            next.bind(3, put.revision)
            if try next.step() { return Before.read(next, type: 0, content: 1) ?? .unknown }
            start = part.last
        }
        return nil
    }

    func register(_ key: String) throws(PersistenceFailure) -> Row? {
        defer { row.reset() }
        row.bind(1, key)
        row.bind(2, RowID.Part.register.columnBytes)
        guard try row.step() else { return nil }
        return try StoreRecovery.row(row, key: 0, part: 1, data: 2, file: file)
    }
}
