// SPDX-License-Identifier: Apache-2.0
// Owns the collection floor: what the whole cluster has agreed to forget.

import ClusterTypes

/// Everything dead at `cutoff` is gone, and the folded actors' events are known to everybody (decision 0007).
///
/// Floors form a lattice: `joined` takes the higher cutoff and both lists. A node may raise its own floor to another
/// only when it has promised it (`StoreRecord.promised`); otherwise it must reset from a peer.
package struct CollectionFloor: Hashable, Sendable {
    package struct Folded: Hashable, Sendable {
        package var actor: ActorID
        /// The actor's last event: everybody held 1...counter, and none beyond it.
        package var counter: UInt64
        /// The cutoff with which the actor was folded.
        package var cutoff: HybridTimestamp

        package init(_ last: Dot, cutoff: HybridTimestamp) {
            actor = last.actor
            counter = last.counter
            self.cutoff = cutoff
        }
    }

    /// How long a folded actor is named, as a distance of cutoffs in milliseconds: 30 days.
    package static let foldedRetentionMilliseconds: UInt64 = 30 * 86_400_000
    /// Folded actors that a floor names at most; the collector folds no more until old ones expire.
    package static let foldedMax = 4_096

    package var cutoff: HybridTimestamp
    /// Sorted by actor, each once.
    package var folded: [Folded]

    package init(cutoff: HybridTimestamp = .zero, folded: [Folded] = []) {
        self.cutoff = cutoff
        self.folded = folded
    }

    package static let none = CollectionFloor()

    /// Commutative, associative, idempotent.
    package func joined(with other: CollectionFloor) -> CollectionFloor {
        var folded = self.folded
        for entry in other.folded {
            if let index = folded.firstIndex(where: { $0.actor == entry.actor }) {
                folded[index].cutoff = max(folded[index].cutoff, entry.cutoff)
                folded[index].counter = max(folded[index].counter, entry.counter)
            } else {
                folded.append(entry)
            }
        }
        let cutoff = max(self.cutoff, other.cutoff)
        folded.removeAll { $0.cutoff.milliseconds + Self.foldedRetentionMilliseconds < cutoff.milliseconds }
        return CollectionFloor(cutoff: cutoff, folded: folded.sorted { $0.actor < $1.actor })
    }

    /// Names the floor on the wire: equal marks mean equal floors; 0 means that nothing was ever collected.
    package var mark: UInt64 {
        guard cutoff != .zero || !folded.isEmpty else { return 0 }
        var hasher = StableHasher()
        hasher.absorb(cutoff.rawValue)
        for entry in folded {
            hasher.absorb(entry.actor.node)
            hasher.absorb(entry.actor.epoch)
            hasher.absorb(entry.counter)
            hasher.absorb(entry.cutoff.rawValue)
        }
        let low = hasher.finalize().low
        return low == 0 ? 1 : low
    }
}

extension ActorID {
    /// Owns what folding leaves of actors that are gone: their counters' totals and their adds to sets.
    package static let folded = ActorID(node: .unknown, epoch: 0)
}
