// SPDX-License-Identifier: Apache-2.0
// Owns what `doctor` finds out about the ways between this node and its peers, as values.

import ClusterTypes
import SWIMCore

/// What a peer thinks of the node that asks.
package struct ViewAnswer: Hashable, Sendable {
    package var id: UInt32
    /// The state in which it holds the asker; nil when it does not know it.
    package var state: MemberState?
    /// Its latest probes of the asker that were answered over a stream alone, at most 255.
    package var streamOnlyProbes: UInt8
    /// Its local health awareness.
    package var awareness: UInt8
    /// Its smoothed round trip to the asker in microseconds; 0: it has measured none.
    package var roundTripMicroseconds: UInt32
    /// Its wall clock, milliseconds since 1970.
    package var wall: UInt64

    package init(
        id: UInt32, state: MemberState?, streamOnlyProbes: UInt8, awareness: UInt8, roundTripMicroseconds: UInt32,
        wall: UInt64
    ) {
        self.id = id
        self.state = state
        self.streamOnlyProbes = streamOnlyProbes
        self.awareness = awareness
        self.roundTripMicroseconds = roundTripMicroseconds
        self.wall = wall
    }
}

/// What became of one way to a peer.
package enum WayResult: Hashable, Sendable {
    case waiting
    case answered(Interval)
    case silent
    /// This host could not send.
    case notSent
    /// A stream's connect was refused, took too long, found no route, or broke.
    case failed(JoinFailure)
    /// This host has no stream left, or the small ping had no answer either.
    case notTried

    package var isAnswered: Bool { if case .answered = self { true } else { false } }
}

/// One peer, examined.
package struct PeerExamination: Sendable {
    package let member: MemberView
    /// A small ping in a datagram.
    package var datagram = WayResult.waiting
    /// A ping that fills a datagram of `datagramBytesMax`, which this host's kernel does not let be fragmented on the way.
    package var largeDatagram = WayResult.waiting
    package var stream = WayResult.waiting
    /// What it says of us; nil when it did not say.
    package var view: ViewAnswer?
    /// Its wall clock ahead of ours (negative: behind), milliseconds; half a round trip exact.
    package var clockOffset: Int64?
    var sendFailures = 0
    var streamOpenedAt: Instant?

    init(member: MemberView) { self.member = member }

    var isOver: Bool { datagram != .waiting && largeDatagram != .waiting && stream != .waiting }
}

/// The answer to `Command.examine`.
package struct ExaminationReport: Sendable {
    package var peers: [PeerExamination]
    /// Peers that were not asked, because there are more than are asked at once.
    package var left: Int
    /// The size of the large datagrams in bytes.
    package var datagramBytes: Int

    package init(peers: [PeerExamination], left: Int, datagramBytes: Int) {
        self.peers = peers
        self.left = left
        self.datagramBytes = datagramBytes
    }
}
