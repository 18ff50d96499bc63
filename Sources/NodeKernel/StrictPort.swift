// SPDX-License-Identifier: Apache-2.0
// Owns what the kernel asks of the strict log's disk, what the disk answers, and how old local reads may be.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup

/// For the disk of the strict log, in the order in which they come.
package enum StrictDiskAction: Sendable {
    /// Answered with `persisted`.
    case persist(StrictWrite)
    /// Answered with `snapshotMade`.
    case makeSnapshot(StrictSnapshotWriter, LogPosition, RaftMembership)
    /// Answered with `snapshotRead`.
    case readSnapshot(SnapshotChunkOrder)
    /// Answered with `snapshotLoaded`.
    case loadSnapshot(SnapshotMetadata)
    /// Not answered.
    case compact(keepFrom: LogIndex, snapshots: [SnapshotMetadata])
}

package enum StrictDiskResult: Sendable {
    /// The write of this number, and all before it, are durable.
    case persisted(UInt64)
    case snapshotMade(LogPosition, bytes: UInt64, digest: Hash128)
    /// nil: its bytes are gone.
    case snapshotRead(SnapshotChunkOrder, SnapshotChunk?)
    /// nil: the bytes are not what they should be, and were dropped.
    case snapshotLoaded(SnapshotMetadata, StrictMachine?)
}

/// How far local reads of strict keys are behind.
package struct StrictAge: Hashable, Sendable {
    /// Everything that was committed and told so many milliseconds ago is here; nil: nobody knows, no leader was heard of.
    package var milliseconds: UInt64?
    /// Changes that this node's store has without a gap.
    package var changes: UInt64
    /// Changes that the leader had when it was heard of last.
    package var known: UInt64

    package init(milliseconds: UInt64?, changes: UInt64, known: UInt64) {
        self.milliseconds = milliseconds
        self.changes = changes
        self.known = known
    }
}
