// SPDX-License-Identifier: Apache-2.0
// Owns the choice of actors that a collection folds, and what is learned from those who refuse (decision 0007).

import ClusterTypes
import SWIMCore
import StoreCore

extension CollectionState {
    static let foldsMax = 32
    /// Rows that the actors of one round are named on, together: each takes some 20 us, and the node does nothing else
    /// meanwhile. An actor that is named on more stays; there cannot be many of those.
    static let foldRowsMax = 10_000
    static let foldsAvoidedMax = 256
    /// An actor whose folding was refused is tried again after so many intervals, or once its node has another one.
    static let foldsAvoidedIntervals = 30

    /// Somebody writes under the actor, or does not hold all that we do. Neither lasts for ever.
    struct FoldRefusal: Hashable, Sendable {
        var actor: ActorID
        /// All actors of the node then; sorted.
        var siblings: [ActorID]
        var until: Instant
    }
}

extension NodeKernel {
    /// Actors of nodes that are gone, and those that living nodes have left behind.
    mutating func chooseFolds(_ now: Instant) -> [Dot] {
        let room = CollectionFloor.foldedMax - store.floor.folded.count
        let wanted = min(collection.foldLimit, room)
        // A round without folds was due: the next one tries one again.
        if collection.foldLimit == 0 { collection.foldLimit = 1 }
        guard wanted > 0 else { return [] }
        let known = store.context.entries(cloudMax: 0).map(\.actor)
        collection.foldsAvoided.removeAll { refusal in
            refusal.until <= now
                || known.contains { $0.node == refusal.actor.node && !refusal.siblings.contains($0) }
        }
        let avoided = Set(collection.foldsAvoided.map(\.actor))
        var rows = 0
        let candidates = store.foldCandidates(
            isGone: { isGone($0, now) }, writer: { collection.writers[$0] },
            where: {
                !$0.isStrictFeed && store.rowCount(naming: $0) <= CollectionState.foldRowsMax && !avoided.contains($0)
            },
            limit: wanted)
        return Array(
            candidates.prefix { dot in
                rows += store.rowCount(naming: dot.actor)
                return rows <= CollectionState.foldRowsMax
            })
    }

    private func isGone(_ node: NodeID, _ now: Instant) -> Bool {
        guard let member = membership.table[node] else { return node != .unknown }
        switch member.state {
        case .alive, .suspect, .failed: return false
        case .left: return now - member.since.now >= configuration.collectionGrace
        case .forgotten: return true
        }
    }

    /// What an answer says about folding.
    mutating func noteFolds(_ answer: CollectAnswer, from peer: NodeID, _ round: inout CollectionState.Round) {
        let writer = ActorID(node: peer, epoch: answer.epoch)
        if !answer.agreesToFolds, !round.request.folds.isEmpty {
            round.isVetoed = true
            if round.request.folds.contains(where: { $0.actor == writer }) { round.hasLearned = true }
        }
        if collection.writers.count < Bounds.membersMax || collection.writers[peer] != nil {
            collection.writers[peer] = writer
        }
    }

    /// Fewer the next time, until the one that is refused is alone.
    mutating func noteVeto(_ round: CollectionState.Round, _ now: Instant) {
        if round.hasLearned { return }
        guard round.request.folds.count == 1, let only = round.request.folds.first else {
            collection.foldLimit = round.request.folds.count / 2
            return
        }
        if collection.foldsAvoided.count >= CollectionState.foldsAvoidedMax { collection.foldsAvoided.removeFirst() }
        let siblings = store.context.entries(cloudMax: 0).map(\.actor).filter { $0.node == only.actor.node }
        collection.foldsAvoided.append(
            CollectionState.FoldRefusal(
                actor: only.actor, siblings: siblings,
                until: now + configuration.collectionInterval * CollectionState.foldsAvoidedIntervals))
        collection.foldLimit = CollectionState.foldsMax
    }
}
