// SPDX-License-Identifier: Apache-2.0
// Owns collection: which dead rows the whole cluster agrees to forget, and which actors are folded (decision 0007).

import ClusterTypes
import SWIMCore
import StoreCore

/// What this node has promised, and the collection it leads.
struct CollectionState: Sendable {
    /// "I hold these dead rows": good for a floor with exactly this cutoff, until a row of before it comes in.
    struct Promise: Hashable, Sendable {
        var cutoff: HybridTimestamp
        /// The actors that may be folded with it; none after a restart, which forgets them.
        var folds: [Dot]
        var isDurable: Bool
    }

    /// A collection that this node leads.
    struct Round: Hashable, Sendable {
        var request: CollectRequest
        /// Sorted.
        var agreed: [NodeID] = []
        var isVetoed = false
        /// A veto told us under which actor somebody writes: next time that one is not asked for.
        var hasLearned = false
        var attempts = 0
    }

    /// The cutoff of the last promise on disk, or a higher number when that one is void.
    var promised: HybridTimestamp
    var promise: Promise?
    var round: Round?
    var nextAttempt: Instant?
    var timerAt: Instant?
    /// Members that the last round lacked; sorted.
    var waitsFor: [NodeID] = []
    /// Members that were lost sight of: failed, or remembered from an earlier process and not met since.
    var lost: [NodeID: Instant] = [:]
    var floors = FloorViews()
    /// How many actors the next round tries to fold: fewer after each refusal.
    var foldLimit = CollectionState.foldsMax
    /// Under which actors members write, by what they last said; at most `Bounds.membersMax`.
    var writers: [NodeID: ActorID] = [:]
    /// When peers' questions were last looked into, which costs a look at every row; at most `Bounds.membersMax`.
    var lookedInto: [NodeID: Instant] = [:]
    /// Actors whose folding was refused on their own account, sorted by when.
    var foldsAvoided: [FoldRefusal] = []

    /// Questions of one round to a member that does not answer, one each second.
    static let attemptsMax = 10
    static let repeatInterval = Interval.seconds(1)
    /// A peer's questions are looked into no more often; a little less than the time after which one is repeated.
    static let lookInterval = Interval.milliseconds(800)
    static let waitsForNamedMax = 16
    /// Dead rows that one collection drops, about: each takes some 10 us, and the node does nothing else meanwhile.
    static let rowsMax = 20_000

    init(promised: HybridTimestamp = .zero) {
        self.promised = promised
        if promised != .zero { promise = Promise(cutoff: promised, folds: [], isDurable: true) }
    }
}

/// What of collection and reset waits for the disk.
enum CollectionWrite: Sendable {
    /// The collector's own promise.
    case round(cutoff: HybridTimestamp)
    case answer(CollectAnswer, to: NodeID)
    case raised(rows: Int, folded: Int, cutoff: HybridTimestamp, isLed: Bool)
    case void
    case takeover(Takeover)
    /// Nobody waits for the answer any more when there is no command.
    case dequeued(CommandID?, count: Int)
}

extension NodeKernel {
    /// The node takes part from now on.
    mutating func startCollection(_ turn: inout Turn) {
        collection.floors.note(own: store.floor.mark, turn.now)
        for peer in configuration.rememberedPeers where peer.id != selfID { collection.lost[peer.id] = turn.now }
        if let promise = collection.promise, promise.cutoff <= store.floor.cutoff { collection.promise = nil }
        collection.nextAttempt = turn.now + turn.rng.jittered(configuration.collectionInterval, spread: 0.5)
        scheduleCollection(&turn)
    }

    /// Wakes for whatever is due first; an earlier timer makes a later one stale.
    mutating func scheduleCollection(_ turn: inout Turn) {
        var at = collection.nextAttempt ?? turn.now + configuration.collectionInterval
        if collection.round != nil { at = min(at, turn.now + CollectionState.repeatInterval) }
        if let retry = reset.retryAt { at = min(at, max(retry, turn.now)) }
        if let set = collection.timerAt, set <= at { return }
        collection.timerAt = at
        turn.actions.append(.setTimer(.collection, at: at))
    }

    mutating func onCollectionTimer(_ turn: inout Turn) {
        guard let at = collection.timerAt, at <= turn.now else { return }
        collection.timerAt = nil
        guard !membership.isLeaving else { return }
        noteLostMembers(turn.now)
        judgeClock(&turn)
        continueReset(&turn)
        if reset.isUnderWay {
            collection.round = nil
        } else if collection.round != nil {
            askForPromises(&turn)
        }
        if let next = collection.nextAttempt, next <= turn.now {
            collection.nextAttempt = turn.now + turn.rng.jittered(configuration.collectionInterval, spread: 0.1)
            if collection.round == nil { beginRound(&turn) }
        }
        scheduleCollection(&turn)
    }

