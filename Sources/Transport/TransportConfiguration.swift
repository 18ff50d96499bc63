// SPDX-License-Identifier: Apache-2.0
// Owns the bounds and deadlines of the network layer.

import ClusterTypes

/// The network layer's tunables.
package struct TransportConfiguration: Sendable {
    /// The largest datagram that is sent or surely arrives whole, in bytes. Default 1 400;
    /// `Bounds.datagramBytesMin...datagramBytesMax`. At least as large as the kernel's and what a seal adds to it.
    package var datagramBytesMax = 1_400
    /// Streams that peers may have open to this node at once; further ones are closed and counted. Default 64. Apart
    /// from `outboundStreamsMax`, so that peers cannot use up what this node needs to reach others.
    package var inboundStreamsMax = 64
    /// Streams that this node may have open to peers at once; further ones end with `localLimit`. Default 64.
    package var outboundStreamsMax = 64
    /// A stream on which no byte moves for this long is ended with `timedOut`. Default 30 s: longer than the kernel's
    /// own `streamIdleTimeout`, which ends streams whose peer talks without getting anywhere.
    package var streamIdleTimeout = Interval.seconds(30)
    /// A frame that has begun must be complete within this time. Default 60 s: 1 MiB at 18 KB/s.
    package var frameTimeout = Interval.seconds(60)
    /// How long a stream that this node has finished waits for the peer's end, so that what was written last is not
    /// lost to a reset. Default 2 s.
    package var lingerTimeout = Interval.seconds(2)
    /// Bytes that may wait to be written on one stream; beyond it the stream ends with `localLimit`. Default 32 MiB:
    /// the kernel sends a store in batches of 256 KiB, but a member table at once.
    package var streamBufferBytesMax = 32 << 20
    /// The same for all streams together: peers that ask for much and read nothing cost no more than this.
    /// Default 64 MiB.
    package var streamBuffersBytesMax = 64 << 20
    /// What is asked of the operating system for the UDP socket, in bytes; it gives what `net.core.rmem_max` allows.
    /// Default 4 MiB.
    package var receiveBufferBytes = 4 << 20
    /// Commands that may wait for their reply; further ones are refused. Default 1 024.
    package var commandsMax = 1_024
    /// Calls of the strict group that came in bunches and may wait for their reply, beside these commands. Default 8 192.
    package var callsMax = 8_192
    /// Keys, and whether plain packets are taken. Default: no keys, everything is plain.
    package var seal = SealSettings()
    /// Names that may be in resolution at once; further ones do not resolve. Default 64.
    package var resolutionsMax = 64
    /// A name that has not resolved by then does not resolve. Default 5 s.
    package var resolutionTimeout = Interval.seconds(5)

    package init() {}
}
