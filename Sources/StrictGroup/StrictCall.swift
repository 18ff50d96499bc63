// SPDX-License-Identifier: Apache-2.0
// Owns what a client asks of the strict group through any node, and the answers.

import ClusterTypes
import RaftCore
import StrictCore

/// A request of a client of this node; each gets exactly one `StrictReply`, at its deadline at the latest.
package enum StrictCall: Hashable, Sendable {
    /// Changes the state through the log, once, however often messages are repeated.
    case change(StrictOperation)
    /// A linearizable read (thesis 6.4).
    case read(StrictRead)
    /// A change of the group, or of who leads it.
    case operate(StrictOrder)
    /// Answered at once, from this node alone.
    case status
}

package enum StrictRead: Hashable, Sendable {
    case entry(StrictKey)
    /// Keys that begin with `prefix` and come after `after`, at most `limit`, in key order.
    case list(prefix: String, after: StrictKey?, limit: Int)
    case lock(StrictKey)
    case lease(LeaseID)
    /// Locks that are held, by name.
    case locks(after: StrictKey?, limit: Int)
}

package enum StrictOrder: Hashable, Sendable {
    /// Makes a member a learner, and a voter once it has caught up.
    case add(NodeID)
    /// Takes a voter or learner out of the group for good: it comes back under a new id only.
    case remove(NodeID)
    /// nil: to the best follower.
    case transfer(to: NodeID?)
    /// The majority is lost for good: this node alone continues with what it holds, as the only voter. Writes that only
    /// the others had are gone. Refused where others say that it is not so. `evenIfBehind`: also when a voter that is reached
    /// holds more, or this node's own log is damaged.
    case recover(evenIfBehind: Bool)
}

package enum StrictReply: Hashable, Sendable {
    case answer(StrictAnswer)
    /// As of this revision: all that is given later is higher.
    case found(StrictFound, at: LogIndex)
    /// The order is committed; the group as it is then.
    case done(StrictStatus)
    case status(StrictStatus)
    case failed(StrictFailure)
}

package enum StrictFound: Hashable, Sendable {
    case entry(StrictEntry?)
    case list([StrictListed])
    case lock(StrictLock?)
    case lease(StrictLease?)
    case locks([StrictHeld])
}

package struct StrictListed: Hashable, Sendable {
    package var key: StrictKey
    package var entry: StrictEntry

    package init(key: StrictKey, entry: StrictEntry) {
        self.key = key
        self.entry = entry
    }
}

package struct StrictHeld: Hashable, Sendable {
    package var name: StrictKey
    package var lock: StrictLock

    package init(name: StrictKey, lock: StrictLock) {
        self.name = name
        self.lock = lock
    }
}

/// Why a call has no answer.
package enum StrictFailure: Error, Hashable, Sendable {
    /// This node has no strict prefixes.
    case notConfigured
    /// The group has not formed: these are missing, by id or, where only the name is known, by name.
    case notFormed(missing: [StrictMissing])
    /// No leader answered in time. `missing`: voters that this node does not reach. `isOutcomeUnknown`: the change may
    /// have been made, or may yet be.
    case unavailable(missing: [StrictMissing], isOutcomeUnknown: Bool)
    /// More calls wait than `StrictConfiguration.callsMax`: nothing was done.
    case tooManyCalls
    /// The command exceeds what the log takes: nothing was done.
    case tooLarge(bytes: Int, max: Int)
    /// An order that the leader refused: nothing was done.
    case refused(RaftFailure)
    /// Why `recover` is refused, in a sentence: nothing was done.
    case cannotRecover(String)
    /// `add` of a node that does not say that it may vote: nothing was done.
    case notEligible
    /// The voter that was to lead did not answer, or did not take over in time: the leader goes on.
    case transferFailed(to: StrictMissing)
    /// A later program wrote the log: this node must be upgraded.
    case unknownFormat(UInt8)
}

package struct StrictMissing: Hashable, Sendable {
    package var id: NodeID?
    package var name: String

    package init(id: NodeID?, name: String) {
        self.id = id
        self.name = name
    }
}

/// What this node knows of the group.
package struct StrictStatus: Hashable, Sendable {
    /// nil: this node is a client of the group, no member.
    package var role: RaftRole?
    /// The group's id; nil: it has not formed, or nothing was heard of it.
    package var group: UInt64?
    package var term: Term
    package var leader: NodeID?
    package var commit: LogIndex
    package var applied: LogIndex
    package var last: LogIndex
    package var voters: [NodeID]
    package var learners: [NodeID]
    /// Voters that this node reaches, itself included.
    package var reachable: [NodeID]
    /// On the leader: how far each other member is.
    package var followers: [StrictFollower]
    package var keys: Int
    package var leases: Int
    package var locks: Int
    package var sessions: Int
    package var isRefetching: Bool
    /// This node was taken out of the group: it is a client, and under this id nothing else.
    package var isRemoved: Bool
    /// On a node that is no member: since when nothing new was heard of the leader; nil: a leader was never heard of.
    package var leaderSilentFor: Interval?
    /// Not formed: who is missing.
    package var missing: [StrictMissing]
    /// Since the process began.
    package var elections: UInt64
    /// Other groups that this node hears of now, which there should not be: it belongs to one of several clusters that met, or
    /// to what is left of one. Known to the node alone that is asked.
    package var foreign: [StrictForeignGroup]

    package init() {
        term = 0
        commit = 0
        applied = 0
        last = 0
        voters = []
        learners = []
        reachable = []
        followers = []
        keys = 0
        leases = 0
        locks = 0
        sessions = 0
        isRefetching = false
        isRemoved = false
        missing = []
        elections = 0
        foreign = []
    }

    package var quorum: Int { voters.count / 2 + 1 }
}

/// Another strict group, and who leads it.
package struct StrictForeignGroup: Hashable, Sendable {
    package var group: UInt64
    package var term: Term
    package var leader: NodeID
    package var voters: [NodeID]

    package init(group: UInt64, term: Term, leader: NodeID, voters: [NodeID]) {
        self.group = group
        self.term = term
        self.leader = leader
        self.voters = voters
    }
}

package struct StrictFollower: Hashable, Sendable {
    package var id: NodeID
    package var match: LogIndex
    package var silentFor: Interval
    package var isInstalling: Bool

    package init(id: NodeID, match: LogIndex, silentFor: Interval, isInstalling: Bool) {
        self.id = id
        self.match = match
        self.silentFor = silentFor
        self.isInstalling = isInstalling
    }
}