    /// Members that failed and were dropped from the table, and peers of an earlier process that are not there yet.
    private mutating func noteLostMembers(_ now: Instant) {
        guard membership.table.count(of: .failed) > 0 || !collection.lost.isEmpty else { return }
        for member in membership.table.members {
            if member.state == .failed {
                if collection.lost.count < Bounds.membersMax { collection.lost[member.id] = now }
            } else {
                collection.lost[member.id] = nil
            }
        }
        let retention = configuration.swim.forgottenRetention
        collection.lost = collection.lost.filter { now - $0.value < retention }
    }

    /// Whether this node stands on the larger side of whatever may have parted it from others: a few nodes that were cut
    /// off for days must not raise a floor that the others would have to follow.
    private var isMajority: Bool {
        membership.table.activeCount > collection.lost.keys.count { membership.table[$0] == nil }
    }

    /// Whose promises a collection needs beside our own; sorted.
    func membersOfRecord(_ now: Instant) -> [NodeID] {
        membership.table.members.filter { member in
            if member.id == selfID { return false }
            switch member.state {
            case .alive, .suspect, .failed: return true
            case .left: return now - member.since.now < configuration.collectionGrace
            case .forgotten: return false
            }
        }.map(\.id).sorted()
    }

    private var isCollector: Bool {
        !membership.table.members.contains { $0.state.isActive && $0.id < selfID }
    }

    /// The highest cutoff that this node may agree to; nil while its clock is not to be trusted.
    func cutoffMax(_ wall: WallTime) -> UInt64? {
        let grace = UInt64(max(0, configuration.collectionGrace.nanoseconds / 1_000_000))
        guard clocks.outlierOffset == nil, wall.milliseconds > grace else { return nil }
        return min(wall.milliseconds, HybridClock.wallMax.milliseconds) - grace
    }

    /// The low bits tell the cutoffs of two collectors at one moment apart. So low that no member stands still for long
    /// while it drops what is dead; it must only be higher than what was promised before.
    private func chooseCutoff(upTo milliseconds: UInt64, _ turn: inout Turn) -> HybridTimestamp {
        let salt = turn.rng.next() & 0xffff
        let highest = HybridTimestamp(rawValue: milliseconds << 16 | salt)
        let enough = store.cutoff(upTo: highest, rowsMax: CollectionState.rowsMax)
        let wanted = max(enough, store.floor.cutoff, collection.promised).milliseconds + 1
        return min(highest, HybridTimestamp(rawValue: wanted << 16 | salt))
    }

    private mutating func beginRound(_ turn: inout Turn) {
        guard isCollector, let limit = cutoffMax(turn.clock.wall), limit > 0 else { return }
        let cutoff = chooseCutoff(upTo: limit - 1, &turn)
        guard cutoff > store.floor.cutoff, cutoff > collection.promised else { return }
        let now = turn.now
        let folds = chooseFolds(now)
        collection.waitsFor = []
        // As a rule there is nothing to be done: that must not cost a look at a million rows each time.
        guard store.hasDeadRows(at: cutoff) || !folds.isEmpty else { return }
        guard isMajority else {
            collection.waitsFor = collection.lost.keys.filter { membership.table[$0] == nil }.sorted()
            return
        }
        let dead = store.deadRows(at: cutoff, folds: folds)
        let request = CollectRequest(
            cutoff: cutoff, floorMark: store.floor.mark, deadHash: dead.hash, folds: folds)
        collection.round = CollectionState.Round(request: request)
        promise(request, then: .round(cutoff: cutoff), &turn)
    }

    mutating func onCollectionWrite(_ write: CollectionWrite, _ turn: inout Turn) {
        switch write {
        case .round(let cutoff):
            guard collection.promise?.cutoff == cutoff, collection.round?.request.cutoff == cutoff else { return }
            collection.promise?.isDurable = true
            askForPromises(&turn)
            scheduleCollection(&turn)
        case .answer(let answer, let peer):
            guard collection.promise?.cutoff == answer.cutoff else { return }
            collection.promise?.isDurable = true
            tell([.collectAnswer(answer)], peer, &turn)
        case .raised(let rows, let folded, let cutoff, let isLed):
            turn.actions.append(.event(.collected(rows: rows, folded: folded, cutoff: cutoff)))
            guard isLed else { return }
            for peer in membersOfRecord(turn.now) where membership.table[peer]?.state.isActive == true {
                tellFloor(to: peer, &turn)
            }
        case .void:
            break
        case .takeover(let takeover):
            finishTakeover(takeover, &turn)
        case .dequeued(let id, let count):
            reset.queuedCount = max(0, reset.queuedCount - count)
            if let id { reply(id, .done, &turn) }
        }
    }

    mutating func tell(_ messages: [Message], _ peer: NodeID, _ turn: inout Turn) {
        guard let address = membership.table[peer]?.info.address else { return }
        let packet = Packet(cluster: configuration.cluster, sender: selfID, messages: messages)
        turn.actions.append(.send(packet, to: address))
    }

