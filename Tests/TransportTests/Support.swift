// SPDX-License-Identifier: Apache-2.0
// Owns what these tests share: waiting for a condition, raw sockets, packets, a running node.

import ClusterTypes
import Glibc
import NIOCore
import NIOPosix
import NodeKernel
import Sealing
import StrictGroup
import Synchronization
import Testing
import WireProtocol

@testable import Transport

/// Waits until `condition` holds, for real sockets and threads have no virtual time; gives up after ten seconds and
/// records what was awaited.
func eventually(
    _ what: String, sourceLocation: SourceLocation = #_sourceLocation, _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock().now + .seconds(10)
    while ContinuousClock().now < deadline {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(2))
    }
    Issue.record("gave up waiting: \(what)", sourceLocation: sourceLocation)
}

let loopback = Address(ipv4: 0x7f00_0001, port: 0)
let loopback6 = Address(high: 0, low: 1, port: 0)
let testCluster = ClusterID(name: "transport-tests")

/// A packet whose size grows with `digests`, 28 bytes of header and 27 for each.
func packet(digests: Int = 1, mark: UInt64 = 0, cluster: ClusterID = testCluster) -> Packet {
    let digest = Message.digest(Digest(members: mark, store: Hash128(high: mark, low: 7)))
    return Packet(
        cluster: cluster, sender: NodeID(high: 11, low: 12), messages: Array(repeating: digest, count: digests))
}

/// A plain blocking socket, as a program that knows nothing of us has.
///
/// Its calls give up after five seconds, so that a bug ends in a failure.
final class RawSocket: Sendable {
    struct Failure: Error { var operation: String; var code: CInt }

    let descriptor: CInt

    init(_ type: __socket_type, family: CInt = AF_INET) throws {
        descriptor = socket(family, CInt(type.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(operation: "socket", code: errno) }
        var limit = timeval(tv_sec: 5, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    }

    deinit { close(descriptor) }

    static func connected(to address: Address) throws -> RawSocket {
        let raw = try RawSocket(SOCK_STREAM)
        guard address.withSockaddr(.ipv4, { connect(raw.descriptor, $0, $1) }) == 0 else {
            throw Failure(operation: "connect", code: errno)
        }
        return raw
    }

    /// A bound UDP or TCP socket on a free loopback port.
    static func bound(_ type: __socket_type) throws -> (RawSocket, Address) {
        let raw = try RawSocket(type)
        guard loopback.withSockaddr(.ipv4, { bind(raw.descriptor, $0, $1) }) == 0 else {
            throw Failure(operation: "bind", code: errno)
        }
        var name = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(raw.descriptor, $0, &length) }
        }
        guard code == 0 else { throw Failure(operation: "getsockname", code: errno) }
        return (raw, Address(name))
    }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                Glibc.send(descriptor, raw.baseAddress.map { $0 + sent }, raw.count - sent, CInt(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure(operation: "send", code: errno) }
            sent += count
        }
    }

    func send(_ bytes: [UInt8], to address: Address) {
        _ = address.withSockaddr(.ipv4) { sendto(descriptor, bytes, bytes.count, 0, $0, $1) }
    }

    /// What arrives next; empty at the peer's end, nil when the connection was reset.
    func receive() throws -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        if count < 0, errno == ECONNRESET { return nil }
        guard count >= 0 else { throw Failure(operation: "recv", code: errno) }
        return Array(bytes.prefix(count))
    }

    /// Reads until the peer has ended the connection, in order or by a reset.
    func drain() throws {
        while let bytes = try receive(), !bytes.isEmpty {}
    }

    func finishWriting() { shutdown(descriptor, CInt(SHUT_WR)) }
}

/// A daemon's side of a driver, recorded. Storage completes at once unless held.
final class TestHost: KernelHost {
    private struct State {
        var events: [KernelEvent] = []
        var outcomes: [LeaveOutcome] = []
        var rings: [KeyRing] = []
        var refusals: [SealRefusal] = []
        var persisted: [DurableRecord] = []
        var held: [@Sendable () -> Void] = []
        var isHolding = false
        var changed: (@Sendable (StorageCondition) -> Void)?
    }
    private let state = Mutex(State())

