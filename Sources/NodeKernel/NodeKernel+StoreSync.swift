// SPDX-License-Identifier: Apache-2.0
// Owns anti-entropy of the store over a stream: each side sends exactly the rows whose events the other has not seen.

import ClusterTypes
import SWIMCore
import StoreCore

/// One side of a store synchronisation.
///
///     initiator                              responder
///     storeRequest(context)          ->
///                                    <-      row... storeBatchEnd
///     storeContinue                  ->
///                                    <-      row... storeComplete(context)
///     row... storeBatchEnd           ->
///                                    <-      storeContinue
///     row... storeComplete(context)  ->      (stream closed)
struct StoreSync: Sendable {
    let isInitiator: Bool
    let startedAt: Instant
    /// What the peer has said it has seen; the rows we send are judged by it.
    var peerContext: CausalContext?
    var cursor: RepairCursor?
    /// The frames of a batch that waits until this write is durable.
    var prepared: [[Message]] = []
    var awaits: PersistToken?
    var rowsSent = 0
    var rowsReceived = 0
    /// A row was news to us.
    var hasLearned = false
    /// A row was quarantined or refused: the peer's context must not become ours.
    var isIncomplete = false
}

extension NodeKernel {
    /// Dots of the cloud that a context names on the wire at most; leaving some out only makes the peer send more.
    static let contextCloudMax = 16_384
    /// Bytes of rows in one frame, about.
    private static let framePayloadMax = 60_000

    func boundedContext(_ context: CausalContext) -> CausalContext {
        CausalContext(entries: context.entries(cloudMax: Self.contextCloudMax)) ?? CausalContext()
    }

    /// Starts a synchronisation with `peer`; false when there is no stream to be had.
    mutating func startStoreSync(with peer: NodeID, _ turn: inout Turn) -> Bool {
        guard let address = membership.table[peer]?.info.address else { return false }
        let sync = StoreSync(isInitiator: true, startedAt: turn.now)
        let timeout = configuration.swim.probeTimeout * 4
        guard open(.storeSync(sync), to: address, peer: peer, timeout: timeout, &turn) != nil else { return false }
        statistics.storeSyncsStarted += 1
        return true
    }

    /// The responder's part begins: send what the initiator lacks.
    mutating func serveStoreSync(on id: StreamID, _ request: StoreRequest, _ turn: inout Turn) {
        guard let stream = streams[id], case .accepted = stream.role else { return }
        statistics.storeSyncsServed += 1
        var sync = StoreSync(isInitiator: false, startedAt: turn.now)
        sync.peerContext = request.context
        sendBatch(of: sync, on: id, &turn)
    }

