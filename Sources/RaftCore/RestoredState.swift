// SPDX-License-Identifier: Apache-2.0
// Owns what a node brings back from its disk, and what of it cannot be right.

import ClusterTypes

package struct RestoredState: Sendable {
    package var hardState: HardState
    /// What the log begins behind: position 0/0 with the founders' membership when there never was one.
    package var snapshot: SnapshotMetadata
    /// Contiguous behind the snapshot. Entries that a compaction kept before it are not brought back.
    package var entries: [LogEntry]
    /// Read from the state's own transaction: the state machine reflects exactly the entries up to here (etcd #13766).
    package var applied: LogIndex
    package var incoming: IncomingSnapshot?
    /// Set when the log was found damaged in the middle: an index at or beyond all that this node may have
    /// acknowledged. The entries given are then the intact ones before the damage; when those end before `applied`,
    /// none, and `snapshot` is the position of the applied state. A torn tail is no damage: it was never acknowledged.
    package var mayHaveAcknowledged: LogIndex?

    package init(
        hardState: HardState = HardState(), snapshot: SnapshotMetadata, entries: [LogEntry] = [],
        applied: LogIndex = 0, incoming: IncomingSnapshot? = nil, mayHaveAcknowledged: LogIndex? = nil
    ) {
        self.hardState = hardState
        self.snapshot = snapshot
        self.entries = entries
        self.applied = applied
        self.incoming = incoming
        self.mayHaveAcknowledged = mayHaveAcknowledged
    }

    /// What a new node begins with.
    package init(founding membership: RaftMembership) {
        self.init(snapshot: SnapshotMetadata(position: .zero, membership: membership))
    }

    package var defect: StateDefect? {
        let numbers = [
            hardState.term, hardState.commit, snapshot.position.index, snapshot.position.term, applied,
            mayHaveAcknowledged ?? 0, incoming?.received ?? 0, hardState.refetch?.through ?? 0,
        ]
        if numbers.contains(where: { $0 > RaftBounds.numberMax }) { return .numberTooLarge }
        if !snapshot.membership.isValid { return .membershipInvalid }
        var before = snapshot.position
        for entry in entries {
            guard entry.index == before.index + 1, entry.term >= before.term else { return .gapInLog }
            if case .membership(let membership) = entry.payload, !membership.isValid { return .membershipInvalid }
            before = entry.position
        }
        if before.term > hardState.term || before.index > RaftBounds.numberMax { return .termBeforeLog }
        if applied > before.index { return .appliedBeyondLog }
        if applied < snapshot.position.index { return .appliedBeforeSnapshot }
        let isDamaged = mayHaveAcknowledged != nil || hardState.refetch != nil
        if hardState.commit > before.index, !isDamaged { return .commitBeyondLog }
        return nil
    }
}
