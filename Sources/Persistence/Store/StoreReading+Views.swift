// SPDX-License-Identifier: Apache-2.0
// Owns what keys showed in the past: the present, with the changes since then undone.

import BackupFormat
import ClusterTypes
import StoreCore

extension StoreReading {
    /// Keys that one call of `diff` looks at.
    private static let diffKeysMax = 65_536
    /// A change is applied here at most this long before its stamp's time: the largest accepted skew of clocks.
    private static let skewMilliseconds: UInt64 = 86_400_000

    func view(of key: String, at point: HistoryPoint) throws(StoreReadFailure) -> KeyView? {
        let meta = try meta()
        if case .revision(let revision) = point {
            if revision > meta.revision { throw .notYet(revision: meta.revision) }
            // Entries from before may be there, but not all that there were.
            if revision < meta.historySince { throw .historyGone(since: meta.historySince) }
        }
        return try view(of: key, at: point, meta: meta)
    }

    func revision(at point: HistoryPoint?) throws(StoreReadFailure) -> UInt64 {
        switch point {
        case nil: return try meta().revision
        case .revision(let revision): return revision
        case .time(let time):
            return try query { () throws(PersistenceFailure) in
                let statement = try connection.prepare("SELECT max(revision) FROM history WHERE applied_at <= ?1")
                statement.bind(1, time)
                return try statement.step() ? statement.unsigned(0) : 0
            }
        }
    }

    private func view(
        of key: String, at point: HistoryPoint, meta: StoredMeta
    ) throws(StoreReadFailure) -> KeyView? {
        let present = try present(key, meta: meta)
        var past = PastView(key: key, present: present.view)
        var reachedEnd = true
        try walk(key, from: UInt64(Int64.max)) { row throws(StoreReadFailure) in
            let isAfter =
                switch point {
                case .revision(let revision): row.revision > revision
                case .time(let time): row.time > time
                }
            if isAfter {
                guard past.undo(row) else { throw .historyGone(since: row.revision) }
                return true
            }
            past.stop(at: row)
            // Stamps may be out of order, revisions are not.
            guard case .time(let time) = point, row.appliedAt.milliseconds + Self.skewMilliseconds >= time else {
                reachedEnd = false
                return false
            }
            return true
        }
        if reachedEnd { try checkHorizon(key, point, meta: meta, newest: present.newest) }
        return past.view
    }

    /// The walk came to the end of what is kept: is that the beginning?
    private func checkHorizon(
        _ key: String, _ point: HistoryPoint, meta: StoredMeta, newest: HybridTimestamp
    ) throws(StoreReadFailure) {
        let own = try query { () throws(PersistenceFailure) -> (revision: UInt64, time: UInt64)? in
            let statement = try connection.prepare("SELECT revision, time FROM pruned WHERE key = ?1")
            statement.bind(1, key)
            return try statement.step() ? (statement.unsigned(0), statement.unsigned(1)) : nil
        }
        switch point {
        case .revision(let revision):
            let since = max(meta.keptAfter, own?.revision ?? 0)
            if revision < since { throw .historyGone(since: since) }
        case .time(let time):
            // No row of the key was written since: it is as it was.
            if newest != .zero, newest.milliseconds <= time { return }
            if let own, time < own.time { throw .historyGone(since: own.revision) }
            let isReset = meta.historySince > 0 && time < max(meta.prunedTime, newest.milliseconds)
            if isReset || time < meta.prunedTime { throw .historyGone(since: meta.keptAfter) }
        }
    }

