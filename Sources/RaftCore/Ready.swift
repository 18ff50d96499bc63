// SPDX-License-Identifier: Apache-2.0
// Owns what the machine asks its driver to do, and in which order.

import ClusterTypes

/// A batch of work (etcd-io/raft's Ready). The driver:
/// 1. sends `messages` and lets the snapshot's chunks follow, at once;
/// 2. hands `persistence` to the disk and, when it is durable, calls `Raft.onPersisted` with its number, in order;
/// 3. sends `messagesAfterPersistence` when this batch and all before it are durable, never earlier;
/// 4. applies `committed` in order, storing the applied position **in the same transaction as the state** (etcd
///    #13766), and calls `Raft.onApplied`;
/// 5. answers reads once the applied index has reached theirs.
///
/// It takes one after another until there is none. `messagesAfterPersistence` never comes without `persistence`. A
/// batch that needs no sync may be called persisted as soon as those before it are.
///
/// 1 need not wait for 2 (thesis 10.2.1); 4 needs nothing of this batch's persistence, for only durable entries are
/// handed over.
package struct Ready: Sendable {
    package var persistence: Persistence?
    package var messages: [RaftMessage] = []
    package var messagesAfterPersistence: [RaftMessage] = []
    package var committed: [LogEntry] = []
    package var readStates: [ReadState] = []
    package var failedReads: [FailedRead] = []
    /// Parts of snapshots to read from the disk and send as `installSnapshot`.
    package var snapshotChunks: [SnapshotChunkOrder] = []
    /// Make a snapshot of the state applied so far, then call `Raft.compact`.
    package var wantsSnapshot = false
    package var events: [RaftEvent] = []

    package init() {}

    package var isEmpty: Bool {
        persistence == nil && messages.isEmpty && messagesAfterPersistence.isEmpty && committed.isEmpty
            && readStates.isEmpty && failedReads.isEmpty && snapshotChunks.isEmpty && !wantsSnapshot && events.isEmpty
    }
}

/// What one batch writes, in this order: chunks, the snapshot that takes over, hard state, entries; durable as a whole
/// or, after a crash, up to any point of that order.
package struct Persistence: Sendable {
    /// Ascending by one: for `Raft.onPersisted`.
    package var number: UInt64
    package var snapshotChunks: [SnapshotChunk] = []
    /// All its bytes are here: the state and the log are what it says, and nothing before counts any more. A driver
    /// that finds the whole's digest wrong drops the bytes and begins anew from its disk, which this batch has not
    /// touched.
    package var installs: SnapshotMetadata?
    package var hardState: HardState?
    /// The first one replaces what is at its index and drops all after it.
    package var entries: [LogEntry] = []
    /// False when nothing here must survive: the batch then only keeps the messages behind it in order.
    package var needsSync = false

    package init(number: UInt64) { self.number = number }
}

/// "Send `bytesMax` bytes at `offset` of this snapshot"; 0 bytes: the offer, only metadata.
package struct SnapshotChunkOrder: Hashable, Sendable {
    package var to: NodeID
    package var term: Term
    package var metadata: SnapshotMetadata
    package var offset: UInt64
    package var bytesMax: Int

    package init(to: NodeID, term: Term, metadata: SnapshotMetadata, offset: UInt64, bytesMax: Int) {
        self.to = to
        self.term = term
        self.metadata = metadata
        self.offset = offset
        self.bytesMax = bytesMax
    }
}

/// The reads under `token` see everything that was committed when they were asked for, once `index` is applied.
package struct ReadState: Hashable, Sendable {
    package var token: UInt64
    package var index: LogIndex
}

/// The read may be asked again; nothing was answered.
package struct FailedRead: Hashable, Sendable {
    package enum Reason: String, Hashable, Sendable {
        case leaderChanged = "the leader changed"
        case noLeader = "no leader is known"
        case timedOut = "the leader did not answer"
    }

    package var token: UInt64
    package var reason: Reason
}
