// SPDX-License-Identifier: Apache-2.0
// Owns the writer's view of one key's history: its newest entry, and forgetting those that are too many.

/// Statements of the writing connection; each is reset before a call returns.
struct KeyHistory {
    /// The entries of a key up to one that has enough newer ones.
    struct Excess {
        /// The newest of them.
        var through: UInt64
        /// The latest of their times, in milliseconds.
        var time: UInt64
    }

    private let file: String
    private let parts: HistoryParts
    private let revisions: Statement
    private let newestType: Statement
    private let entries: Statement
    private let removal: Statement
    private let pruned: Statement
    private let mark: Statement

    init(_ connection: Connection) throws(PersistenceFailure) {
        let place = "FROM history WHERE \(HistoryPart.column) = ?1 AND key = ?2"
        file = connection.file
        parts = try HistoryParts(connection)
        revisions = try connection.prepare("SELECT revision \(place) ORDER BY revision DESC LIMIT ?3")
        newestType = try connection.prepare("SELECT type \(place) ORDER BY revision DESC LIMIT 1")
        entries = try connection.prepare("SELECT \(HistoryRow.columns) \(place) AND revision <= ?3 ORDER BY revision")
        removal = try connection.prepare("DELETE \(place) AND revision <= ?3")
        pruned = try connection.prepare("SELECT revision FROM pruned WHERE key = ?1")
        mark = try connection.prepare(
            "INSERT INTO pruned (key, revision, time) VALUES (?1, ?2, ?3)"
                + " ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, time = max(time, excluded.time)")
    }

    /// The type of the key's newest entry, as its number.
    func newestType(of key: String) throws(PersistenceFailure) -> Int64? {
        var end = UInt64.max
        while let part = try parts.newest(before: end) {
            defer { newestType.reset() }
            newestType.bind(1, part.number)
            newestType.bind(2, key)
            if try newestType.step() { return newestType.integer(0) }
            end = part.first
        }
        return nil
    }

    /// Forgets the key's entries up to `revision` that have `count` newer ones of the key. Nil: there are none.
    func limit(_ key: String, at revision: UInt64, to count: Int) throws(PersistenceFailure) -> Excess? {
        guard let below = try oldestKept(key, count) else { return nil }
        let through = min(below - 1, revision)
        let since = try prunedThrough(key)
        var excess: Excess?
        var end = through + 1
        while let part = try parts.newest(before: end), part.last > since {
            if let found = try remove(key, in: part, through: through) {
                excess = Excess(through: excess?.through ?? found.through, time: max(excess?.time ?? 0, found.time))
            }
            end = part.first
        }
        guard let excess else { return nil }
        mark.bind(1, key)
        mark.bind(2, excess.through)
        mark.bind(3, excess.time)
        try mark.run()
        return excess
    }

    /// The last of the newest `count` entries; nil: there are fewer.
    private func oldestKept(_ key: String, _ count: Int) throws(PersistenceFailure) -> UInt64? {
        var (missing, end) = (count, UInt64.max)
        while let part = try parts.newest(before: end) {
            defer { revisions.reset() }
            revisions.bind(1, part.number)
            revisions.bind(2, key)
            revisions.bind(3, Int64(missing))
            while try revisions.step() {
                missing -= 1
                if missing == 0 { return revisions.unsigned(0) }
            }
            end = part.first
        }
        return nil
    }

    private func remove(
        _ key: String, in part: HistoryPart, through revision: UInt64
    ) throws(PersistenceFailure) -> Excess? {
        defer { entries.reset() }
        bind(entries, key, part, revision)
        var excess: Excess?
        while try entries.step() {
            guard let entry = HistoryRow(entries) else {
                throw .corrupt(file: file, reason: "a row of its history is damaged")
            }
            excess = Excess(through: entry.revision, time: max(excess?.time ?? 0, entry.time))
        }
        guard excess != nil else { return nil }
        entries.reset()
        bind(removal, key, part, revision)
        try removal.run()
        return excess
    }

    private func bind(_ statement: Statement, _ key: String, _ part: HistoryPart, _ revision: UInt64) {
        statement.bind(1, part.number)
        statement.bind(2, key)
        statement.bind(3, revision)
    }

    /// No entry of the key up to here is left.
    private func prunedThrough(_ key: String) throws(PersistenceFailure) -> UInt64 {
        pruned.bind(1, key)
        defer { pruned.reset() }
        return try pruned.step() ? pruned.unsigned(0) : 0
    }
}
