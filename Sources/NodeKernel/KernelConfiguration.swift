// SPDX-License-Identifier: Apache-2.0
// Owns what a kernel is told once, at birth: its tunables and who it is.

import ClusterTypes
import SWIMCore
import StoreCore
import StrictGroup

/// A kernel's tunables.
package struct KernelConfiguration: Sendable {
    package var cluster: ClusterID
    package var swim: SWIMConfiguration
    /// How statements of nodes about themselves are signed and checked; nil: nobody signs, everybody is believed.
    package var authorship: Authorship?
    package var store: StoreConfiguration
    /// The largest datagram before it is sealed, in bytes. Default 1400; `Bounds.packetBytesMin...datagramBytesMax`.
    package var datagramBytesMax: Int
    /// How many bytes a packet's header and each message take on the wire: the codec's own word.
    package var sizes: WireSizes
    /// Seeds `HOST:PORT` to join through, tried until one of them answers and then for ever, ever more rarely.
    package var seeds: [String]
    /// Peers remembered by an earlier process of this node; tried like seeds.
    package var rememberedPeers: [RememberedPeer]
    /// Streams open at once, both ways; at least 2. Default 128.
    package var streamsMax: Int
    /// A stream without progress is closed after this. Default 10 s.
    package var streamIdleTimeout: Interval
    /// Idle streams that this node keeps to the next members on the ring, so that the death of a process is noticed at
    /// once. Default 2; 0...8.
    package var sentinels: Int
    /// The shortest time between two synchronisations that this node starts for one reason. Default 250 ms.
    package var syncIntervalMin: Interval
    /// Writes that may wait for the disk before rows from peers are put off: anti-entropy brings them again. Default
    /// 16 384. Clients' writes are bounded by the commands that a driver lets wait.
    package var pendingWritesMax: Int
    /// What is dead is collected when it is older than this and every member of record holds it; a member that has left
    /// is of record for as long. Default 24 h.
    package var collectionGrace: Interval
    /// Between two attempts of the collector. Default 60 s.
    package var collectionInterval: Interval
    /// Bytes of rows that repair may send in a second, all streams together. Default 64 MiB.
    package var repairBytesPerSecond: Int
    /// Member events kept for `member explain`. Default 2048.
    package var timelineEventsMax: Int
    /// How rings of keys are joined. Default: none is.
    package var ringRules: RingRules
    /// The ring as the disk has it; nil when there is none.
    package var ring: Ring?
    /// How far packets are sealed. Default off.
    package var ringMode: RingMode
    /// Which keys are strict, and who votes on them. Default: none are.
    package var strict: StrictConfiguration

    package init(cluster: ClusterID, sizes: WireSizes) {
        self.cluster = cluster
        self.sizes = sizes
        swim = SWIMConfiguration()
        store = StoreConfiguration()
        datagramBytesMax = 1_400
        seeds = []
        rememberedPeers = []
        streamsMax = 128
        streamIdleTimeout = .seconds(10)
        sentinels = 2
        syncIntervalMin = .milliseconds(250)
        pendingWritesMax = 16_384
        collectionGrace = .seconds(24 * 3_600)
        collectionInterval = .seconds(60)
        repairBytesPerSecond = 64 << 20
        timelineEventsMax = 2_048
        ringRules = .none
        ringMode = .off
        strict = StrictConfiguration()
    }

    /// Streams that peers may hold: a quarter of `streamsMax`, at least one, is kept for this node's own, so that peers
    /// cannot keep it from probing.
    package var acceptedStreamsMax: Int { streamsMax - max(1, streamsMax / 4) }
}

/// The codec's sizes, so that the kernel can fill a datagram to its limit without knowing the encoding.
package struct WireSizes: Sendable {
    /// A packet without messages.
    package var header: Int
    /// One message with its frame, in bytes.
    package var message: @Sendable (Message) -> Int

    package init(header: Int, message: @escaping @Sendable (Message) -> Int) {
        self.header = header
        self.message = message
    }
}

/// Who a kernel is, as the data directory and the configuration say.
package struct KernelIdentity: Sendable {
    package var id: NodeID
    package var name: String
    /// Where peers reach this node.
    package var address: Address
    package var tags: [Tag]
    /// Every incarnation up to this one may have been used; a new process begins above it.
    package var incarnationFence: UInt64
    /// The epoch under which this process writes; never used by an earlier process that may have lost memory.
    package var storeEpoch: UInt32

    package init(
        id: NodeID, name: String, address: Address, tags: [Tag], incarnationFence: UInt64, storeEpoch: UInt32
    ) {
        self.id = id
        self.name = name
        self.address = address
        self.tags = tags
        self.incarnationFence = incarnationFence
        self.storeEpoch = storeEpoch
    }
}
