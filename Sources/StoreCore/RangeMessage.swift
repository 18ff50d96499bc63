// SPDX-License-Identifier: Apache-2.0
// Owns the values of range-based reconciliation: what one side tells the other of consecutive ranges of rows.

import ClusterTypes

/// One step: consecutive ranges that cover the whole order of rows, from the first row to the last.
package struct RangeMessage: Hashable, Sendable {
    package var ranges: [Range]

    package init(ranges: [Range]) { self.ranges = ranges }

    /// From where the former range ended to before `end`; nil: to the last row.
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
        /// Number of rows, and the sum of their hashes.
        case sum(rows: UInt64, hash: Hash128)
        /// A short hash of each row, sorted: the other side sends rows that are not among them, and asks for those that
        /// it lacks.
        case rows([UInt64])
        /// "Send me the rows with these short hashes."
        case wanted([UInt64])
    }
}
