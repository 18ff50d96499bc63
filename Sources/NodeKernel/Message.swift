// SPDX-License-Identifier: Apache-2.0
// Owns the messages between two kernels as values, and the packet that carries them.

import ClusterTypes
import SWIMCore
import StoreCore

/// Tells clusters apart on the wire: a hash of the cluster's name.
package struct ClusterID: Hashable, Sendable {
    package var rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package init(name: String) {
        var hasher = StableHasher()
        hasher.absorb(counted: name.utf8)
        rawValue = hasher.finalize().high
    }
}

/// One datagram, or one frame of a stream.
package struct Packet: Hashable, Sendable {
    package var cluster: ClusterID
    package var sender: NodeID
    package var messages: [Message]

    package init(cluster: ClusterID, sender: NodeID, messages: [Message]) {
        self.cluster = cluster
        self.sender = sender
        self.messages = messages
    }
}

/// What two nodes tell each other. Datagrams carry the first group, streams may carry all.
package enum Message: Hashable, Sendable {
    case ping(Ping)
    case ack(Ack)
    case indirectPing(IndirectPing)
    case nack(Nack)
    case update(MemberUpdate)
    /// Rides every ping and ack: whoever differs asks for a synchronisation.
    case digest(Digest)
    /// A change of the store, small enough to ride gossip.
    case row(Row)
    /// Events whose rows are too large to ride gossip; the sender holds them, ask it over a stream.
    case announcement([Dot])

    /// Part of a member table. The initiator sends `request` parts, the responder answers with `reply` parts.
    case memberTable(MemberTablePart)
    /// "This is what I have seen: send me what I lack, then `storeComplete`."
    case storeRequest(CausalContext)
    /// "That was one batch of rows; there are more when you say `storeContinue`."
    case storeBatchEnd
    /// "I have taken in the batch: go on."
    case storeContinue
    /// "You have now been sent every row that holds an event of this context and that you lacked."
    case storeComplete(CausalContext)
}

/// Both sides of the node in a few bytes; equal digests mean equal tables and stores.
package struct Digest: Hashable, Sendable {
    package var members: UInt64
    package var store: Hash128

    package init(members: UInt64, store: Hash128) {
        self.members = members
        self.store = store
    }
}

/// Some rows of a member table; the last part of a table says so.
package struct MemberTablePart: Hashable, Sendable {
    package enum Role: UInt8, Hashable, Sendable, CaseIterable {
        case request = 0
        case reply = 1
    }

    package var role: Role
    package var isLast: Bool
    package var entries: [MemberTableEntry]

    package init(role: Role, isLast: Bool, entries: [MemberTableEntry]) {
        self.role = role
        self.isLast = isLast
        self.entries = entries
    }
}
