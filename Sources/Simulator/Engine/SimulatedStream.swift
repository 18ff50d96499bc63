// SPDX-License-Identifier: Apache-2.0
// Owns one simulated stream: two ends, and in each direction frames on their way, in order.

import ClusterTypes
import NodeKernel
import WireProtocol

/// A reliable, ordered connection between two processes.
struct SimulatedStream {
    enum Side {
        case client
        case server

        var other: Side { self == .client ? .server : .client }
    }

    /// One end. It is open from the side's first input about it until the side closes it or is told of the end.
    struct End {
        var node: Int
        var process: Int32
        var id: StreamID
        var isOpen: Bool
    }

    enum Item {
        case frame([UInt8])
        /// Everything before it has arrived, and nothing follows.
        case finish
    }

    /// What is on its way to one side.
    struct Direction {
        var items: [(arrival: Instant, item: Item)] = []
        var lastArrival = Instant.origin
        var accumulator = FrameAccumulator()
        /// A delivery failed: the next attempt is scheduled and earlier ones mean nothing.
        var retryAt: Instant?
        /// Failed attempts in a row.
        var failures = 0
    }

    /// The first wait before something lost is sent again (RFC 6298 allows 1 s, Linux uses 200 ms).
    static let retransmitDelay = Interval.milliseconds(200)
    /// The first wait before a connect is tried again (RFC 6298 section 2.1).
    static let connectRetryDelay = Interval.seconds(1)
    /// After so many failures in a row, about 51 s, the writer is told that the stream timed out.
    static let failuresMax = 8
    /// Nanoseconds a byte at 1 Gbit/s.
    static let nanosecondsPerByte = 8

    var client: End
    /// The node that the connect goes to; nil: no such host.
    var target: Int?
    /// Set when the connect reaches a process.
    var server: End?
    /// The client knows that the stream is open.
    var isConnected = false
    var toClient = Direction()
    var toServer = Direction()

    init(client: End) { self.client = client }

    subscript(end side: Side) -> End? {
        switch side {
        case .client: client
        case .server: server
        }
    }

    subscript(to side: Side) -> Direction {
        get { side == .client ? toClient : toServer }
        _modify {
            if side == .client { yield &toClient } else { yield &toServer }
        }
    }

    mutating func close(_ side: Side) {
        switch side {
        case .client: client.isOpen = false
        case .server: server?.isOpen = false
        }
    }

    /// Neither end waits for anything any more.
    var isOver: Bool { !client.isOpen && server?.isOpen != true && toClient.items.isEmpty && toServer.items.isEmpty }

    static func backoff(_ failures: Int) -> Interval { retransmitDelay * (1 << min(failures, failuresMax)) }
}
