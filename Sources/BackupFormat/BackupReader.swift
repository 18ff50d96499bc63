// SPDX-License-Identifier: Apache-2.0
// Owns reading a backup piece by piece, checking every byte of it.

import ClusterTypes
import StoreCore
import WireProtocol

/// What a backup holds, in the order in which it comes: header, context, floor, rows.
package enum BackupItem: Hashable, Sendable {
    case header(BackupHeader)
    case context(CausalContext)
    case floor(CollectionFloor)
    case row(Row)
}

/// Takes a backup's bytes in pieces of any size. Items come as soon as their chunk has been checked; only `finish`
/// says that the backup is whole. After a failure the reader is of no use.
package struct BackupReader {
    package init() {}

    /// Takes more bytes and gives what they complete.
    package mutating func read(
        _ bytes: some Collection<UInt8>, _ item: (BackupItem) throws -> Void
    ) throws { throw BackupFailure.truncated }

    /// The backup has ended: it is whole, or a failure says what is wrong.
    package func finish() throws(BackupFailure) -> BackupSummary { throw .truncated }

    /// Reads all pieces that `next` gives until it gives nil, and checks them.
    package static func verify(_ next: () throws -> [UInt8]?) throws -> BackupSummary {
        var reader = BackupReader()
        while let bytes = try next() { try reader.read(bytes) { _ in } }
        return try reader.finish()
    }
}
