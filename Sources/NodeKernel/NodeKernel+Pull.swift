// SPDX-License-Identifier: Apache-2.0
// Owns the pulling of rows too large for gossip: announced by their events, fetched once, from the nearest holder.

import ClusterTypes
import SWIMCore
import StoreCore

/// Events that peers announced and we have not seen.
struct PullState: Sendable {
    struct Want: Sendable {
        /// Who announced it, in the order of arrival; without those that did not have it after all.
        var holders: [NodeID]
        /// The stream on which it is under way.
        var stream: StreamID?
    }

    /// At most `wantedMax`; what comes beyond it is brought by repair.
    var wanted: [Dot: Want] = [:]
    var timerGeneration: UInt64 = 0
    var timerAt: Instant?
    /// Streams under way.
    var running = 0

    static let wantedMax = 4_096
    static let holdersMax = 8
    /// Streams at once.
    static let runningMax = 8
}

/// One stream on which rows are pulled.
struct PullStream: Sendable {
    /// At most `NodeKernel.pullDotsMax`.
    let dots: [Dot]
    /// Our floor when it began.
    let floorMark: UInt64
    /// A row came since the last batch ended.
    var hasRows = false

    var afterRows: PullStream {
        var pull = self
        pull.hasRows = true
        return pull
    }
}

extension NodeKernel {
    /// How long announcers are gathered before the nearest of them is asked.
    static let pullWindow = Interval.milliseconds(10)
    /// Rows that are asked for one by one; for more, the stores are synchronised.
    static let pullDotsMax = 64
    /// Before another attempt when no stream was to be had.
    private static let pullRetry = Interval.milliseconds(100)

    /// A peer holds events too large for gossip: fetch those we have not seen.
    mutating func onAnnouncement(_ dots: [Dot], from peer: NodeID, _ turn: inout Turn) {
        guard !membership.isLeaving, !reset.isUnderWay else { return }
        var isNews = false
        for dot in dots where !store.context.contains(dot) {
            if var want = pulls.wanted[dot] {
                guard !want.holders.contains(peer), want.holders.count < PullState.holdersMax else { continue }
                want.holders.append(peer)
                pulls.wanted[dot] = want
            } else if pulls.wanted.count < PullState.wantedMax {
                pulls.wanted[dot] = PullState.Want(holders: [peer])
                isNews = true
            }
        }
        if isNews { setPullTimer(at: turn.now + Self.pullWindow, &turn) }
    }

    private mutating func setPullTimer(at: Instant, _ turn: inout Turn) {
        if let set = pulls.timerAt, set <= at { return }
        pulls.timerAt = at
        pulls.timerGeneration += 1
        turn.actions.append(.setTimer(.sync(generation: pulls.timerGeneration), at: at))
    }

    mutating func onSyncTimer(_ generation: UInt64, _ turn: inout Turn) {
        guard generation == pulls.timerGeneration else { return }
        pulls.timerAt = nil
        pullWanted(&turn)
    }

    /// Asks a holder nearby for each event that is wanted and not under way.
    private mutating func pullWanted(_ turn: inout Turn) {
        guard !membership.isLeaving, !reset.isUnderWay else { return }
        var holders: [NodeID] = []
        var dots: [NodeID: [Dot]] = [:]
        for dot in pulls.wanted.keys.sorted() {
            guard let want = pulls.wanted[dot], want.stream == nil else { continue }
            guard !store.context.contains(dot), let holder = nearby(among: active(want.holders), using: &turn.rng)
            else {
                pulls.wanted[dot] = nil
                continue
            }
            if dots[holder] == nil { holders.append(holder) }
            dots[holder, default: []].append(dot)
        }
        for holder in holders {
            guard let dots = dots[holder] else { continue }
            if dots.count > Self.pullDotsMax {
                // Many at once: the stores tell each other more cheaply what is missing.
                guard !repair.isStoreSyncRunning else { continue }
                repair.isStoreSyncRunning = startStoreSync(with: holder, &turn)
                if repair.isStoreSyncRunning {
                    // What the exchange does not bring is no longer asked of this peer.
                    for dot in dots { drop(holder, of: dot) }
                } else {
                    setPullTimer(at: turn.now + Self.pullRetry, &turn)
                }
            } else if !startPull(of: dots, from: holder, &turn) {
                setPullTimer(at: turn.now + Self.pullRetry, &turn)
            }
        }
    }

