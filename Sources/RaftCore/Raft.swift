// SPDX-License-Identifier: Apache-2.0
// Owns the Raft machine of one node: its state, its birth and what it tells of itself.

import ClusterTypes

/// Raft (Ongaro, "Consensus: Bridging Theory and Practice", 2014; "thesis" in this module) for one node of one group.
///
/// A value: no I/O, no clock, no randomness of its own. Inputs are `onTick`, `onMessage`, `onPersisted`, `onApplied`
/// and commands; after any of them `takeReady` gives what to do. Nothing that a peer sends is an error: what is of no
/// use is dropped, what is broken is counted and told.
package struct Raft: Sendable {
    package let id: NodeID
    package let configuration: RaftConfiguration
    package internal(set) var role = RaftRole.follower
    package internal(set) var term: Term
    package internal(set) var votedFor: NodeID?
    package internal(set) var leader: NodeID?
    package internal(set) var commitIndex: LogIndex
    package internal(set) var appliedIndex: LogIndex
    /// The log is durable up to here.
    package internal(set) var persistedIndex: LogIndex
    package internal(set) var refetch: Refetch?
    package internal(set) var statistics = RaftStatistics()

    var log: RaftLog
    /// The last snapshot of this node's state; what a follower gets that the log no longer reaches.
    var snapshot: SnapshotMetadata
    var incoming: IncomingSnapshot?

    /// The time of the latest input; never goes back.
    var now: Instant
    /// One random number for each input.
    var entropy: UInt64 = 0
    let process: UInt64

    var electionDeadline: Instant
    /// The last sign of the leader of this term.
    var leaderContactAt: Instant?
    /// Answers to this node's own election or pre-vote.
    var ballot: [(id: NodeID, isGranted: Bool)] = []
    /// Of the leader of this term.
    var answeredRounds = AnsweredRounds()
    /// A leader's books; of no meaning otherwise.
    var leadership = Leadership()
    var reads = ReadQueue()

    /// What the next `Ready` will hold, but for what is computed then.
    var outbox = Ready()
    var chunksToWrite: [SnapshotChunk] = []
    var snapshotToInstall: SnapshotMetadata?
    /// Entries up to here were handed to the disk.
    var handedToDisk: LogIndex
    /// Entries up to here were handed to the state machine.
    var handedToApply: LogIndex
    var handedHardState: HardState
    var persistedHardState: HardState
    var batches = BatchQueue()
    /// Since when something waits that must become durable and was not handed out.
    var unwrittenSince: Instant?
    var asksForSnapshot = false
    /// Of entries handed to the state machine since the last snapshot.
    var bytesSinceSnapshot = 0

    /// - Parameters:
    ///   - state: What the disk held; `RestoredState()` with the founders' membership for a new group, with
    ///     `RaftMembership.empty` for a node that joins.
    /// - Throws: `invalidState`: the disk's content is not what this machine wrote. Mark the node as refetching.
    package init(
        configuration: RaftConfiguration, id: NodeID, restoring state: RestoredState, now: Instant,
        using rng: inout SeededGenerator
    ) throws(RaftFailure) {
        if let defect = state.defect { throw .invalidState(defect) }
        self.configuration = configuration.clamped
        self.id = id
        self.now = now
        process = rng.next()
        entropy = rng.next()
        var hard = state.hardState
        log = RaftLog(
            base: state.snapshot.position, membership: state.snapshot.membership, entries: state.entries)
        if let through = state.mayHaveAcknowledged {
            hard.refetch = Refetch(through: max(through, hard.refetch?.through ?? 0), term: hard.term)
        }
        hard.commit = min(max(hard.commit, state.applied, log.base.index), log.lastIndex)
        term = hard.term
        votedFor = hard.votedFor
        commitIndex = hard.commit
        refetch = hard.refetch
        appliedIndex = max(state.applied, log.base.index)
        handedToApply = appliedIndex
        snapshot = state.snapshot
        incoming = state.incoming
        persistedIndex = log.lastIndex
        handedToDisk = log.lastIndex
        // What the disk really holds: a refetch that the caller found out must still get there.
        handedHardState = state.hardState
        persistedHardState = state.hardState
        electionDeadline = now
        role = mayLead ? .follower : .learner
        electionDeadline = now + randomElectionTimeout
        if hard.refetch != state.hardState.refetch { unwrittenSince = now }
    }

    package var membership: RaftMembership { log.membership }
    /// The membership in force is what a quorum has agreed on.
    package var isMembershipCommitted: Bool { log.membershipIndex <= commitIndex }
    package var lastPosition: LogPosition { log.last }
    package var firstIndex: LogIndex { log.firstIndex }
    package var latestSnapshot: SnapshotMetadata { snapshot }
    package var isLeader: Bool { role == .leader }
    package var isRefetching: Bool { refetch != nil }
    package func entry(at index: LogIndex) -> LogEntry? { log.entry(at: index) }
    package func term(at index: LogIndex) -> Term? { log.term(at: index) }

    /// Snapshots that are being sent or that the next follower may need: the driver keeps their bytes.
    package var snapshotsInUse: [SnapshotMetadata] {
        var result = [snapshot]
        for peer in leadership.peers where isLeader {
            if case .snapshot(let outgoing) = peer.state, !result.contains(outgoing.metadata) {
                result.append(outgoing.metadata)
            }
        }
        return result
    }

    /// What a leader knows of the others, for status and metrics; empty on others. `now` may be later than the latest input.
    package func followers(at now: Instant) -> [FollowerStatus] {
        guard isLeader else { return [] }
        let now = max(now, self.now)
        return leadership.peers.map { peer in
            let state: FollowerStatus.State =
                switch peer.state {
                case .probe: .probe
                case .replicate: .replicate
                case .snapshot(let outgoing): .snapshot(offset: outgoing.offset, bytes: outgoing.metadata.bytes)
                }
            return FollowerStatus(
                id: peer.id, match: peer.match, state: state, silentFor: now - peer.contactAt,
                isCounted: peer.isCounted)
        }
    }

    /// The commit index in it is of entries that are durable: a write that is torn behind it leaves no gap.
    var hardState: HardState {
        HardState(
            term: term, votedFor: votedFor, commit: min(commitIndex, max(persistedIndex, log.base.index)),
            refetch: refetch)
    }

    /// From the election timeout to twice that (thesis 3.4).
    var randomElectionTimeout: Interval {
        configuration.electionTimeout + configuration.electionTimeout * (Double(entropy >> 11) * 0x1p-53)
    }
}

package struct FollowerStatus: Hashable, Sendable {
    package enum State: Hashable, Sendable {
        case probe
        case replicate
        case snapshot(offset: UInt64, bytes: UInt64)
    }

    package var id: NodeID
    package var match: LogIndex
    package var state: State
    package var silentFor: Interval
    package var isCounted: Bool
}

/// Counters; they only grow.
package struct RaftStatistics: Hashable, Sendable {
    package var elections: UInt64 = 0
    package var refusedMessages: UInt64 = 0
    package var refusedProposals: UInt64 = 0
    package var readRounds: UInt64 = 0
}
