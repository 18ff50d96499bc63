// SPDX-License-Identifier: Apache-2.0
// Owns a hash table of handles: four bytes a slot, the things themselves stay in their array.

/// Finds handles (indexes into an array of the user's) by hash. Open addressing, linear probing, at most 3/4 full.
struct HandleTable: Sendable {
    private static let empty = UInt32.max

    private var slots: [UInt32] = Array(repeating: empty, count: 16)
    private(set) var count = 0

    /// The handle with this hash for which `matches` is true.
    func find(hash: UInt32, where matches: (UInt32) -> Bool) -> UInt32? {
        let mask = slots.count - 1
        var at = Int(hash) & mask
        while slots[at] != Self.empty {
            if matches(slots[at]) { return slots[at] }
            at = (at + 1) & mask
        }
        return nil
    }

    /// Adds a handle that is not in the table; `hashOf` gives the hash of each handle that is.
    mutating func insert(_ handle: UInt32, hash: UInt32, hashOf: (UInt32) -> UInt32) {
        if (count + 1) * 4 > slots.count * 3 { grow(hashOf) }
        place(handle, hash: hash)
        count += 1
    }

    /// Takes out a handle that is in the table. What lies behind it moves up, so that nothing is left in its place.
    mutating func remove(_ handle: UInt32, hash: UInt32, hashOf: (UInt32) -> UInt32) {
        let mask = slots.count - 1
        var hole = Int(hash) & mask
        while slots[hole] != handle {
            precondition(slots[hole] != Self.empty, "handle \(handle) is not in the table")
            hole = (hole + 1) & mask
        }
        count -= 1
        var at = (hole + 1) & mask
        while slots[at] != Self.empty {
            // A handle may move up to the hole when its own place is not behind it.
            let home = Int(hashOf(slots[at])) & mask
            if (at - home) & mask >= (at - hole) & mask {
                slots[hole] = slots[at]
                hole = at
            }
            at = (at + 1) & mask
        }
        slots[hole] = Self.empty
    }

    private mutating func grow(_ hashOf: (UInt32) -> UInt32) {
        let old = slots
        slots = Array(repeating: Self.empty, count: old.count * 2)
        for handle in old where handle != Self.empty { place(handle, hash: hashOf(handle)) }
    }

    private mutating func place(_ handle: UInt32, hash: UInt32) {
        let mask = slots.count - 1
        var at = Int(hash) & mask
        while slots[at] != Self.empty { at = (at + 1) & mask }
        slots[at] = handle
    }
}
