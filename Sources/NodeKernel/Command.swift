// SPDX-License-Identifier: Apache-2.0
// Owns what clients and the daemon ask of a kernel, and the answers.

import ClusterTypes
import SWIMCore
import StoreCore
import StrictCore
import StrictGroup

/// A request; each gets exactly one `Reply`.
package enum Command: Sendable {
    case status
    /// Counters and queue lengths, for metrics.
    case statistics
    case members
    /// A member by id, name or unique prefix of its id, with its latest events.
    case explain(String)
    /// Contact these seeds now; answered when each has answered or failed.
    case join([String])
    /// The seeds of the configuration changed: keep trying these from now on.
    case replaceSeeds([String])
    /// Leave the cluster for good; `stopped` follows when a quorum knows or `deadline` is over.
    case leave(deadline: Interval)
    /// `isForced`: a member that is alive, too; it stops.
    case forget(String, isForced: Bool)
    case changeTags(set: [Tag], unset: [String])
    case ping(String)
    /// Round trips without a ping, from a member (nil: this node) to one or to all that take part.
    case roundTrips(from: String?, to: String?)
    /// Tries the ways to peers that take part, both ways; for `doctor`. Answered within two pings' time.
    case examine
    /// Sends a user event to all members; answered when it is on its way.
    case sendEvent(name: String, payload: [UInt8])
    /// About the ring of the cluster's keys.
    case ring(RingCommand)
    /// A call of the strict group, answered by `Reply.strict` within this time.
    case strict(StrictCall, within: Interval)
    /// How far local reads of strict keys are behind.
    case strictAge

    case read(key: String)
    /// Keys that begin with `prefix` and come after `after`, at most `limit` of them, in key order.
    case list(prefix: String, after: String?, limit: Int)
    /// Several reads of one moment, answered in their order: never half of a write of several keys.
    case survey([SurveyItem])
    /// All of the writes or none, visible at once on every node. One write is the ordinary case; the answer is for the
    /// first one's key. Removing what is not in a set is left out; when nothing is left, `noSuchElement`.
    case write([StoreWrite], WriteOptions)
    /// Answered when `atLeast` nodes hold the key's newest write durably, or `deadline` is over.
    case confirm(key: String, version: String, atLeast: Int, deadline: Interval)
    /// Compares the stores of all active members with this one, without changing anything.
    case verify(deadline: Interval)
    /// What an operator should know of the store; for `doctor`.
    case diagnose
    /// Takes over the rows of a backup; only an empty store does.
    case restore(RestoredStore, revision: UInt64)
    /// The operator has decided about these writes of the import queue.
    case dequeue([UInt64])
}

/// Writes without options.
extension Command {
    package static func put(key: String, value: [UInt8]) -> Command { .write([.put(key: key, value: value)], .none) }
    package static func delete(key: String) -> Command { .write([.delete(key: key)], .none) }
    package static func addElement(_ element: [UInt8], key: String) -> Command {
        .write([.add(key: key, element: element)], .none)
    }
    package static func removeElement(_ element: [UInt8], key: String) -> Command {
        .write([.remove(key: key, element: element)], .none)
    }
    package static func increment(key: String, by amount: Int64) -> Command {
        .write([.increment(key: key, by: amount)], .none)
    }
}

/// The answer to a `Command`.
package enum Reply: Sendable {
    case status(StatusView)
    case statistics(StatisticsView)
    case members([MemberView])
    case explanation(MemberExplanation)
    case joined(JoinReport)
    case done
    case left(LeaveOutcome)
    case tags([Tag])
    case pinged(member: MemberView, roundTrip: Interval)
    case roundTrips(from: MemberView, [RoundTripView])
    case examined(ExaminationReport)
    case eventSent(UserEventID)
    case ring(RingView)
    case strict(StrictReply)
    /// What a read of this entry has found, and when it was written, as far as this node's store has it in this version.
    case strictEntry(StrictKey, StrictEntry?, writtenAt: WallTime?)
    case strictAge(StrictAge)
    case key(KeyView, author: AuthorView)
    /// `next` is the `after` of the next page; nil when there is none.
    case keys([(view: KeyView, author: AuthorView)], next: String?)
    case survey([SurveyResult])
    case written(WriteReport)
    case confirmed(Confirmation)
    case verified(Verification)
    case diagnosis(StoreDiagnosis)
    case failure(CommandFailure)
}

