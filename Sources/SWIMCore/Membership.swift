// SPDX-License-Identifier: Apache-2.0
// Owns the membership machine: its state, its birth and its dispatch of messages and timers.

import ClusterTypes

/// SWIM (Das, Gupta and Motivala, DSN 2002) with Lifeguard (Dadgar, Phillips and Currey, 2018) for one node.
///
/// A value: each `on…` takes the time and a generator and appends actions. No failure is thrown at a peer's message:
/// what is of no use is counted and dropped.
package struct Membership: Sendable {
    package let configuration: SWIMConfiguration
    package internal(set) var table: MemberTable
    package internal(set) var awareness: Awareness
    package internal(set) var statistics = SWIMStatistics()
    /// Claims waiting to be piggybacked, one slot per subject.
    package internal(set) var queue = DisseminationQueue<NodeID, MemberUpdate>(capacity: Bounds.membersMax)
    package internal(set) var isStarted = false
    package internal(set) var isLeaving = false
    /// Everybody began with knowing this node: there is nothing to tell when it starts.
    private var isAnnounced = false

    var order = ProbeOrder(keepsOrder: true)
    var gossipOrder = ProbeOrder(keepsOrder: false)
    var suspicions: [NodeID: Suspicion] = [:]
    /// In flight, oldest first; few, so a linear search serves.
    var probes: [Probe] = []
    var relayed: [RelayedPing] = []
    var operatorPings: [OperatorPing] = []
    /// Incarnations of members that were reaped: synchronisation does not bring them back.
    var reaped: [NodeID: UInt64] = [:]
    var departure: Departure?
    /// What this node will say of itself with its next incarnation; nil: what it says already.
    var wantedInfo: MemberInfo?
    package internal(set) var authors = AuthorState()
    /// Who last brought an accusation that this node has answered: its ping gets that answer again.
    var accuser: NodeID?
    /// The round trip to the peers together, for those that were never measured.
    var usualRoundTrip: RoundTrip?
    /// The number of the last period of the wall clock in which this node probed by the schedule.
    var lastSlot: UInt64?
    /// When the latest hint about a member was followed, for the present and the last period.
    var hintedAt: [NodeID: Instant] = [:]
    /// Members that answered the last probe over a stream alone: probed again each period until that is sure or over.
    var streamOnly: [NodeID] = []
    /// When each kind of local trouble was last charged, by `LocalTrouble.index`.
    var troubledAt = [Instant?](repeating: nil, count: LocalTrouble.kinds)

    /// Incarnations up to this one are durably reserved for this process.
    var incarnationFence: UInt64
    /// A claim of this node waits until a higher fence is durable.
    var awaitsFence = false
    /// The incarnation that the waiting claim needs at least.
    var wantedIncarnation: UInt64 = 0

    var nextSequence: UInt32 = 0
    /// Tells the current timers from stale ones: of the protocol period, of upkeep, of suspicions.
    var generation: UInt64 = 0
    var upkeepGeneration: UInt64 = 0
    var suspicionGeneration: UInt64 = 0
    let updateBytes: @Sendable (MemberUpdate) -> Int
    /// How statements are signed and checked; nil: nobody signs, everybody is believed.
    let authorship: Authorship?

    /// How many incarnations one durable write reserves.
    static let fenceStep: UInt64 = 1_024
    /// Probes in a row that only a stream answered, after which it is told.
    static let streamOnlyProbesTold = 3
    /// Relayed pings in flight at most; more requests are dropped and nobody is harmed.
    static let relayedMax = 1_024
    /// How long after a probe's deadline a suspicion looks at its outcome.
    static let afterProbe = Interval.milliseconds(1)
    /// Probes in flight that hints asked for, and those that second looks asked for, at most; more are not followed.
    static let hintedProbesMax = 32
    static let secondLooksMax = 32
    /// A second look begins within this, so that those who look do not all do so at once.
    static let secondLookSpread = Interval.milliseconds(50)
    /// Members whose datagrams are in doubt and that are looked at again, at most.
    static let streamOnlyMax = 16
    /// Reaped members remembered at most.
    static let reapedMax = 20_000
    /// Of the dropped members that a part of a peer's table calls alive, so many are asked at most.
    static let droppedAskedMax = 32

    /// - Parameters:
    ///   - id: This node.
    ///   - info: What it says of itself.
    ///   - incarnationFence: Every incarnation up to this one may have been used by an earlier process.
    ///   - table: Members that this node begins with and that begin with it, of nobody's view; it holds this node under
    ///     its first incarnation. nil: it knows itself alone.
    ///   - authorship: How statements are signed and checked; nil: nobody signs, everybody is believed.
    ///   - pins: Keys of nodes that an earlier process of this one knew.
    ///   - updateBytes: The size of an update on the wire.
    package init(
        configuration: SWIMConfiguration, id: NodeID, info: MemberInfo, incarnationFence: UInt64, clock: Clock,
        table known: MemberTable? = nil, authorship: Authorship? = nil,
        pins: [NodeID: AuthorKey] = [:], updateBytes: @escaping @Sendable (MemberUpdate) -> Int
    ) {
        self.configuration = configuration
        self.updateBytes = updateBytes
        self.authorship = authorship
        // A fence at its bound leaves one incarnation to use, again and again: better than none that peers accept.
        let first = min(incarnationFence, Bounds.incarnationMax - 1) + 1
        self.incarnationFence = min(incarnationFence, Bounds.incarnationMax)
        awareness = Awareness(max: configuration.awarenessMax)
        authors.pins = pins
        wantedIncarnation = first
        if let known {
            table = known.seen(by: id)
            isAnnounced = true
            precondition(
                me.info == info && me.incarnation == first && me.state == .alive, "the others know \(me), not \(info)")
        } else {
            table = MemberTable(self: Member(id: id, info: info, incarnation: first, state: .alive, since: clock))
        }
    }

    package var selfID: NodeID { table.selfID }

    package var probesInFlight: Int { probes.count }

    package var relayedInFlight: Int { relayed.count }

    /// The evidence of the suspicion that runs against a member.
    package func suspicion(of id: NodeID) -> Evidence? { suspicions[id]?.evidence }

    /// This node's own row.
    package var me: Member {
        guard let member = table[selfID] else { preconditionFailure("this node is missing from its own table") }
        return member
    }

    /// What this node says of itself, or will as soon as a durable fence allows it.
    package var ownInfo: MemberInfo { wantedInfo ?? me.info }

    /// How many times an update is sent: `retransmitMultiplier * ceil(log10(n + 1))`.
    package var transmissionsMax: Int {
        configuration.retransmitMultiplier * max(1, Logarithm.decimalDigits(table.activeCount))
    }

    /// Reserves the first incarnations; protocol periods begin when that is durable.
    package mutating func start(into actions: inout [SWIMAction]) {
        precondition(!isStarted, "started twice")
        requestFence(into: &actions)
    }

    /// The fence asked for by `persistFence` is durable.
    package mutating func onFencePersisted(
        _ fence: UInt64, clock: Clock, using rng: inout SeededGenerator, into actions: inout [SWIMAction]
    ) {
        incarnationFence = max(incarnationFence, fence)
        awaitsFence = false
        if isStarted {
            if wantedIncarnation > me.incarnation { claimOwnIncarnation(clock: clock, into: &actions) }
            return
        }
        isStarted = true
        nextSequence = UInt32(truncatingIfNeeded: rng.next())
        if !isAnnounced || wantedIncarnation > me.incarnation { claimOwnIncarnation(clock: clock, into: &actions) }
        // A random first period keeps nodes that start together from probing together.
        let offset = configuration.probeInterval * rng.fraction()
        actions.append(.setTimer(.period(generation: generation), at: clock.now + offset))
        actions.append(.setTimer(.reconnect(generation: upkeepGeneration), at: clock.now + nextReconnect(using: &rng)))
        actions.append(.setTimer(.reap(generation: upkeepGeneration), at: clock.now + reapInterval))
    }

    /// Handles one datagram message of `sender` from `address`.
    package mutating func onMessage(
        _ message: SWIMMessage, from sender: NodeID, at address: Address, clock: Clock,
        using rng: inout SeededGenerator, into actions: inout [SWIMAction]
    ) {
        guard isStarted else { return }
        switch message {
        case .ping(let ping):
            onPing(ping, from: sender, at: address, clock: clock, into: &actions)
        case .ack(let ack):
            if isLeaving, onLeaveAck(ack, from: sender, into: &actions) { return }
            onAck(ack, from: sender, clock: clock, into: &actions)
        case .indirectPing(let request):
            onIndirectPing(request, from: sender, at: address, clock: clock, into: &actions)
        case .nack(let nack):
            onNack(nack, from: sender)
        case .update(let update):
            onUpdate(update, clock: clock, using: &rng, into: &actions)
            noteAccusation(update, by: sender)
        }
    }

    /// Handles a timer that an action asked for; a stale one is ignored.
    package mutating func onTimer(
        _ timer: SWIMTimer, clock: Clock, using rng: inout SeededGenerator, into actions: inout [SWIMAction]
    ) {
        switch timer {
        case .period(let generation):
            guard generation == self.generation else { return }
            onPeriod(clock: clock, using: &rng, into: &actions)
        case .probeTimeout(let sequence):
            onProbeTimeout(sequence, clock: clock, using: &rng, into: &actions)
        case .probeDeadline(let sequence):
            onProbeDeadline(sequence, clock: clock, using: &rng, into: &actions)
        case .relayNack(let sequence):
            onRelayNack(sequence, into: &actions)
        case .pingExpiry(let sequence):
            onPingExpiry(sequence, into: &actions)
        case .secondLook(let id, let incarnation):
            onSecondLook(id, incarnation: incarnation, clock: clock, into: &actions)
        case .suspicion(let id, let generation):
            onSuspicionTimer(id, generation: generation, clock: clock, into: &actions)
        case .reconnect(let generation):
            guard generation == upkeepGeneration else { return }
            onReconnect(clock: clock, using: &rng, into: &actions)
        case .reap(let generation):
            guard generation == upkeepGeneration else { return }
            onReap(clock: clock, into: &actions)
        case .leave(let attempt):
            onLeaveTimer(attempt, clock: clock, using: &rng, into: &actions)
        }
    }

    /// Queues `update` for gossip; it supersedes what is queued about the same member.
    mutating func disseminate(_ update: MemberUpdate) {
        queue.enqueue(update, for: update.subject, bytes: updateBytes(update))
    }

    mutating func raiseAwareness(by delta: Int, into actions: inout [SWIMAction]) {
        if let former = awareness.add(delta) {
            actions.append(.awarenessChanged(from: former, to: awareness.score))
        }
    }

    mutating func takeSequence() -> UInt32 {
        nextSequence &+= 1
        return nextSequence
    }

    /// Traps with the state when something that must hold does not.
    package func checkInvariants() {
        table.checkInvariants()
        queue.checkInvariants()
        order.checkInvariants(table)
        gossipOrder.checkInvariants(table)
        let suspects = table.members.filter { $0.state == .suspect }
        for member in suspects {
            precondition(suspicions[member.id] != nil, "\(member.id) is suspect without a suspicion")
        }
        precondition(suspicions.count == suspects.count, "\(suspicions.count) suspicions, \(suspects.count) suspects")
        precondition(
            me.state == .alive || isLeaving && me.state == .left, "this node calls itself \(me.state)")
        precondition(!isStarted || me.incarnation <= incarnationFence, "incarnation beyond its durable fence")
        precondition(
            authors.equivocations.count <= AuthorState.equivocationsMax,
            "\(authors.equivocations.count) equivocations exceed the bound")
        precondition(reaped.count <= Self.reapedMax, "\(reaped.count) reaped members exceed the bound")
    }
}
