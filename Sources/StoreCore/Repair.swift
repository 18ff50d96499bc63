// SPDX-License-Identifier: Apache-2.0
// Owns the values of an anti-entropy exchange: its cursor, its batches, its limits.

/// Where an exchange stands. It stays valid whatever happens to the store between two batches.
///
/// Guaranteed: when `RepairBatch.next` is nil, every event of `snapshot` that the peer's context lacked has been sent
/// within some row. Events made later may have been sent too. A row is sent once, unless it changes after it was sent.
package struct RepairCursor: Hashable, Sendable {
    enum Position: Hashable, Sendable {
        /// The last event that was looked at.
        case event(ActorID, ActorTable.Event)
        /// The last row that was sent of a walk through all rows.
        case row(RowID)
    }

    /// The sender's context when the exchange began.
    package let snapshot: CausalContext
    let position: Position

    init(snapshot: CausalContext, position: Position) {
        self.snapshot = snapshot
        self.position = position
    }
}

/// One batch of rows that the peer lacks.
package struct RepairBatch: Hashable, Sendable {
    package var rows: [Row]
    /// The sum of the rows' `estimatedBytes`.
    package var bytes: Int
    /// The sender's context when the exchange began: with the last batch the peer calls `Store.adopt(context:)` on it,
    /// provided that it has taken over every row of the exchange.
    package var snapshot: CausalContext
    /// Pass to the next call; nil when this batch is the last.
    package var next: RepairCursor?
}

/// How much one batch may hold; the first row is sent even when it alone exceeds `bytesMax`.
package struct RepairLimit: Hashable, Sendable {
    package var rowsMax: Int
    /// Compared with the sum of `Row.estimatedBytes`, which is no less than what the row takes on the wire.
    package var bytesMax: Int

    package init(rowsMax: Int = 4_096, bytesMax: Int = 256 * 1024) {
        self.rowsMax = rowsMax
        self.bytesMax = bytesMax
    }
}
