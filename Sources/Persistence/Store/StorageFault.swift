// SPDX-License-Identifier: Apache-2.0
// Owns what a test may make of the database's file operations.

/// An operation on one of the database's files.
package enum StorageOperation: Hashable, Sendable, CaseIterable {
    case write
    case synchronise
    case truncate
    case read
}

/// Called before each operation with the file's name without its folder (`store.db`, `store.db-wal`): an errno makes it
/// fail, nil lets it happen.
package typealias StorageFault = @Sendable (StorageOperation, _ file: String) -> CInt?