    /// Asks everybody of record who has not agreed yet; gives up after a while, until the next interval.
    private mutating func askForPromises(_ turn: inout Turn) {
        guard var round = collection.round, collection.promise?.isDurable == true else { return }
        let record = membersOfRecord(turn.now)
        let missing = record.filter { !round.agreed.contains($0) }
        collection.waitsFor = missing
        if missing.isEmpty { return completeRound(&turn) }
        guard round.attempts < CollectionState.attemptsMax, round.request.floorMark == store.floor.mark else {
            abandonRound(&turn)
            return
        }
        round.attempts += 1
        // Rows may have been overwritten since: that takes nothing from what others have promised.
        if round.request.folds.isEmpty {
            round.request.deadHash = store.deadRows(at: round.request.cutoff).hash
        }
        collection.round = round
        for peer in missing where membership.table[peer]?.state.isActive == true {
            tell([.collectRequest(round.request)], peer, &turn)
        }
    }

    /// Fewer folds the next time: one of them may be what nobody can agree on.
    private mutating func abandonRound(_ turn: inout Turn) {
        if let round = collection.round, !round.request.folds.isEmpty, round.isVetoed { noteVeto(round, turn.now) }
        collection.round = nil
    }

    mutating func onCollectAnswer(_ answer: CollectAnswer, from peer: NodeID, _ turn: inout Turn) {
        guard var round = collection.round, round.request.cutoff == answer.cutoff else { return }
        let record = membersOfRecord(turn.now)
        guard record.contains(peer) else { return }
        noteFolds(answer, from: peer, &round)
        if answer.agrees, !round.agreed.contains(peer) {
            round.agreed.insert(peer, at: round.agreed.firstIndex { peer < $0 } ?? round.agreed.count)
        }
        collection.round = round
        collection.waitsFor = record.filter { !round.agreed.contains($0) }
        if collection.waitsFor.isEmpty { completeRound(&turn) }
    }

    /// Everybody has promised. Whoever joined meanwhile was asked too, for the record is read anew.
    private mutating func completeRound(_ turn: inout Turn) {
        guard let round = collection.round, collection.promise?.cutoff == round.request.cutoff,
            collection.promise?.isDurable == true
        else { return }
        let request = round.request
        // Those who did not answer may have been dropped from the table meanwhile: nobody is asked for them, but they are
        // lost all the same.
        guard isMajority else { return abandonRound(&turn) }
        let isUnchanged =
            request.folds.isEmpty
            || store.deadRows(at: request.cutoff, folds: request.folds).hash == request.deadHash
        guard request.floorMark == store.floor.mark, isUnchanged else { return abandonRound(&turn) }
        collection.round = nil
        var folded: [CollectionFloor.Folded] = []
        if !request.folds.isEmpty {
            if !round.isVetoed, request.folds.allSatisfy({ store.holdsExactly($0) }) {
                folded = request.folds.map { CollectionFloor.Folded($0, cutoff: request.cutoff) }
                collection.foldLimit = min(CollectionState.foldsMax, request.folds.count * 2)
            } else {
                noteVeto(round, turn.now)
            }
        }
        let addition = CollectionFloor(cutoff: request.cutoff, folded: folded.sorted { $0.actor < $1.actor })
        raiseFloor(to: store.floor.joined(with: addition), isLed: true, &turn)
    }

    /// Drops what is dead at the floor and folds; durable at once, whole.
    mutating func raiseFloor(to floor: CollectionFloor, isLed: Bool, _ turn: inout Turn) {
        // An outlier's clock must not judge more than the floor does.
        let through = clocks.outlierOffset == nil ? turn.clock.wall : min(turn.clock.wall, floor.cutoff.wall)
        let expired = store.expire(through: through)
        if !expired.isEmpty {
            persistRows([], changes: expired, reply: nil, beside: [.expiredThrough(through.milliseconds)], &turn)
        }
        let change = store.raise(to: floor)
        var records = change.removed.map { DurableRecord.store(.rowRemoved($0)) }
        records += change.rewritten.map { DurableRecord.store(.row($0)) }
        // The rows that are gone no longer say which of their events were seen.
        records.append(.store(.contextReplaced(store.context)))
        records.append(.store(.floor(store.floor)))
        for id in change.removed { storeQueue.remove(id) }
        for row in change.rewritten where storeQueue.peek(row.id) != nil {
            // What waits for gossip must not bring a folded actor back.
            storeQueue.remove(row.id)
            disseminate(row)
        }
        collection.floors.note(own: store.floor.mark, turn.now)
        if let promise = collection.promise, promise.cutoff <= store.floor.cutoff { collection.promise = nil }
        collection.round = nil
        let write = CollectionWrite.raised(
            rows: change.removed.count, folded: change.folded, cutoff: floor.cutoff, isLed: isLed)
        persist(records, then: .collection(write), &turn)
    }

    /// Without whom nothing is collected; for `doctor`.
    var collectionWaitsFor: [String] {
        collection.waitsFor.prefix(CollectionState.waitsForNamedMax).map { id in
            membership.table[id]?.info.name ?? rememberedPeers.first { $0.id == id }?.name ?? id.short
        }
    }
}
