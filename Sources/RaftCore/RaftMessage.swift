// SPDX-License-Identifier: Apache-2.0
// Owns the messages of Raft as values; their bytes belong to the wire.

import ClusterTypes

/// One message between two members. A stale, doubled, late or lost one does no harm.
package struct RaftMessage: Hashable, Sendable {
    package var from: NodeID
    package var to: NodeID
    /// The sender's term; of a pre-vote, and of a pre-vote that is granted, the term it would have.
    package var term: Term
    package var body: Body

    package init(from: NodeID, to: NodeID, term: Term, body: Body) {
        self.from = from
        self.to = to
        self.term = term
        self.body = body
    }

    package enum Body: Hashable, Sendable {
        /// "Would you vote for me?" (thesis 9.6). Changes nothing on either side.
        case preVote(last: LogPosition)
        case preVoteResponse(isGranted: Bool)
        /// RequestVote. `isTransfer`: the leader itself asked for this election (thesis 3.10 and 4.2.3).
        case vote(last: LogPosition, isTransfer: Bool)
        case voteResponse(isGranted: Bool)
        case append(AppendRequest)
        case appendResponse(AppendResponse)
        /// `round` is unique in the term; `commit` is at or before what the receiver is known to hold.
        case heartbeat(commit: LogIndex, round: UInt64)
        case heartbeatResponse(round: UInt64, isRefetching: Bool)
        case installSnapshot(SnapshotChunk)
        case installSnapshotResponse(SnapshotResponse)
        /// "Stand for election at once" (thesis 3.10). `answered`: the last round of heartbeats that the receiver answered, by whose age
        /// it knows that of this message; 0: the sender leads no more, so nobody is unseated however late it comes.
        case timeoutNow(answered: UInt64)
        /// Asks the leader for a read index (thesis 6.4).
        case readIndex(ReadID)
        /// nil: this node cannot tell.
        case readIndexResponse(ReadID, LogIndex?)
    }
}

/// AppendEntries (thesis 3.5). The entries follow `previous` and each other.
package struct AppendRequest: Hashable, Sendable {
    package var previous: LogPosition
    package var commit: LogIndex
    package var entries: [LogEntry]

    package init(previous: LogPosition, commit: LogIndex, entries: [LogEntry]) {
        self.previous = previous
        self.commit = commit
        self.entries = entries
    }
}

package struct AppendResponse: Hashable, Sendable {
    package enum Outcome: Hashable, Sendable {
        /// The log agrees with the leader's through `match`, durably.
        case accepted(match: LogIndex)
        /// It has no such `previous`. `conflict` is the first entry of the term that it has there, or, when its log is
        /// shorter, what follows its end, with the term 0 (thesis 3.5, the optimisation at the section's end).
        case rejected(previous: LogIndex, conflict: LogPosition)
        /// The sender of the append is of a former term; this response has the present one.
        case staleTerm
    }

    package var outcome: Outcome
    /// This node does not count towards any quorum: see `Refetch`.
    package var isRefetching: Bool

    package init(outcome: Outcome, isRefetching: Bool = false) {
        self.outcome = outcome
        self.isRefetching = isRefetching
    }
}

/// InstallSnapshot (thesis 5.1): a part of a snapshot's bytes. One without bytes at offset 0 is the offer, to which the
/// receiver answers from where on it needs them.
package struct SnapshotChunk: Hashable, Sendable {
    package var metadata: SnapshotMetadata
    package var offset: UInt64
    package var bytes: [UInt8]
    /// Of `bytes`: made and checked by the drivers.
    package var checksum: UInt64

    package init(metadata: SnapshotMetadata, offset: UInt64, bytes: [UInt8], checksum: UInt64) {
        self.metadata = metadata
        self.offset = offset
        self.bytes = bytes
        self.checksum = checksum
    }
}

package struct SnapshotResponse: Hashable, Sendable {
    /// Of the snapshot in question.
    package var position: LogPosition
    package var digest: Hash128
    /// From where on bytes are missing; nil: none is, the log continues from the snapshot or is beyond it.
    package var missingFrom: UInt64?
    package var isRefetching: Bool

    package init(position: LogPosition, digest: Hash128, missingFrom: UInt64?, isRefetching: Bool = false) {
        self.position = position
        self.digest = digest
        self.missingFrom = missingFrom
        self.isRefetching = isRefetching
    }
}

/// Names one batch of reads and no other one, ever: an answer to an earlier process or term is not taken for one to
/// this (etcd-io/raft #397).
package struct ReadID: Hashable, Sendable {
    /// The asker's term.
    package var term: Term
    /// Random bits of the asker's process.
    package var process: UInt64
    package var sequence: UInt64

    package init(term: Term, process: UInt64, sequence: UInt64) {
        self.term = term
        self.process = process
        self.sequence = sequence
    }
}
