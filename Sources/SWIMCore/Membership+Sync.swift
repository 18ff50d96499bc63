// SPDX-License-Identifier: Apache-2.0
// Owns push-pull: the table as rows, the merge of a peer's table, and the choice of gossip.

import ClusterTypes

extension Membership {
    /// All rows, for a push-pull at `now`.
    package func entries(now: Instant) -> [MemberTableEntry] { table.members.map { $0.entry(now: now) } }

    /// Merges a peer's table. What the peer calls failed is only suspected here when it is alive to us, so that it gets
    /// the chance to refute; rows older than their retention are left alone.
    package mutating func merge(
        _ entries: [MemberTableEntry], from peer: NodeID, clock: Clock, using rng: inout SeededGenerator,
        into actions: inout [SWIMAction]
    ) {
        guard isStarted else { return }
        for entry in entries {
            merge(entry, from: peer, clock: clock, using: &rng, into: &actions)
        }
        askDropped(entries, using: &rng, into: &actions)
    }

    /// Members that were dropped here, and that the peer calls alive without knowing of a new life. Its row may be old;
    /// or they are alive and never heard that they were dropped, because both sides of a partition have dropped each
    /// other. They know: told what is said of them, they answer with a higher incarnation, or not at all.
    private mutating func askDropped(
        _ entries: [MemberTableEntry], using rng: inout SeededGenerator, into actions: inout [SWIMAction]
    ) {
        guard !reaped.isEmpty, !isLeaving else { return }
        var dropped = entries.filter { entry in
            entry.state.isActive && entry.id != selfID && table[entry.id] == nil && entry.info.isWithinBounds
                && reaped[entry.id].map { entry.incarnation <= $0 } ?? false
        }
        // Too many for once: some at random, lest those that are really gone stand before the others for ever.
        for index in dropped.indices.prefix(Self.droppedAskedMax) {
            dropped.swapAt(index, index + rng.index(below: dropped.count - index))
        }
        for entry in dropped.prefix(Self.droppedAskedMax) {
            guard let incarnation = reaped[entry.id] else { continue }
            let update = MemberUpdate(subject: entry.id, incarnation: incarnation, claim: .failed(by: selfID))
            let ping = Ping(sequence: takeSequence(), target: entry.id)
            actions.append(.send([.update(update), .ping(ping)], to: entry.info.address))
        }
    }

    private mutating func merge(
        _ entry: MemberTableEntry, from peer: NodeID, clock: Clock, using rng: inout SeededGenerator,
        into actions: inout [SWIMAction]
    ) {
        let former = table[entry.id]
        // Most rows of most tables say nothing new. A peer's suspicion does: it may confirm ours.
        if let former, former.incarnation == entry.incarnation, former.state == entry.state, entry.state != .suspect,
            !entry.state.isActive
                || former.info == entry.info && (former.info.proof != nil || entry.info.proof == nil)
        {
            return
        }
        guard former != nil || entry.state.isActive else {
            admitDeparted(entry, clock: clock, into: &actions)
            return
        }
        for claim in claims(of: entry, from: peer) {
            let update = MemberUpdate(subject: entry.id, incarnation: entry.incarnation, claim: claim)
            onUpdate(update, clock: clock, using: &rng, into: &actions)
        }
        guard let member = table[entry.id], !entry.state.isActive, member.state == entry.state,
            member.incarnation == entry.incarnation, entry.id != selfID
        else { return }
        // News to this node, but not new: it is dropped when the peer drops it.
        let since = since(entry, clock: clock)
        table.change(entry.id) { $0.since = since }
    }

    /// What a peer's row says here, in the order to be applied.
    private func claims(of entry: MemberTableEntry, from peer: NodeID) -> [MemberClaim] {
        let isActiveHere = entry.id != selfID && table[entry.id]?.state.isActive == true
        return switch entry.state {
        case .alive: [ownWords(of: entry)].compactMap(\.self)
        case .suspect: [ownWords(of: entry), .suspect(by: peer)].compactMap(\.self)
        case .failed: isActiveHere ? [.suspect(by: peer)] : [.failed(by: peer)]
        case .left: [.left(entry.info.proof)]
        case .forgotten: [entry.isEvicted ? .evicted(by: peer) : .forgotten(by: peer)]
        }
    }

    /// When the peer learned of the state of its row, on this node's clocks.
    private func since(_ entry: MemberTableEntry, clock: Clock) -> Clock {
        let wall = clock.wall.milliseconds
        return Clock(
            now: clock.now - .seconds(Int(entry.ageSeconds)),
            wall: WallTime(milliseconds: wall - min(wall, UInt64(entry.ageSeconds) * 1_000)))
    }

    /// A member that this node does not know and that is gone already: keep it for the rest of its retention, without
    /// fuss. A tombstone is taken in even when the member was dropped here: the fingerprint counts tombstones, so two
    /// nodes that disagree on one would never agree on their tables.
    private mutating func admitDeparted(_ entry: MemberTableEntry, clock: Clock, into actions: inout [SWIMAction]) {
        let isNews = entry.state == .forgotten || reaped[entry.id].map { entry.incarnation > $0 } ?? true
        guard isNews, Interval.seconds(Int(entry.ageSeconds)) < retention(of: entry.state),
            table.count < Bounds.membersMax, entry.id != .unknown, entry.incarnation < Bounds.incarnationMax,
            entry.info.isWithinBounds
        else { return }
        var member = Member(
            id: entry.id, info: checked(entry), incarnation: entry.incarnation, state: entry.state,
            since: since(entry, clock: clock))
        member.isEvicted = entry.isEvicted
        table.insert(member)
    }

    /// Takes updates for a datagram with `budget` bytes left, fewest transmissions first.
    package mutating func takeUpdates(budget: Int, into updates: inout [MemberUpdate]) -> Int {
        queue.take(budget: budget, limit: transmissionsMax, into: &updates)
    }

    /// The peers that a round of gossip goes to: the next ones of a shuffled list, so that the few transmissions of an
    /// update go to different peers. Drawn at random each time, in a small cluster they now and then miss somebody. So
    /// few peers that an update may be sent to each of them all hear it at once.
    package mutating func gossipPeers(using rng: inout SeededGenerator) -> [NodeID] {
        var chosen: [NodeID] = []
        let fanout = gossipFanout
        while chosen.count < fanout,
            let peer = gossipOrder.advance(in: table, using: &rng, where: { !chosen.contains($0) })
        {
            chosen.append(peer)
        }
        return chosen
    }
}

extension Membership {
    /// How many peers a round of gossip goes to now.
    package var gossipFanout: Int {
        let peers = table.activePeers.count
        return peers <= transmissionsMax ? peers : configuration.gossipFanout(among: table.activeCount)
    }

    /// Nobody is there to gossip to.
    package mutating func forgetQueue() { queue.removeAll() }
}
