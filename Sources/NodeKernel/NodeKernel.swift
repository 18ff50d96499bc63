// SPDX-License-Identifier: Apache-2.0
// Owns the node as a deterministic state machine: one input in, actions out.

import ClusterTypes
import RaftCore
import SWIMCore
import StoreCore
import StrictGroup

/// Membership, store and client commands composed into one machine without I/O, clock or randomness of its own.
///
/// The daemon and the simulator drive the same kernel: each input is handed to `handle` with both clocks and a
/// generator, and the actions are carried out in order. Equal inputs give equal actions.
package struct NodeKernel: Sendable {
    package let configuration: KernelConfiguration
    package internal(set) var membership: Membership
    package internal(set) var store: Store
    package internal(set) var statistics = KernelStatistics()
    /// The last revision given to a change of this node's store.
    package internal(set) var revision: UInt64 = 0
    /// How the disk is doing.
    var storage = StorageCondition.ok
    var requests = RequestTable()
    var confirmations = ConfirmationState()
    var transactions = TransactionStash()
    var collection = CollectionState()
    var reset = ResetState()
    var clocks = ClockState()
    var pulls = PullState()
    var verification = VerificationState()
    var expiry = ExpirySchedule()
    var findings = StoreFindings()
    var places = PlaceState()
    var examination: ExaminationState?
    var ring = RingState()
    var strict = StrictState()

    /// Store changes waiting to be gossiped, one slot per row.
    var storeQueue = DisseminationQueue<RowID, StoreGossip>()
    var gossip = GossipSchedule()
    package internal(set) var userEvents: UserEventExchange
    var userEventSchedule: UserEventSchedule
    var streams: [StreamID: StreamState] = [:]
    var nextStream: UInt64 = 0
    var sentinels = SentinelState()
    var suspendWatch = SuspendWatch()
    var repair = RepairState()
    var seeds: [Seed] = []
    var joins: [PendingJoin] = []
    var joinGeneration: UInt64 = 0
    var joinTimerAt: Instant?
    var pendingWrites: [PersistToken: PendingWrite] = [:]
    var nextToken: UInt64 = 0
    var operatorPings: [UInt32: (command: CommandID, id: NodeID)] = [:]
    var leaveCommands: [CommandID] = []
    /// Set when the node has left: it is silent from then on.
    var outcome: LeaveOutcome?
    var rememberedPeers: [RememberedPeer]
    /// Members that failed, dropped ones too; at most `absentPeersMax`, newest last.
    var absentPeers: [RememberedPeer] = []
    var timeline: MemberTimeline
    var ignoredReportedAt: [IgnoredPacket: Instant] = [:]
    var doubles: DoubleState
    var quarantineReports: [(author: NodeID, at: Instant)] = []
    var stallReportedAt: Instant?
    /// When this node last met its own id on an accepted stream while it was connecting to a seed.
    var selfContactAt: Instant?
    /// Scratch for the membership's actions, kept for its capacity.
    var swimActions: [SWIMAction] = []

    /// `recovered`: what the disk held; nil for a store that begins empty. `members`: what all nodes of a simulated cluster
    /// know of each other from the beginning (`Membership.init`); nil for a node that has to find its peers.
    /// `strictRestored`: what the disk held of the strict group; nil: nothing.
    package init(
        configuration: KernelConfiguration, identity: KernelIdentity, recovered: RecoveredStore? = nil,
        strictRestored: StrictRestored? = nil, members: MemberTable? = nil, clock: Clock
    ) {
        var configuration = configuration
        // The largest command must fit a frame, beside what an append says of it.
        configuration.strict.raft.commandBytesMax = min(
            configuration.strict.raft.commandBytesMax, Bounds.frameBytesMax - Self.appendOverheadBytesMax)
        self.configuration = configuration
        let sizes = configuration.sizes
        let info = MemberInfo(
            name: identity.name, address: identity.address, tags: Self.withStrictTag(identity.tags, configuration),
            protocolVersion: ProtocolVersion.current)
        membership = Membership(
            configuration: configuration.swim, id: identity.id, info: info,
            incarnationFence: identity.incarnationFence, clock: clock, table: members,
            authorship: configuration.authorship,
            pins: configuration.rememberedPeers.reduce(into: [:]) { $0[$1.id] = $1.key },
            updateBytes: { sizes.message(.update($0)) })
        let actor = ActorID(node: identity.id, epoch: identity.storeEpoch)
        store = recovered?.store ?? Store(actor: actor, configuration: configuration.store)
        store.renewActor(to: actor)
        rememberedPeers = configuration.rememberedPeers
        doubles = DoubleState(startedAt: clock)
        timeline = MemberTimeline(entriesMax: configuration.timelineEventsMax)
        userEvents = UserEventExchange(selfID: identity.id, startedAt: clock.now)
        userEventSchedule = UserEventSchedule(now: clock.now)
        ring.mode = configuration.ringMode
        ring.current = configuration.ring
        strict.restored = strictRestored
        if let recovered { takeOver(recovered) }
    }

    /// Header, addresses and numbers of an append of one entry, about.
    private static let appendOverheadBytesMax = 4_096

    private mutating func takeOver(_ recovered: RecoveredStore) {
        revision = recovered.revision
        requests = RequestTable(recovered.requests)
        collection = CollectionState(promised: recovered.promised)
        reset = ResetState(queuedCount: recovered.queuedCount, queuedLast: recovered.queuedLast)
    }

    package var selfID: NodeID { membership.selfID }

    package var digest: Digest {
        Digest(members: membership.table.fingerprint ^ ringFingerprint, store: store.root, floor: store.floor.mark)
    }

    /// Handles one input. Appends to `actions`, which the caller may reuse between calls.
    package mutating func handle(
        _ input: Input, clock: Clock, using rng: inout SeededGenerator, into actions: inout [Action]
    ) {
        var turn = Turn(clock: clock, rng: rng)
        swap(&turn.actions, &actions)
        noteProgress(now: clock.now)
        if outcome == nil {
            dispatch(input, &turn)
            if outcome == nil {
                settleStrict(&turn)
                gossipFresh(&turn)
            }
        } else {
            dispatchAfterStop(input, &turn)
        }
        swap(&turn.actions, &actions)
        rng = turn.rng
    }

    private mutating func dispatch(_ input: Input, _ turn: inout Turn) {
        switch input {
        case .start:
            membership.start(into: &swimActions)
            carryOutMembership(&turn)
            // What ended while no process ran ends now, and what ends later gets its timer.
            onExpiry(&turn)
        case .packet(let packet, let address):
            onDatagram(packet, from: address, &turn)
        case .timer(let token):
            onTimer(token, &turn)
        case .streamConnected(let id):
            onStreamConnected(id, &turn)
        case .streamOpened(let id, let isSealed):
            streams[id]?.isSealed = isSealed
            onStreamOpened(id, &turn)
        case .streamAccepted(let id, let address, let isSealed):
            onStreamAccepted(id, from: address, &turn)
            streams[id]?.isSealed = isSealed
        case .streamPacket(let id, let packet):
            onStreamPacket(id, packet, &turn)
        case .streamClosed(let id, let end):
            onStreamClosed(id, end, &turn)
        case .sendFailed(let address):
            statistics.sendFailures += 1
            membership.onSendFailed(to: address)
            noteSendFailure(to: address)
        case .refused(let address):
            statistics.datagramsRefused += 1
            membership.onRefused(address, clock: turn.clock, into: &swimActions)
            carryOutMembership(&turn)
        case .localTrouble(let trouble):
            onLocalTrouble(trouble, &turn)
        case .stopping:
            closeSentinels(&turn)
        case .persisted(let token):
            onPersisted(token, &turn)
        case .strict(let result):
            onStrictDisk(result, &turn)
        case .storage(let condition):
            onStorage(condition, &turn)
        case .resolved(let seed, let addresses):
            onResolved(seed, addresses, &turn)
        case .command(let id, let command):
            onCommand(id, command, &turn)
        case .calls(let calls):
            onStrictCalls(calls, &turn)
        }
    }

    /// Whoever has left only answers its clients.
    private mutating func dispatchAfterStop(_ input: Input, _ turn: inout Turn) {
        switch input {
        case .persisted(let token):
            let write = pendingWrites.removeValue(forKey: token)
            if case .rows(_, _, let reply?)? = write { self.reply(reply.id, .written(reply.report), &turn) }
            if case .ring(let ring, let command)? = write { onRingPersisted(ring, command: command, &turn) }
            answerWaitingRequests(token, &turn)
        case .storage(let condition):
            storage = condition
            if condition == .full { failWaitingWrites(&turn) }
        case .command(let id, let command):
            onCommand(id, command, &turn)
        case .calls(let calls):
            onStrictCalls(calls, &turn)
        case .streamAccepted(let id, _, _):
            turn.actions.append(.closeStream(id))
        case .start, .packet, .timer, .streamConnected, .streamOpened, .streamPacket, .streamClosed, .sendFailed,
            .resolved, .refused, .localTrouble, .stopping, .strict:
            break
        }
    }

    private mutating func onTimer(_ token: TimerToken, _ turn: inout Turn) {
        switch token {
        case .swim(let timer):
            watchForSuspend(&turn)
            let stalls = membership.statistics.stalls
            membership.onTimer(timer, clock: turn.clock, using: &turn.rng, into: &swimActions)
            carryOutMembership(&turn)
            if membership.statistics.stalls > stalls { reportStall(&turn) }
            if case .period = timer {
                keepSentinels(&turn)
                closeIdleStrictLinks(&turn)
            }
        case .gossip(let generation):
            onGossipTimer(generation, &turn)
        case .join(let generation):
            onJoinTimer(generation, &turn)
        case .sync(let generation):
            onSyncTimer(generation, &turn)
        case .streamIdle(let id):
            onStreamIdle(id, &turn)
        case .rememberPeers:
            setExpiryBack(&turn)
            rememberPeers(&turn)
        case .expiry:
            onExpiry(&turn)
        case .collection:
            onCollectionTimer(&turn)
        case .confirm(let id):
            if !onVerificationTimer(id, &turn) { onConfirmTimer(id, &turn) }
        case .repairPace(let id):
            onRepairPace(id, &turn)
        case .examination:
            onExaminationTimer(&turn)
        case .userEvents(let generation):
            onUserEventTimer(generation, &turn)
        case .ring:
            onRingTimer(&turn)
        case .strict(let generation):
            onStrictTimer(generation, &turn)
        }
    }

    /// Traps with the state when an invariant of the kernel or of a core is broken; the simulator calls it.
    package func checkInvariants() {
        membership.checkInvariants()
        storeQueue.checkInvariants()
        store.checkInvariantsQuickly()
        transactions.checkBounds()
        userEvents.checkInvariants()
        precondition(streams.count <= configuration.streamsMax, "\(streams.count) streams exceed the bound")
        timeline.checkBounds()
        strict.node?.checkInvariants()
        precondition(seeds.count <= Self.seedsMax, "\(seeds.count) seeds exceed the bound")
    }

    /// The full check of the store beside `checkInvariants`; linear in its rows.
    package func checkInvariantsThoroughly() {
        checkInvariants()
        store.checkInvariants()
        transactions.checkInvariants()
    }
}

/// What one call of `handle` carries through the kernel: the clocks, the generator, the actions so far.
struct Turn {
    let clock: Clock
    var rng: SeededGenerator
    var actions: [Action] = []

    var now: Instant { clock.now }

    init(clock: Clock, rng: SeededGenerator) {
        self.clock = clock
        self.rng = rng
    }
}
