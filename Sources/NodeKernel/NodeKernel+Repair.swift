// SPDX-License-Identifier: Apache-2.0
// Owns the decision when to synchronise and with whom: digests that stay different, gaps, announced events.

import ClusterTypes
import SWIMCore
import StoreCore

/// What this node knows of differences to its peers.
struct RepairState: Sendable {
    /// Since when every digest has differed, and the value ours had then.
    struct Difference: Hashable, Sendable {
        var since: Instant
        /// Our own digest has been the same since this moment.
        var quietSince: Instant
        var own: Hash128
    }

    var members: Difference?
    var store: Difference?
    /// Since when our context has had gaps.
    var gapSince: Instant?
    var isMemberSyncRunning = false
    var nextMemberSync: Instant?
    var isStoreSyncRunning = false
    var nextStoreSync: Instant?
    /// Events that peers announced and we have not seen, with who holds them; at most `wantedMax`.
    var wanted: [(dot: Dot, holder: NodeID)] = []
    var timerGeneration: UInt64 = 0

    static let wantedMax = 4_096

    mutating func memberSyncEnded() { isMemberSyncRunning = false }
}

extension NodeKernel {
    /// How long a gap in the context may last before it is repaired: gossip on other ways may still fill it.
    private static let gapPatience = Interval.milliseconds(500)
    /// How long digests may differ while ours keeps changing, before a synchronisation is started all the same.
    private static let differencePatience = Interval.seconds(5)

    /// Compares a peer's digest with ours. News under way also makes digests differ, so only a difference that outlasts
    /// gossip starts a synchronisation.
    mutating func onDigest(_ theirs: Digest, from peer: NodeID, _ turn: inout Turn) {
        guard !membership.isLeaving else { return }
        let mine = digest
        if theirs.members == mine.members {
            repair.members = nil
        } else {
            let own = Hash128(high: mine.members, low: 0)
            let isDue = note(&repair.members, own: own, quiet: configuration.swim.probeInterval * 2, turn.now)
            if isDue || membership.table[peer] == nil, membership.queue.isEmpty {
                startMemberRepair(with: peer, &turn)
            }
        }
        if theirs.store == mine.store {
            repair.store = nil
        } else {
            let isDue = note(&repair.store, own: mine.store, quiet: configuration.syncIntervalMin * 2, turn.now)
            if isDue { startStoreRepair(with: peer, &turn) }
        }
        if !store.context.hasGaps {
            repair.gapSince = nil
        } else if let since = repair.gapSince {
            if turn.now - since >= Self.gapPatience { startStoreRepair(with: peer, &turn) }
        } else {
            repair.gapSince = turn.now
        }
    }

    /// Keeps account of a difference; true when it has outlasted its patience.
    private func note(
        _ difference: inout RepairState.Difference?, own: Hash128, quiet: Interval, _ now: Instant
    ) -> Bool {
        guard var current = difference else {
            difference = RepairState.Difference(since: now, quietSince: now, own: own)
            return false
        }
        if current.own != own {
            current.own = own
            current.quietSince = now
        }
        difference = current
        return now - current.quietSince >= quiet || now - current.since >= Self.differencePatience
    }

    private mutating func startMemberRepair(with peer: NodeID, _ turn: inout Turn) {
        guard !repair.isMemberSyncRunning, repair.nextMemberSync.map({ turn.now >= $0 }) ?? true,
            let address = membership.table[peer]?.info.address
        else { return }
        repair.nextMemberSync = turn.now + turn.rng.jittered(configuration.swim.probeInterval, spread: 0.5)
        repair.isMemberSyncRunning = startMemberSync(to: address, peer: peer, seed: nil, &turn)
    }

    private mutating func startStoreRepair(with peer: NodeID, _ turn: inout Turn) {
        guard !repair.isStoreSyncRunning, repair.nextStoreSync.map({ turn.now >= $0 }) ?? true,
            membership.table[peer]?.state.isActive == true
        else { return }
        repair.nextStoreSync = turn.now + turn.rng.jittered(configuration.syncIntervalMin, spread: 0.25)
        repair.isStoreSyncRunning = startStoreSync(with: peer, &turn)
    }

    /// A peer holds events too large for gossip: fetch those we have not seen.
    mutating func onAnnouncement(_ dots: [Dot], from peer: NodeID, _ turn: inout Turn) {
        for dot in dots where !store.context.contains(dot) {
            guard repair.wanted.count < RepairState.wantedMax else { break }
            if !repair.wanted.contains(where: { $0.dot == dot && $0.holder == peer }) {
                repair.wanted.append((dot, peer))
            }
        }
        fetchWanted(&turn)
    }

    /// Synchronises with the holder of the first event that is still wanted; one stream at a time.
    private mutating func fetchWanted(_ turn: inout Turn) {
        repair.wanted.removeAll { store.context.contains($0.dot) }
        guard !repair.isStoreSyncRunning, !membership.isLeaving else { return }
        while let (_, holder) = repair.wanted.first {
            if membership.table[holder]?.state.isActive == true, startStoreSync(with: holder, &turn) {
                repair.isStoreSyncRunning = true
                return
            }
            repair.wanted.removeAll { $0.holder == holder }
        }
    }

    /// A synchronisation of ours is over, well or not. What its peer still holds for us is asked for elsewhere.
    mutating func storeSyncEnded(with peer: NodeID?, _ turn: inout Turn) {
        repair.isStoreSyncRunning = false
        if let peer { repair.wanted.removeAll { $0.holder == peer } }
        guard !repair.wanted.isEmpty else { return }
        repair.timerGeneration += 1
        turn.actions.append(.setTimer(.sync(generation: repair.timerGeneration), at: turn.now))
    }

    mutating func onSyncTimer(_ generation: UInt64, _ turn: inout Turn) {
        guard generation == repair.timerGeneration else { return }
        fetchWanted(&turn)
    }

    /// After joining: the stores are synchronised at once instead of at the next ping.
    mutating func synchroniseAfterJoin(with peer: NodeID, _ turn: inout Turn) {
        guard !repair.isStoreSyncRunning else { return }
        repair.isStoreSyncRunning = startStoreSync(with: peer, &turn)
    }
}
