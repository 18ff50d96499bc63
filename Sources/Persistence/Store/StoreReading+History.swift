// SPDX-License-Identifier: Apache-2.0
// Owns the walk back through the history: what keys showed, what changes wrote.

import BackupFormat
import ClusterTypes
import StoreCore

extension StoreReading {
    /// What an entry takes beside its values, about.
    static let entryBytes = 200

    func history(of key: String, before: UInt64?, limit: Int) throws(StoreReadFailure) -> StorePage<HistoryEntry> {
        var page = StorePage<HistoryEntry>()
        var budget = PageBudget(count: limit)
        try walk(key, from: before ?? UInt64(Int64.max)) { row throws(StoreReadFailure) in
            guard !budget.isSpent else {
                page.hasMore = true
                return false
            }
            let entry = HistoryEntry(row, new: row.kind == .put ? try value(after: row) : nil)
            budget.spend(
                entry.kind.pageBytes + (entry.old?.pageBytes ?? 0) + (entry.new?.pageBytes ?? 0) + Self.entryBytes)
            page.entries.append(entry)
            return true
        }
        return page
    }

    func changes(after revision: UInt64, limit: Int) throws(StoreReadFailure) -> ChangesPage {
        let meta = try meta()
        if revision < meta.completeAfter || revision > meta.revision { return .gone(since: meta.completeAfter) }
        let statement = try query { () throws(PersistenceFailure) in
            try connection.prepare("SELECT \(HistoryRow.columns) FROM history WHERE revision > ?1 ORDER BY revision")
        }
        statement.bind(1, revision)
        var changes: [ChangeRecord] = []
        var budget = PageBudget(count: limit)
        while !budget.isSpent,
            let row = try query({ () throws(PersistenceFailure) in
                try statement.step() ? try historyRow(statement) : nil
            })
        {
            try checkTurn()
            guard let change = try change(row) else { return .gone(since: row.revision) }
            budget.spend(change.kind.pageBytes + (change.old?.pageBytes ?? 0) + Self.entryBytes)
            changes.append(ChangeRecord(revision: row.revision, appliedAt: row.appliedAt, change: change))
        }
        return .changes(changes)
    }

    /// Nil: what a put wrote cannot be told any more.
    private func change(_ row: HistoryRow) throws(StoreReadFailure) -> Change? {
        let kind: Change.Kind
        switch row.kind {
        case .put:
            guard case .register(let value) = try value(after: row) else { return nil }
            kind = .put(value)
        case .delete: kind = .delete
        case .add(let element): kind = .add(element)
        case .remove(let element): kind = .remove(element)
        case .increment(let value, let delta): kind = .increment(value: value, delta: delta)
        case .typeConflict(let aside): kind = .typeConflict(kept: row.type, aside: aside)
        }
        var old: KeyView.Content?
        if case .content(let content) = row.before { old = content }
        return Change(
            key: row.key, type: row.type, kind: kind, version: row.version, old: old, details: row.details)
    }

    /// What a put wrote: what the next change of the key found, or the register as it is.
    private func value(after put: HistoryRow) throws(StoreReadFailure) -> KeyView.Content? {
        let next = try query { () throws(PersistenceFailure) -> Before? in
            let statement = try connection.prepare(
                "SELECT before_type, before FROM history WHERE \(HistoryPart.column) = ?1 AND key = ?2"
                    + " AND revision > ?3 AND before_type IS NOT 8 ORDER BY revision LIMIT 1")
            let parts = try HistoryParts(connection)
            var start = put.revision
            while let part = try parts.oldest(after: start) {
                statement.bind(1, part.number)
                statement.bind(2, put.key)
                statement.bind(3, put.revision)
                if try statement.step() { return Before.read(statement, type: 0, content: 1) ?? .unknown }
                statement.reset()
                start = part.last
            }
            return nil
        }
        switch next {
        case .content(let content): return content
        case .same, .unknown: return nil
        case nil: break
        }
        let row = try query { () throws(PersistenceFailure) -> Row? in
            let statement = try connection.prepare("SELECT key, part, data FROM row WHERE key = ?1 AND part = ?2")
            statement.bind(1, put.key)
            statement.bind(2, RowID.Part.register.columnBytes)
            guard try statement.step() else { return nil }
            return try StoreRecovery.row(statement, key: 0, part: 1, data: 2, file: connection.file)
        }
        guard case .register(.some(let value)) = row?.content else { return nil }
        return .register(value)
    }

    /// The key's entries below `revision`, newest first, until `body` returns false.
    func walk(
        _ key: String, from revision: UInt64, _ body: (HistoryRow) throws(StoreReadFailure) -> Bool
    ) throws(StoreReadFailure) {
        let (statement, parts) = try query { () throws(PersistenceFailure) in
            let statement = try connection.prepare(
                "SELECT \(HistoryRow.columns) FROM history WHERE \(HistoryPart.column) = ?1 AND key = ?2"
                    + " AND revision < ?3 ORDER BY revision DESC")
            return (statement, try HistoryParts(connection))
        }
        var end = revision
        while let part = try query({ () throws(PersistenceFailure) in try parts.newest(before: end) }) {
            statement.bind(1, part.number)
            statement.bind(2, key)
            statement.bind(3, revision)
            while let row = try query({ () throws(PersistenceFailure) in
                try statement.step() ? try historyRow(statement) : nil
            }) {
                try checkTurn()
                if try !body(row) { return }
            }
            statement.reset()
            end = part.first
        }
    }

    func historyRow(_ statement: Statement) throws(PersistenceFailure) -> HistoryRow {
        guard let row = HistoryRow(statement) else {
            throw .corrupt(file: connection.file, reason: "a row of its history is damaged")
        }
        return row
    }
}

extension HistoryEntry {
    /// `new` is what a put wrote.
    fileprivate init(_ row: HistoryRow, new: KeyView.Content?) {
        var old: KeyView.Content?
        if case .content(let content) = row.before { old = content }
        let kind: Change.Kind
        var after = new
        switch row.kind {
        case .put: if case .register(let value) = new { kind = .put(value) } else { kind = .put([]) }
        case .delete: kind = .delete
        case .add(let element): kind = .add(element)
        case .remove(let element): kind = .remove(element)
        case .increment(let value, let delta):
            kind = .increment(value: value, delta: delta)
            after = .counter(value)
        case .typeConflict(let aside): kind = .typeConflict(kept: row.type, aside: aside)
        }
        self.init(
            revision: row.revision, appliedAt: row.appliedAt, type: row.type, kind: kind, old: old, new: after,
            version: row.version, details: row.details)
    }
}
