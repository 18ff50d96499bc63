// SPDX-License-Identifier: Apache-2.0
// Owns anti-entropy of the store over a stream: which way it goes, whose turn it is, and how it ends.

import ClusterTypes
import SWIMCore
import StoreCore

/// One side of an exchange of rows. Whoever has the turn sends batches; `storeContinue` asks for the next one.
///
/// The way of contexts, one round trip; taken when our context is small:
///
///     initiator                              responder
///     storeRequest(context)          ->
///                                    <-      [ranges: one sum, of all rows] row... storeBatchEnd
///     storeContinue                  ->
///                                    <-      row... storeComplete(context)
///     row... storeBatchEnd           ->
///                                    <-      storeContinue
///     row... storeComplete(context)  ->      (stream closed)
///
/// The sum is left out when all rows that the initiator lacks fit into one batch.
///
/// The way of ranges; taken when our context is large, or after an exchange of contexts that moved nothing between
/// different roots:
///
///     [floorMark] ranges             ->
///                                    <-      ranges row... storeBatchEnd
///     ranges row...                  ->      ... until all is settled; the rows of each side go in batches as above
///                                    <-      storeComplete(empty), after its last row
///     (stream closed, or a `storeRequest` that closes the holes in our context)
///
/// A responder with another floor answers `floor` and closes (decision 0007).
struct StoreSync: Sendable {
    enum Way: Hashable, Sendable {
        case contexts
        case ranges
        /// Rows that the peer asked for by their events.
        case rows
        /// Everything, for a peer that resets.
        case whole
    }

    let isInitiator: Bool
    var way: Way
    let startedAt: Instant
    /// Our floor when the exchange began. It breaks off when ours changes: rows travel between equal floors only.
    let floorMark: UInt64
    /// What we are sending; nil while it is the peer's turn.
    var outgoing: OutgoingRows?
    /// What the responder said of its whole store.
    var peerSum: (rows: UInt64, hash: UInt64)?
    /// This side has said `storeComplete`.
    var hasCompleted = false
    /// Set once the way of ranges was taken: not twice in one exchange.
    var ranges: RangeProgress?
    var rowsSent = 0
    var rowsReceived = 0
    /// A row was news to us.
    var hasLearned = false
    /// A row was quarantined or refused: the peer's context must not become ours.
    var isIncomplete = false
    var progressToldAt: Instant?

    init(isInitiator: Bool, way: Way, floorMark: UInt64, startedAt: Instant) {
        self.isInitiator = isInitiator
        self.way = way
        self.floorMark = floorMark
        self.startedAt = startedAt
    }

    /// This responder has sent all on the way of ranges; what the initiator has not sent yet it will, or it closes.
    var isRangesEnd: Bool { way == .ranges && hasCompleted && !isInitiator }

    /// The peer may end the stream now without having broken anything off.
    var mayEnd: Bool {
        switch way {
        case .ranges: !isInitiator && (isRangesEnd || rowsSent + rowsReceived == 0)
        case .rows: true
        case .contexts, .whole: false
        }
    }
}

extension NodeKernel {
    /// Dots of the cloud that a context names on the wire at most; leaving some out only makes the peer send more.
    static let contextCloudMax = 16_384
    /// A request with a context up to this size is cheaper than comparing ranges.
    static let contextRequestBytesMax = 1_024
    /// Rows of one exchange from which it is a catch-up: reported, and not gossiped on.
    static let catchUpRowsMin = 1_024
    private static let progressInterval = Interval.seconds(2)

    func boundedContext(_ context: CausalContext) -> CausalContext {
        CausalContext(entries: context.entries(cloudMax: Self.contextCloudMax)) ?? CausalContext()
    }

    var storeRequest: Message {
        .storeRequest(StoreRequest(context: boundedContext(store.context), floorMark: store.floor.mark))
    }

    /// Starts a synchronisation with `peer`; false when there is no stream to be had.
    mutating func startStoreSync(with peer: NodeID, _ turn: inout Turn) -> Bool {
        guard !reset.isUnderWay, let address = membership.table[peer]?.info.address else { return false }
        // What both lack is on its way already.
        if streams.values.contains(where: { $0.peer == peer && $0.isServingExchange }) { return false }
        let sync = StoreSync(isInitiator: true, way: .contexts, floorMark: store.floor.mark, startedAt: turn.now)
        let timeout = configuration.swim.probeTimeout * 4
        guard open(.storeSync(sync), to: address, peer: peer, timeout: timeout, &turn) != nil else { return false }
        statistics.storeSyncsStarted += 1
        return true
    }

    /// The stream is there: the smaller of the two questions is asked.
    mutating func beginStoreSync(on id: StreamID, _ turn: inout Turn) {
        let request = storeRequest
        if configuration.sizes.message(request) <= Self.contextRequestBytesMax {
            write([request], to: id, &turn)
        } else {
            beginRanges(on: id, &turn)
        }
    }