    /// What the key shows now, and the highest stamp among its rows.
    private func present(
        _ key: String, meta: StoredMeta
    ) throws(StoreReadFailure) -> (view: KeyView?, newest: HybridTimestamp) {
        let rows = try query { () throws(PersistenceFailure) in
            let statement = try connection.prepare("SELECT key, part, data FROM row WHERE key = ?1 ORDER BY part")
            statement.bind(1, key)
            var rows: [Row] = []
            while try statement.step() {
                rows.append(try StoreRecovery.row(statement, key: 0, part: 1, data: 2, file: connection.file))
            }
            return rows
        }
        // A store of this key alone: it knows best which type shows, and what has expired.
        var store = Store(
            actor: ActorID(node: .unknown, epoch: 1), configuration: StoreConfiguration(), floor: .none,
            context: CausalContext(), expiredThrough: meta.expiredThrough)
        for row in rows { _ = store.load(row) }
        return (store.read(key), rows.map(\.stamp).max() ?? .zero)
    }

    func diff(
        prefix: String, from: HistoryPoint, to: HistoryPoint?, after: String?, limit: Int
    ) throws(StoreReadFailure) -> HistoryDifferences {
        let meta = try meta()
        for case .revision(let revision)? in [from, to] {
            if revision > meta.revision { throw .notYet(revision: meta.revision) }
            if revision < meta.historySince { throw .historyGone(since: meta.historySince) }
        }
        switch from {
        case .revision(let revision):
            if revision < meta.keptAfter { throw .historyGone(since: meta.keptAfter) }
        case .time(let time):
            if time < meta.prunedTime { throw .historyGone(since: meta.keptAfter) }
        }
        var entries: [HistoryDifference] = []
        var budget = PageBudget(count: limit)
        var examined = 0
        var last = after
        while let key = try nextKey(prefix: prefix, after: last, from: from) {
            if budget.isSpent || examined >= Self.diffKeysMax {
                return HistoryDifferences(entries: entries, next: last)
            }
            try checkTurn()
            if let entry = try difference(key, from, to, meta: meta) {
                budget.spend(
                    (entry.old?.content.pageBytes ?? 0) + (entry.new?.content.pageBytes ?? 0) + Self.entryBytes)
                entries.append(entry)
            }
            examined += 1
            last = key
        }
        return HistoryDifferences(entries: entries, next: nil)
    }

    private func difference(
        _ key: String, _ from: HistoryPoint, _ to: HistoryPoint?, meta: StoredMeta
    ) throws(StoreReadFailure) -> HistoryDifference? {
        let new = try view(of: key, at: to ?? .revision(meta.revision), meta: meta)
        do throws(StoreReadFailure) {
            let old = try view(of: key, at: from, meta: meta)
            return old?.content == new?.content ? nil : HistoryDifference(key: key, old: old, new: new)
        } catch .historyGone {
            return HistoryDifference(key: key, old: nil, new: new, isOldGone: true)
        }
    }

    /// The next key under the prefix with an entry that may lie behind the point.
    private func nextKey(
        prefix: String, after: String?, from: HistoryPoint
    ) throws(StoreReadFailure) -> String? {
        try query { () throws(PersistenceFailure) in
            var oldest: UInt64 = 0
            if case .revision(let revision) = from { oldest = revision }
            let start = after.map { ConfigurationKey.precedes($0, prefix) ? prefix : $0 } ?? prefix
            // A string of text compares as its bytes do; what follows the prefix's range is found by its first key.
            let statement = try connection.prepare(
                "SELECT key FROM history WHERE \(HistoryPart.column) = ?1 AND key \(after == nil ? ">=" : ">") ?2"
                    + " AND revision > ?3 ORDER BY key LIMIT 1")
            let parts = try HistoryParts(connection)
            var (next, reached): (String?, UInt64) = (nil, oldest)
            while let part = try parts.oldest(after: reached) {
                statement.bind(1, part.number)
                statement.bind(2, start)
                statement.bind(3, oldest)
                if try statement.step(), case let key = statement.text(0),
                    next.map({ ConfigurationKey.precedes(key, $0) }) ?? true
                {
                    next = key
                }
                statement.reset()
                reached = part.last
            }
            return next.flatMap { ConfigurationKey.hasPrefix($0, prefix) ? $0 : nil }
        }
    }
}
