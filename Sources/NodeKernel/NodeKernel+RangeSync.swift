// SPDX-License-Identifier: Apache-2.0
// Owns repair by ranges: when causal contexts are too large, or tell nothing while the roots differ.

import ClusterTypes
import StoreCore

/// Where one side stands in an exchange by ranges. The responder says an empty `storeComplete` after its last row.
struct RangeProgress: Sendable {
    var reconciliation = RangeReconciliation()
    /// A step of the peer that came before our rows for the last one had left.
    var waiting: RangeMessage?
    /// No step follows from either side.
    var isFinished = false
    /// The responder has sent its last row.
    var peerHasCompleted = false
}

extension NodeKernel {
    /// One step: about 5 ms of work at most.
    static let rangeLimit = RangeLimit(bytesMax: 32 * 1024, rowsMax: 8_192)

    /// The initiator's first step.
    mutating func beginRanges(on id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id], case .storeSync(var sync) = stream.role else { return }
        var ranges = RangeProgress()
        let first = ranges.reconciliation.begin(store)
        sync.way = .ranges
        sync.ranges = ranges
        sync.hasCompleted = false
        streams[id]?.role = .storeSync(sync)
        write(markedByFloor(.ranges(first)), to: id, &turn)
    }

    mutating func onRanges(_ message: RangeMessage, on id: StreamID, from sender: NodeID, _ turn: inout Turn) {
        guard let stream = streams[id] else { return }
        switch stream.role {
        case .accepted:
            serveRanges(message, on: id, stream, &turn)
        case .storeSync(let sync):
            switch (sync.way, sync.isInitiator) {
            case (.ranges, _): takeStep(message, on: id, &turn)
            case (.contexts, true): noteSum(message, on: id, &turn)
            case (.contexts, false) where sync.hasCompleted && sync.ranges == nil:
                serveRanges(message, on: id, stream, &turn)
            case (.contexts, false), (.rows, _), (.whole, _): reject(id, &turn)
            }
        case .comparison(let comparison):
            onComparedRanges(message, comparison, on: id, &turn)
        case .probe, .memberSync, .pull, .reset, .tellFloor, .ringSync, .examination, .sentinel, .watched, .strict,
            .strictPeer:
            reject(id, &turn)
        }
    }

    /// The responder's word on its whole store, in front of its rows.
    private mutating func noteSum(_ message: RangeMessage, on id: StreamID, _ turn: inout Turn) {
        guard case .storeSync(var sync)? = streams[id]?.role else { return }
        guard sync.peerSum == nil, message.ranges.count == 1, case .sum(let rows, let hash) = message.ranges[0].content
        else { return reject(id, &turn) }
        sync.peerSum = (rows, hash)
        streams[id]?.role = .storeSync(sync)
    }

    private mutating func serveRanges(
        _ message: RangeMessage, on id: StreamID, _ stream: StreamState, _ turn: inout Turn
    ) {
        guard !reset.isUnderWay else { return close(id, &turn) }
        guard stream.floorMark == store.floor.mark else { return refuseFloor(on: id, &turn) }
        var sync: StoreSync
        if case .storeSync(let former) = stream.role {
            sync = former
        } else {
            giveWay(to: stream.peer, &turn)
            statistics.storeSyncsServed += 1
            sync = StoreSync(isInitiator: false, way: .ranges, floorMark: store.floor.mark, startedAt: turn.now)
        }
        sync.way = .ranges
        sync.ranges = RangeProgress()
        sync.hasCompleted = false
        streams[id]?.role = .storeSync(sync)
        takeStep(message, on: id, &turn)
    }

    /// Two nodes that ask each other at once keep one exchange, that of the higher id. Ours ends rather than theirs is
    /// refused, because a comparison, which nothing may stop, begins in the same way.
    private mutating func giveWay(to peer: NodeID?, _ turn: inout Turn) {
        guard let peer, peer > selfID else { return }
        for id in streams.keys.sorted() {
            guard let stream = streams[id], stream.peer == peer, case .storeSync(let sync) = stream.role,
                sync.isInitiator, !stream.isOpen || sync.way == .ranges && sync.ranges?.reconciliation.steps == 0
            else { continue }
            close(id, &turn)
            storeSyncEnded(&turn)
        }
    }

    /// A step of the peer: answered at once, unless many of our rows for the ones before have not left yet.
    private mutating func takeStep(_ message: RangeMessage, on id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id], case .storeSync(var sync) = stream.role, var ranges = sync.ranges
        else { return }
        guard !reset.isUnderWay, sync.floorMark == store.floor.mark else { return breakOff(id, &turn) }
        guard ranges.waiting == nil, !ranges.isFinished else { return reject(id, &turn) }
        if let outgoing = sync.outgoing, !outgoing.takesMoreRows {
            ranges.waiting = message
            sync.ranges = ranges
            streams[id]?.role = .storeSync(sync)
            return
        }
        let step: RangeStep
        do {
            step = try ranges.reconciliation.answer(message, store: store, limit: Self.rangeLimit)
        } catch {
            return reject(id, &turn)
        }
        ranges.isFinished = step.isFinished
        sync.ranges = ranges
        // The responder says when it has sent its last row; the initiator closes the stream then.
        let closing: OutgoingRows.Closing = step.isFinished && !sync.isInitiator ? .end : .nothing
        // The reply goes in front of the rows: the peer looks up what it is asked for before it merges them.
        if sync.outgoing != nil {
            sync.outgoing?.append(step.rowsToSend, then: closing)
            streams[id]?.role = .storeSync(sync)
            if let reply = step.reply { write([.ranges(reply)], to: id, &turn) }
            return
        }
        streams[id]?.role = .storeSync(sync)
        var outgoing = OutgoingRows(.listed(step.rowsToSend, next: 0), then: closing)
        if let reply = step.reply { outgoing.heading = [.ranges(reply)] }
        send(outgoing, on: id, &turn)
    }

    /// Our rows for a step have left.
    mutating func continueRanges(on id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id], case .storeSync(var sync) = stream.role, var ranges = sync.ranges
        else { return }
        if let message = ranges.waiting {
            ranges.waiting = nil
            sync.ranges = ranges
            streams[id]?.role = .storeSync(sync)
            takeStep(message, on: id, &turn)
        }
        endRanges(on: id, &turn)
    }

    /// The responder has sent its last row.
    mutating func onRangesComplete(on id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id], case .storeSync(var sync) = stream.role, sync.isInitiator,
            let ranges = sync.ranges, ranges.isFinished, !ranges.peerHasCompleted
        else { return reject(id, &turn) }
        sync.ranges?.peerHasCompleted = true
        streams[id]?.role = .storeSync(sync)
        endRanges(on: id, &turn)
    }

    /// Both sides have sent all: the initiator closes the holes in the contexts, or ends.
    private mutating func endRanges(on id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id], case .storeSync(var sync) = stream.role, sync.isInitiator, sync.way == .ranges,
            sync.ranges?.peerHasCompleted == true, sync.ranges?.waiting == nil, sync.outgoing == nil
        else { return }
        // Transactions that wait are released by contexts too: what of them was overwritten is a hole of theirs.
        guard store.context.hasGaps || !transactions.isEmpty, !sync.isIncomplete else {
            close(id, &turn)
            finish(sync, with: stream.peer, &turn)
            return
        }
        sync.way = .contexts
        sync.hasCompleted = false
        sync.peerSum = nil
        streams[id]?.role = .storeSync(sync)
        write([storeRequest], to: id, &turn)
    }
}
