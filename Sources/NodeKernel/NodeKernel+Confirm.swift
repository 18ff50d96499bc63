// SPDX-License-Identifier: Apache-2.0
// Owns confirmations: which peers hold a write durably, for clients that wait for it.

import ClusterTypes
import StoreCore

/// Clients that wait, and peers' questions that wait for our disk.
struct ConfirmationState: Sendable {}

extension NodeKernel {
    mutating func onConfirmCommand(
        _ id: CommandID, key: String, version: String, atLeast: Int, deadline: Interval, _ turn: inout Turn
    ) { reply(id, .failure(.notReady), &turn) }

    /// A peer asks whether we hold events durably.
    mutating func onConfirmRequest(_ request: ConfirmRequest, from peer: NodeID, _ turn: inout Turn) {}

    mutating func onConfirmed(_ question: UInt32, from peer: NodeID, _ turn: inout Turn) {}

    mutating func onConfirmTimer(_ id: CommandID, _ turn: inout Turn) {}
}