    private func active(_ holders: [NodeID]) -> [NodeID] {
        holders.filter { membership.table[$0]?.state.isActive == true }
    }

    private mutating func startPull(of dots: [Dot], from holder: NodeID, _ turn: inout Turn) -> Bool {
        // The end of one of those under way asks again.
        guard pulls.running < PullState.runningMax else { return true }
        guard let address = membership.table[holder]?.info.address else { return false }
        let pull = PullStream(dots: dots, floorMark: store.floor.mark)
        let timeout = configuration.swim.probeTimeout * 4
        guard let id = open(.pull(pull), to: address, peer: holder, timeout: timeout, &turn) else { return false }
        pulls.running += 1
        for dot in dots { pulls.wanted[dot]?.stream = id }
        return true
    }

    mutating func beginPull(_ pull: PullStream, on id: StreamID, _ turn: inout Turn) {
        write(markedByFloor(.rowRequest(pull.dots)), to: id, &turn)
    }

    /// On streams, our floor goes in front of what is not a `storeRequest`, as in datagrams.
    func markedByFloor(_ message: Message) -> [Message] {
        let mark = store.floor.mark
        return mark == 0 ? [message] : [.floorMark(mark), message]
    }

    /// The holder has sent a batch of what we asked for.
    mutating func onPullBatch(_ pull: PullStream, on id: StreamID, _ turn: inout Turn) {
        let isWhole = pull.dots.allSatisfy { store.context.contains($0) }
        if isWhole || !pull.hasRows {
            guard let stream = streams[id] else { return }
            close(id, &turn)
            pullEnded(pull, with: stream.peer, &turn)
            return
        }
        var pull = pull
        pull.hasRows = false
        streams[id]?.role = .pull(pull)
        write([.storeContinue], to: id, &turn)
    }

    /// The stream is over, well or not: what did not come is asked of the next holder.
    mutating func pullEnded(_ pull: PullStream, with holder: NodeID?, _ turn: inout Turn) {
        pulls.running -= 1
        for dot in pull.dots {
            pulls.wanted[dot]?.stream = nil
            if let holder { drop(holder, of: dot) }
        }
        if !pulls.wanted.isEmpty { setPullTimer(at: turn.now, &turn) }
    }

    /// The peer has had its chance with this event.
    private mutating func drop(_ holder: NodeID, of dot: Dot) {
        guard var want = pulls.wanted[dot] else { return }
        want.holders.removeAll { $0 == holder }
        let isOver = want.holders.isEmpty || store.context.contains(dot)
        pulls.wanted[dot] = isOver ? nil : want
    }

    /// A store synchronisation is over: what is still wanted is asked for.
    mutating func resumePulls(_ turn: inout Turn) {
        if pulls.wanted.values.contains(where: { $0.stream == nil }) { setPullTimer(at: turn.now, &turn) }
    }

    /// A peer pulls rows: those of the events it names, and with each of a transaction all the others.
    mutating func onRowRequest(_ dots: [Dot], on id: StreamID, from sender: NodeID, _ turn: inout Turn) {
        guard let stream = streams[id] else { return }
        guard case .accepted = stream.role, dots.count <= Self.pullDotsMax else { return reject(id, &turn) }
        guard !reset.isUnderWay else { return close(id, &turn) }
        guard stream.floorMark == store.floor.mark else { return refuseFloor(on: id, &turn) }
        let sync = StoreSync(isInitiator: false, way: .rows, floorMark: stream.floorMark, startedAt: turn.now)
        streams[id]?.role = .storeSync(sync)
        send(OutgoingRows(.listed(rows(of: dots), next: 0), then: .batchEnd), on: id, &turn)
    }

    private func rows(of dots: [Dot]) -> [RowID] {
        var seen: Set<RowID> = []
        var ids: [RowID] = []
        for dot in dots {
            guard let row = store.row(holding: dot) else { continue }
            if seen.insert(row.id).inserted { ids.append(row.id) }
            guard let transaction = row.details.transaction, row.author == dot.actor, ids.count < Self.pulledRowsMax
            else { continue }
            let last = transaction.first.addingReportingOverflow(UInt64(transaction.count))
            guard !last.overflow else { continue }
            for other in store.rowIDs(of: dot.actor, transaction.first..<last.partialValue)
            where seen.insert(other).inserted {
                ids.append(other)
            }
        }
        return ids
    }

    /// Rows from which no further transaction is added to an answer; one alone is bounded by itself.
    private static let pulledRowsMax = Bounds.transactionWritesMax
}
