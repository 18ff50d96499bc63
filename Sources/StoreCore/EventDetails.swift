// SPDX-License-Identifier: Apache-2.0
// Owns what an event says beside its content: who wrote it and why, until when it holds, what it belongs to.

/// Travels with a row for its newest event: whoever wins by (stamp, author) brings its details along.
package struct EventDetails: Hashable, Sendable {
    /// The user who asked for the write, as the author's node knew it; at most `Bounds.userBytesMax`, may be empty.
    package var user: String
    /// The reason given with the write; at most `Bounds.reasonBytesMax`, may be empty.
    package var reason: String
    /// Wall time in milliseconds since 1970 from which a register's value no longer shows; 0: never. Only registers.
    package var expiresAt: UInt64
    /// The events that become visible together with this one; nil for a write that stands alone.
    package var transaction: Transaction?
    /// The strict log's entry that made the event: its version as users see it; 0 for what no strict log made.
    package var index: UInt64

    /// Consecutive events `first ..< first + count` of the row's author, all with one stamp.
    package struct Transaction: Hashable, Sendable {
        package var first: UInt64
        package var count: UInt32

        package init(first: UInt64, count: UInt32) {
            self.first = first
            self.count = count
        }
    }

    package init(
        user: String = "", reason: String = "", expiresAt: UInt64 = 0, transaction: Transaction? = nil,
        index: UInt64 = 0
    ) {
        self.user = user
        self.reason = reason
        self.expiresAt = expiresAt
        self.transaction = transaction
        self.index = index
    }

    package static let none = EventDetails()
}
