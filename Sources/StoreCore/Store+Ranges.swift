// SPDX-License-Identifier: Apache-2.0
// Owns what range-based reconciliation asks of the store: sums over ranges of rows, and rows by short hash.

import ClusterTypes

extension Row {
    /// Names a state of a row among a few others.
    package var shortHash: UInt64 { stableHash.low }
}

extension Store {
    package func shortHash(of row: Row) -> UInt64 { row.shortHash }

    /// The rows from `first` (nil: from the first) to before `end` (nil: to the last); neither need be a row.
    package func summary(from first: RowID? = nil, to end: RowID? = nil) -> RangeSummary {
        let first = first.map(position(before:)) ?? order.start
        let end = end.map(position(before:)) ?? order.end
        return first < end ? order.summary(from: first, to: end) : .empty
    }

    /// The rows of the range with one of these hashes, which must be sorted. Linear in the rows of the range.
    package func rows(
        withShortHashes hashes: [UInt64], from first: RowID? = nil, to end: RowID? = nil
    ) -> [RowID] {
        guard !hashes.isEmpty else { return [] }
        var position = first.map(position(before:)) ?? order.start
        let end = end.map(self.position(before:)) ?? order.end
        var found: [RowID] = []
        while position < end, let row = order.element(at: position) {
            if hashes.index(ofSorted: order.shortHash(of: row)) != nil { found.append(id(at: row)) }
            position = order.position(after: position)
        }
        return found
    }

    /// The first row that is not before `id`.
    func position(before id: RowID) -> RowOrder.Position {
        position(of: id.key, handle: keys.find(id.key), part: id.part)
    }

    func id(at handle: UInt32) -> RowID {
        RowID(key: keys.key(rows[Int(handle)].key), part: rows[Int(handle)].content.part)
    }
}

extension [UInt64] {
    /// The index of the first such hash; self must be sorted.
    func index(ofSorted hash: UInt64) -> Int? {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < hash { low = middle + 1 } else { high = middle }
        }
        return low < count && self[low] == hash ? low : nil
    }
}
