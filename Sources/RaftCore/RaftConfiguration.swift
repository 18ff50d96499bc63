// SPDX-License-Identifier: Apache-2.0
// Owns the tunables of Raft.

import ClusterTypes

/// Equal on all members of a group, or nearly so.
package struct RaftConfiguration: Hashable, Sendable {
    /// The shortest time without a leader after which a node stands for election; each wait is drawn anew from this
    /// to twice this (thesis 3.4). Also: how long a leader leads without a quorum, how long a vote is refused after
    /// a sign of the leader (thesis 4.2.3 and 6.2), how long a disk may stall under a leader, how long a
    /// transfer may take (thesis 3.10). Default 300 ms, range 10 ms...60 s. Ten round trips and a slow sync must fit.
    package var electionTimeout: Interval
    /// Between a leader's heartbeats. Default 50 ms, range 1 ms...`electionTimeout / 3`.
    package var heartbeatInterval: Interval
    /// How long a leader waits for entries to send before it tells by a message of its own that others are committed. Heartbeats
    /// tell it as well. Default 0: at once; range 0...`heartbeatInterval`.
    package var commitNoticeDelay: Interval
    /// Appends on their way to one follower (thesis 10.2.1). Default 256, range 1...4 096.
    package var inflightMessagesMax: Int
    /// Their entries' bytes. Default 8 MiB; one append may exceed it.
    package var inflightBytesMax: Int
    /// Entries' bytes of one append. Default 256 KiB; one entry may exceed it.
    package var appendBytesMax: Int
    /// Bytes of entries that a leader holds uncommitted before it refuses proposals. Default 64 MiB.
    package var uncommittedBytesMax: Int
    /// One command. Default 1 MiB.
    package var commandBytesMax: Int
    /// Committed entries' bytes that one `Ready` hands over. Default 4 MiB; one entry may exceed it.
    package var applyBytesMax: Int
    /// One chunk of a snapshot. Default 512 KiB.
    package var snapshotChunkBytesMax: Int
    /// A snapshot is asked for when the log behind the last one exceeds this. Default 64 MiB.
    package var snapshotLogBytes: Int
    /// Entries kept behind a snapshot for followers that are a little late. Default 10 000.
    package var entriesKept: Int
    /// The log keeps what a snapshot on its way will need after it, up to this. Default 256 MiB.
    package var logBytesMax: Int
    /// A removal that would leave fewer voters is refused. Default 1.
    package var votersMin: Int

    package init() {
        electionTimeout = .milliseconds(300)
        heartbeatInterval = .milliseconds(50)
        commitNoticeDelay = .zero
        inflightMessagesMax = 256
        inflightBytesMax = 8 << 20
        appendBytesMax = 256 << 10
        uncommittedBytesMax = 64 << 20
        commandBytesMax = 1 << 20
        applyBytesMax = 4 << 20
        snapshotChunkBytesMax = 512 << 10
        snapshotLogBytes = 64 << 20
        entriesKept = 10_000
        logBytesMax = 256 << 20
        votersMin = 1
    }

    /// The same with every value in its range.
    var clamped: RaftConfiguration {
        var copy = self
        copy.electionTimeout = min(max(electionTimeout, .milliseconds(10)), .seconds(60))
        copy.heartbeatInterval = min(max(heartbeatInterval, .milliseconds(1)), copy.electionTimeout / 3)
        copy.commitNoticeDelay = min(max(commitNoticeDelay, .zero), copy.heartbeatInterval)
        copy.inflightMessagesMax = min(max(inflightMessagesMax, 1), 4_096)
        copy.inflightBytesMax = max(inflightBytesMax, 1)
        copy.appendBytesMax = max(appendBytesMax, 1)
        copy.uncommittedBytesMax = max(uncommittedBytesMax, 1)
        copy.commandBytesMax = max(commandBytesMax, 1)
        copy.applyBytesMax = max(applyBytesMax, 1)
        copy.snapshotChunkBytesMax = max(snapshotChunkBytesMax, 1)
        copy.snapshotLogBytes = max(snapshotLogBytes, 1)
        copy.entriesKept = max(entriesKept, 0)
        copy.logBytesMax = max(logBytesMax, copy.snapshotLogBytes)
        copy.votersMin = max(votersMin, 1)
        return copy
    }
}
