// SPDX-License-Identifier: Apache-2.0
// Owns the configuration store's durable log as its user sees it: opening, committing, pruning.

import ClusterTypes
import StoreCore
import Synchronization

/// The file `store.db` in the data directory (Docs/storage.md). The data directory's lock must be held.
///
/// Calls may come from any thread and are carried out one after the other; they block for the disk's time, so they
/// belong on the storage thread (`DurabilityQueue`).
package final class StoreDatabase: Sendable {
    package static let fileName = "store.db"

    package let storeID: String

    init(storeID: String) {
        self.storeID = storeID
    }

    /// Opens or creates the database and reads everything in it. A damaged one is moved aside, never deleted, and an
    /// empty one with a new store id takes its place. `actor` is the author of the recovered store's writes; `progress`
    /// gets rows read and, once known, rows in all. `fault` is for tests.
    package static func open(
        directory: String, actor: ActorID, configuration: StoreConfiguration = StoreConfiguration(),
        history: HistoryLimits = HistoryLimits(), fault: StorageFault? = nil,
        progress: (_ rows: Int, _ total: Int?) -> Void = { _, _ in }
    ) throws(PersistenceFailure) -> (database: StoreDatabase, recovery: Recovery) {
        throw .stopped
    }

    /// Makes all batches durable, in order, in one transaction. After `.diskFull` nothing of them is, and the same call
    /// may be made again; any other failure is final.
    package func commit(_ batches: [[StoreRecord]]) throws(PersistenceFailure) { throw .stopped }

    /// One small step of forgetting: history and answered requests beyond their bounds. True: there is more to do.
    /// Failures are as with `commit`.
    package func prune(now: WallTime) throws(PersistenceFailure) -> Bool { throw .stopped }

    /// A connection of its own for reading.
    package func openReader() throws(PersistenceFailure) -> StoreReader { throw .stopped }

    /// Never waits for the disk.
    package var statistics: StoreFileStatistics { StoreFileStatistics() }
}