/// Why a command was not carried out; nothing changed.
package enum CommandFailure: Error, Hashable, Sendable {
    case noSuchMember(String)
    case ambiguousMember(String, candidates: [NodeID])
    /// Forgetting needs a member that is failed or left.
    case memberIsActive(String)
    case memberIsSelf(String)
    case invalidTags(String)
    case pingTimedOut(String, after: Interval)
    case noSuchKey(String)
    /// The key belongs to the strict class: `Command.strict` writes it.
    case strictKey(String)
    case noSuchElement(key: String)
    case typeConflict(key: String, existing: KeyType, requested: KeyType)
    case invalid(String)
    case counterOverflow(key: String)
    /// The store holds as many rows as it may.
    case storeFull
    /// `WriteCondition` does not hold; `current` is the key's version, nil when nothing is live.
    case conditionFailed(key: String, current: String?)
    /// The idempotency id was used for another request.
    case requestIDReused(String)
    /// The disk is full: the write was not taken, or is not durable yet and may still become so.
    case storageFull
    /// This host's clock is the outlier; milliseconds ahead of the others (negative: behind).
    case clockOutlier(offsetMilliseconds: Int64)
    /// This node was away for too long and is fetching the state of the others.
    case resetting
    /// A restore needs an empty store.
    case storeNotEmpty(keys: Int)
    /// This node has sent as many user events as others can still ask for (`UserEventExchange.originMax`).
    case tooManyEvents
    /// The node is leaving or has not started; it takes no writes.
    case notReady
}

/// One read of a `survey`.
package enum SurveyItem: Hashable, Sendable {
    case key(String)
    /// Keys that begin with this, at most `limit`.
    case prefix(String, limit: Int)
    case members
}

package enum SurveyResult: Sendable {
    /// Nil when there is no such key.
    case key((view: KeyView, author: AuthorView)?)
    /// In key order; `isWhole` is false when the limit cut it short.
    case keys([(view: KeyView, author: AuthorView)], isWhole: Bool)
    /// Without those that are forgotten.
    case members([MemberView])
}

package struct StatusView: Sendable {
    package var id: NodeID
    package var info: MemberInfo
    package var incarnation: UInt64
    package var awareness: Int
    package var alive: Int
    package var suspect: Int
    package var failed: Int
    package var left: Int
    package var root: Hash128
    package var keys: Int
    package var bytes: Int
    /// The incarnation is durable: it takes part, and takes writes.
    package var isStarted: Bool
    package var isLeaving: Bool

    package init(
        id: NodeID, info: MemberInfo, incarnation: UInt64, awareness: Int, alive: Int, suspect: Int, failed: Int,
        left: Int, root: Hash128, keys: Int, bytes: Int, isStarted: Bool, isLeaving: Bool
    ) {
        self.id = id
        self.info = info
        self.incarnation = incarnation
        self.awareness = awareness
        self.alive = alive
        self.suspect = suspect
        self.failed = failed
        self.left = left
        self.root = root
        self.keys = keys
        self.bytes = bytes
        self.isStarted = isStarted
        self.isLeaving = isLeaving
    }
}

/// The kernel's counters and the lengths of its queues.
package struct StatisticsView: Sendable {
    package var kernel: KernelStatistics
    package var membership: SWIMStatistics
    package var queues: QueueLengths
    package var rows: Int

    package var userEvents: UserEventStatistics

    package init(
        kernel: KernelStatistics, membership: SWIMStatistics, queues: QueueLengths, rows: Int,
        userEvents: UserEventStatistics
    ) {
        self.userEvents = userEvents
        self.kernel = kernel
        self.membership = membership
        self.queues = queues
        self.rows = rows
    }
}

package struct MemberView: Sendable {
    package var member: Member
    package var isSelf: Bool
    /// Another active member has the same name.
    package var hasNameConflict: Bool
    /// From this node, by the places of both; nil for itself and while one is unknown.
    package var estimate: RoundTripEstimate?

    package init(member: Member, isSelf: Bool, hasNameConflict: Bool, estimate: RoundTripEstimate? = nil) {
        self.member = member
        self.isSelf = isSelf
        self.hasNameConflict = hasNameConflict
        self.estimate = estimate
    }
}

/// A member with what this node remembers of it, oldest first.
package struct MemberExplanation: Sendable {
    package var view: MemberView
    package var timeline: [TimelineEntry]
    /// Who suspects it now, the first one first; empty unless it is suspect.
    package var accusers: [NodeID]

    package init(view: MemberView, timeline: [TimelineEntry], accusers: [NodeID]) {
        self.view = view
        self.timeline = timeline
        self.accusers = accusers
    }
}

package struct JoinReport: Sendable {
    package var answered: [String]
    package var failed: [(seed: String, reason: JoinFailure)]

    package init(answered: [String], failed: [(seed: String, reason: JoinFailure)]) {
        self.answered = answered
        self.failed = failed
    }
}

/// The author of a change, with the name it has now; empty when the member is not known.
package struct AuthorView: Hashable, Sendable {
    package var id: NodeID
    package var name: String

    package init(id: NodeID, name: String) {
        self.id = id
        self.name = name
    }
}

package struct WriteReport: Sendable {
    package var key: String
    package var version: String
    /// Nodes known to hold the write durably, this one included.
    package var nodesHolding: Int
    /// Members that have not left, failed ones too, this one included.
    package var nodesTotal: Int

    package init(key: String, version: String, nodesHolding: Int, nodesTotal: Int) {
        self.key = key
        self.version = version
        self.nodesHolding = nodesHolding
        self.nodesTotal = nodesTotal
    }
}
