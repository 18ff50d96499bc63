// SPDX-License-Identifier: Apache-2.0
// Owns a node's part in the strict group: its state, its birth, and how an input is taken.

import ClusterTypes
import RaftCore
import StrictCore

/// Drives `Raft` and `StrictMachine` on members of the group, asks the leader in the name of clients on every node, and founds
/// the group. A value: no I/O, no clock and no randomness of its own.
///
/// What a peer, a disk or a client gives never traps; what is of no use is dropped, and counted where it tells something.
package struct StrictNode: Sendable {
    /// Sessions unused for so long end: ten minutes. Each process drops its own after half of that.
    package static let sessionIdle = Interval.seconds(600)
    /// Orders that wait on a leader for an earlier one.
    package static let ordersMax = 64
    /// Proposals, and reads, of peers and of this node that wait on a leader.
    package static let askedMax = 65_536

    package let configuration: StrictConfiguration
    package let id: NodeID
    package internal(set) var founding: FoundingState
    package internal(set) var machine: StrictMachine
    /// nil: no member of the group, as far as this node knows.
    package internal(set) var raft: Raft?
    package internal(set) var statistics = StrictStatistics()

    // Of the input that is being handled: both are the caller's again when it is done.
    var clock: Clock
    var rng: SeededGenerator
    var out: [StrictAction] = []

    /// Ascending by id, without this node.
    var peers: [StrictPeer] = []
    /// This node's own name, when the view tells it.
    var ownName: String?

    // What this node knows of the leader.
    var heard: StrictMark?
    var heardAt: Instant
    /// Told by a node that was asked and did not lead; it may know more than the last mark.
    var hint: NodeID?
    var followed: NodeID?
    /// When members of the group last said something to this member.
    var heardFrom: [NodeID: Instant] = [:]
    /// Since when this member knows of no leader.
    var leaderlessSince: Instant?
    /// How long nothing new may be heard of a leader until a node that is no member takes it for lost. The driver knows how
    /// often marks come.
    package var leaderPatience = Interval.seconds(10)
    /// What was told last of a leader, on a node that is no member.
    var leaderTold: (id: NodeID, term: Term)?
    /// When that leader was told to be lost.
    var leaderLostAt: Instant?
    /// When this member last asked whether it still is one.
    var askedMembershipAt: Instant?

    // Clients' calls on this node, by a number of its own.
    var calls: [UInt64: PendingCall] = [:]
    /// Begins anywhere in 2^47: an answer to a call of an earlier process is then not taken for one to this one's.
    var nextSerial: UInt64
    /// Nothing is due among the calls before.
    var callsCheckAt: Instant?
    var unstamped = Queue<UInt64>()
    var pool = SessionPool()
    var isRegistering = false
    /// The group had no room for another session: not asked again before this, and so often in a row.
    var registerAt: Instant?
    var sessionRefusals = 0

    // What this node was asked as the leader, or asks its own Raft.
    var proposals = Queue<Proposal>()
    var reads: [UInt64: PendingRead] = [:]
    var confirmedReads: [ConfirmedRead] = []
    var nextToken: UInt64 = 1
    var orders: [PendingOrder] = []
    /// A correction is on its way through the log.
    var isCorrecting = false
    /// The term in which this node leads.
    var ledTerm: Term?
    var leases = LeaseClock()
    var sessionsExpireAt: Instant?
    var promoteAt: Instant?
    /// Both clocks when they were compared last.
    var comparedClock: Clock

    // The disk.
    var writes = Queue<PendingWrite>()
    var nextWrite: UInt64 = 1
    /// Of Raft: a write of an earlier one is not the present one's.
    var raftEpoch = 0
    /// Batches of the present Raft that are not durable.
    var batchesInFlight = 0
    var isMakingSnapshot = false
    var owesSnapshot = false
    /// The snapshot that is to take the machine's place, and what was committed behind it.
    var loading: SnapshotMetadata?
    var held: [LogEntry] = []
    /// What a disk holds of a group that this node does not know yet.
    var unstartedRaft: RestoredState?
    /// A later program's entry: nothing is applied any more.
    var stoppedBy: UInt8?
    /// What the disk holds cannot be: no Raft runs here.
    var isBroken = false
    /// The group is being recovered: Raft begins anew with this when its founding is durable.
    var recovering: RestoredState?
    /// An operator wants that: the others are asked first.
    var survey: RecoverySurvey?

    // Founding.
    var attempt: FoundingAttempt?
    var foundingAt: Instant?
    var roundSeen: UInt64 = 0
    var askedFoundingAt: Instant?
    var foreignTold: [UInt64] = []
    /// Writes of what was founded that are not durable.
    var writesFounding = 0
    /// This node founded it, and tells all when it is durable.
    var tellsFounding = false

    package init(
        configuration: StrictConfiguration, id: NodeID, restoring restored: StrictRestored, clock: Clock,
        using rng: inout SeededGenerator
    ) {
        self.configuration = configuration
        self.id = id
        self.clock = clock
        comparedClock = clock
        heardAt = clock.now
        self.rng = rng.split()
        nextSerial = rng.next() >> 17
        founding = restored.founding
        machine = restored.machine
        roundSeen = max(founding.promised?.round ?? 0, founding.accepted?.ballot.round ?? 0)
        unstartedRaft = restored.raft
    }

    /// Takes one input. `actions` are to be carried out in their order.
    package mutating func handle(
        _ input: StrictInput, clock: Clock, using rng: inout SeededGenerator, into actions: inout [StrictAction]
    ) {
        self.clock = Clock(now: max(clock.now, self.clock.now), wall: clock.wall)
        // Moved, not copied: the caller's buffer and generator are used in place.
        swap(&self.rng, &rng)
        swap(&out, &actions)
        defer {
            swap(&self.rng, &rng)
            swap(&out, &actions)
        }
        guard configuration.isOn else {
            if case .calls(let calls) = input {
                for call in calls { out.append(.reply(id: call.id, .failed(.notConfigured))) }
            }
            return
        }
        switch input {
        case .start: begin()
        case .tick: break
        case .message(let message, let from): take(message, from: from)
        case .linkLost(let peer, let isDead): onLinkLost(peer, isDead: isDead)
        case .view(let view): onView(view)
        case .mark(let mark): onMark(mark)
        case .calls(let calls): for call in calls { onCall(call.id, call.call, call.deadline) }
        case .correct(let correction): correct(correction)
        case .persisted(let number): onPersisted(number)
        case .snapshotMade(let position, let bytes, let digest): onSnapshotMade(position, bytes, digest)
        case .snapshotRead(let order, let chunk): onSnapshotRead(order, chunk)
        case .snapshotLoaded(let metadata, let state): onSnapshotLoaded(metadata, state)
        }
        noteLeaderless()
        let ticked = passTime()
        if ticked || !mayGather(input) { drive() }
        noteLeader()
    }

    /// While the disk is busy, what clients ask is gathered: the answer of the disk, or of a peer, sets it going together.
    private func mayGather(_ input: StrictInput) -> Bool {
        guard batchesInFlight > 0 else { return false }
        switch input {
        case .calls(let calls):
            return calls.allSatisfy { call in
                switch call.call {
                case .change: true
                // Few reads do not wait for a disk.
                case .read: reads.count > 8
                case .operate, .status: false
                }
            }
        case .message(.forward(_, .change), _): return true
        case .message(.forward(_, .read), _): return reads.count > 8
        case .correct, .message, .start, .tick, .linkLost, .view, .mark, .persisted, .snapshotMade,
            .snapshotRead, .snapshotLoaded:
            return false
        }
    }

    /// What the disk held is taken up.
    private mutating func begin() {
        if isRemoved { actOnRemoval(isNews: false) }
        if founding.founded != nil { actOnFounding(isNews: false) }
    }

    private mutating func take(_ message: StrictMessage, from: NodeID) {
        guard from != id, from != .unknown else { return }
        switch message {
        case .raft(let group, let message): onRaftMessage(message, group: group, from: from)
        case .forward(let forward, let ask): onForward(forward, ask, from: from)
        case .forwarded(let forward, let answer): onForwarded(forward, answer, from: from)
        case .founding(let message): onFoundingMessage(message, from: from)
        case .removed(let group): onRemoved(from: group)
        case .survey(let survey, let group): onSurvey(survey, group: group, from: from)
        case .surveyed(let survey, let answer): onSurveyed(survey, answer, from: from)
        }
    }
}

