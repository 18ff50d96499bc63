// SPDX-License-Identifier: Apache-2.0
// Owns the decision when to synchronise and with whom: digests that stay different, and gaps.

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
    /// Exchanges of tables in a row that left our own as it was, with the fingerprint it had.
    var futileMemberSyncs = 0
    var fingerprintAtSync: UInt64?
    var nextMemberSync: Instant?
    var isStoreSyncRunning = false
    var nextStoreSync: Instant?
    /// Synchronisations in a row that taught us nothing.
    var futileStoreSyncs = 0
    /// When the first of the rows that were quarantined may be taken: then a synchronisation is no longer futile.
    var quarantineEndsAt: Instant?
    /// The bytes that repair may send now.
    var pace = RepairPace()
    /// All writes up to this token are known to be durable.
    var durableThrough: UInt64 = 0
    /// Rows of writes up to this token came with a catch-up.
    var bulkThrough: UInt64 = 0
    /// Rows received of a large exchange under way, and how many its peer holds.
    var catchUp: (received: Int, total: Int)?

    mutating func memberSyncEnded() { isMemberSyncRunning = false }

    mutating func storeSyncFinished(learned: Bool) { futileStoreSyncs = learned ? 0 : futileStoreSyncs + 1 }

    /// `interval`, doubled for each futile attempt, at most 128-fold: two nodes that cannot become equal (one refuses a
    /// row of the other) must not exchange for ever at full speed.
    static func backoff(_ interval: Interval, futile: Int) -> Interval { interval * (1 << min(futile, 7)) }
}

extension NodeKernel {
    /// How long a gap in the context may last before it is repaired: gossip on other ways may still fill it.
    private static let gapPatience = Interval.milliseconds(500)
    /// How long digests may differ while ours keeps changing, before a synchronisation is started all the same.
    private static let differencePatience = Interval.seconds(5)

    /// How long our member table must have been the same before a difference is repaired: gossip of one update is over
    /// after about three rounds, and now and then it misses a node (about once in exp(transmissions)).
    private var memberPatience: Interval { configuration.swim.gossipInterval * 5 }

    /// Compares a peer's digest with ours. News under way also makes digests differ, so only a difference that outlasts
    /// gossip starts a synchronisation.
    mutating func onDigest(_ theirs: Digest, from peer: NodeID, at address: Address, _ turn: inout Turn) {
        guard !membership.isLeaving else { return }
        let mine = digest
        if memberFingerprintMatches(theirs.members, from: peer) {
            repair.members = nil
            repair.futileMemberSyncs = 0
        } else {
            let own = Hash128(high: mine.members, low: 0)
            let patience = note(&repair.members, own: own, quiet: memberPatience, turn.now)
            let isQuiet = patience == .quiet || membership.table[peer] == nil
            // News under way may settle it; but in a busy cluster there always is some.
            if patience == .over || isQuiet && membership.queue.isEmpty {
                startMemberRepair(with: peer, at: address, own: mine.members, &turn)
            }
        }
        if theirs.store == mine.store {
            repair.store = nil
            if !store.context.hasGaps { repair.futileStoreSyncs = 0 }
        } else {
            let patience = note(&repair.store, own: mine.store, quiet: configuration.syncIntervalMin * 2, turn.now)
            // What was quarantined may be with this peer alone: no patience with it once its time has come.
            let isOverdue = repair.quarantineEndsAt.map { turn.now >= $0 } ?? false
            if patience != .wait || isOverdue { startStoreRepair(with: peer, &turn) }
        }
        if !store.context.hasGaps {
            repair.gapSince = nil
        } else if let since = repair.gapSince {
            if turn.now - since >= Self.gapPatience { startStoreRepair(with: peer, &turn) }
        } else {
            repair.gapSince = turn.now
        }
    }

    /// How a difference has to be taken.
    private enum Patience {
        /// Gossip may still settle it.
        case wait
        /// Our own digest has not changed for a while.
        case quiet
        /// It has lasted so long that news under way is no reason any more.
        case over
    }

    /// Keeps account of a difference.
    private func note(
        _ difference: inout RepairState.Difference?, own: Hash128, quiet: Interval, _ now: Instant
    ) -> Patience {
        guard var current = difference else {
            difference = RepairState.Difference(since: now, quietSince: now, own: own)
            return .wait
        }
        if current.own != own {
            current.own = own
            current.quietSince = now
        }
        difference = current
        if now - current.since >= Self.differencePatience { return .over }
        return now - current.quietSince >= quiet ? .quiet : .wait
    }

    private mutating func startMemberRepair(
        with peer: NodeID, at source: Address, own: UInt64, _ turn: inout Turn
    ) {
        guard !repair.isMemberSyncRunning, repair.nextMemberSync.map({ turn.now >= $0 }) ?? true else { return }
        // Whoever is not in our table is asked where its datagram came from.
        let address = membership.table[peer]?.info.address ?? source
        repair.futileMemberSyncs = repair.fingerprintAtSync == own ? repair.futileMemberSyncs + 1 : 0
        repair.fingerprintAtSync = own
        let wait = RepairState.backoff(configuration.swim.probeInterval, futile: repair.futileMemberSyncs)
        repair.nextMemberSync = turn.now + turn.rng.jittered(wait, spread: 0.5)
        // The next one has to outlast gossip again.
        repair.members = nil
        repair.isMemberSyncRunning = startMemberSync(to: address, peer: peer, seed: nil, &turn)
    }

    mutating func startStoreRepair(with peer: NodeID, _ turn: inout Turn) {
        if let end = repair.quarantineEndsAt, turn.now >= end {
            repair.quarantineEndsAt = nil
            repair.futileStoreSyncs = 0
            repair.nextStoreSync = nil
        }
        guard !reset.isUnderWay, !repair.isStoreSyncRunning, repair.nextStoreSync.map({ turn.now >= $0 }) ?? true,
            membership.table[peer]?.state.isActive == true
        else { return }
        let wait = RepairState.backoff(configuration.syncIntervalMin, futile: repair.futileStoreSyncs)
        repair.nextStoreSync = turn.now + turn.rng.jittered(wait, spread: 0.25)
        repair.isStoreSyncRunning = startStoreSync(with: peer, &turn)
    }

    /// A synchronisation of ours is over, well or not.
    mutating func storeSyncEnded(_ turn: inout Turn) {
        repair.isStoreSyncRunning = false
        resumePulls(&turn)
    }

    /// After joining: the stores are synchronised at once instead of at the next ping.
    mutating func synchroniseAfterJoin(with peer: NodeID, _ turn: inout Turn) {
        guard !repair.isStoreSyncRunning else { return }
        repair.isStoreSyncRunning = startStoreSync(with: peer, &turn)
    }
}