    func persist(_ records: [DurableRecord], completed: @escaping @Sendable () -> Void) {
        let isHeld = state.withLock { state in
            state.persisted += records
            if state.isHolding { state.held.append(completed) }
            return state.isHolding
        }
        if !isHeld { completed() }
    }

    /// No key is strict here.
    func perform(_ action: StrictDiskAction, completed: @escaping @Sendable (StrictDiskResult) -> Void) {}

    func watchStorage(_ changed: @escaping @Sendable (StorageCondition) -> Void) {
        state.withLock { $0.changed = changed }
    }

    /// Tells the driver of the disk, as the daemon does.
    func tell(_ condition: StorageCondition) { state.withLock { $0.changed }?(condition) }

    func report(_ event: KernelEvent, clock: Clock) { state.withLock { $0.events.append(event) } }

    func refused(_ refusal: SealRefusal, from source: Address, clock: Clock) {
        state.withLock { $0.refusals.append(refusal) }
    }

    func refused(doubleAt address: Address) {}

    func ringChanged(_ ring: KeyRing, clock: Clock) { state.withLock { $0.rings.append(ring) } }

    func left(_ outcome: LeaveOutcome) { state.withLock { $0.outcomes.append(outcome) } }

    func hold() { state.withLock { $0.isHolding = true } }

    func release() {
        let held = state.withLock { state in
            state.isHolding = false
            defer { state.held = [] }
            return state.held
        }
        for completed in held { completed() }
    }

    var heldCount: Int { state.withLock { $0.held.count } }
    var refusals: [SealRefusal] { state.withLock { $0.refusals } }
    var rings: [KeyRing] { state.withLock { $0.rings } }
    var outcomes: [LeaveOutcome] { state.withLock { $0.outcomes } }
    var events: [KernelEvent] { state.withLock { $0.events } }
}

/// A real kernel on real loopback sockets.
struct TestNode {
    let driver: KernelDriver
    let host: TestHost

    static func make(
        _ name: String, at address: Address = loopback, seeds: [Address] = [], cluster: ClusterID = testCluster,
        advertise: Address? = nil, loop: (any EventLoop)? = nil, strict: StrictConfiguration? = nil,
        configure: (inout TransportConfiguration) -> Void = { _ in }
    ) throws -> TestNode {
        let sockets = try NodeSockets.bind(to: address)
        var kernelConfiguration = KernelConfiguration(cluster: cluster, sizes: PacketCodec.sizes)
        kernelConfiguration.seeds = seeds.map(\.description)
        if let strict { kernelConfiguration.strict = strict }
        var hasher = StableHasher()
        hasher.absorb(counted: name.utf8)
        let hash = hasher.finalize()
        let identity = KernelIdentity(
            id: NodeID(high: hash.high, low: hash.low), name: name, address: advertise ?? sockets.address, tags: [],
            incarnationFence: 0, storeEpoch: 1)
        var configuration = TransportConfiguration()
        configure(&configuration)
        let host = TestHost()
        let kernel = NodeKernel(
            configuration: kernelConfiguration, identity: identity, clock: SystemClock.now())
        let driver = KernelDriver(
            kernel: kernel, sockets: sockets, configuration: configuration, host: host,
            loop: loop ?? MultiThreadedEventLoopGroup.singleton.next())
        return TestNode(driver: driver, host: host)
    }

    func status() async throws -> StatusView {
        guard case .status(let view) = await driver.perform(.status) else {
            throw RawSocket.Failure(operation: "status", code: 0)
        }
        return view
    }
}

/// Runs `body` with nodes, started in order, and stops them all whatever happens.
func withNodes(_ nodes: [TestNode], _ body: () async throws -> Void) async throws {
    do {
        for node in nodes { try await node.driver.start() }
        try await body()
    } catch {
        for node in nodes { await node.driver.stop() }
        throw error
    }
    for node in nodes { await node.driver.stop() }
}

/// Unset until set, then set for good.
final class Flag: Sendable {
    private let value = Atomic(false)

    func set() { value.store(true, ordering: .releasing) }

    var isSet: Bool { value.load(ordering: .acquiring) }
}
