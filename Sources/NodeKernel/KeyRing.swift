// SPDX-License-Identifier: Apache-2.0
// Owns the ring of the cluster's keys as the kernel has it: bytes that it keeps, joins and passes on, and does not understand.

import ClusterTypes

/// The encoded ring, keys and all. Nothing that describes a value shows them.
package struct RingBytes: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package let secretBytes: [UInt8]

    package init(_ bytes: [UInt8]) { secretBytes = bytes }

    package var description: String { "\(secretBytes.count) bytes of keys" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// A ring with what nodes compare of it.
package struct Ring: Hashable, Sendable {
    package var bytes: RingBytes
    /// Equal for rings that say the same; tells nothing of the keys.
    package var fingerprint: UInt64

    package init(bytes: RingBytes, fingerprint: UInt64) {
        self.bytes = bytes
        self.fingerprint = fingerprint
    }
}

/// What the kernel needs to know of rings: a pure function, which whoever knows the format hands in.
package struct RingRules: Sendable {
    /// What both rings together say at this time, milliseconds since 1970, less what is over by then. Commutative, associative and
    /// idempotent in the rings, but for what is over. Nil: one of them is no ring.
    package var join: @Sendable (_ ours: RingBytes?, _ theirs: RingBytes?, _ wall: UInt64) -> Ring?

    package init(join: @escaping @Sendable (RingBytes?, RingBytes?, UInt64) -> Ring?) { self.join = join }

    /// No ring at all.
    package static let none = RingRules { _, _, _ in nil }
}

/// How far a node's packets are sealed.
package enum RingMode: UInt8, Hashable, Sendable {
    /// Not at all: a ring that may be there is neither told nor taken.
    case off
    /// As far as peers can: the ring has a fingerprint of its own in datagrams, because not every peer has one.
    case offered
    /// Always: the ring's fingerprint is part of the member table's.
    case required
}

/// What the daemon asks about the ring.
package enum RingCommand: Hashable, Sendable {
    case read
    /// Take in what these bytes say, and answer when it is durable.
    case join(RingBytes)
    case setMode(RingMode)
}

/// The answer to `RingCommand.read`.
package struct RingView: Sendable {
    /// Nil while packets are not sealed.
    package var ring: Ring?
    /// Members that have shown the same ring since it was changed last: they hold it durably.
    package var confirmed: Set<NodeID>

    package init(ring: Ring?, confirmed: Set<NodeID>) {
        self.ring = ring
        self.confirmed = confirmed
    }
}
