// SPDX-License-Identifier: Apache-2.0
// Owns the check that nobody ever sees half of a transaction.

import ClusterTypes
import StoreCore

/// Learns each transaction at its author, and looks at every step and recovery that may show it: where one of its rows is
/// the newest of its id, no other row may be older than the transaction.
package struct TransactionCheck: Sendable {
    /// Rows by the version that all of a transaction's rows have.
    private var known: [Version: [RowID]] = [:]
    /// Transactions that are watched; further ones are not, so that memory stays bounded.
    private static let knownMax = 10_000

    package private(set) var looks = 0
    package private(set) var violations = Violations()

    package init() {}

    /// The process of the node with this id asked its disk to keep `rows` in one batch; `store` is what readers see now.
    package mutating func persisting(_ rows: [Row], node: Int, id: NodeID, store: borrowing Store) {
        var seen: [Version] = []
        for row in rows where row.details.transaction != nil || known[row.version] != nil {
            if seen.last != row.version, !seen.contains(row.version) { seen.append(row.version) }
        }
        for version in seen {
            learn(version, rows, node: node, id: id)
            look(at: version, node: node, store: store)
        }
    }

    private mutating func learn(_ version: Version, _ rows: [Row], node: Int, id: NodeID) {
        guard version.author.node == id, known[version] == nil, known.count < Self.knownMax else { return }
        let parts = rows.filter { $0.version == version }
        known[version] = parts.map(\.id)
        for case let transaction? in parts.map(\.details.transaction) where transaction.count != parts.count {
            violations.add(
                "n\(node + 1) wrote \(parts.count) rows at \(version) and says that they are \(transaction.count)")
            return
        }
    }

    /// A process found `store` on its disk.
    package mutating func recovered(node: Int, store: borrowing Store) {
        for version in known.keys.sorted() { look(at: version, node: node, store: store) }
    }

    private mutating func look(at version: Version, node: Int, store: borrowing Store) {
        guard let rows = known[version] else { return }
        looks += 1
        var shown: RowID?
        var missing: RowID?
        for id in rows {
            if let found = store.row(id)?.version {
                if found == version { shown = id }
                if found < version { missing = id }
            } else if version.stamp > store.floor.cutoff {
                missing = id
            }
        }
        if let shown, let missing {
            violations.add(
                "n\(node + 1) shows '\(shown.key)' of the transaction \(version) and not yet '\(missing.key)'")
        }
    }
}
