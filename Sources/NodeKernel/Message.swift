// SPDX-License-Identifier: Apache-2.0
// Owns the messages between two kernels as values, and the packet that carries them.

import ClusterTypes
import NetworkCoordinates
import SWIMCore
import StoreCore
import StrictGroup

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
    /// The sender's `CollectionFloor.mark`, before the rows and announcements of a datagram; absent while it is 0.
    case floorMark(UInt64)
    /// "Say `confirmed` when you hold these events durably."
    case confirmRequest(ConfirmRequest)
    case confirmed(UInt32)
    case collectRequest(CollectRequest)
    case collectAnswer(CollectAnswer)
    /// The sender's collection floor, for whoever has another one.
    case floor(CollectionFloor)
    /// Where the sender is in the space of round trips; rides some acks.
    case coordinate(WireCoordinate)
    /// "What do you think of me?", with the asker's number for the question; for `doctor`.
    case viewRequest(UInt32)
    case viewAnswer(ViewAnswer)
    /// The fingerprint of the sender's key ring; rides pings and acks where not every member has one.
    case ringMark(UInt64)
    /// So many bytes of no meaning, at most 65 535, to try how large a datagram may be.
    case padding(Int)
    case userEvent(UserEventNotice)
    case userEventMarks(UserEventMarks)
    /// Where the strict group's leader is and how far its state had come; rides pings and acks where there is a group.
    case strictMark(StrictMark)

    /// Part of a member table. The initiator sends `request` parts, the responder answers with `reply` parts.
    case memberTable(MemberTablePart)
    /// "This is what I have seen: send me what I lack, then `storeComplete`."
    case storeRequest(StoreRequest)
    /// "That was one batch of rows; there are more when you say `storeContinue`."
    case storeBatchEnd
    /// "I have taken in the batch: go on."
    case storeContinue
    /// "You have now been sent every row that holds an event of this context and that you lacked."
    case storeComplete(CausalContext)
    /// "Send me the rows of these events, then `storeBatchEnd`."
    case rowRequest([Dot])
    /// One step of range-based reconciliation.
    case ranges(RangeMessage)
    /// The sender's key ring; on sealed streams alone.
    case keyRing(RingBytes)
    /// About the stream it travels on: it watches its other end.
    case sentinel(Sentinel)
    /// Between nodes with strict prefixes.
    indirect case strict(StrictMessage)
}

/// What a node says of a stream whose only purpose is its end (decision 0011).
package enum Sentinel: UInt8, Hashable, Sendable, CaseIterable {
    /// "Keep this stream open; its end without a farewell means that I am gone." Answered alike, or with a farewell.
    case hold = 0
    /// "I close it in order: that says nothing of me."
    case farewell = 1
}

/// Opens an exchange of stores.
package struct StoreRequest: Hashable, Sendable {
    package var context: CausalContext
    /// The initiator's floor; exchanges happen only between equal floors, or for a reset.
    package var floorMark: UInt64
    /// The initiator throws away what it holds: send everything, whatever its floor.
    package var isReset: Bool

    package init(context: CausalContext, floorMark: UInt64 = 0, isReset: Bool = false) {
        self.context = context
        self.floorMark = floorMark
        self.isReset = isReset
    }
}

package struct ConfirmRequest: Hashable, Sendable {
    /// The requester's number for the question.
    package var id: UInt32
    /// At most 64; the last events of a transaction stand for all of them.
    package var dots: [Dot]

    package init(id: UInt32, dots: [Dot]) {
        self.id = id
        self.dots = dots
    }
}

/// "Do you hold the same dead rows up to this cutoff, and all events of these actors?" (decision 0007)
package struct CollectRequest: Hashable, Sendable {
    package var cutoff: HybridTimestamp
    /// The floor on which the collection builds.
    package var floorMark: UInt64
    /// `Store.deadRows(at: cutoff)` of the collector.
    package var deadHash: Hash128
    /// Actors to fold, each with its last event; at most 32.
    package var folds: [Dot]

    package init(cutoff: HybridTimestamp, floorMark: UInt64, deadHash: Hash128, folds: [Dot]) {
        self.cutoff = cutoff
        self.floorMark = floorMark
        self.deadHash = deadHash
        self.folds = folds
    }
}

package struct CollectAnswer: Hashable, Sendable {
    package var cutoff: HybridTimestamp
    /// The promise is durable: the sender holds the same dead rows.
    package var agrees: Bool
    /// The sender also holds exactly these events of the actors to fold, and is none of them.
    package var agreesToFolds: Bool
    /// Of the actor under which the sender writes: that one is not to be folded.
    package var epoch: UInt32

    package init(cutoff: HybridTimestamp, agrees: Bool, agreesToFolds: Bool, epoch: UInt32) {
        self.epoch = epoch
        self.cutoff = cutoff
        self.agrees = agrees
        self.agreesToFolds = agreesToFolds
    }
}

/// Both sides of the node in a few bytes; equal digests mean equal tables and stores.
package struct Digest: Hashable, Sendable {
    package var members: UInt64
    package var store: Hash128
    /// `CollectionFloor.mark`.
    package var floor: UInt64

    package init(members: UInt64, store: Hash128, floor: UInt64 = 0) {
        self.members = members
        self.store = store
        self.floor = floor
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
