// SPDX-License-Identifier: Apache-2.0
// Owns the values of range-based reconciliation: what one side tells the other of consecutive ranges of rows.

import ClusterTypes

/// One step: consecutive ranges that cover the whole order of rows, from the first row to the last.
package struct RangeMessage: Hashable, Sendable {
    package var ranges: [Range]

    package init(ranges: [Range]) { self.ranges = ranges }

    /// Nothing is left to say: ends an exchange for who sends it and for who gets it.
    package static let settled = RangeMessage(ranges: [Range(end: nil, content: .settled)])

    /// True when no range asks for an answer.
    package var isSettled: Bool { ranges.allSatisfy { $0.content == .settled } }

    /// From where the former range ended to before `end`; nil: to the last row.
    ///
    /// The end need not be a row: its key is as a rule the shortest prefix that separates two rows (valid UTF-8, never
    /// empty), and its element likewise.
    package struct Range: Hashable, Sendable {
        package var end: RowID?
        package var content: Content

        package init(end: RowID?, content: Content) {
            self.end = end
            self.content = content
        }
    }

    package enum Content: Hashable, Sendable {
        /// Nothing (more) to say of this range.
        case settled
        /// Number of rows, and the sum of their short hashes modulo 2^64.
        case sum(rows: UInt64, hash: UInt64)
        /// A short hash of each row, sorted: the other side sends rows that are not among them, and asks for those that
        /// it lacks.
        case rows([UInt64])
        /// "Send me the rows with these short hashes." Sorted.
        case wanted([UInt64])
    }
}

/// What comes of a peer's message.
package struct RangeStep: Hashable, Sendable {
    /// To be sent **before** the rows, so that the peer looks up what it is asked for before it merges them; nil when
    /// the exchange is over and the peer knows.
    package var reply: RangeMessage?
    /// In order, each once.
    package var rowsToSend: [RowID]
    /// No message will follow `reply` from either side; rows may still be on their way.
    package var isFinished: Bool

    package init(reply: RangeMessage?, rowsToSend: [RowID], isFinished: Bool) {
        self.reply = reply
        self.rowsToSend = rowsToSend
        self.isFinished = isFinished
    }
}

/// How much one step may hold. What does not fit is answered with its sum alone, and so comes up again.
package struct RangeLimit: Hashable, Sendable {
    /// One message, as `RangeMessage.encodedBytes` counts; default and minimum 65 536, at most 1 048 576.
    package let bytesMax: Int
    /// `RangeStep.rowsToSend`; default 65 536, at least 1.
    package let rowsMax: Int

    /// Takes the nearest value in range.
    package init(bytesMax: Int = 64 * 1024, rowsMax: Int = 65_536) {
        self.bytesMax = min(max(bytesMax, 64 * 1024), 1024 * 1024)
        self.rowsMax = max(rowsMax, 1)
    }
}

/// Why a peer's message was refused. No case changes state, but the exchange must end.
package enum RangeFailure: Error, Hashable, Sendable {
    /// The ranges do not cover the order: there is none, the last one has an end, or another has none.
    case incomplete
    /// An end is not behind the one before.
    case unsortedEnds
    /// A key or element in an end exceeds its bound, or the key is empty.
    case invalidEnd
    /// More than `RangeReconciliation.rangesMax` ranges.
    case tooManyRanges
    /// More than `RangeReconciliation.rangeHashesMax` hashes in one range, or `hashesMax` in all.
    case tooManyHashes
    /// A list of hashes is not sorted.
    case unsortedHashes
    /// The exchange does not end: more than `RangeReconciliation.stepsMax` messages.
    case tooManySteps
}

/// Keys from `first` to before `end` (nil: to the last), among which something differs.
package struct DifferingKeys: Hashable, Sendable {
    package var first: String
    package var end: String?

    package init(first: String, end: String?) {
        self.first = first
        self.end = end
    }
}
