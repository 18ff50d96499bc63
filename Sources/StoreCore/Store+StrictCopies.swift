// SPDX-License-Identifier: Apache-2.0
// Owns looks at the registers that strict groups' logs wrote: by which of them, and in which place of its order.

import ClusterTypes

/// A register whose newest event is a strict group's.
package struct StrictCopy: Hashable, Sendable {
    package var key: String
    /// The group's feed.
    package var author: ActorID
    package var stamp: HybridTimestamp
    /// The version that users see; of a delete, that of the entry.
    package var version: UInt64
}

extension Store {
    /// The register of `key`; nil when there is none, or its newest event is no strict group's.
    package func strictCopy(of key: String) -> StrictCopy? {
        guard let handle = locate(RowID(key: key, part: .register)).row else { return nil }
        return strictCopy(at: handle)
    }

    private func strictCopy(at handle: UInt32) -> StrictCopy? {
        let row = rows[Int(handle)]
        let author = actors[row.author]
        guard author.isStrictFeed, row.content.part == .register else { return nil }
        return StrictCopy(key: keys.key(row.key), author: author, stamp: row.stamp, version: row.details.index)
    }

    /// Registers below `prefix` and behind `after`, in the order of their keys, whose newest event is of another strict group than
    /// `own`. Ends with `max` of them, or when `looks` rows were looked at: then `next` is where to go on, as `after`.
    package func strictCopies(
        below prefix: String, behind after: String?, notBy own: ActorID, looks: Int, max: Int
    ) -> (copies: [StrictCopy], next: String?) {
        var copies: [StrictCopy] = []
        var position = order.partitionPoint { handle in
            let key = keys.key(rows[Int(handle)].key)
            return ConfigurationKey.precedes(key, prefix) || after.map { !ConfigurationKey.precedes($0, key) } ?? false
        }
        var looked = 0
        while let handle = order.element(at: position) {
            let key = keys.key(rows[Int(handle)].key)
            guard ConfigurationKey.hasPrefix(key, prefix) else { break }
            if let copy = strictCopy(at: handle), copy.author != own { copies.append(copy) }
            looked += 1
            if copies.count >= max || looked >= looks { return (copies, key) }
            position = order.position(after: position)
        }
        return (copies, nil)
    }

    /// Live keys below `prefix` that no strict group's log wrote, in the order of their bytes: they were written before the prefix
    /// became strict. At most `max` of them, among the first `looks` rows.
    package func ordinaryKeys(below prefix: String, looks: Int, max: Int) -> [String] {
        var found: [String] = []
        var looked = 0
        var position = order.partitionPoint { ConfigurationKey.precedes(keys.key(rows[Int($0)].key), prefix) }
        while let handle = order.element(at: position), looked < looks, found.count < max {
            let row = rows[Int(handle)]
            let key = keys.key(row.key)
            guard ConfigurationKey.hasPrefix(key, prefix) else { break }
            if row.isShown, !actors[row.author].isStrictFeed,
                found.last.map({ !ConfigurationKey.equal($0, key) }) ?? true
            {
                found.append(key)
            }
            looked += 1
            position = order.position(after: position)
        }
        return found
    }
}
