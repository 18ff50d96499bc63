// SPDX-License-Identifier: Apache-2.0
// Owns collection: which dead rows the whole cluster agrees to forget, and which actors are folded (decision 0007).

import ClusterTypes
import SWIMCore
import StoreCore

/// What this node has promised, and the collection it leads.
struct CollectionState: Sendable {
    /// Everything dead at this stamp may be collected by whoever has the others' promises too.
    var promised: HybridTimestamp

    init(promised: HybridTimestamp = .zero) { self.promised = promised }
}

extension NodeKernel {
    mutating func onCollectionTimer(_ turn: inout Turn) {}

    mutating func onCollectRequest(
        _ request: CollectRequest, from peer: NodeID, at address: Address, _ turn: inout Turn
    ) {}

    mutating func onCollectAnswer(_ answer: CollectAnswer, from peer: NodeID, _ turn: inout Turn) {}

    /// A peer's floor: raise ours when we have promised it, else reset.
    mutating func onFloor(_ floor: CollectionFloor, from peer: NodeID, at address: Address, _ turn: inout Turn) {}

    /// A peer's digest or packet names another floor than ours.
    mutating func onFloorMark(_ mark: UInt64, from peer: NodeID, at address: Address, _ turn: inout Turn) {}

    /// Whether rows from a packet with this mark may be merged.
    func takesRows(withFloor mark: UInt64) -> Bool { mark == store.floor.mark }
}
