// SPDX-License-Identifier: Apache-2.0
// Owns the messages of the membership protocol as values; their bytes belong to WireProtocol.

import ClusterTypes

/// "Are you there?" (SWIM section 3.1). The answer repeats the sequence number.
package struct Ping: Hashable, Sendable {
    /// Unique among the pings the sender has in flight.
    package var sequence: UInt32
    /// Who is meant; a node that is somebody else ignores the ping. `.unknown` means "whoever is at this address".
    package var target: NodeID

    package init(sequence: UInt32, target: NodeID) {
        self.sequence = sequence
        self.target = target
    }
}

/// The answer to a `Ping`, or the relayed answer to an `IndirectPing`.
package struct Ack: Hashable, Sendable {
    package var sequence: UInt32
    /// The sender's wall clock, milliseconds since 1970; 0: not told.
    package var wall: UInt64

    package init(sequence: UInt32, wall: UInt64 = 0) {
        self.sequence = sequence
        self.wall = wall
    }
}

/// "Please ping the target for me" (SWIM section 3.1, ping-req).
package struct IndirectPing: Hashable, Sendable {
    /// The requester's sequence number: the relayed ack or nack repeats it.
    package var sequence: UInt32
    package var target: NodeID
    package var targetAddress: Address
    /// How long the requester will wait, in whole milliseconds; the relay nacks at 80 % of it.
    package var deadlineMilliseconds: UInt32

    package init(sequence: UInt32, target: NodeID, targetAddress: Address, deadlineMilliseconds: UInt32) {
        self.sequence = sequence
        self.target = target
        self.targetAddress = targetAddress
        self.deadlineMilliseconds = deadlineMilliseconds
    }
}

/// "I am here, but the target did not answer me" (Lifeguard section IV-A): the relay's path works.
package struct Nack: Hashable, Sendable {
    package var sequence: UInt32

    package init(sequence: UInt32) { self.sequence = sequence }
}

/// A claim about one member, as gossip carries it. Of two claims about one subject the
/// one with the higher incarnation wins, at the same incarnation the one with the higher rank (`MemberState`).
package struct MemberUpdate: Hashable, Sendable {
    package var subject: NodeID
    package var incarnation: UInt64
    package var claim: MemberClaim

    package init(subject: NodeID, incarnation: UInt64, claim: MemberClaim) {
        self.subject = subject
        self.incarnation = incarnation
        self.claim = claim
    }
}

/// What a `MemberUpdate` says of its subject.
package enum MemberClaim: Hashable, Sendable {
    /// Made by the subject alone: its name, address and tags.
    case alive(MemberInfo)
    /// `by` got no answer from it, or confirms that.
    case suspect(by: NodeID)
    /// The suspicion of `by` ran out.
    case failed(by: NodeID)
    /// Made by the subject when it leaves; with its proof when nodes sign.
    case left(AuthorProof?)
    /// Made by an operator through node `by`: drop the member for good.
    case forgotten(by: NodeID)
    /// As `forgotten`, of a member that is alive: it hears of it and stops, instead of refuting.
    case evicted(by: NodeID)
}

/// One row of the member table as push-pull carries it: enough to learn of a member never heard of.
package struct MemberTableEntry: Hashable, Sendable {
    package var id: NodeID
    package var incarnation: UInt64
    package var state: MemberState
    /// How long the sender has known of this state, in whole seconds, saturating: so that retention ends everywhere
    /// at about the same time and synchronisation cannot keep a dead member for ever.
    package var ageSeconds: UInt32
    package var info: MemberInfo
    /// Forgotten while it was alive.
    package var isEvicted: Bool

    package init(
        id: NodeID, incarnation: UInt64, state: MemberState, ageSeconds: UInt32, info: MemberInfo,
        isEvicted: Bool = false
    ) {
        self.isEvicted = isEvicted
        self.id = id
        self.incarnation = incarnation
        self.state = state
        self.ageSeconds = ageSeconds
        self.info = info
    }
}

/// A message of the membership protocol that travels in datagrams.
package enum SWIMMessage: Hashable, Sendable {
    case ping(Ping)
    case ack(Ack)
    case indirectPing(IndirectPing)
    case nack(Nack)
    case update(MemberUpdate)
}
