// SPDX-License-Identifier: Apache-2.0
// Owns what a leader knows of one other member: how far its log agrees, and what is on its way to it.

import ClusterTypes

/// The appends on their way to one follower, oldest first: a ring of the last index and bytes of each.
struct InflightWindow: Sendable {
    private var ring: [(last: LogIndex, bytes: Int)] = []
    private var start = 0
    private(set) var count = 0
    private(set) var bytes = 0
    let countMax: Int
    let bytesMax: Int

    init(countMax: Int, bytesMax: Int) {
        self.countMax = countMax
        self.bytesMax = bytesMax
    }

    var isFull: Bool { count >= countMax || bytes >= bytesMax }

    mutating func add(last: LogIndex, bytes: Int) {
        precondition(count < countMax, "\(count) appends in flight")
        // The ring grows to its bound as needed, and is then used again and again.
        if count == ring.count {
            ring = (0..<count).map { ring[(start + $0) % ring.count] } + [(last, bytes)]
            start = 0
        } else {
            ring[(start + count) % ring.count] = (last, bytes)
        }
        count += 1
        self.bytes += bytes
    }

    /// Everything up to `index` has arrived.
    mutating func free(through index: LogIndex) {
        while count > 0, ring[start].last <= index { freeFirst() }
    }

    mutating func freeFirst() {
        guard count > 0 else { return }
        bytes -= ring[start].bytes
        start = (start + 1) % ring.count
        count -= 1
    }

    mutating func reset() {
        count = 0
        bytes = 0
        start = 0
    }
}

/// A snapshot on its way to a follower: one chunk at a time.
struct OutgoingSnapshot: Sendable {
    var metadata: SnapshotMetadata
    var offset: UInt64
    /// The follower has said from where on it needs it.
    var isAccepted = false
    var sentAt: Instant
}

/// How the leader sends to one member (etcd-io/raft, progress states).
enum ProgressState: Sendable {
    /// Where the logs agree is not known: one append at a time.
    case probe(isWaiting: Bool)
    /// Known: appends follow each other without waiting, within the window.
    case replicate
    /// The log does not reach back far enough.
    case snapshot(OutgoingSnapshot)
}

struct Progress: Sendable {
    let id: NodeID
    var state = ProgressState.probe(isWaiting: false)
    /// The log agrees up to here, durably.
    var match: LogIndex = 0
    /// The next entry to send.
    var next: LogIndex
    var inflight: InflightWindow
    /// The commit index that it was told last.
    var sentCommit: LogIndex = 0
    /// When it was heard of last.
    var contactAt: Instant
    /// False while it fetches its log again: neither its log nor its answers decide anything.
    var isCounted = true
    /// The highest round of heartbeats that it answered.
    var ackedRound: UInt64 = 0
    /// An append must go out even if it is empty: to find out where the logs agree.
    var needsProbe = true
    /// The present round of catching up (thesis 4.2.1): up to where, and since when.
    var roundEnd: LogIndex
    var roundBegan: Instant
    /// How long the last round took.
    var lastRound: Interval?

    init(id: NodeID, last: LogIndex, configuration: RaftConfiguration, now: Instant) {
        self.id = id
        next = last + 1
        inflight = InflightWindow(
            countMax: configuration.inflightMessagesMax, bytesMax: configuration.inflightBytesMax)
        contactAt = now
        roundEnd = last
        roundBegan = now
    }

    /// What counts towards the commit index.
    var countedMatch: LogIndex { isCounted ? match : 0 }

    mutating func becomeProbe() {
        state = .probe(isWaiting: false)
        next = match + 1
        inflight.reset()
        needsProbe = true
    }

    mutating func becomeReplicate() {
        state = .replicate
        next = match + 1
        inflight.reset()
    }

    /// The member has lost a part of its log.
    mutating func forget(last: LogIndex) {
        match = 0
        ackedRound = 0
        lastRound = nil
        becomeProbe()
        next = last + 1
    }

    mutating func noteRound(last: LogIndex, now: Instant) {
        if match >= last {
            lastRound = .zero
        } else if match >= roundEnd {
            lastRound = now - roundBegan
        } else {
            return
        }
        roundEnd = last
        roundBegan = now
    }
}
