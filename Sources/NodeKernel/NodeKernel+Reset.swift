// SPDX-License-Identifier: Apache-2.0
// Owns the reset: a node from before the collection floor takes over a peer's store, whole and at once.

import ClusterTypes
import SWIMCore
import StoreCore

/// A reset under way, and the import queue it leaves.
struct ResetState: Sendable {
    enum Cause: Hashable, Sendable {
        /// The others have a floor that this node did not promise.
        case floor
        /// Rows of our own were stamped by a clock that was ahead: our hybrid clock has to come back to the present.
        case clockAhead
    }

    enum Phase: Sendable {
        case idle
        /// No peer to fetch from right now.
        case waiting(Cause, until: Instant)
        /// Rows come in; nobody sees them yet.
        case fetching(Cause, StreamID, peer: NodeID)
        /// All rows are here; the takeover waits for the disk.
        case committing
    }

    var queuedCount: Int
    var queuedLast: UInt64
    var phase = Phase.idle
    /// The store that takes the place of ours when it is complete; there from the peer's floor on.
    var staging: Store?
    /// Rows that the peer holds, when it said so.
    var total = 0
    var toldAt: Instant?
    /// Peers that failed us in this reset.
    var tried: [NodeID] = []
    var failures = 0
    /// Some of them had rows from the future.
    var hasMetFuture = false

    /// Writes that one reset puts into the import queue at most; the rest is counted and lost.
    static let queuedMax = 100_000
    /// Attempts in a row after which the node goes on with its old store, until it hears of the floor again.
    static let failuresMax = 8
    static let retryInterval = Interval.milliseconds(500)
    static let progressInterval = Interval.seconds(2)

    init(queuedCount: Int = 0, queuedLast: UInt64 = 0) {
        self.queuedCount = queuedCount
        self.queuedLast = queuedLast
    }

    /// Local writes are refused and rows are neither sent nor taken.
    var isUnderWay: Bool { if case .idle = phase { false } else { true } }

    /// How many of the peer's rows are here; nil while none come in.
    var progress: (received: Int, total: Int)? {
        guard let staging else { return nil }
        return (staging.rowCount, max(staging.rowCount, total))
    }

    var retryAt: Instant? { if case .waiting(_, let until) = phase { until } else { nil } }
}

/// What is told once a new store is durable.
struct Takeover: Sendable {
    var peer: NodeID
    var rows: Int
    var queued: Int
    /// That the reset or restore consumed.
    var revision: UInt64
    /// Of a restore.
    var command: CommandID?
}

extension NodeKernel {
    /// From now on nothing of our store leaves the node.
    mutating func beginReset(_ cause: ResetState.Cause, from peer: NodeID, _ turn: inout Turn) {
        guard !reset.isUnderWay else { return }
        collection.round = nil
        storeQueue.removeAll()
        reset.tried = []
        reset.failures = 0
        reset.hasMetFuture = false
        if cause == .clockAhead { store.toleratedThrough = .zero }
        fetch(cause, from: nearestHolder(cause, besides: peer, turn.clock) ?? peer, &turn)
    }

    /// The nearest active peer with the wanted floor: another one than ours, or, for a clock's sake, the same.
    private func nearestHolder(_ cause: ResetState.Cause, besides first: NodeID?, _ clock: Clock) -> NodeID? {
        let timely = cause == .clockAhead ? timelyPeers(clock).filter { !$0.hasOurRows }.map(\.id) : []
        let first = first.flatMap { id in collection.floors.heard.first { $0.peer == id } }
        let holders = collection.floors.heard.filter { view in
            guard membership.table[view.peer]?.state == .alive, !reset.tried.contains(view.peer) else { return false }
            switch cause {
            case .floor: return first.map { $0.mark == view.mark } ?? (view.mark != store.floor.mark)
            case .clockAhead: return timely.contains(view.peer)
            }
        }.map(\.peer)
        let known = holders.sorted().map { peer in
            (peer, expectedRoundTrip(to: peer) ?? .seconds(3_600))
        }
        return known.min { $0.1 < $1.1 }?.0
    }

