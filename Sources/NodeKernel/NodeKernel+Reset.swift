// SPDX-License-Identifier: Apache-2.0
// Owns the reset: a node from before the collection floor takes over a peer's store, whole and at once.

import ClusterTypes
import StoreCore

/// A reset under way, and the import queue it leaves.
struct ResetState: Sendable {
    var queuedCount: Int
    var queuedLast: UInt64

    init(queuedCount: Int = 0, queuedLast: UInt64 = 0) {
        self.queuedCount = queuedCount
        self.queuedLast = queuedLast
    }

    /// Local writes are refused and rows are neither sent nor taken.
    var isUnderWay: Bool { false }
}

extension NodeKernel {
    mutating func onRestore(
        _ id: CommandID, rows: [Row], context: CausalContext, floor: CollectionFloor, revision: UInt64,
        _ turn: inout Turn
    ) { reply(id, .failure(.notReady), &turn) }

    mutating func onDequeue(_ id: CommandID, _ numbers: [UInt64], _ turn: inout Turn) {
        reply(id, .failure(.notReady), &turn)
    }
}