    /// The responder's part begins: send what the initiator lacks.
    mutating func serveStoreSync(on id: StreamID, _ request: StoreRequest, _ turn: inout Turn) {
        guard let stream = streams[id] else { return }
        var sync = StoreSync(isInitiator: false, way: .contexts, floorMark: store.floor.mark, startedAt: turn.now)
        switch stream.role {
        case .accepted: break
        case .storeSync(let former) where former.isRangesEnd:
            // The rows are equal; contexts follow to close the holes in them.
            sync = former
            sync.way = .contexts
            sync.hasCompleted = false
        case .storeSync, .memberSync, .probe, .pull, .comparison, .reset, .tellFloor, .ringSync, .examination,
            .sentinel, .watched, .strict, .strictPeer:
            return
        }
        guard !reset.isUnderWay else { return close(id, &turn) }
        if !request.isReset, !isExchangeOfUse(with: stream.peer) { return close(id, &turn) }
        statistics.storeSyncsServed += 1
        if request.isReset {
            sync.way = .whole
            streams[id]?.role = .storeSync(sync)
            write([.floor(store.floor)], to: id, &turn)
            var outgoing = OutgoingRows(.whole(nil), then: .complete)
            outgoing.saysSum = true
            send(outgoing, on: id, &turn)
            return
        }
        guard request.floorMark == store.floor.mark else { return refuseFloor(on: id, &turn) }
        streams[id]?.role = .storeSync(sync)
        var outgoing = OutgoingRows(.missing(from: request.context, nil), then: .complete)
        outgoing.saysSum = true
        send(outgoing, on: id, &turn)
    }

    /// Whether an exchange that a peer asks for would bring what no other one under way brings: two nodes that ask each
    /// other at once keep one exchange, that of the higher id, and a node that is being sent much takes it from one peer.
    private func isExchangeOfUse(with peer: NodeID?) -> Bool {
        guard let peer else { return true }
        let isCrossing = streams.values.contains { stream in
            guard stream.peer == peer, case .storeSync(let sync) = stream.role else { return false }
            return sync.isInitiator
        }
        if isCrossing { return peer > selfID }
        return repair.catchUp == nil
    }

    /// One range over all rows: tells the initiator how many there are, and whether they are the same.
    var wholeSum: Message {
        let sum = RangeMessage.Content.sum(rows: UInt64(store.rowCount), hash: store.root.low)
        return .ranges(RangeMessage(ranges: [RangeMessage.Range(end: nil, content: sum)]))
    }

    /// Rows do not travel between different floors: say ours, and end.
    mutating func refuseFloor(on id: StreamID, _ turn: inout Turn) {
        write([.floor(store.floor)], to: id, &turn)
        close(id, &turn)
    }

    /// The peer's floor is another one: the exchange is over, and what follows from it is decided elsewhere.
    mutating func onStreamFloor(
        _ floor: CollectionFloor, on id: StreamID, from sender: NodeID, _ turn: inout Turn
    ) {
        guard let stream = streams[id] else { return }
        let address = membership.table[sender]?.info.address ?? stream.address
        switch stream.role {
        case .storeSync(let sync) where sync.isInitiator: breakOff(id, &turn)
        case .pull: breakOff(id, &turn)
        case .comparison: endComparison(on: id, .unknown("it has another collection floor"), &turn)
        case .storeSync, .memberSync, .probe, .reset, .tellFloor, .ringSync, .examination, .sentinel, .watched,
            .strict, .strictPeer, .accepted:
            break
        }
        onFloor(floor, from: sender, at: address, &turn)
    }