    private mutating func fetch(_ cause: ResetState.Cause, from peer: NodeID, _ turn: inout Turn) {
        reset.staging = nil
        reset.total = 0
        guard let address = membership.table[peer]?.info.address,
            let id = open(.reset, to: address, peer: peer, timeout: configuration.swim.probeTimeout * 4, &turn)
        else { return resetFailed(cause, with: peer, &turn) }
        reset.phase = .fetching(cause, id, peer: peer)
    }

    private mutating func resetFailed(_ cause: ResetState.Cause, with peer: NodeID, _ turn: inout Turn) {
        reset.staging = nil
        reset.failures += 1
        if !reset.tried.contains(peer) { reset.tried.append(peer) }
        guard reset.failures < ResetState.failuresMax else { return giveUpReset(cause, &turn) }
        // Whoever could help has the same stamps: it makes no difference to ask again.
        if cause == .clockAhead, reset.hasMetFuture, nearestHolder(cause, besides: nil, turn.clock) == nil {
            return giveUpReset(cause, &turn)
        }
        let wait = ResetState.retryInterval * (1 << min(reset.failures - 1, 4))
        reset.phase = .waiting(cause, until: turn.now + turn.rng.jittered(wait, spread: 0.25))
        scheduleCollection(&turn)
    }

    private mutating func giveUpReset(_ cause: ResetState.Cause, _ turn: inout Turn) {
        reset.phase = .idle
        if cause == .clockAhead { resign(isShared: reset.hasMetFuture, &turn) }
    }

    mutating func continueReset(_ turn: inout Turn) {
        guard case .waiting(let cause, let until) = reset.phase, until <= turn.now else { return }
        if nearestHolder(cause, besides: nil, turn.clock) == nil { reset.tried = [] }
        if let peer = nearestHolder(cause, besides: nil, turn.clock) {
            fetch(cause, from: peer, &turn)
        } else {
            reset.failures += 1
            guard reset.failures < ResetState.failuresMax else { return giveUpReset(cause, &turn) }
            let wait = ResetState.retryInterval * (1 << min(reset.failures, 4))
            reset.phase = .waiting(cause, until: turn.now + wait)
        }
    }

    mutating func onResetStreamOpened(_ id: StreamID, _ turn: inout Turn) {
        let request = StoreRequest(context: CausalContext(), floorMark: store.floor.mark, isReset: true)
        write([.storeRequest(request)], to: id, &turn)
    }

    /// The stream of a reset ended before all was there: begin again, with another peer if there is one.
    mutating func onResetStreamEnded(_ id: StreamID?, peer: NodeID?, _ turn: inout Turn) {
        guard case .fetching(let cause, let current, let from) = reset.phase, id == nil || id == current,
            peer == nil || peer == from
        else { return }
        resetFailed(cause, with: from, &turn)
    }

    private mutating func breakOffReset(_ id: StreamID, _ turn: inout Turn) {
        close(id, &turn)
        statistics.streamsEndedEarly += 1
        onResetStreamEnded(id, peer: nil, &turn)
    }

    /// Everything that comes on the stream of a reset: the peer's floor, all its rows, its context.
    mutating func onResetPacket(_ packet: Packet, on id: StreamID, _ turn: inout Turn) {
        for message in packet.messages {
            guard case .fetching(let cause, id, let peer) = reset.phase else { return }
            switch message {
            case .floor(let floor):
                guard reset.staging == nil, isCredible(floor, turn.clock.wall),
                    cause == .clockAhead || floor.mark != store.floor.mark
                else { return breakOffReset(id, &turn) }
                reset.staging = Store(
                    actor: store.actor, configuration: store.configuration, floor: floor, context: CausalContext(),
                    expiredThrough: turn.clock.wall.milliseconds)
            case .row(let row):
                guard !isFromFuture(row.stamp, turn.clock.wall), reset.staging?.load(row) == true else {
                    return breakOffReset(id, &turn)
                }
                statistics.storeSyncRowsReceived += 1
            case .ranges(let message):
                if case .sum(let rows, _)? = message.ranges.first?.content { reset.total = Int(clamping: rows) }
            case .storeBatchEnd:
                tellResetProgress(peer, isLast: false, &turn)
                write([.storeContinue], to: id, &turn)
            case .storeComplete(let context):
                guard adoptStaged(context), let seen = reset.staging?.clock.seen,
                    cause == .floor || !isFromFuture(seen, turn.clock.wall)
                else { return breakOffReset(id, &turn) }
                close(id, &turn)
                tellResetProgress(peer, isLast: true, &turn)
                takeOver(cause, from: peer, &turn)
            case .floorMark, .digest, .update:
                break
            case .ping, .ack, .indirectPing, .nack, .announcement, .confirmRequest, .confirmed, .collectRequest,
                .collectAnswer, .memberTable, .storeRequest, .storeContinue, .rowRequest, .coordinate,
                .viewRequest, .viewAnswer, .ringMark, .keyRing, .padding, .userEvent, .userEventMarks,
                .sentinel, .strict, .strictMark:
                return breakOffReset(id, &turn)
            }
        }
    }

