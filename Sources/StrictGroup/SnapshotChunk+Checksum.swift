// SPDX-License-Identifier: Apache-2.0
// Owns the checksum of a snapshot's chunk: made where it is read, checked where it arrives.

import ClusterTypes
import RaftCore

extension SnapshotChunk {
    /// The low half of `StableHasher` over the bytes.
    package static func checksum(of bytes: [UInt8]) -> UInt64 {
        var hasher = StableHasher()
        hasher.absorb(raw: bytes)
        return hasher.finalize().low
    }

    /// The bytes are those that were read from the sender's disk. Raft must not be given any others.
    package var isIntact: Bool { checksum == Self.checksum(of: bytes) }
}
