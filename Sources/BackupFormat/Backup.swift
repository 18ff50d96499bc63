// SPDX-License-Identifier: Apache-2.0
// Owns the backup's format, byte by byte, and the values in it.
//
// All integers are big-endian. A backup is a magic, then chunks, the last of which is the trailer; nothing follows it.
//
//     magic      8   "gsbackup"
//     version    2   1
//     chunk          any number of:
//       kind     1   1 header, 2 context, 3 floor, 4 rows, 5 trailer
//       length   4   of the body, at most `Backup.chunkBytesMax`
//       body
//       checksum 8   low half of StableHasher over kind, length, the chunk's number (8 bytes, from 0) and the body
//
//     header     UTF-8 JSON: {"created_at_ms","node","store_id","revision"} and, of a
//                cluster with strict keys, "strict_group","strict_version"; the first chunk
//     context    ContextCodec's bytes, cut into pieces when it is long: one after the other they are the context
//     floor      FloorCodec's bytes
//     rows       row after row, in the order of their ids: length 4, RowCodec's bytes
//     trailer    rows 8, chunks before it 8, total 16: the sum of the rows' stable hashes, which is the store's root

import ClusterTypes
import StoreCore

package enum Backup {
    static let magic = Array("gsbackup".utf8)
    static let version: UInt16 = 1
    /// A chunk's body; a row of the largest size fits.
    package static let chunkBytesMax = 4 * 1024 * 1024
    /// Rows are gathered to chunks of about this size.
    static let chunkBytesTarget = 256 * 1024

    enum ChunkKind: UInt8 {
        case header = 1
        case context = 2
        case floor = 3
        case rows = 4
        case trailer = 5
    }
}

/// Where and when a backup was made.
package struct BackupHeader: Hashable, Sendable {
    package var createdAt: WallTime
    /// The node's name.
    package var node: String
    package var storeID: String
    package var revision: UInt64
    /// The strict group that the node belonged to, and what none of its versions and fencing tokens exceeded then.
    package var strict: StrictPoint?

    package struct StrictPoint: Hashable, Sendable {
        package var group: UInt64
        package var version: UInt64

        package init(group: UInt64, version: UInt64) {
            self.group = group
            self.version = version
        }
    }

    package init(
        createdAt: WallTime, node: String, storeID: String, revision: UInt64, strict: StrictPoint? = nil
    ) {
        self.strict = strict
        self.createdAt = createdAt
        self.node = node
        self.storeID = storeID
        self.revision = revision
    }
}

/// What a whole backup holds.
package struct BackupSummary: Hashable, Sendable {
    package var header: BackupHeader
    package var rows: UInt64
    package var bytes: UInt64
    /// The root of the store that it restores.
    package var root: Hash128

    package init(header: BackupHeader, rows: UInt64, bytes: UInt64, root: Hash128) {
        self.header = header
        self.rows = rows
        self.bytes = bytes
        self.root = root
    }
}

/// Why bytes are no backup.
package enum BackupFailure: Error, Hashable, Sendable, CustomStringConvertible {
    case notABackup
    case newerVersion(UInt16)
    /// It ends before its trailer.
    case truncated
    case damaged(chunk: UInt64, reason: String)
    /// Bytes follow the trailer.
    case trailingBytes

    package var description: String {
        switch self {
        case .notABackup: "this is not a gossipd backup"
        case .newerVersion(let version): "the backup has format \(version), which this version cannot read"
        case .truncated: "the backup is cut off: its end is missing"
        case .damaged(let chunk, let reason): "the backup is damaged in part \(chunk): \(reason)"
        case .trailingBytes: "the backup is followed by bytes that do not belong to it"
        }
    }
}
