// SPDX-License-Identifier: Apache-2.0
// Owns the border of a node's part in the strict group: what it is told and what it asks for.

import ClusterTypes
import RaftCore
import StrictCore

package enum StrictInput: Sendable {
    /// The first input.
    case start
    /// Time passed; to be given at `StrictNode.nextDeadline` at the latest.
    case tick
    case message(StrictMessage, from: NodeID)
    /// The stream to this peer broke: its process has ended (`isDead`), or the network is in between. What was not
    /// answered may be lost.
    case linkLost(NodeID, isDead: Bool)
    /// Whom this node knows; whenever it changes.
    case view([StrictPeer])
    /// A mark that came with a ping or an ack.
    case mark(StrictMark)
    /// Calls of this node's clients that came together.
    case calls([Call])
    /// This node's copies do not hold what the group has: see `StrictNode.mayCorrect`.
    case correct(StrictCorrection)
    /// The write of this number, and all before it, are durable.
    case persisted(UInt64)
    /// A snapshot that `makeSnapshot` asked for is durable.
    case snapshotMade(LogPosition, bytes: UInt64, digest: Hash128)
    /// The answer to `readSnapshot`; nil: its bytes are gone.
    case snapshotRead(SnapshotChunkOrder, SnapshotChunk?)
    /// The answer to `loadSnapshot`; nil: the bytes are not what they should be, and were dropped.
    case snapshotLoaded(SnapshotMetadata, StrictMachine?)

    package struct Call: Sendable {
        package var id: UInt64
        package var call: StrictCall
        package var deadline: Instant

        package init(id: UInt64, call: StrictCall, deadline: Instant) {
            self.id = id
            self.call = call
            self.deadline = deadline
        }
    }

    /// One call.
    package static func call(id: UInt64, _ call: StrictCall, deadline: Instant) -> StrictInput {
        .calls([Call(id: id, call: call, deadline: deadline)])
    }
}

/// A member as the strict group sees it.
package struct StrictPeer: Hashable, Sendable {
    package var id: NodeID
    package var name: String
    package var isAlive: Bool
    /// It has strict prefixes and may become a voter.
    package var isEligible: Bool

    package init(id: NodeID, name: String, isAlive: Bool, isEligible: Bool) {
        self.id = id
        self.name = name
        self.isAlive = isAlive
        self.isEligible = isEligible
    }
}

package enum StrictAction: Sendable {
    /// On the kept stream to this node, which is opened when there is none; lost when it cannot be.
    case send(StrictMessage, to: NodeID)
    /// Write in this order and answer `persisted`; the writes of one after another are durable in their order, and several
    /// may share one sync.
    case persist(StrictWrite)
    /// Write a snapshot of this state beside the present one and answer `snapshotMade`.
    case makeSnapshot(StrictSnapshotWriter, LogPosition, RaftMembership)
    case readSnapshot(SnapshotChunkOrder)
    /// All bytes of this snapshot have been persisted: read them. Entries and state before it are void once loaded.
    case loadSnapshot(SnapshotMetadata)
    /// Entries up to this index are in a durable snapshot: the log before `keepFrom` may be dropped, and snapshots that are
    /// not named.
    case compact(keepFrom: LogIndex, snapshots: [SnapshotMetadata])
    case reply(id: UInt64, StrictReply)
    /// The state changed, in the order of the log: for the store of all nodes, watches and history.
    case changed([StrictFeedChange])
    case event(StrictEvent)
}

/// What a leader's own store holds wrongly: rows of a group that is gone.
package struct StrictCorrection: Hashable, Sendable {
    /// Ascending, at most `StrictBounds.reissuedKeysMax`. Empty: only versions are to be raised.
    package var keys: [StrictKey]
    /// What is told of them must be later than this, in milliseconds since 1970: it is what is to be replaced.
    package var after: UInt64
    /// Versions of the other group went up to here.
    package var above: UInt64

    package init(keys: [StrictKey], after: UInt64, above: UInt64) {
        self.keys = keys
        self.after = after
        self.above = above
    }
}

