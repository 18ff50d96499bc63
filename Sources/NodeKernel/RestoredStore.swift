// SPDX-License-Identifier: Apache-2.0
// Owns the store of a backup while it is read, away from the kernel, which takes it over as a whole.

import ClusterTypes
import StoreCore

/// A million rows take seconds to be put in order: whoever reads the backup does that in its own time, and the kernel's
/// turn costs the same however many rows there are.
package struct RestoredStore: Sendable {
    private(set) var store: Store
    /// The last of the rows' stamps, and the key of that row.
    private(set) var newest: (stamp: HybridTimestamp, key: String)?

    /// - Parameters:
    ///   - configuration: that of the kernel which will take it over.
    ///   - wall: the time by which values are over or not.
    package init(
        configuration: StoreConfiguration, floor: CollectionFloor, context: CausalContext, wall: WallTime
    ) {
        // The kernel gives it an actor of its own.
        store = Store(
            actor: ActorID(node: .unknown, epoch: 1), configuration: configuration, floor: floor, context: context,
            expiredThrough: wall.milliseconds)
    }

    package var rowCount: Int { store.rowCount }

    /// Rows come in the order of their ids. False, and nothing changed, when the row is not valid, is there already or
    /// is one too many.
    package mutating func add(_ row: Row) -> Bool {
        guard store.load(row) else { return false }
        if newest.map({ $0.stamp < row.stamp }) ?? true { newest = (row.stamp, row.id.key) }
        return true
    }
}
