// SPDX-License-Identifier: Apache-2.0
// Owns the reasons for which the machine refuses what its own node asks of it.

import ClusterTypes

/// Why a command was refused. No case leaves a trace: nothing was appended, sent or scheduled.
package enum RaftFailure: Error, Hashable, Sendable {
    /// Only the leader takes it; ask that one. nil: none is known.
    case notLeader(NodeID?)
    /// Entries that are not committed hold `RaftConfiguration.uncommittedBytesMax`; try again when some are.
    case tooMuchUncommitted(bytes: Int)
    /// Leadership is being handed over; ask the next leader.
    case transferring(to: NodeID)
    /// The command is larger than `RaftConfiguration.commandBytesMax`.
    case commandTooLarge(bytes: Int)
    /// The term's first entry is not committed, so an earlier change of the membership may yet be taken back
    /// (thesis 4.1 and its erratum of 2015).
    case termNotEstablished
    /// The last change of the membership is not committed (thesis 4.1: one at a time).
    case changeInProgress(LogIndex)
    /// The learner is not close enough to the end of the log, or was not heard of of late (thesis 4.2.1).
    case learnerBehind(match: LogIndex, last: LogIndex)
    /// Too few of the voters there would be have been heard of of late, or there would be fewer than `votersMin`.
    case wouldLoseQuorum(reachable: Int, needed: Int)
    case alreadyMember
    case notMember
    /// The id belonged to a member that was removed: a node returns under a new one.
    case retiredID
    case tooManyMembers
    case lastVoter
    /// Leadership goes to a voter, and to another one.
    case cannotLead
    /// More than `RaftBounds.pendingReadsMax` reads wait.
    case tooManyReads
    /// The log does not reach so far, or was compacted beyond it.
    case outOfRange(first: LogIndex, last: LogIndex)
    /// What was found on the disk cannot have been written by this machine.
    case invalidState(StateDefect)
}

/// What is wrong with a restored state.
package enum StateDefect: String, Hashable, Sendable, CaseIterable {
    case gapInLog = "the entries do not follow the snapshot and each other"
    case termBeforeLog = "the log has an entry of a later term than the hard state"
    case commitBeyondLog = "the commit index is beyond the log: entries were lost"
    case appliedBeyondLog = "the applied index is beyond the log"
    case appliedBeforeSnapshot = "the applied state is older than the snapshot"
    case membershipInvalid = "a membership breaks its rules"
    case numberTooLarge = "a term or an index is beyond its bound"
}