    /// What `merge` would quarantine does not come in by a takeover either.
    private mutating func isFromFuture(_ stamp: HybridTimestamp, _ wall: WallTime) -> Bool {
        guard store.quarantine(of: stamp, at: wall) != nil else { return false }
        reset.hasMetFuture = true
        return true
    }

    /// The peer may know events of our actor that this store never made: the staged one writes under another.
    private mutating func adoptStaged(_ context: CausalContext) -> Bool {
        guard var actor = reset.staging?.actor else { return false }
        // Ends: a context names a bounded number of epochs.
        while context.highest(of: actor) > 0 { actor.epoch &+= 1 }
        reset.staging?.renewActor(to: actor)
        switch reset.staging?.adopt(context: context) {
        case .adopted?: return true
        case .foreignUseOfOwnActor?, nil: return false
        }
    }

    private mutating func tellResetProgress(_ peer: NodeID, isLast: Bool, _ turn: inout Turn) {
        let rows = reset.staging?.rowCount ?? 0
        let isDue = reset.toldAt.map { turn.now - $0 >= ResetState.progressInterval } ?? !isLast
        guard isLast ? reset.toldAt != nil : isDue else { return }
        reset.toldAt = isLast ? nil : turn.now
        turn.actions.append(.event(.catchUp(peer: peer, received: rows, total: max(rows, reset.total))))
    }

    /// The staged store takes the place of ours, in memory now and on disk in one batch.
    private mutating func takeOver(_ cause: ResetState.Cause, from peer: NodeID, _ turn: inout Turn) {
        guard var staged = reset.staging else { return }
        reset.staging = nil
        let unsent = sortOut(into: &staged, turn.clock.wall)
        var queued: [QueuedWrite] = []
        for (row, cause) in unsent.prefix(ResetState.queuedMax) {
            reset.queuedLast += 1
            queued.append(QueuedWrite(number: reset.queuedLast, cause: cause, row: row, queuedAt: turn.clock.wall))
        }
        reset.queuedCount += queued.count
        let next = revision + 1
        let takeover = Takeover(
            peer: peer, rows: staged.rowCount, queued: unsent.count, revision: next, command: nil)
        install(staged, beside: queued.map { .queued($0) }, takeover, &turn)
    }

    /// Rows with events of this node that the peer has not seen. With equal floors those of the present are merged.
    private func sortOut(
        into staged: inout Store, _ wall: WallTime
    ) -> [(Row, QueuedWrite.Cause)] {
        let isSameFloor = staged.floor == store.floor
        let skew = store.configuration.clockSkewMaxMilliseconds
        // The context does not name folded actors; what was seen of them the floor tells.
        let folded = Dictionary(staged.floor.folded.map { ($0.actor, $0.counter) }) { max($0, $1) }
        let own = store.rows(of: selfID, missingFrom: staged.context, behind: folded)
        var unsent: [(Row, QueuedWrite.Cause)] = []
        for row in own {
            if HybridClock.milliseconds(of: row.stamp, aheadOf: wall) > skew {
                unsent.append((row, .clockAhead))
                continue
            }
            // What lost to a newer write, or is the same without its folded actor, needs no operator.
            if let there = staged.row(row.id), there.stamp >= row.stamp, there.content.isLive || !row.isLive {
                continue
            }
            if isSameFloor {
                switch staged.merge(row, wall: wall) {
                case .applied, .known: continue
                case .quarantined, .invalid, .beforeFloor, .storeFull, .foreignUseOfOwnActor: break
                }
            }
            // The daemon that wrote it will write it again.
            guard !row.id.key.utf8.starts(with: Bounds.reservedKeyPrefix.utf8) else { continue }
            unsent.append((row, .beforeFloor))
        }
        return unsent
    }

