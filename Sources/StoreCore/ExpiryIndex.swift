// SPDX-License-Identifier: Apache-2.0
// Owns the rows that expire, in the order in which they do.

import ClusterTypes

/// Rows with a time from which their value no longer shows, those that are over included.
struct ExpiryIndex: Sendable {
    struct Due: Hashable, Sendable {
        /// Milliseconds since 1970.
        var at: UInt64
        var row: UInt32

        static func precedes(_ a: Due, _ b: Due) -> Bool { a.at != b.at ? a.at < b.at : a.row < b.row }
    }

    /// Sorted.
    private var dues = ChunkedArray<Due>()

    var count: Int { dues.count }

    mutating func insert(_ due: Due) { dues.insert(due, at: dues.partitionPoint { Due.precedes($0, due) }) }

    mutating func remove(_ due: Due) {
        let position = dues.partitionPoint { Due.precedes($0, due) }
        precondition(dues.element(at: position) == due, "the expiry of row \(due.row) is not indexed")
        dues.remove(at: position)
    }

    func contains(_ due: Due) -> Bool { dues.element(at: dues.partitionPoint { Due.precedes($0, due) }) == due }

    /// The first one that is due after `milliseconds`.
    func first(after milliseconds: UInt64) -> Due? {
        dues.element(at: dues.partitionPoint { $0.at <= milliseconds })
    }

    /// Those that are due after `start`, up to and with `end`.
    func due(after start: UInt64, through end: UInt64) -> [Due] {
        var result: [Due] = []
        var position = dues.partitionPoint { $0.at <= start }
        while let due = dues.element(at: position), due.at <= end {
            result.append(due)
            position = dues.position(after: position)
        }
        return result
    }

    func checkInvariants() {
        dues.checkInvariants()
        var before: Due?
        dues.forEach { due in
            if let before { precondition(Due.precedes(before, due), "\(before) and \(due) are swapped") }
            before = due
        }
    }
}