/// Counters; they only grow.
package struct StrictStatistics: Hashable, Sendable {
    package var foreignMessages: UInt64 = 0
    package var forwards: UInt64 = 0
    package var resends: UInt64 = 0
    package var sessionsLost: UInt64 = 0
    package var refusedForwards: UInt64 = 0
    /// Pieces of snapshots whose bytes are not what their sender read.
    package var brokenChunks: UInt64 = 0

    package init() {}
}

/// Who waits for an answer.
enum Origin: Sendable {
    /// Nobody: the leader's own.
    case nobody
    case call(serial: UInt64)
    case peer(NodeID, forward: UInt64)
    /// The leader's own store.
    case copies
}

/// A command in the leader's log, until it is applied.
struct Proposal: Sendable {
    var position: LogPosition
    var origin: Origin
}

struct PendingRead: Sendable {
    var read: StrictRead
    var origin: Origin
}

/// May be answered when this index is applied.
struct ConfirmedRead: Sendable {
    var index: LogIndex
    var read: PendingRead
}

/// Not durable yet, and what follows when it is.
struct PendingWrite: Sendable {
    var number: UInt64
    var batch: (epoch: Int, number: UInt64)?
    var messages: [(message: StrictMessage, to: NodeID)] = []
    var loads: SnapshotMetadata?
    /// The founding in it is to be acted on.
    var isFounding = false
    /// It says that this node is no member any more.
    var isRemoval = false
}
