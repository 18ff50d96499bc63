// SPDX-License-Identifier: Apache-2.0
// Owns what nodes say to each other about the strict group, as values; the bytes belong to WireProtocol.

import ClusterTypes
import RaftCore
import StrictCore

/// One message on the kept stream of two nodes. Any may be lost, repeated or late.
package enum StrictMessage: Hashable, Sendable {
    /// Between members, of the group with this id; another group's is dropped and counted.
    case raft(group: UInt64, RaftMessage)
    /// A call passed on to the leader. `id` is the sender's own. `sessionStamp` makes a change one that is made once.
    case forward(id: UInt64, StrictForward)
    case forwarded(id: UInt64, StrictForwarded)
    case founding(FoundingMessage)
    /// The receiver was taken out of the group with this id, which is committed.
    case removed(group: UInt64)
    /// Asks how the receiver stands. `group` is the sender's own, 0: none. `id` comes back with the answer.
    case survey(id: UInt64, group: UInt64)
    case surveyed(id: UInt64, StrictSurvey)
}

/// How a node stands with the group: asked for before a majority is declared lost.
package struct StrictSurvey: Hashable, Sendable {
    /// nil: it knows of none.
    package var group: UInt64?
    package var term: Term
    /// Of its log; zero on a node that has none.
    package var last: LogPosition
    /// Whom it hears lead; itself, if it does.
    package var leader: NodeID?
    /// It is a voter whose log is whole: its vote counts.
    package var canVote: Bool
    /// It is itself about to go on alone.
    package var isRecovering: Bool

    package init(
        group: UInt64?, term: Term, last: LogPosition, leader: NodeID?, canVote: Bool, isRecovering: Bool
    ) {
        self.group = group
        self.term = term
        self.last = last
        self.leader = leader
        self.canVote = canVote
        self.isRecovering = isRecovering
    }
}

package enum StrictForward: Hashable, Sendable {
    /// One command, ready for the log but for the time, with its session.
    case change(SessionStamp?, StrictOperation)
    case read(StrictRead)
    case operate(StrictOrder)
}

package enum StrictForwarded: Hashable, Sendable {
    case reply(StrictReply)
    /// Not done: the sender does not lead. nil: it knows of no leader.
    case notLeader(NodeID?)
}

/// What a group is, from its beginning: agreed on once by all that take part.
package struct StrictFounding: Hashable, Sendable {
    /// Random; names the group in each message.
    package var group: UInt64
    /// Ascending; 1...9.
    package var voters: [NodeID]

    package init(group: UInt64, voters: [NodeID]) {
        self.group = group
        self.voters = voters
    }
}

/// Orders attempts to found the group; ties are broken by the proposer.
package struct FoundingBallot: Hashable, Comparable, Sendable {
    package var round: UInt64
    package var proposer: NodeID

    package init(round: UInt64, proposer: NodeID) {
        self.round = round
        self.proposer = proposer
    }

    package static func < (a: FoundingBallot, b: FoundingBallot) -> Bool {
        a.round != b.round ? a.round < b.round : a.proposer < b.proposer
    }
}

/// The one decree by which a group is founded (Lamport, "Paxos Made Simple", 2001).
package enum FoundingMessage: Hashable, Sendable {
    case prepare(FoundingBallot)
    /// `accepted`: what the sender accepted last, and under which ballot. Durable before it is sent.
    case promise(FoundingBallot, accepted: AcceptedFounding?)
    /// A higher ballot was promised.
    case refuse(FoundingBallot, promised: FoundingBallot)
    case accept(FoundingBallot, StrictFounding)
    /// Durable before it is sent.
    case accepted(FoundingBallot)
    /// The group exists: also the answer to any of the above once it does.
    case founded(StrictFounding)
}

package struct AcceptedFounding: Hashable, Sendable {
    package var ballot: FoundingBallot
    package var founding: StrictFounding

    package init(ballot: FoundingBallot, founding: StrictFounding) {
        self.ballot = ballot
        self.founding = founding
    }
}

/// Told to all nodes in pings and acks by those that know of a leader: where to ask, and how current local reads are.
package struct StrictMark: Hashable, Sendable {
    package var group: UInt64
    package var term: Term
    package var leader: NodeID
    /// Changes that the leader had applied: events of `StrictFeed.actor` that a node needs to be as current.
    package var changes: UInt64
    /// The leader's wall clock then, milliseconds since 1970.
    package var wall: UInt64
    package var voters: [NodeID]

    package init(group: UInt64, term: Term, leader: NodeID, changes: UInt64, wall: UInt64, voters: [NodeID]) {
        self.group = group
        self.term = term
        self.leader = leader
        self.changes = changes
        self.wall = wall
        self.voters = voters
    }
}