    mutating func continueSending(on id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id], case .storeSync(let sync) = stream.role, sync.cursor != nil,
            sync.awaits == nil
        else { return }
        sendBatch(of: sync, on: id, &turn)
    }

    /// Prepares the next batch and sends it as soon as every row of it is durable here; the peer asks for more, so that
    /// a slow reader never fills our buffers.
    private mutating func sendBatch(of former: StoreSync, on id: StreamID, _ turn: inout Turn) {
        var sync = former
        guard let peerContext = sync.peerContext else { return }
        let batch = store.rowsMissing(from: peerContext, limit: RepairLimit(), resume: sync.cursor)
        var frames: [[Message]] = []
        var frame: [Message] = []
        var bytes = 0
        for row in batch.rows {
            let size = configuration.sizes.message(.row(row))
            if bytes + size > Self.framePayloadMax, !frame.isEmpty {
                frames.append(frame)
                frame.removeAll(keepingCapacity: true)
                bytes = 0
            }
            frame.append(.row(row))
            bytes += size
        }
        if !frame.isEmpty { frames.append(frame) }
        frames.append([batch.next == nil ? .storeComplete(boundedContext(batch.snapshot)) : .storeBatchEnd])
        sync.rowsSent += batch.rows.count
        statistics.storeSyncRowsSent += UInt64(batch.rows.count)
        sync.cursor = batch.next
        sync.prepared = frames
        // A row that only memory holds must not reach a peer: after a crash its dot would be used for another one.
        sync.awaits = lastRowsToken
        streams[id]?.role = .storeSync(sync)
        if sync.awaits == nil { sendPrepared(on: id, &turn) }
    }

    /// The last write of rows that is not durable yet.
    private var lastRowsToken: PersistToken? {
        pendingWrites.filter { $0.value.isRows }.keys.max()
    }

    /// Rows became durable: sends the batches that waited for them.
    mutating func sendDurableBatches(_ turn: inout Turn) {
        guard streams.values.contains(where: { $0.awaitsDurability }) else { return }
        let first = pendingWrites.filter { $0.value.isRows }.keys.min()
        for id in streams.keys.sorted() {
            guard case .storeSync(let sync)? = streams[id]?.role, let awaits = sync.awaits else { continue }
            if let first, first <= awaits { continue }
            sendPrepared(on: id, &turn)
        }
    }

    private mutating func sendPrepared(on id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id], case .storeSync(var sync) = stream.role else { return }
        for frame in sync.prepared { write(frame, to: id, &turn) }
        sync.prepared = []
        sync.awaits = nil
        streams[id]?.role = .storeSync(sync)
        if sync.cursor == nil, sync.isInitiator {
            close(id, &turn)
            report(sync, peer: stream.peer, &turn)
            repair.storeSyncFinished(learned: sync.hasLearned)
            storeSyncEnded(with: stream.peer, &turn)
        }
    }

    /// Rows that arrived on a stream since the last other message.
    mutating func takeRows(_ rows: inout [Row], on id: StreamID, _ turn: inout Turn) {
        guard !rows.isEmpty, let stream = streams[id] else { return }
        guard case .storeSync(var sync) = stream.role else {
            ignore(.unexpected, from: stream.address, &turn)
            rows.removeAll()
            return
        }
        sync.rowsReceived += rows.count
        statistics.storeSyncRowsReceived += UInt64(rows.count)
        let applied = statistics.rowsApplied
        if !take(in: rows, &turn) { sync.isIncomplete = true }
        if statistics.rowsApplied > applied { sync.hasLearned = true }
        streams[id]?.role = .storeSync(sync)
        rows.removeAll(keepingCapacity: true)
    }

    /// The peer has sent everything we lacked: its context becomes part of ours. Then it is the initiator's turn to send.
    mutating func onStoreComplete(_ context: CausalContext, on id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id], case .storeSync(var sync) = stream.role, sync.awaits == nil else { return }
        let applied = statistics.rowsApplied
        let isWhole = releaseStash(upTo: context, &turn)
        if statistics.rowsApplied > applied { sync.hasLearned = true }
        if isWhole, !sync.isIncomplete { adopt(context, &turn) }
        guard sync.isInitiator else {
            report(sync, peer: stream.peer, &turn)
            close(id, &turn)
            return
        }
        sync.peerContext = context
        sync.cursor = nil
        sendBatch(of: sync, on: id, &turn)
    }

    private mutating func adopt(_ context: CausalContext, _ turn: inout Turn) {
        guard !store.context.isSuperset(of: context) else { return }
        if case .foreignUseOfOwnActor = store.adopt(context: context) {
            renewActor()
            _ = store.adopt(context: context)
        }
        persist([.store(.context(store.context))], then: .context, &turn)
    }

    private func report(_ sync: StoreSync, peer: NodeID?, _ turn: inout Turn) {
        guard sync.rowsSent + sync.rowsReceived > 0 else { return }
        let summary = SyncSummary(
            peer: peer ?? .unknown, rowsReceived: sync.rowsReceived, rowsSent: sync.rowsSent,
            took: turn.now - sync.startedAt)
        turn.actions.append(.event(.synchronised(summary)))
    }
}
