// SPDX-License-Identifier: Apache-2.0
// Owns how rows leave over streams: in bounded batches, paced, after new changes, and never before they are durable.

import ClusterTypes
import StoreCore

/// Rows on their way to a peer, and what is said after the last one.
struct OutgoingRows: Sendable {
    enum Source: Sendable {
        /// With an event that this context lacks.
        case missing(from: CausalContext, RepairCursor?)
        case whole(RepairCursor?)
        /// Named rows, of which this many were looked at.
        case listed([RowID], next: Int)
    }

    enum Closing: Sendable {
        /// `storeComplete` with our context at the beginning.
        case complete
        case batchEnd
        /// An empty `storeComplete`: no more rows follow on the way of ranges.
        case end
        case nothing
    }

    enum State: Sendable {
        /// Waits for its share of the bandwidth, or for new changes to leave, since then.
        case paced(since: Instant)
        /// Waits until this write is durable here.
        case persisting(PersistToken)
        /// Waits for `storeContinue`.
        case asked
    }

    var source: Source
    var closing: Closing
    /// Written before the first batch.
    var heading: [Message] = []
    /// The sum of all our rows comes first, unless one batch of rows is all there is to say.
    var saysSum = false
    /// The frames of a batch that waits for the disk.
    var prepared: [[Message]] = []
    var isLast = false
    var state = State.asked

    init(_ source: Source, then closing: Closing) {
        self.source = source
        self.closing = closing
    }

    /// This side says `storeComplete` at its end.
    var isCompletion: Bool {
        switch closing {
        case .complete, .end: true
        case .batchEnd, .nothing: false
        }
    }

    /// False when it is known that there are none.
    var waitsForRows: Bool { if case .listed(let ids, let next) = source { next < ids.count } else { true } }

    /// More named rows may be added: not to what is on its way already, nor without bound.
    var takesMoreRows: Bool {
        guard !isLast, case .listed(let ids, let next) = source else { return false }
        return ids.count - next <= Self.listedMax
    }

    static let listedMax = 16_384

    mutating func append(_ ids: [RowID], then closing: Closing) {
        guard case .listed(let former, let next) = source else { return }
        source = .listed(Array(former[next...]) + ids, next: 0)
        self.closing = closing
    }

    var awaited: PersistToken? { if case .persisting(let token) = state { token } else { nil } }
}

/// A bucket of bytes that all repair shares: filled at the configured rate, emptied by batches; it may go into debt by
/// one batch.
struct RepairPace: Sendable {
    private var bytes = 0
    private var filledAt: Instant?

    /// How long the next batch has to wait; nil: not at all.
    mutating func wait(rate: Int, now: Instant) -> Interval? {
        let rate = max(1, rate)
        // A quarter of a second's worth may be sent at once.
        let room = max(1, rate / 4)
        if let filledAt {
            let elapsed = Double(min((now - filledAt).nanoseconds, 1_000_000_000)) / 1e9
            // The debt of the largest row takes longer than a second at low rates: time is never thrown away.
            bytes = min(room, bytes + Int(Double(rate) * elapsed))
        } else {
            bytes = room
        }
        filledAt = now
        guard bytes <= 0 else { return nil }
        let nanoseconds = Double(1 - bytes) / Double(rate) * 1e9
        return Interval(nanoseconds: Int64(min(nanoseconds, 1e9)) + 1)
    }

    mutating func spend(_ bytes: Int) { self.bytes -= bytes }
}

extension NodeKernel {
    /// Bytes of rows in one frame, about.
    private static let framePayloadMax = 60_000
    /// One batch: little enough to be put together within a few milliseconds.
    static let batchLimit = RepairLimit(rowsMax: 1_024, bytesMax: 256 * 1024)
    /// New changes leave before repair, but repair does not wait for them for longer than this.
    static let freshPatience = Interval.milliseconds(100)

