// SPDX-License-Identifier: Apache-2.0
// Owns anti-entropy by causal contexts: what a peer lacks, and how holes in a context are closed.

import ClusterTypes

extension Store {
    /// The next batch of rows with an event that `peer` does not contain; `peer` must stay the same through an
    /// exchange. Costs about the size of the difference: runs of events that the peer has are stepped over at once.
    package func rowsMissing(
        from peer: CausalContext, limit: RepairLimit = RepairLimit(), resume cursor: RepairCursor? = nil
    ) -> RepairBatch {
        var batch = RepairBatch(rows: [], bytes: 0, snapshot: cursor?.snapshot ?? context, next: nil)
        var start = 0
        var resumed: (actor: ActorID, event: ActorTable.Event)?
        if case .event(let actor, let event) = cursor?.position {
            start = actors.insertionPoint(of: actor)
            resumed = (actor, event)
        }
        for number in actors.sorted[start...] {
            let actor = actors[number]
            let seen = resumed.flatMap { $0.actor == actor ? $0.event : nil } ?? .end(of: 0)
            if let last = collect(number, of: actor, behind: seen, for: peer, limit: limit, into: &batch) {
                batch.next = RepairCursor(snapshot: batch.snapshot, position: .event(actor, last))
                return batch
            }
        }
        return batch
    }

    /// The next batch of all rows, in the order of their ids: for a peer that begins anew, whose context says nothing.
    /// Rows without versions are sent here only. What changes behind the walk is found afterwards by the snapshot,
    /// except when the floor is raised: then the walk must begin again.
    package func allRows(limit: RepairLimit = RepairLimit(), resume cursor: RepairCursor? = nil) -> RepairBatch {
        var batch = RepairBatch(rows: [], bytes: 0, snapshot: cursor?.snapshot ?? context, next: nil)
        var start = order.partitionPoint { _ in false }
        if case .row(let last) = cursor?.position {
            start = order.partitionPoint { handle in
                let sides = ConfigurationKey.order(keys.key(rows[Int(handle)].key), last.key)
                return sides != 0 ? sides < 0 : rows[Int(handle)].content.part <= last.part
            }
        }
        while let handle = order.element(at: start) {
            let row = row(at: handle)
            let bytes = row.estimatedBytes
            let isFull = batch.rows.count >= limit.rowsMax || batch.bytes + bytes > limit.bytesMax
            if isFull, let last = batch.rows.last {
                batch.next = RepairCursor(snapshot: batch.snapshot, position: .row(last.id))
                return batch
            }
            batch.rows.append(row)
            batch.bytes += bytes
            start = order.position(after: start)
        }
        return batch
    }

    /// Rows that name an event of one of the node's actors which `peer` does not contain and which comes after the
    /// actor's counter in `folded`; in the order of their ids. Costs about the size of the answer.
    package func rows(of node: NodeID, missingFrom peer: CausalContext, behind folded: [ActorID: UInt64]) -> [Row] {
        var found: Set<UInt32> = []
        for number in actors.sorted where actors[number].node == node {
            let actor = actors[number]
            let known = peer.runs(of: actor)
            var position = actors.position(of: number, behind: .end(of: folded[actor] ?? 0))
            while let event = actors.event(of: number, at: position) {
                let run = CausalContext.firstRun(in: known, endingFrom: event.counter)
                if run < known.count, known[run].first <= event.counter {
                    position = actors.position(of: number, behind: .end(of: known[run].last))
                } else {
                    found.insert(event.row)
                    position = actors.position(of: number, after: position)
                }
            }
        }
        return found.map { row(at: $0) }.sorted { $0.id < $1.id }
    }

    /// True when all the events were seen.
    package func holds(_ dots: [Dot]) -> Bool { dots.allSatisfy { context.contains($0) } }

    /// Goes through one actor's events; returns the last one it looked at when the batch is full before the end.
    private func collect(
        _ number: UInt32, of actor: ActorID, behind start: ActorTable.Event, for peer: CausalContext,
        limit: RepairLimit, into batch: inout RepairBatch
    ) -> ActorTable.Event? {
        let known = peer.runs(of: actor)
        var nextRun = CausalContext.firstRun(in: known, endingFrom: start.counter)
        var seen = start
        var position = actors.position(of: number, behind: seen)
        while let event = actors.event(of: number, at: position) {
            while nextRun < known.count, known[nextRun].last < event.counter { nextRun += 1 }
            if nextRun < known.count, known[nextRun].first <= event.counter {
                seen = .end(of: known[nextRun].last)
                position = actors.position(of: number, behind: seen)
                continue
            }
            let row = row(at: event.row)
            if !wasSent(row, before: actor, to: peer, snapshot: batch.snapshot) {
                let bytes = row.estimatedBytes
                let isFull = batch.rows.count >= limit.rowsMax || batch.bytes + bytes > limit.bytesMax
                if isFull, !batch.rows.isEmpty { return seen }
                batch.rows.append(row)
                batch.bytes += bytes
            }
            seen = event
            position = actors.position(of: number, after: position)
        }
        return nil
    }

    /// True when the row went out for an actor that comes before `actor`. Only events of the snapshot tell: the walk
    /// may have passed an actor before its later events were made.
    private func wasSent(
        _ row: Row, before actor: ActorID, to peer: CausalContext, snapshot: CausalContext
    ) -> Bool {
        if row.versions.count == 1 { return false }
        return row.versions.contains { $0.actor < actor && snapshot.contains($0) && !peer.contains($0) }
    }

    /// Takes over the context that a peer had when an exchange began, after **every** row of the exchange came back
    /// from `merge` as applied or known; after any other outcome it must not be called. This closes the holes that
    /// overwritten events leave, whose dots no row carries any more.
    ///
    /// Why nothing is lost: let `d` be an event of actor `a` in the peer's context that ours lacks. The peer's row of
    /// that event reflects it and names in its versions `a`'s last event on the row, `d` or a later one. If our
    /// context lacked that one, the row was sent, and we joined it. If our context held it, our row already reflected
    /// it (the store's invariant), and with it `d`, because an actor's later event on a row includes its earlier ones.
    package mutating func adopt(context peer: CausalContext) -> AdoptOutcome {
        let own = peer.highest(of: actor)
        if own >= nextCounter { return .foreignUseOfOwnActor(Dot(actor: actor, counter: own)) }
        context.formUnion(peer)
        for entry in floor.folded { context.remove(entry.actor) }
        return .adopted
    }
}