    /// What came makes no sense here: counted, and the stream is closed.
    mutating func reject(_ id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id] else { return }
        ignore(.unexpected, from: stream.address, &turn)
        breakOff(id, &turn)
    }

    mutating func breakOff(_ id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id] else { return }
        close(id, &turn)
        end(stream, joinFailure: .brokenOff, &turn)
    }

    /// Rows that arrived on a stream since the last other message.
    mutating func takeRows(_ rows: inout [Row], on id: StreamID, _ turn: inout Turn) {
        guard !rows.isEmpty, let stream = streams[id] else { return }
        defer { rows.removeAll(keepingCapacity: true) }
        switch stream.role {
        case .storeSync(var sync):
            guard !reset.isUnderWay, sync.floorMark == store.floor.mark else { return breakOff(id, &turn) }
            guard sync.way == .contexts || sync.way == .ranges else { return reject(id, &turn) }
            sync.rowsReceived += rows.count
            statistics.storeSyncRowsReceived += UInt64(rows.count)
            let applied = statistics.rowsApplied
            if !take(in: rows, &turn) { sync.isIncomplete = true }
            if statistics.rowsApplied > applied { sync.hasLearned = true }
            noteProgress(of: &sync, from: stream.peer, &turn)
            streams[id]?.role = .storeSync(sync)
        case .pull(let pull):
            guard !reset.isUnderWay, pull.floorMark == store.floor.mark else { return breakOff(id, &turn) }
            statistics.storeSyncRowsReceived += UInt64(rows.count)
            streams[id]?.role = .pull(pull.afterRows)
            _ = take(in: rows, &turn)
        case .probe, .memberSync, .accepted, .comparison, .reset, .tellFloor, .ringSync, .examination, .sentinel,
            .watched, .strict, .strictPeer:
            ignore(.unexpected, from: stream.address, &turn)
        }
    }

    /// A catch-up is told from time to time, and what it brings is not gossiped on: everybody else has it.
    private mutating func noteProgress(of sync: inout StoreSync, from peer: NodeID?, _ turn: inout Turn) {
        guard sync.rowsReceived >= Self.catchUpRowsMin else { return }
        repair.bulkThrough = nextToken
        let total = max(sync.rowsReceived, Int(clamping: sync.peerSum?.rows ?? 0))
        repair.catchUp = (sync.rowsReceived, total)
        guard sync.progressToldAt.map({ turn.now - $0 >= Self.progressInterval }) ?? true else { return }
        sync.progressToldAt = turn.now
        turn.actions.append(.event(.catchUp(peer: peer ?? .unknown, received: sync.rowsReceived, total: total)))
    }

    /// The peer has sent everything we lacked: its context becomes part of ours. Then it is the initiator's turn to send.
    mutating func onStoreComplete(_ context: CausalContext, on id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id], case .storeSync(var sync) = stream.role else { return }
        if sync.way == .ranges { return onRangesComplete(on: id, &turn) }
        // An initiator that says so early does not want our rows any more.
        guard sync.way == .contexts, !sync.isInitiator || sync.outgoing == nil && !sync.hasCompleted else {
            return reject(id, &turn)
        }
        guard !reset.isUnderWay, sync.floorMark == store.floor.mark else { return breakOff(id, &turn) }
        let applied = statistics.rowsApplied
        let isWhole = releaseStash(upTo: context, &turn)
        if statistics.rowsApplied > applied { sync.hasLearned = true }
        if isWhole, !sync.isIncomplete { adopt(context, &turn) }
        guard sync.isInitiator else {
            close(id, &turn)
            finish(sync, with: stream.peer, &turn)
            return
        }
        let outgoing = OutgoingRows(.missing(from: context, nil), then: .complete)
        if sync.rowsReceived == 0, sync.ranges == nil, let theirs = sync.peerSum, theirs.hash != store.root.low,
            store.rowsMissing(from: context, limit: RepairLimit(rowsMax: 1)).rows.isEmpty
        {
            // Both have seen the same events, and yet their rows differ: only the rows themselves can tell.
            beginRanges(on: id, &turn)
            return
        }
        streams[id]?.role = .storeSync(sync)
        send(outgoing, on: id, &turn)
    }

    private mutating func adopt(_ context: CausalContext, _ turn: inout Turn) {
        guard !store.context.isSuperset(of: context) else { return }
        if case .foreignUseOfOwnActor = store.adopt(context: context) {
            renewActor()
            _ = store.adopt(context: context)
        }
        persist([.store(.context(store.context))], then: .context, &turn)
    }

    /// The last batch has left, with what follows it.
    mutating func finishedSending(on id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id], case .storeSync(let sync) = stream.role else { return }
        switch sync.way {
        case .contexts:
            guard sync.isInitiator else { return }
            close(id, &turn)
            finish(sync, with: stream.peer, &turn)
        case .ranges:
            continueRanges(on: id, &turn)
        case .rows, .whole:
            break
        }
    }

    /// An exchange has come to its end in order.
    mutating func finish(_ sync: StoreSync, with peer: NodeID?, _ turn: inout Turn) {
        if sync.rowsReceived >= Self.catchUpRowsMin {
            let received = sync.rowsReceived
            turn.actions.append(.event(.catchUp(peer: peer ?? .unknown, received: received, total: received)))
            repair.catchUp = nil
        }
        report(sync, peer: peer, &turn)
        guard sync.isInitiator else { return }
        repair.storeSyncFinished(learned: sync.hasLearned)
        storeSyncEnded(&turn)
    }

    /// An exchange was broken off. What was taken in stays; the next one goes on from there.
    mutating func abandon(_ sync: StoreSync, _ turn: inout Turn) {
        if sync.rowsReceived >= Self.catchUpRowsMin { repair.catchUp = nil }
        if sync.isInitiator { storeSyncEnded(&turn) }
    }

    private func report(_ sync: StoreSync, peer: NodeID?, _ turn: inout Turn) {
        guard sync.rowsSent + sync.rowsReceived > 0 else { return }
        let summary = SyncSummary(
            peer: peer ?? .unknown, rowsReceived: sync.rowsReceived, rowsSent: sync.rowsSent,
            took: turn.now - sync.startedAt)
        turn.actions.append(.event(.synchronised(summary)))
    }
}