    /// It is our turn on the stream.
    mutating func send(_ outgoing: OutgoingRows, on id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id], case .storeSync(var sync) = stream.role else { return }
        sync.outgoing = outgoing
        streams[id]?.role = .storeSync(sync)
        prepareBatch(on: id, &turn)
    }

    /// The peer has taken in a batch and asks for more.
    mutating func onStoreContinue(on id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id], case .storeSync(let sync) = stream.role else { return }
        guard let outgoing = sync.outgoing else {
            // Whoever pulls asks until nothing comes.
            if sync.way == .rows { close(id, &turn) }
            return
        }
        if case .asked = outgoing.state { prepareBatch(on: id, &turn) }
    }

    mutating func onRepairPace(_ id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id], case .storeSync(let sync) = stream.role, case .paced? = sync.outgoing?.state
        else { return }
        prepareBatch(on: id, &turn)
    }

    /// Prepares the next batch and sends it as soon as every row of it is durable here.
    private mutating func prepareBatch(on id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id], case .storeSync(var sync) = stream.role, var outgoing = sync.outgoing
        else { return }
        guard !reset.isUnderWay, sync.floorMark == store.floor.mark else {
            return breakOff(id, &turn)
        }
        if let wait = wait(for: outgoing, turn.now) {
            let since: Instant = if case .paced(let since) = outgoing.state { since } else { turn.now }
            outgoing.state = .paced(since: since)
            flushHeading(&outgoing, on: id, &turn)
            sync.outgoing = outgoing
            streams[id]?.role = .storeSync(sync)
            turn.actions.append(.setTimer(.repairPace(id), at: turn.now + wait))
            return
        }
        // What waits has a token from here on.
        flushFeed(&turn)
        // After a crash rows that only memory held are gone: what is said beside them does not wait for the disk.
        if outgoing.waitsForRows, lastRowsToken != nil { flushHeading(&outgoing, on: id, &turn) }
        let rows = nextRows(of: &outgoing)
        sync.rowsSent += rows.count
        statistics.storeSyncRowsSent += UInt64(rows.count)
        // A row that only memory holds must not reach a peer: after a crash its dot would be used for another one.
        let awaits = rows.isEmpty ? nil : lastRowsToken
        if let awaits { outgoing.state = .persisting(awaits) } else { outgoing.state = .asked }
        sync.outgoing = outgoing
        streams[id]?.role = .storeSync(sync)
        if awaits == nil { sendPrepared(on: id, &turn) }
    }

    private mutating func flushHeading(_ outgoing: inout OutgoingRows, on id: StreamID, _ turn: inout Turn) {
        guard !outgoing.heading.isEmpty else { return }
        write(outgoing.heading, to: id, &turn)
        outgoing.heading = []
    }

    private mutating func wait(for outgoing: OutgoingRows, _ now: Instant) -> Interval? {
        guard outgoing.waitsForRows else { return nil }
        if let wait = repair.pace.wait(rate: configuration.repairBytesPerSecond, now: now) { return wait }
        guard storeQueue.hasFresh, !gossip.isStuck else { return nil }
        if case .paced(let since) = outgoing.state, now - since >= Self.freshPatience { return nil }
        return Self.burstSpacing
    }

    /// Puts the next rows into frames, with what follows them.
    private mutating func nextRows(of outgoing: inout OutgoingRows) -> [Row] {
        var snapshot = store.context
        let rows: [Row]
        switch outgoing.source {
        case .missing(let context, let cursor):
            let batch = store.rowsMissing(from: context, limit: Self.batchLimit, resume: cursor)
            (rows, snapshot) = (batch.rows, batch.snapshot)
            outgoing.source = .missing(from: context, batch.next)
            outgoing.isLast = batch.next == nil
        case .whole(let cursor):
            let batch = store.allRows(limit: Self.batchLimit, resume: cursor)
            (rows, snapshot) = (batch.rows, batch.snapshot)
            outgoing.source = .whole(batch.next)
            outgoing.isLast = batch.next == nil
        case .listed(let ids, var next):
            rows = listedRows(ids, &next)
            outgoing.source = .listed(ids, next: next)
            outgoing.isLast = next == ids.count
        }
        if outgoing.saysSum, rows.isEmpty || !outgoing.isLast { outgoing.heading.append(wholeSum) }
        outgoing.saysSum = false
        var bytes = 0
        outgoing.prepared = frames(of: rows, heading: outgoing.heading, &bytes)
        outgoing.heading = []
        repair.pace.spend(bytes)
        // What follows the rows rides with the last of them; it is small, or bounded as `boundedContext` says.
        if let closing = closing(of: outgoing, snapshot) {
            var last = outgoing.prepared.popLast() ?? []
            last.append(closing)
            outgoing.prepared.append(last)
        }
        return rows
    }

    private func closing(of outgoing: OutgoingRows, _ snapshot: CausalContext) -> Message? {
        guard outgoing.isLast else { return .storeBatchEnd }
        return switch outgoing.closing {
        case .complete: .storeComplete(boundedContext(snapshot))
        case .batchEnd: .storeBatchEnd
        case .end: .storeComplete(CausalContext())
        case .nothing: nil
        }
    }

    private func listedRows(_ ids: [RowID], _ next: inout Int) -> [Row] {
        var rows: [Row] = []
        var bytes = 0
        var looked = 0
        while next < ids.count, looked < Self.batchLimit.rowsMax {
            if let row = store.row(ids[next]) {
                if bytes + row.estimatedBytes > Self.batchLimit.bytesMax, !rows.isEmpty { break }
                bytes += row.estimatedBytes
                rows.append(row)
            }
            next += 1
            looked += 1
        }
        return rows
    }

    private func frames(of rows: [Row], heading: [Message], _ total: inout Int) -> [[Message]] {
        var frames: [[Message]] = []
        var frame = heading
        var bytes = heading.reduce(0) { $0 + configuration.sizes.message($1) }
        for row in rows {
            let size = configuration.sizes.message(.row(row))
            if bytes + size > Self.framePayloadMax, bytes > 0 {
                frames.append(frame)
                frame.removeAll(keepingCapacity: true)
                bytes = 0
            }
            frame.append(.row(row))
            bytes += size
            total += size
        }
        if !frame.isEmpty { frames.append(frame) }
        return frames
    }

    private mutating func sendPrepared(on id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id], case .storeSync(var sync) = stream.role, var outgoing = sync.outgoing
        else { return }
        for frame in outgoing.prepared { write(frame, to: id, &turn) }
        outgoing.prepared = []
        outgoing.state = .asked
        let isLast = outgoing.isLast
        if isLast { sync.hasCompleted = outgoing.isCompletion }
        sync.outgoing = isLast ? nil : outgoing
        streams[id]?.role = .storeSync(sync)
        if isLast { finishedSending(on: id, &turn) }
    }

    /// The last write of rows that is not durable yet.
    private var lastRowsToken: PersistToken? {
        let first = durableThrough
        var token = nextToken
        while token > first {
            if pendingWrites[PersistToken(rawValue: token)]?.isRows == true { return PersistToken(rawValue: token) }
            token -= 1
        }
        return nil
    }

    /// All writes up to this token are durable; disks answer in order.
    private var durableThrough: UInt64 {
        var through = repair.durableThrough
        while through < nextToken, pendingWrites[PersistToken(rawValue: through + 1)] == nil { through += 1 }
        return through
    }

    /// Rows became durable: sends the batches that waited for them.
    mutating func sendDurableBatches(_ turn: inout Turn) {
        repair.durableThrough = durableThrough
        guard streams.values.contains(where: { $0.awaitsDurability }) else { return }
        for id in streams.keys.sorted() {
            guard case .storeSync(let sync)? = streams[id]?.role, let awaits = sync.outgoing?.awaited,
                awaits.rawValue <= repair.durableThrough
            else { continue }
            sendPrepared(on: id, &turn)
        }
    }

    /// Whether rows that become durable now came with a catch-up.
    var isBulkPersisting: Bool { durableThrough <= repair.bulkThrough && repair.bulkThrough > 0 }
}
