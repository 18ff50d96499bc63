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
    }

    private mutating func merge(
        _ entry: MemberTableEntry, from peer: NodeID, clock: Clock, using rng: inout SeededGenerator,
        into actions: inout [SWIMAction]
    ) {
        func apply(_ claim: MemberClaim) {
            let update = MemberUpdate(subject: entry.id, incarnation: entry.incarnation, claim: claim)
            onUpdate(update, clock: clock, using: &rng, into: &actions)
        }
        guard entry.id != selfID, table[entry.id] == nil else {
            mergeKnown(entry, from: peer, apply: apply)
            return
        }
        if entry.state.isActive {
            apply(.alive(entry.info))
            if entry.state == .suspect { apply(.suspect(by: peer)) }
        } else {
            admitDeparted(entry, clock: clock)
        }
    }

    private func mergeKnown(_ entry: MemberTableEntry, from peer: NodeID, apply: (MemberClaim) -> Void) {
        let isActiveHere = table[entry.id]?.state.isActive == true
        switch entry.state {
        case .alive:
            apply(.alive(entry.info))
        case .suspect:
            apply(.alive(entry.info))
            apply(.suspect(by: peer))
        case .failed:
            if entry.id == selfID || !isActiveHere {
                apply(.failed(by: peer))
            } else {
                apply(.suspect(by: peer))
            }
        case .left:
            apply(.left)
        case .forgotten:
            apply(.forgotten(by: peer))
        }
    }

    /// A member that this node never met and that is gone already: keep it for the rest of its retention, without fuss.
    private mutating func admitDeparted(_ entry: MemberTableEntry, clock: Clock) {
        let age = Interval.seconds(Int(entry.ageSeconds))
        guard age < retention(of: entry.state), reaped[entry.id].map({ entry.incarnation > $0 }) ?? true,
            table.count < Bounds.membersMax, entry.id != .unknown, entry.incarnation < Bounds.incarnationMax,
            entry.info.isWithinBounds
        else { return }
        let wall = clock.wall.milliseconds
        let since = Clock(
            now: clock.now - age,
            wall: WallTime(milliseconds: wall - min(wall, UInt64(entry.ageSeconds) * 1_000)))
        table.insert(
            Member(id: entry.id, info: entry.info, incarnation: entry.incarnation, state: entry.state, since: since))
    }

    /// Takes updates for a datagram with `budget` bytes left, fewest transmissions first.
    package mutating func takeUpdates(budget: Int, into updates: inout [MemberUpdate]) -> Int {
        queue.take(budget: budget, limit: transmissionsMax, into: &updates)
    }

    /// The peers that a round of gossip goes to.
    package func gossipPeers(using rng: inout SeededGenerator) -> [NodeID] {
        table.randomPeers(configuration.gossipFanout, using: &rng)
    }
}

extension Membership {
    /// Nobody is there to gossip to.
    package mutating func forgetQueue() { queue.removeAll() }
}
