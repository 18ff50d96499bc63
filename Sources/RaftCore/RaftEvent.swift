// SPDX-License-Identifier: Apache-2.0
// Owns what the machine tells people and metrics of.

import ClusterTypes

/// What a node is in its group.
package enum RaftRole: String, Hashable, Sendable, CaseIterable {
    case follower
    /// Asks whether an election would succeed (thesis 9.6).
    case preCandidate = "pre-candidate"
    case candidate
    case leader
    /// No voter: receives the log, or does not belong to the group (yet, or any more).
    case learner
}

/// Why the role or the leader changed.
package enum RaftChangeReason: Hashable, Sendable {
    /// Nothing was heard of a leader for a whole election timeout.
    case electionTimeout
    /// The leader asked for it.
    case transfer
    /// The pre-vote was won: the election begins.
    case preVoteWon
    /// So many of so many votes.
    case won(votes: Int, of: Int)
    case lost
    /// A message of a later term came.
    case laterTerm(from: NodeID)
    /// A leader was heard of.
    case heardLeader
    /// CheckQuorum: the leader heard of too few voters for an election timeout (thesis 6.2).
    case quorumLost(reachable: Int, needed: Int)
    /// The disk has not finished a write for an election timeout.
    case diskStalled
    /// A change of the membership took away, or gave, the vote.
    case membership
}

package enum RaftEvent: Hashable, Sendable {
    case roleChanged(RaftRole, term: Term, RaftChangeReason)
    /// nil: none is known.
    case leaderChanged(NodeID?, term: Term, RaftChangeReason)
    /// In force, not yet committed.
    case membershipChanged(RaftMembership, index: LogIndex)
    case transferBegan(to: NodeID)
    /// The target did not take over within an election timeout: proposals are taken again.
    case transferAborted(to: NodeID)
    case snapshotSending(to: NodeID, LogPosition)
    case snapshotInstalled(LogPosition)
    /// The damaged log is whole again: this node votes and counts.
    case refetched(through: LogIndex)
    /// A message was dropped: the peer is broken or hostile.
    case refused(from: NodeID, RaftMessageDefect)
}
