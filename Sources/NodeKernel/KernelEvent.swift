// SPDX-License-Identifier: Apache-2.0
// Owns the events a kernel reports: the one source of the journal, `gossipctl events`, watches and metrics.

import ClusterTypes
import SWIMCore
import StoreCore
import StrictGroup

/// Something that happened, with its evidence.
package enum KernelEvent: Hashable, Sendable {
    case member(MemberEvent)
    /// A seed or remembered peer answered; `members` active members are known now, this node included.
    case joinSucceeded(seed: String, address: Address, members: Int)
    /// A seed did not answer; told on the first failure and then ever more rarely.
    case joinFailed(seed: String, reason: JoinFailure, attempts: Int)
    /// The visible state of keys changed, here or by a peer: what became durable together, in its order.
    case keysChanged([ChangeRecord])
    /// Two types were created under one key at once.
    case typeConflict(key: String, kept: KeyType, aside: KeyType, revision: UInt64)
    /// A peer's event lies too far in the future: not applied, not forwarded.
    case quarantined(key: String, author: ActorID, ahead: Interval)
    /// This node threw away its store for a peer's, or for a backup's; writes that nobody else had went to the import
    /// queue. `revision` is the one that this took: there is no history before it.
    case storeReset(peer: NodeID, rows: Int, queued: Int, revision: UInt64)
    /// Dead rows were dropped and actors folded, everywhere.
    case collected(rows: Int, folded: Int, cutoff: HybridTimestamp)
    /// This host's clock is ahead of most others (negative: behind) by more than is allowed: it takes no writes.
    case clockOutlier(offsetMilliseconds: Int64)
    case clockRecovered
    case storage(StorageCondition)
    /// A large exchange is under way: at most one in two seconds, and one at its end.
    case catchUp(peer: NodeID, received: Int, total: Int)
    /// Rows moved between this node and a peer.
    case synchronised(SyncSummary)
    /// Local health awareness (Lifeguard) went from one score to another.
    case awarenessChanged(from: Int, to: Int)
    /// This process did not run for a while: its timers fired long after their time. At most once in ten seconds.
    case stalled
    /// Another process uses this node's id.
    case identityInUse(at: Address)
    /// A packet was well formed but of no use; counted, and reported rarely.
    case packetIgnored(IgnoredPacket, from: Address)
    case leaving
    /// An operator took this node out of the cluster, through another one.
    case evicted(by: NodeID)
    /// A client here or at another member sent it to all; its turn has come.
    case userEvent(UserEvent)
    /// About the strict group and this node's part in it.
    case strict(StrictEvent)
}

package enum JoinFailure: UInt8, Hashable, Sendable, CaseIterable {
    case unresolved
    case refused
    case timedOut
    case unreachable
    case brokenOff
    /// The peer takes connections, but not our key.
    case noCommonKey
    case otherCluster
}

package enum IgnoredPacket: UInt8, Hashable, Sendable, CaseIterable {
    case otherCluster
    /// A message that has no place here, such as a member table in a datagram.
    case unexpected
}

/// What one store synchronisation moved.
package struct SyncSummary: Hashable, Sendable {
    package var peer: NodeID
    package var rowsReceived: Int
    package var rowsSent: Int
    package var took: Interval

    package init(peer: NodeID, rowsReceived: Int, rowsSent: Int, took: Interval) {
        self.peer = peer
        self.rowsReceived = rowsReceived
        self.rowsSent = rowsSent
        self.took = took
    }
}
