// SPDX-License-Identifier: Apache-2.0
// Owns promises: to what this node agrees when a collector asks, and what makes it void (decision 0007).

import ClusterTypes
import SWIMCore
import StoreCore

extension NodeKernel {
    mutating func promise(_ request: CollectRequest, then write: CollectionWrite, _ turn: inout Turn) {
        collection.promised = request.cutoff
        collection.promise = CollectionState.Promise(cutoff: request.cutoff, folds: request.folds, isDurable: false)
        // No event of our own may come to lie before what we promise to forget.
        store.noteClock(request.cutoff)
        persist([.store(.promised(request.cutoff))], then: .collection(write), &turn)
    }

    /// Rows that come in or are written after a promise, but belong before it: what was promised is no longer what is
    /// here, and the promise must not be kept. The higher number says so on disk.
    mutating func recordsVoiding(_ rows: [Row]) -> [DurableRecord] {
        guard let promise = collection.promise else { return [] }
        let isVoid = rows.contains { row in
            if row.stamp <= promise.cutoff { return true }
            return promise.folds.contains { fold in
                if row.changesShare(of: fold.actor) { return true }
                return
                    row.versions.contains { $0.actor == fold.actor && $0.counter > fold.counter }
            }
        }
        return isVoid ? voidPromise().map { [.store($0)] } ?? [] : []
    }

    mutating func voidPromise() -> StoreRecord? {
        guard collection.promise != nil else { return nil }
        collection.promise = nil
        collection.round = nil
        collection.promised = HybridTimestamp(rawValue: collection.promised.rawValue + 1)
        return .promised(collection.promised)
    }

    mutating func onCollectRequest(
        _ request: CollectRequest, from peer: NodeID, at address: Address, _ turn: inout Turn
    ) {
        guard !membership.isLeaving, !reset.isUnderWay, membership.table[peer]?.state.isActive == true,
            request.folds.count <= CollectionState.foldsMax
        else { return }
        guard request.floorMark == store.floor.mark else {
            onFloorMark(request.floorMark, from: peer, at: address, &turn)
            return
        }
        guard mayAsk(peer, turn.now) else { return }
        var answer = CollectAnswer(
            cutoff: request.cutoff, agrees: false, agreesToFolds: false, epoch: store.actor.epoch)
        answer.agreesToFolds = request.folds.allSatisfy { agreesToFold($0, turn.now) }
        let skew = store.configuration.clockSkewMaxMilliseconds
        let isPromised = collection.promise?.cutoff == request.cutoff
        guard let limit = cutoffMax(turn.clock.wall), request.cutoff.milliseconds <= limit + skew,
            request.cutoff > store.floor.cutoff, isPromised || request.cutoff > collection.promised,
            store.deadRows(at: request.cutoff, folds: request.folds).hash == request.deadHash
        else {
            tell([.collectAnswer(answer)], peer, &turn)
            return
        }
        answer.agrees = true
        guard isPromised else {
            var promised = request
            if !answer.agreesToFolds { promised.folds = [] }
            promise(promised, then: .answer(answer, to: peer), &turn)
            return
        }
        // The answer was lost; what was promised then holds now. Before it is durable, it is on its way.
        answer.agreesToFolds = answer.agreesToFolds && collection.promise?.folds == request.folds
        if collection.promise?.isDurable == true { tell([.collectAnswer(answer)], peer, &turn) }
    }

    /// Only the active member with the lowest id collects; and a question costs a look at every row.
    private mutating func mayAsk(_ peer: NodeID, _ now: Instant) -> Bool {
        let me = selfID
        if membership.table.members.contains(where: { $0.state.isActive && $0.id < peer && $0.id != me }) {
            return false
        }
        if let last = collection.lookedInto[peer], now - last < CollectionState.lookInterval { return false }
        if collection.lookedInto.count >= Bounds.membersMax { collection.lookedInto.removeAll() }
        collection.lookedInto[peer] = now
        return true
    }

    /// An actor may be folded when nobody writes under it and we hold exactly what the collector does.
    private func agreesToFold(_ fold: Dot, _ now: Instant) -> Bool {
        guard fold.actor != store.actor, fold.actor != .folded, !fold.actor.isStrictFeed, store.holdsExactly(fold)
        else {
            return false
        }
        if fold.actor.node == selfID { return true }
        if membership.table[fold.actor.node]?.state.isActive != true { return true }
        // Of a living node: it knows best, and vetoes what it writes under.
        return store.context.entries(cloudMax: 0).contains {
            $0.actor.node == fold.actor.node && $0.actor.epoch != fold.actor.epoch
        }
    }
}

extension Row {
    /// Whether the row holds adds or counts of the actor.
    fileprivate func changesShare(of actor: ActorID) -> Bool {
        switch content {
        case .register: false
        case .element(let entries): entries.contains { $0.actor == actor }
        case .counter: id.part == .counter(actor)
        }
    }
}
