// SPDX-License-Identifier: Apache-2.0
// Owns the hash of a row, of which the store's root is the sum.

import ClusterTypes

extension Row {
    /// A hash of everything in the row, the same on every node and in every version of the program.
    package var stableHash: Hash128 {
        var hasher = StableHasher()
        hasher.absorb(counted: id.key.utf8)
        hasher.absorb(id.part.type.rawValue)
        switch id.part {
        case .register: break
        case .element(let bytes): hasher.absorb(counted: bytes)
        case .counter(let owner): hasher.absorb(owner)
        }
        hasher.absorb(UInt64(versions.count))
        for dot in versions {
            hasher.absorb(dot.actor)
            hasher.absorb(dot.counter)
        }
        hasher.absorb(stamp.rawValue)
        hasher.absorb(author)
        switch content {
        case .register(nil): hasher.absorb(UInt8(0))
        case .register(.some(let value)):
            hasher.absorb(UInt8(1))
            hasher.absorb(counted: value)
        case .element(let entries):
            hasher.absorb(UInt64(entries.count))
            for entry in entries {
                hasher.absorb(entry.actor)
                hasher.absorb(entry.added)
                hasher.absorb(entry.removed)
            }
        case .counter(let entry):
            hasher.absorb(entry.increments)
            hasher.absorb(entry.decrements)
            hasher.absorb(entry.resetIncrements)
            hasher.absorb(entry.resetDecrements)
            // What is absent adds nothing: the tags keep the two apart.
            if entry.generation > 0 {
                hasher.absorb(UInt8(1))
                hasher.absorb(entry.generation)
            }
        }
        if details != .none {
            hasher.absorb(UInt8(2))
            hasher.absorb(details)
        }
        return hasher.finalize()
    }
}

extension Row {
    /// As `stableHash`, of a register's row whose author is its only version.
    static func hash(
        ofRegister key: String, _ value: [UInt8]?, _ event: Dot, _ stamp: HybridTimestamp, _ details: EventDetails
    ) -> Hash128 {
        var hasher = StableHasher()
        hasher.absorb(counted: key.utf8)
        hasher.absorb(KeyType.register.rawValue)
        hasher.absorb(UInt64(1))
        hasher.absorb(event.actor)
        hasher.absorb(event.counter)
        hasher.absorb(stamp.rawValue)
        hasher.absorb(event.actor)
        if let value {
            hasher.absorb(UInt8(1))
            hasher.absorb(counted: value)
        } else {
            hasher.absorb(UInt8(0))
        }
        if details != .none {
            hasher.absorb(UInt8(2))
            hasher.absorb(details)
        }
        return hasher.finalize()
    }
}

extension StableHasher {
    mutating func absorb(_ actor: ActorID) {
        absorb(actor.node)
        absorb(actor.epoch)
    }
}
