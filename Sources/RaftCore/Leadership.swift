// SPDX-License-Identifier: Apache-2.0
// Owns the books of the machine beside the log: a leader's, those of reads, and those of the disk.

import ClusterTypes

/// What only a leader has; begun anew with each term.
struct Leadership: Sendable {
    /// The other members, ascending by id.
    var peers: [Progress] = []
    var heartbeatAt = Instant.origin
    /// The number of the last round of heartbeats: unique in the term.
    var round: UInt64 = 0
    /// When the rounds began that no quorum has answered, oldest first. Of rounds beyond the bound the last one before says less,
    /// which does no harm.
    var roundsSent: [(round: UInt64, at: Instant)] = []
    /// This node led then: a quorum answered what was sent at that time or later.
    var confirmedAt = Instant.origin
    /// Bytes of entries beyond the commit index.
    var uncommittedBytes = 0
    var transfer: Transfer?
    /// When others are told of a commit that no entries went along with; nil: at once.
    var noticeAt: Instant?

    static let roundsSentMax = 64

    struct Transfer: Sendable {
        var target: NodeID
        var deadline: Instant
        /// Of the heartbeats that were sent when it began.
        var round: UInt64
        var isAsked = false
    }

    mutating func beginRound(now: Instant) {
        round += 1
        if roundsSent.count < Self.roundsSentMax { roundsSent.append((round, now)) }
    }

    /// A quorum has answered this round or a later one.
    mutating func confirm(_ round: UInt64) {
        let count = roundsSent.prefix { $0.round <= round }.count
        guard count > 0 else { return }
        confirmedAt = max(confirmedAt, roundsSent[count - 1].at)
        roundsSent.removeFirst(count)
    }

    func place(of id: NodeID) -> Int? { peers.firstIndex { $0.id == id } }
}

/// What a follower knows of when it answered its leader's heartbeats, and so of the age of what the leader said after it had the
/// answer: two samples are enough to tell what is younger than half a given time, and never call older what is not.
struct AnsweredRounds: Sendable {
    private typealias Sample = (round: UInt64, at: Instant)

    private var older: Sample?
    private var newer: Sample?

    mutating func note(_ round: UInt64, now: Instant, within time: Interval) {
        guard let newer else {
            self.newer = (round, now)
            return
        }
        guard round > newer.round, now - newer.at >= time / 2 else { return }
        older = newer
        self.newer = (round, now)
    }

    /// It was answered less than this time ago. Of the older half of the time not all is known to be.
    func isRecent(_ round: UInt64, now: Instant, within time: Interval) -> Bool {
        for case let sample? in [older, newer] where round >= sample.round && now - sample.at < time { return true }
        return false
    }
}

/// Who wants to know a read index.
enum ReadAsk: Sendable {
    case local(token: UInt64)
    case peer(NodeID, ReadID)
}

/// Reads on their way (thesis 6.4). All lists together hold at most `RaftBounds.pendingReadsMax`.
struct ReadQueue: Sendable {
    /// A leader's: confirmed by a quorum's answers to this round or a later one.
    struct Round: Sendable {
        var round: UInt64
        var index: LogIndex
        var asks: [ReadAsk]
    }

    /// A follower's: sent to the leader.
    struct Forwarded: Sendable {
        var id: ReadID
        var tokens: [UInt64]
        var deadline: Instant
    }

    /// For the next round.
    var waiting: [ReadAsk] = []
    var rounds: [Round] = []
    var forwarded: [Forwarded] = []
    var sequence: UInt64 = 0

    var count: Int {
        waiting.count + rounds.reduce(0) { $0 + $1.asks.count } + forwarded.reduce(0) { $0 + $1.tokens.count }
    }
}

/// The batches that the disk has not finished, oldest first.
struct BatchQueue: Sendable {
    struct Batch: Sendable {
        var number: UInt64
        /// The last of its entries that still is in the log; 0: none.
        var last: LogIndex
        var hardState: HardState?
        var installs: LogIndex?
        /// When the oldest of it was ready to be written.
        var since: Instant
    }

    var batches: [Batch] = []
    var nextNumber: UInt64 = 1

    /// Entries from `index` on are no longer what these batches write.
    mutating func truncate(from index: LogIndex) {
        for place in batches.indices { batches[place].last = min(batches[place].last, index - 1) }
    }
}
