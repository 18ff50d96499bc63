// SPDX-License-Identifier: Apache-2.0
// Owns all rows of a store as they were at one moment, as one value that is taken in constant time.

import ClusterTypes

/// The rows of a store that is replaced as a whole: whoever keeps them walks through them in its own time and place,
/// instead of the kernel's turn. While a snapshot lives, the first change to the store copies its tables.
package struct RowSnapshot: Hashable, Sendable {
    private let store: Store

    package init(of store: Store) { self.store = store }

    package var count: Int { store.rowCount }

    /// Calls `body` with every row, in the order of their ids.
    package func forEach<Failure: Error>(_ body: (Row) throws(Failure) -> Void) throws(Failure) {
        var position = store.order.start
        while let handle = store.order.element(at: position) {
            try body(store.row(at: handle))
            position = store.order.position(after: position)
        }
    }

    /// As equal as the roots are.
    package static func == (a: RowSnapshot, b: RowSnapshot) -> Bool {
        a.store.root == b.store.root && a.count == b.count
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(store.root) }
}