/// One write of the strict log's disk.
package struct StrictWrite: Sendable {
    /// Ascending by one from 1 in each process.
    package var number: UInt64
    /// What this node promised and accepted while the group was founded; replaces the former one.
    package var founding: FoundingState?
    /// Chunks, then the snapshot that takes over, then hard state, then entries: as `RaftCore.Persistence` says.
    package var raft: Persistence?
    /// False: need not be synced by itself.
    package var needsSync: Bool

    package init(number: UInt64, founding: FoundingState? = nil, raft: Persistence? = nil, needsSync: Bool) {
        self.number = number
        self.founding = founding
        self.raft = raft
        self.needsSync = needsSync
    }
}

/// An acceptor's memory, and what was founded.
package struct FoundingState: Hashable, Sendable {
    package var promised: FoundingBallot?
    package var accepted: AcceptedFounding?
    package var founded: StrictFounding?
    /// This node was taken out of this group: it takes part in none any more, under this id.
    package var removedFrom: UInt64?

    package init(
        promised: FoundingBallot? = nil, accepted: AcceptedFounding? = nil, founded: StrictFounding? = nil,
        removedFrom: UInt64? = nil
    ) {
        self.promised = promised
        self.accepted = accepted
        self.founded = founded
        self.removedFrom = removedFrom
    }
}

/// What a node's disk held of the strict group.
package struct StrictRestored: Sendable {
    package var founding: FoundingState
    /// nil: no log was ever begun here.
    package var raft: RestoredState?
    /// Read from the snapshot that the log begins behind; empty when there is none.
    package var machine: StrictMachine

    package init(
        founding: FoundingState = FoundingState(), raft: RestoredState? = nil, machine: StrictMachine = .init()
    ) {
        self.founding = founding
        self.raft = raft
        self.machine = machine
    }
}

/// A change of a strict key as every node's store takes it.
package struct StrictFeedChange: Hashable, Sendable {
    /// Counts the changes of the group from 1: equal on all replicas.
    package var number: UInt64
    /// The revision of the entry: those of one entry are one transaction.
    package var index: LogIndex
    /// Of the key as it is now: `index`, but for what an earlier entry wrote and this one tells anew.
    package var version: LogIndex
    /// The log's clock at that entry, milliseconds since 1970; never goes back.
    package var time: UInt64
    package var key: StrictKey
    /// nil: it was deleted.
    package var value: [UInt8]?

    package init(
        number: UInt64, index: LogIndex, version: LogIndex? = nil, time: UInt64, key: StrictKey, value: [UInt8]?
    ) {
        self.number = number
        self.index = index
        self.version = version ?? index
        self.time = time
        self.key = key
        self.value = value
    }
}

package enum StrictEvent: Hashable, Sendable {
    case founded(StrictFounding)
    case raft(RaftEvent)
    case lockChanged(StrictLockChange)
    /// A message of another group came: two were founded, or a node was moved.
    case foreignGroup(UInt64, from: NodeID)
    /// A later program wrote the log.
    case unknownFormat(UInt8)
    /// The majority was declared lost by an operator.
    case recovered(from: [NodeID])
    /// This node was taken out of the group, and knows it for good.
    case removed(from: UInt64)
    /// On a node that is no member: another node leads, as marks say.
    case leaderHeard(NodeID, Term)
    /// On a node that is no member: nothing new was heard of this leader for so long, or it is not reached.
    case leaderSilent(NodeID, for: Interval, isReached: Bool)
    /// Copies of so many keys held what another group wrote, or lacked what this one has; they were told anew.
    case copiesCorrected(keys: Int)
}

package struct StrictConfiguration: Hashable, Sendable {
    /// Keys under these belong to the strict class. Empty: the class is off, and the node refuses all calls.
    package var prefixes: [String]
    /// Names of the founders, or how many there are to be.
    package var voters: StrictVoters
    /// This node may become a voter.
    package var isEligible: Bool
    /// Calls that wait at once. Default 8 192.
    package var callsMax: Int
    package var raft: RaftConfiguration

    package init(prefixes: [String] = [], voters: StrictVoters = .count(3), isEligible: Bool = true) {
        self.prefixes = prefixes
        self.voters = voters
        self.isEligible = isEligible
        callsMax = 8_192
        raft = RaftConfiguration()
        raft.commitNoticeDelay = .milliseconds(2)
    }

    package var isOn: Bool { !prefixes.isEmpty }

    package func covers(_ key: String) -> Bool { prefixes.contains { key.utf8.starts(with: $0.utf8) } }
}

package enum StrictVoters: Hashable, Sendable {
    case names([String])
    case count(Int)
}
