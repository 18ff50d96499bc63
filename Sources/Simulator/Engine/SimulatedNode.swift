// SPDX-License-Identifier: Apache-2.0
// Owns one simulated host: its process with the kernel, its clocks, its disk and its sockets.

import ClusterTypes
import NodeKernel
import SWIMCore
import WireProtocol

/// A host that runs at most one process of the daemon.
package struct SimulatedNode {
    /// What a stalled process has not read yet.
    struct Waiting {
        var input: Input
        /// Bytes of socket buffer that it takes; 0 for what is never dropped.
        var bytes: Int
    }

    /// Linux's default receive buffer of a datagram socket (net.core.rmem_default), in bytes.
    static let socketBufferBytes = 212_992
    /// What Linux charges a datagram beyond its payload, in bytes, about.
    static let datagramOverheadBytes = 768
    /// 2024-01-01T00:00:00Z: where every simulation's wall clocks begin, in milliseconds since 1970.
    static let wallOrigin: UInt64 = 1_704_067_200_000

    let index: Int
    let id: NodeID
    let name: String
    let address: Address

    /// nil: no process runs.
    var kernel: NodeKernel?
    /// Counts the processes of this host; inputs of an earlier one are stale.
    var process: Int32 = 0
    var isHostUp = true
    var rng: SeededGenerator
    var disk: SimulatedDisk

    var stalledUntil: Instant?
    var waiting: [Waiting] = []
    var waitingBytes = 0
    var mutedUntil = Instant.origin

    /// Where this host's monotonic clock stood when the simulation began: no two hosts agree.
    let monotonicOrigin: Interval
    private var wallOffsetMilliseconds: Double = 0
    private var drift: Double = 0

    /// Streams of the running process, to the network's serial numbers.
    var streams: [StreamID: UInt64] = [:]
    private var nextAcceptedStream: UInt64 = 1
    var stepsSinceCheck = 0
    /// When the process that runs was started.
    var startedAt = Instant.origin
    /// When the process that runs was started, or the last one ended.
    var changedAt = Instant.origin
    var traffic = Traffic()

    init(index: Int, rng: SeededGenerator) {
        self.index = index
        self.rng = rng
        id = NodeID(using: &self.rng)
        name = "n\(index + 1)"
        address = Self.address(of: index)
        monotonicOrigin = .seconds(self.rng.index(below: 1_000_000))
        disk = SimulatedDisk(rng: self.rng.split())
    }

    /// 10.0.0.1:7946 for n1, and so on through 10/8.
    static func address(of index: Int) -> Address { Address(ipv4: 0x0a00_0001 + UInt32(index), port: 7946) }

    /// The node at an address, whatever the port; nil when no node is there.
    static func index(of address: Address, count: Int) -> Int? {
        guard let ipv4 = address.ipv4, ipv4 > 0x0a00_0000 else { return nil }
        let index = Int(ipv4 - 0x0a00_0001)
        return index < count ? index : nil
    }

    var isRunning: Bool { kernel != nil }

    func clock(at now: Instant) -> Clock {
        let elapsed = Double(now.nanoseconds) / 1e6
        let wall = Double(Self.wallOrigin) + elapsed + elapsed * drift + wallOffsetMilliseconds
        return Clock(now: now + monotonicOrigin, wall: WallTime(milliseconds: UInt64(max(0, wall))))
    }

    mutating func jumpClock(milliseconds: Int64) { wallOffsetMilliseconds += Double(milliseconds) }

    /// From `now` on the wall clock runs `drift` fast; it does not jump.
    mutating func setDrift(_ drift: Double, at now: Instant) {
        wallOffsetMilliseconds += Double(now.nanoseconds) / 1e6 * (self.drift - drift)
        self.drift = drift
    }

    /// A new process on what the disk holds. The boot epoch is durable before the process may use it.
    mutating func boot(_ configuration: KernelConfiguration, at now: Instant) {
        process += 1
        disk.bootEpoch += 1
        startedAt = now
        var configuration = configuration
        configuration.rememberedPeers = disk.peers
        let clock = clock(at: now)
        let identity = KernelIdentity(
            id: id, name: name, address: address, tags: [], incarnationFence: disk.incarnationFence,
            storeEpoch: disk.bootEpoch)
        kernel = NodeKernel(configuration: configuration, identity: identity, clock: clock)
        nextAcceptedStream = 1
    }

    /// The process is gone with all that it held in memory.
    mutating func endProcess() {
        kernel = nil
        stalledUntil = nil
        waiting = []
        waitingBytes = 0
        streams = [:]
        mutedUntil = .origin
    }

    mutating func acceptStream(serial: UInt64) -> StreamID {
        let id = StreamID(rawValue: nextAcceptedStream)
        nextAcceptedStream += 2
        streams[id] = serial
        return id
    }

    /// Hands one input to the kernel.
    mutating func step(_ input: Input, at now: Instant, into actions: inout [Action]) {
        let clock = clock(at: now)
        kernel?.handle(input, clock: clock, using: &rng, into: &actions)
    }

    /// Asks a copy of the kernel, which changes nothing; nil when no process runs or it does not answer at once.
    func query(_ command: Command, at now: Instant) -> Reply? {
        guard var copy = kernel else { return nil }
        var randomness = rng
        var actions: [Action] = []
        let id = CommandID(rawValue: .max)
        copy.handle(.command(id, command), clock: clock(at: now), using: &randomness, into: &actions)
        for case .reply(id, let reply) in actions { return reply }
        return nil
    }
}

