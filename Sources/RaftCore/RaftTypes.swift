// SPDX-License-Identifier: Apache-2.0
// Owns the values that Raft is about: terms, indexes, entries, the hard state, and their bounds.

import ClusterTypes

/// A period with at most one leader; 0 before the first election.
package typealias Term = UInt64
/// The place of an entry in the log; the first entry has 1.
package typealias LogIndex = UInt64

/// What is larger is refused where it arrives, so that no sum of numbers from the network can overflow.
package enum RaftBounds {
    /// Terms, indexes, rounds and sizes; no honest group reaches it.
    package static let numberMax: UInt64 = 1 << 62
    /// Voters and learners together.
    package static let membersMax = 32
    /// Ids of removed members that are remembered; the oldest are forgotten.
    package static let retiredMax = 1_024
    /// Entries of one append.
    package static let entriesPerAppendMax = 16_384
    /// Bytes that an entry costs beside its payload, wherever bytes are counted.
    package static let entryOverheadBytes = 32
    /// Reads that wait for their confirmation, on one node.
    package static let pendingReadsMax = 65_536
    /// Rounds of heartbeats, and forwarded batches, that may wait for answers for the sake of reads.
    package static let readRoundsMax = 4
    /// Batches that the disk has not finished; more wait in the machine.
    package static let batchesInFlightMax = 64
}

/// The term and index of an entry: it names the entry and all before it (thesis 3.5).
package struct LogPosition: Hashable, Sendable, CustomStringConvertible {
    package var term: Term
    package var index: LogIndex

    package init(term: Term, index: LogIndex) {
        self.term = term
        self.index = index
    }

    package static let zero = LogPosition(term: 0, index: 0)

    package var description: String { "\(term)/\(index)" }
}

/// One entry of the replicated log.
package struct LogEntry: Hashable, Sendable {
    package enum Payload: Hashable, Sendable {
        /// The no-op with which a leader begins its term (thesis 6.4).
        case empty
        /// A command for the state machine.
        case command([UInt8])
        /// The whole membership from this entry on (thesis 4.1: in force as soon as it is in the log).
        case membership(RaftMembership)
    }

    package var term: Term
    package var index: LogIndex
    package var payload: Payload

    package init(term: Term, index: LogIndex, payload: Payload) {
        self.term = term
        self.index = index
        self.payload = payload
    }

    package var position: LogPosition { LogPosition(term: term, index: index) }

    /// About what it takes in memory and on the wire.
    package var bytes: Int { payload.bytes + RaftBounds.entryOverheadBytes }
}

extension LogEntry.Payload {
    package var bytes: Int {
        switch self {
        case .empty: 0
        case .command(let bytes): bytes.count
        case .membership(let membership): membership.bytes
        }
    }
}

/// What a node must not forget, whatever happens to it (thesis 3.8). The log is the other half.
package struct HardState: Hashable, Sendable {
    package var term: Term
    package var votedFor: NodeID?
    /// The highest index known to be committed. A lower one after a restart does no harm.
    package var commit: LogIndex
    /// Set while the node fetches again what a damaged log has lost: see `Refetch`.
    package var refetch: Refetch?

    package init(term: Term = 0, votedFor: NodeID? = nil, commit: LogIndex = 0, refetch: Refetch? = nil) {
        self.term = term
        self.votedFor = votedFor
        self.commit = commit
        self.refetch = refetch
    }

    /// A change of the commit index alone is not worth a write.
    func needsSync(after old: HardState) -> Bool {
        term != old.term || votedFor != old.votedFor || refetch != old.refetch
    }
}

/// Marks a node whose log was found damaged: it may have acknowledged entries that it no longer has, so it
/// neither votes nor campaigns nor counts. It is over as soon as either holds:
/// - the log reaches `through` again, which is at or beyond anything it ever acknowledged;
/// - an entry of a later term than `term` is committed in it: the leader of that term has all that was committed
///   before.
package struct Refetch: Hashable, Sendable {
    package var through: LogIndex
    package var term: Term

    package init(through: LogIndex, term: Term) {
        self.through = through
        self.term = term
    }
}

/// A snapshot of the applied state, by what identifies it. Its bytes belong to the driver.
package struct SnapshotMetadata: Hashable, Sendable {
    /// The last entry that it reflects.
    package var position: LogPosition
    /// The membership at that entry.
    package var membership: RaftMembership
    /// Size of the whole.
    package var bytes: UInt64
    /// The caller's hash of the whole: two snapshots of one position may differ in their bytes.
    package var digest: Hash128

    package init(position: LogPosition, membership: RaftMembership, bytes: UInt64 = 0, digest: Hash128 = .zero) {
        self.position = position
        self.membership = membership
        self.bytes = bytes
        self.digest = digest
    }
}

/// A snapshot that is arriving, by what of it is on this node's disk.
package struct IncomingSnapshot: Hashable, Sendable {
    package var metadata: SnapshotMetadata
    /// Bytes from its beginning that are here.
    package var received: UInt64

    package init(metadata: SnapshotMetadata, received: UInt64) {
        self.metadata = metadata
        self.received = received
    }
}
