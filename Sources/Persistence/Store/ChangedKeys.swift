// SPDX-License-Identifier: Apache-2.0
// Owns finding the keys that have changed since a revision, in their order.

import ClusterTypes
import StoreCore

/// The keys below a prefix with entries behind a revision. One transaction's.
struct ChangedKeys {
    private let prefix: String
    private let oldest: UInt64
    private let parts: HistoryParts
    private let first: Statement
    private let following: Statement
    /// Sorted: those of the part in which `oldest` lies, where that has more entries before `oldest` than behind it. The index would
    /// have all of them looked at for each key.
    private var late: [String] = []
    private var start: UInt64

    init(_ connection: Connection, prefix: String, after oldest: UInt64) throws(PersistenceFailure) {
        self.prefix = prefix
        self.oldest = oldest
        parts = try HistoryParts(connection)
        let query = "SELECT key FROM history WHERE \(HistoryPart.column) = ?1 AND revision > ?3 AND key"
        first = try connection.prepare("\(query) >= ?2 ORDER BY key LIMIT 1")
        following = try connection.prepare("\(query) > ?2 ORDER BY key LIMIT 1")
        start = oldest
        let part = HistoryPart(oldest)
        guard oldest - part.first > part.last - oldest else { return }
        let entries = try connection.prepare("SELECT key FROM history WHERE revision > ?1 AND revision <= ?2")
        entries.bind(1, oldest)
        entries.bind(2, part.last)
        var keys: Set<String> = []
        while try entries.step() {
            let key = entries.text(0)
            if ConfigurationKey.hasPrefix(key, prefix) { keys.insert(key) }
        }
        late = keys.sorted(by: ConfigurationKey.precedes)
        start = part.last
    }

    /// The first key after this one; nil: the first of all.
    func next(after key: String?) throws(PersistenceFailure) -> String? {
        let bound = key.map { ConfigurationKey.precedes($0, prefix) ? prefix : $0 }
        let statement = key == nil ? first : following
        var next = bound.map(firstLate) ?? late.first
        var reached = start
        while let part = try parts.oldest(after: reached) {
            statement.bind(1, part.number)
            statement.bind(2, bound ?? prefix)
            statement.bind(3, oldest)
            defer { statement.reset() }
            // Text compares as its bytes do; what follows the prefix's range is found by its first key.
            if try statement.step(), case let key = statement.text(0), ConfigurationKey.hasPrefix(key, prefix),
                next.map({ ConfigurationKey.precedes(key, $0) }) ?? true
            {
                next = key
            }
            reached = part.last
        }
        return next
    }

    /// The first key of `late` behind this one.
    private func firstLate(after key: String) -> String? {
        var (low, high) = (0, late.count)
        while low < high {
            let middle = (low + high) / 2
            if ConfigurationKey.precedes(key, late[middle]) { high = middle } else { low = middle + 1 }
        }
        return low < late.count ? late[low] : nil
    }
}
