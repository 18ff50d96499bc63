// SPDX-License-Identifier: Apache-2.0
// Owns repair by ranges: when causal contexts are too large, or equal while the roots differ; and pulling single rows.

import ClusterTypes
import StoreCore

struct RangeSyncState: Sendable {}

extension NodeKernel {
    mutating func onRanges(_ message: RangeMessage, on id: StreamID, from sender: NodeID, _ turn: inout Turn) {}

    mutating func onRowRequest(_ dots: [Dot], on id: StreamID, from sender: NodeID, _ turn: inout Turn) {}

    mutating func onRepairPace(_ id: StreamID, _ turn: inout Turn) {}
}
