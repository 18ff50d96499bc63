// SPDX-License-Identifier: Apache-2.0
// Owns the network layer's counters: written on the event loop, read by anyone.

import ClusterTypes
import Sealing
import Synchronization
import WireProtocol

/// Totals since the start; sizes are bytes of UDP payload or of the stream.
package struct TransportCounters: Hashable, Sendable {
    package var datagramsReceived: UInt64 = 0
    package var datagramBytesReceived: UInt64 = 0
    package var datagramsSent: UInt64 = 0
    package var datagramBytesSent: UInt64 = 0
    /// Datagrams that this host could not send; they say nothing about the peer.
    package var datagramSendErrors: UInt64 = 0
    /// The same by reason; for what came from the error queue, the way to the peer, see `pathErrors`.
    package private(set) var sendFailures: [SendFailure: UInt64] = [:]
    /// What routers and hosts said of datagrams of ours, by reason.
    package private(set) var pathErrors: [PathError: UInt64] = [:]
    /// Datagrams that were dropped at our own socket, for want of room.
    package var datagramsDropped: UInt64 = 0
    /// Datagrams as long as the receive buffer: probably cut.
    package var datagramsTruncated: UInt64 = 0
    /// Errors of the UDP socket while receiving.
    package var datagramReceiveErrors: UInt64 = 0
    /// Times that a socket of ours had to be opened again.
    package var socketsReopened: UInt64 = 0

    /// Datagrams and frames that were refused as a whole, by reason.
    package private(set) var decodeFailures: [DecodeFailure: UInt64] = [:]
    /// Datagrams that came sealed and were opened.
    package var datagramsOpened: UInt64 = 0
    /// Datagrams and streams that were refused for their seal or the lack of one, by reason.
    package private(set) var sealRefusals: [SealRefusal: UInt64] = [:]
    /// Packets of another cluster; the kernel sees them too and says so now and then.
    package var otherClusterPackets: UInt64 = 0
    /// Messages and entries in good packets that this version does not know.
    package var messagesSkipped: UInt64 = 0
    /// Packets of ours that did not fit their limit and were not sent.
    package var encodeFailures: UInt64 = 0

    package var streamsOpened: UInt64 = 0
    package var streamsAccepted: UInt64 = 0
    /// Outbound connects that failed.
    package var streamConnectFailures: UInt64 = 0
    /// Inbound streams beyond the bound: closed at once.
    package var streamsRefusedAtLimit: UInt64 = 0
    /// Inbound streams that had proven nothing and were closed to make room for others.
    package var streamsDisplaced: UInt64 = 0
    /// Outbound streams beyond the bound, and streams whose write buffer grew beyond its bound.
    package var streamsEndedAtLimit: UInt64 = 0
    /// Large frames that were not written because too much waited for their stream, or for all: they are asked for again.
    package var framesGivenUp: UInt64 = 0
    package var streamsTimedOut: UInt64 = 0
    /// Streams that were ended because the key that they were opened with, or plain bytes, are no longer accepted.
    package var streamsEndedByKeys: UInt64 = 0
    /// Errors of the listening socket, such as too many open files.
    package var streamAcceptErrors: UInt64 = 0
    package var framesReceived: UInt64 = 0
    package var framesSent: UInt64 = 0
    package var streamBytesReceived: UInt64 = 0
    package var streamBytesSent: UInt64 = 0

    /// Commands refused because too many were waiting.
    package var commandsRefused: UInt64 = 0
    /// Names that did not resolve in time or at all.
    package var resolutionFailures: UInt64 = 0
    /// The longest that a timer of the kernel fired after its time.
    package var loopLagMax = Interval.zero
    /// How long after their time the kernel's timers fired.
    package var loopLag = DurationHistogram()

    package init() {}

    /// All packets that were refused as a whole.
    package var decodeFailuresTotal: UInt64 { decodeFailures.values.reduce(0, &+) }

    mutating func count(_ failure: SendFailure) {
        datagramSendErrors += 1
        sendFailures[failure, default: 0] += 1
    }

    mutating func count(_ error: PathError) { pathErrors[error, default: 0] += 1 }

    mutating func count(_ failure: DecodeFailure) { decodeFailures[failure, default: 0] += 1 }
    mutating func count(_ refusal: SealRefusal) { sealRefusals[refusal, default: 0] += 1 }
}

/// A leaf lock around the counters; nothing is called while it is held.
final class CounterBox: Sendable {
    private let counters = Mutex(TransportCounters())

    func update(_ body: (inout TransportCounters) -> Void) { counters.withLock { body(&$0) } }

    var snapshot: TransportCounters { counters.withLock { $0 } }
}
