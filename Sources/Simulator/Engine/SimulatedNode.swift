// SPDX-License-Identifier: Apache-2.0
// Owns one simulated host: its process with the kernel, its clocks, its disk and its sockets.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
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
    /// Kept on the disk: another disk may bring another one.
    private(set) var id: NodeID
    /// Who this host was before its disk was lost.
    private(set) var formerIDs: Set<NodeID> = []
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
    var stalledSince: Instant?
    /// Datagrams that found the socket full since the process last ran.
    var dropsWhileStalled: UInt64 = 0
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

    /// The wall clock is right and keeps time.
    mutating func correctClock() {
        wallOffsetMilliseconds = 0
        drift = 0
    }

    mutating func jumpClock(milliseconds: Int64) { wallOffsetMilliseconds += Double(milliseconds) }

    /// From `now` on the wall clock runs `drift` fast; it does not jump.
    mutating func setDrift(_ drift: Double, at now: Instant) {
        wallOffsetMilliseconds += Double(now.nanoseconds) / 1e6 * (self.drift - drift)
        self.drift = drift
    }

    /// A new process on what the disk holds, under an epoch that no copy of the disk can bring again. Returns the rows
    /// that could not be loaded.
    mutating func boot(
        _ configuration: KernelConfiguration, members: MemberTable? = nil, at now: Instant
    ) -> [RowID] {
        process += 1
        startedAt = now
        var configuration = configuration
        configuration.rememberedPeers = disk.content.peers
        configuration.authorship = .simulated(id: id)
        let clock = clock(at: now)
        let identity = KernelIdentity(
            id: id, name: name, address: address, tags: [], incarnationFence: disk.content.incarnationFence,
            storeEpoch: UInt32(truncatingIfNeeded: rng.next()))
        let found = disk.content.recovered(configuration.store)
        kernel = NodeKernel(
            configuration: configuration, identity: identity, recovered: found.store,
            strictRestored: disk.content.strict.restored(for: id), members: members, clock: clock)
        nextAcceptedStream = 1
        return found.refused
    }

    /// What the others know of this node before its first process has said anything. All have known it since the origin
    /// of their clocks, so that they can share one row.
    var asFirstKnown: Member {
        let info = MemberInfo(
            name: name, address: address, tags: [], protocolVersion: ProtocolVersion.current)
        let since = Clock(now: .origin, wall: WallTime(milliseconds: Self.wallOrigin))
        return Member(id: id, info: info, incarnation: disk.content.incarnationFence + 1, state: .alive, since: since)
    }

    /// The identity went with the disk: the next process mints another.
    mutating func renewID() {
        formerIDs.insert(id)
        id = NodeID(using: &rng)
    }

    /// The disk is a copy of another node's, identity and all.
    mutating func takeID(of other: NodeID) {
        formerIDs.insert(id)
        id = other
    }

    /// The process is gone with all that it held in memory. Returns how many batches the disk kept all the same.
    mutating func endProcess() -> Int {
        kernel = nil
        stalledUntil = nil
        stalledSince = nil
        dropsWhileStalled = 0
        waiting = []
        waitingBytes = 0
        streams = [:]
        mutedUntil = .origin
        return disk.crash()
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