    /// One batch: all of the new store or nothing of it.
    private mutating func install(
        _ staged: Store, beside: [StoreRecord], _ takeover: Takeover, _ turn: inout Turn
    ) {
        strict.feed.forget()
        revision = takeover.revision
        store = staged
        strict.copies = StrictCopies()
        // Never again under the actor whose unsent events are in the queue.
        renewActor()
        // Taken when all is said about the store: it does not change again before the rows are durable.
        var records: [DurableRecord] = [
            .store(.reset(revision: revision)), .store(.rows(RowSnapshot(of: store))),
        ]
        records.append(.store(.context(store.context)))
        records.append(.store(.floor(store.floor)))
        records.append(.store(.expiredThrough(turn.clock.wall.milliseconds)))
        records += beside.map { .store($0) }
        // What was promised of the old store says nothing about the new one.
        collection.promise = nil
        if collection.promised != .zero {
            collection.promised = HybridTimestamp(rawValue: collection.promised.rawValue + 1)
            records.append(.store(.promised(collection.promised)))
        }
        collection.round = nil
        collection.floors.own = []
        collection.floors.note(own: store.floor.mark, turn.now)
        collection.floors.outnumberedSince = nil
        transactions = TransactionStash()
        // Their answers name versions of the old store.
        requests.forgetAll()
        storeQueue.removeAll()
        reset.phase = .committing
        persist(records, then: .collection(.takeover(takeover)), &turn)
    }

    /// The new store is durable: from now on it is ours.
    mutating func finishTakeover(_ takeover: Takeover, _ turn: inout Turn) {
        reset.phase = .idle
        storeQueue.removeAll()
        repair.storeSyncFinished(learned: true)
        turn.actions.append(
            .event(
                .storeReset(
                    peer: takeover.peer, rows: takeover.rows, queued: takeover.queued,
                    revision: takeover.revision)))
        if let command = takeover.command { reply(command, .done, &turn) }
    }

    /// How far revisions jump at a restore: cursors from before it must not mean anything after it.
    static let restoredRevisionStep: UInt64 = 1_000_000_000

    mutating func onRestore(_ id: CommandID, _ given: RestoredStore, revision: UInt64, _ turn: inout Turn) {
        guard isReady(id, &turn) else { return }
        guard !reset.isUnderWay else { return reply(id, .failure(.resetting), &turn) }
        guard store.rowCount == 0 else {
            return reply(id, .failure(.storeNotEmpty(keys: store.liveKeyCount)), &turn)
        }
        guard revision < UInt64.max / 2 else {
            return reply(id, .failure(.invalid("the revision is too high")), &turn)
        }
        let wall = turn.clock.wall
        guard isCredible(given.store.floor, wall) else {
            return reply(id, .failure(.invalid("the backup's collection floor lies in the future")), &turn)
        }
        if let newest = given.newest, store.quarantine(of: newest.stamp, at: wall) != nil {
            return reply(
                id, .failure(.invalid("the row of \(newest.key) was written in the future, by this host's clock")),
                &turn)
        }
        var restored = given.store
        restored.renewActor(to: store.actor)
        let next = max(self.revision, revision) + Self.restoredRevisionStep
        let takeover = Takeover(peer: selfID, rows: restored.rowCount, queued: 0, revision: next, command: id)
        install(restored, beside: [], takeover, &turn)
    }

    mutating func onDequeue(_ id: CommandID, _ numbers: [UInt64], _ turn: inout Turn) {
        guard !numbers.isEmpty else { return reply(id, .done, &turn) }
        if storage == .full { return reply(id, .failure(.storageFull), &turn) }
        let count = Set(numbers).count
        persist(
            [.store(.dequeued(numbers))], then: .collection(.dequeued(id, count: count)), &turn)
    }
}