/// What a node's disk holds and how long it takes.
package struct SimulatedDisk {
    /// From the request until it is durable. Default 200 us, and up to `jitter` more.
    var latency = Interval.microseconds(200)
    /// Default 100 us.
    var jitter = Interval.microseconds(100)
    private var rng: SeededGenerator
    /// Requests are served in order.
    private var busyUntil = Instant.origin

    var incarnationFence: UInt64 = 0
    var peers: [RememberedPeer] = []
    var bootEpoch: UInt32 = 0

    init(rng: SeededGenerator) { self.rng = rng }

    /// When a request made now is durable.
    mutating func completion(at now: Instant) -> Instant {
        let done = now + latency + jitter * rng.fraction()
        busyUntil = max(busyUntil, done)
        return busyUntil
    }

    /// The request is durable: it survives the process. Rows do not yet: this version keeps the store in memory.
    mutating func apply(_ records: [DurableRecord]) {
        for record in records {
            switch record {
            case .incarnationFence(let fence): incarnationFence = max(incarnationFence, fence)
            case .peers(let peers): self.peers = peers
            case .store: break
            }
        }
    }
}

/// What a node sent and received. Bytes are payload: UDP without its 28 bytes of IPv4 and UDP header, streams as
/// frames without TCP's headers and acknowledgements.
package struct Traffic: Hashable, Sendable {
    package var datagrams = 0
    package var datagramBytes = 0
    package var messages = 0
    package var streamsOpened = 0
    package var streamFrames = 0
    package var streamBytes = 0

    package init() {}

    static func - (a: Traffic, b: Traffic) -> Traffic {
        var difference = a
        difference.datagrams -= b.datagrams
        difference.datagramBytes -= b.datagramBytes
        difference.messages -= b.messages
        difference.streamsOpened -= b.streamsOpened
        difference.streamFrames -= b.streamFrames
        difference.streamBytes -= b.streamBytes
        return difference
    }

    static func += (a: inout Traffic, b: Traffic) {
        a.datagrams += b.datagrams
        a.datagramBytes += b.datagramBytes
        a.messages += b.messages
        a.streamsOpened += b.streamsOpened
        a.streamFrames += b.streamFrames
        a.streamBytes += b.streamBytes
    }
}
