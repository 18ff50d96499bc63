// SPDX-License-Identifier: Apache-2.0
// Owns the parts of the history, by which the entries of one key are found.

/// A run of 65 536 revisions. The index of the history leads by part to key, not by key alone: a long history's index by
/// key has a page for every few keys, and each change would write one of its own; the newest part's pages are few, and a
/// commit writes each of them once. Whoever looks for a key asks each part, which costs some microseconds a part.
struct HistoryPart: Equatable {
    /// In a query's condition on the part: as `Schema` has it in the index, or SQLite would not find that.
    static let column = "revision >> 16"

    let number: Int64

    init(of revision: UInt64) { number = Int64(revision >> 16) }

    /// The first revision that can lie in it.
    var first: UInt64 { UInt64(number) << 16 }
    /// The last one.
    var last: UInt64 { first | 0xffff }
}

/// Finds the parts that hold entries; revisions may have wide gaps.
struct HistoryParts {
    private let below: Statement
    private let above: Statement

    init(_ connection: Connection) throws(PersistenceFailure) {
        below = try connection.prepare(
            "SELECT revision FROM history WHERE revision < ?1 ORDER BY revision DESC LIMIT 1")
        above = try connection.prepare("SELECT revision FROM history WHERE revision > ?1 ORDER BY revision LIMIT 1")
    }

    /// The part of the newest entry before a revision.
    func newest(before revision: UInt64) throws(PersistenceFailure) -> HistoryPart? { try part(below, revision) }

    /// The part of the oldest entry after a revision.
    func oldest(after revision: UInt64) throws(PersistenceFailure) -> HistoryPart? { try part(above, revision) }

    private func part(_ statement: Statement, _ revision: UInt64) throws(PersistenceFailure) -> HistoryPart? {
        statement.bind(1, min(revision, UInt64(Int64.max)))
        defer { statement.reset() }
        return try statement.step() ? HistoryPart(of: statement.unsigned(0)) : nil
    }
}
