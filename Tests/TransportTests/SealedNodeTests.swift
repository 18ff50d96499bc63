// SPDX-License-Identifier: Apache-2.0
// Owns the proofs about sealed nodes on real sockets: what they make of each other, and what is on the wire.

import ClusterTypes
import Glibc
import NodeKernel
import Sealing
import StoreCore
import Synchronization
import Testing
import WireProtocol

@testable import Transport

/// Stands between two nodes for UDP and TCP, and keeps every byte that passes.
private final class Relay: Sendable {
    let address: Address
    private let datagrams: RawSocket
    private let listener: RawSocket
    private let target: Mutex<Address?> = Mutex(nil)
    private let seen = Mutex<[[UInt8]]>([])
    private let isStopped = Flag()

    init() throws {
        // A port that is free for datagrams may be taken for streams, if only by a connection that has just ended.
        for _ in 0..<100 {
            let (udp, address) = try RawSocket.bound(SOCK_DGRAM)
            let listener = try RawSocket(SOCK_STREAM)
            let code = address.withSockaddr(.ipv4) { bind(listener.descriptor, $0, $1) }
            if code != 0, errno == EADDRINUSE { continue }
            guard code == 0, listen(listener.descriptor, 16) == 0 else {
                throw RawSocket.Failure(operation: "listen", code: errno)
            }
            self.address = address
            datagrams = udp
            self.listener = listener
            return
        }
        throw RawSocket.Failure(operation: "listen", code: EADDRINUSE)
    }

    /// Everything that passed, one entry for each datagram and each piece of a stream.
    var bytes: [[UInt8]] { seen.withLock { $0 } }

    func start(to address: Address) {
        target.withLock { $0 = address }
        Thread.start { self.relayDatagrams(to: address) }
        Thread.start { self.relayStreams(to: address) }
    }

    func stop() {
        isStopped.set()
        shutdown(listener.descriptor, CInt(SHUT_RDWR))
        datagrams.send([], to: address)
    }

    private func relayDatagrams(to target: Address) {
        var other: Address?
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while !isStopped.isSet {
            var name = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let count = withUnsafeMutablePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(datagrams.descriptor, &buffer, buffer.count, 0, $0, &length)
                }
            }
            guard count > 0 else { continue }
            let bytes = Array(buffer[..<count])
            seen.withLock { $0.append(bytes) }
            let source = Address(name)
            if source == target {
                if let other { datagrams.send(bytes, to: other) }
            } else {
                other = source
                datagrams.send(bytes, to: target)
            }
        }
    }

    private func relayStreams(to target: Address) {
        while !isStopped.isSet {
            let accepted = accept(listener.descriptor, nil, nil)
            guard accepted >= 0, let out = try? RawSocket.connected(to: target) else {
                if accepted >= 0 { close(accepted) }
                continue
            }
            for (from, to) in [(accepted, out.descriptor), (out.descriptor, accepted)] {
                Thread.start {
                    var buffer = [UInt8](repeating: 0, count: 65_536)
                    while true {
                        let count = recv(from, &buffer, buffer.count, 0)
                        guard count > 0 else { break }
                        let bytes = Array(buffer[..<count])
                        self.seen.withLock { $0.append(bytes) }
                        var sent = 0
                        while sent < count {
                            let done = bytes.withUnsafeBytes { raw in
                                Glibc.send(to, raw.baseAddress.map { $0 + sent }, count - sent, CInt(MSG_NOSIGNAL))
                            }
                            guard done > 0 else { break }
                            sent += done
                        }
                    }
                    shutdown(to, CInt(SHUT_WR))
                    // The socket lives as long as one of the two directions.
                    withExtendedLifetime(out) {}
                }
            }
        }
    }
}

/// Detached threads for blocking calls.
private enum Thread {
    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    static func start(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let work = Unmanaged.passRetained(Work(body))
        let code = pthread_create(
            &thread, nil,
            { raw in
                raw.map { Unmanaged<Work>.fromOpaque($0).takeRetainedValue().body() }
                return nil
            }, work.toOpaque())
        if code == 0 { pthread_detach(thread) } else { work.release() }
    }
}

@Suite("Sealed nodes on real sockets", .serialized)
struct SealedNodeTests {
    private let key = sealKey(1)
    private let other = sealKey(2)

    private func node(
        _ name: String, _ keys: [ClusterKey], acceptsPlain: Bool = false, seeds: [Address] = [],
        advertise: Address? = nil
    ) throws -> TestNode {
        try TestNode.make(name, seeds: seeds, advertise: advertise) {
            $0.seal = SealSettings(keys: keys, acceptsPlain: acceptsPlain)
        }
    }

    private func read(_ node: TestNode, _ key: String) async -> [UInt8]? {
        guard case .key(let view, author: _) = await node.driver.perform(.read(key: key)),
            case .register(let value) = view.content
        else { return nil }
        return value
    }

    private func isFormed(_ nodes: TestNode..., sealed: Bool = true) async throws -> Bool {
        for node in nodes {
            let view = try await node.status()
            guard view.alive == nodes.count else { return false }
            if sealed, node.driver.counters.datagramsOpened == 0 { return false }
        }
        return true
    }

    @Test("two nodes with one key form, write to each other, and refuse nothing")
    func form() async throws {
        let a = try node("a", [key])
        let b = try node("b", [key], seeds: [a.driver.address])
        try await withNodes([a, b]) {
            try await eventually("both see two members") { try await isFormed(a, b) }
            for bytes in [20, 100_000] {
                let value = [UInt8](repeating: 42, count: bytes)
                guard case .written = await b.driver.perform(.put(key: "app/key", value: value)) else {
                    Issue.record("not written")
                    return
                }
                try await eventually("\(bytes) bytes are there") {
                    await read(a, "app/key") == value
                }
            }
            for node in [a, b] {
                #expect(node.driver.counters.sealRefusals.isEmpty)
                #expect(node.driver.counters.decodeFailures.isEmpty)
            }
        }
    }

    @Test("a node with another key, and one without, stay outside and are named")
    func strangers() async throws {
        let a = try node("a", [key])
        let b = try node("b", [other], seeds: [a.driver.address])
        let c = try node("c", [], seeds: [a.driver.address])
        try await withNodes([a, b, c]) {
            try await eventually("both were refused and told") {
                a.host.refusals.contains(.unknownKey) && a.host.refusals.contains(.plain)
            }
            for node in [a, b, c] { #expect(try await node.status().alive == 1) }
            #expect((a.driver.counters.sealRefusals[.unknownKey] ?? 0) > 0)
            #expect((a.driver.counters.sealRefusals[.plain] ?? 0) > 0)
        }
    }

    @Test("plain bytes by hand are refused, datagram and stream, and the kernel hears nothing")
    func plainByHand() async throws {
        let a = try node("a", [key])
        try await withNodes([a]) {
            let raw = try RawSocket(SOCK_DGRAM)
            raw.send(try PacketCodec.encode(packet(), limit: 1_400), to: a.driver.address)
            try await eventually("the datagram is counted") { a.driver.counters.sealRefusals[.plain] == 1 }
            let stream = try RawSocket.connected(to: a.driver.address)
            try stream.send(try StreamFrame.encode(packet()))
            try stream.drain()
            #expect(a.driver.counters.sealRefusals[.plain] == 2)
            #expect(a.driver.counters.streamsAccepted == 0)
            // Nor does a stream that begins well and goes no further hold a place in the kernel.
            let (_, beginning) = try #require(
                SealedStream.initiate(
                    under: key, cluster: testCluster.rawValue, version: ProtocolVersion.current,
                    ephemeral: Array(1...32)))
            let replay = try RawSocket.connected(to: a.driver.address)
            try replay.send(beginning)
            #expect(try replay.receive()?.count == 48)
            try replay.send([0, 16] + [UInt8](repeating: 7, count: 16))
            try replay.drain()
            #expect(a.driver.counters.sealRefusals[.seal] == 1)
            #expect(a.driver.counters.streamsAccepted == 0)
        }
    }

    @Test("a stranger who takes every place keeps no member out, and is told")
    func crowd() async throws {
        let (a, b) = (try node("a", [key]), try node("b", [key]))
        try await withNodes([a]) {
            let crowd = try (0..<100).map { _ in try RawSocket.connected(to: a.driver.address) }
            try await eventually("the stranger is told") { a.host.refusals.contains(.silent) }
            try await eventually("room was made") { a.driver.counters.streamsDisplaced >= 36 }
            #expect(crowd.count == 100)
            try await withNodes([b]) {
                _ = await b.driver.perform(.join([a.driver.address.description]))
                try await eventually("two members") { try await isFormed(a, b) }
            }
        }
    }

    @Test("a node with another key is told that its key is not taken")
    func otherKey() async throws {
        let (a, b) = (try node("a", [key]), try node("b", [ClusterKey(bytes: Array(100..<132))].compactMap { $0 }))
        try await withNodes([a, b]) {
            guard case .joined(let report) = await b.driver.perform(.join([a.driver.address.description])) else {
                Issue.record("no report")
                return
            }
            #expect(report.answered.isEmpty && report.failed.map(\.reason) == [.noCommonKey])
            #expect(a.host.refusals.contains(.unknownKey))
        }
    }

    private func contains(_ bytes: [[UInt8]], _ text: String) -> Bool {
        let needle = Array(text.utf8)
        return bytes.contains { piece in
            piece.count >= needle.count
                && (0...piece.count - needle.count).contains { Array(piece[$0..<$0 + needle.count]) == needle }
        }
    }

    @Test(
        "no name, key or value is on the wire when nodes have a key, and all of them when not",
        arguments: [true, false])
    func wire(isSealed: Bool) async throws {
        let (front, back) = (try Relay(), try Relay())
        defer {
            front.stop()
            back.stop()
        }
        let keys = isSealed ? [key] : []
        let a = try node("alpha-node", keys, advertise: front.address)
        let b = try node("beta-node", keys, seeds: [front.address], advertise: back.address)
        front.start(to: a.driver.address)
        back.start(to: b.driver.address)
        try await withNodes([a, b]) {
            try await eventually("both see two members") { try await isFormed(a, b, sealed: isSealed) }
            let secret = "a-value-that-is-nobody's-business"
            let large = String(repeating: "larger-than-gossip ", count: 500)
            for value in [secret, large] {
                guard case .written = await a.driver.perform(.put(key: "secret/key", value: Array(value.utf8))) else {
                    Issue.record("not written")
                    return
                }
                try await eventually("the value is there") {
                    await read(b, "secret/key") == Array(value.utf8)
                }
            }
            let bytes = front.bytes + back.bytes
            #expect(bytes.count > 5)
            for text in ["alpha-node", "beta-node", "secret/key", secret, "larger-than-gossip"] {
                #expect(contains(bytes, text) == !isSealed, "\(text)")
            }
            guard isSealed else { return }
            // What passed is sent again, from somewhere else: counted, and nothing else happens.
            let datagrams = front.bytes.filter { $0.count >= 60 && $0.starts(with: [0x67, 0x73, 0x10, 1]) }
            let before = a.driver.counters
            let attacker = try RawSocket(SOCK_DGRAM)
            for datagram in datagrams { attacker.send(datagram, to: a.driver.address) }
            try await eventually("every replay is counted") {
                (a.driver.counters.sealRefusals[.replay] ?? 0) - (before.sealRefusals[.replay] ?? 0)
                    == UInt64(datagrams.count)
            }
            #expect(datagrams.count > 2)
            #expect(try await isFormed(a, b))
        }
    }

    @Test("sealing is switched on in a cluster that runs, and off again, and nobody fails")
    func switchOn() async throws {
        let a = try node("a", [])
        let b = try node("b", [], seeds: [a.driver.address])
        try await withNodes([a, b]) {
            try await eventually("they form") { try await isFormed(a, b, sealed: false) }
            for node in [a, b] { node.driver.seal(with: SealSettings(keys: [key], acceptsPlain: true)) }
            try await eventually("both open sealed packets") { try await isFormed(a, b) }
            for node in [a, b] { node.driver.seal(with: SealSettings(keys: [key])) }
            let opened = b.driver.counters.datagramsOpened
            try await eventually("sealed packets go on") { b.driver.counters.datagramsOpened > opened + 2 }
            guard case .written = await a.driver.perform(.put(key: "k", value: [UInt8](repeating: 1, count: 20_000)))
            else {
                Issue.record("not written")
                return
            }
            try await eventually("a large value comes over a sealed stream") {
                await read(b, "k")?.count == 20_000
            }
            #expect(!a.host.events.contains { "\($0)".contains("suspect") })
            for node in [a, b] { node.driver.seal(with: SealSettings(keys: [key], acceptsPlain: true)) }
            for node in [a, b] { node.driver.seal(with: SealSettings()) }
            try await eventually("they go on without") {
                let received = b.driver.counters.datagramsReceived
                try await Task.sleep(for: .milliseconds(300))
                return try await isFormed(a, b, sealed: false) && b.driver.counters.datagramsReceived > received
            }
        }
    }

    @Test("a node that joins with plain allowed finds a cluster that requires sealing, and one that has no keys")
    func transitionJoins() async throws {
        for keys in [[key], []] {
            let a = try node("a", keys)
            let b = try node("b", [key], acceptsPlain: true, seeds: [a.driver.address])
            try await withNodes([a, b]) {
                try await eventually("they form") { try await isFormed(a, b, sealed: !keys.isEmpty) }
            }
        }
    }

    @Test("a node that was away while the key was changed comes back with the old one, as long as that is accepted")
    func rotation() async throws {
        let a = try node("a", [other, key])
        let b = try node("b", [key], seeds: [a.driver.address])
        try await withNodes([a, b]) {
            try await eventually("they form") { try await isFormed(a, b) }
        }
        let strict = try node("c", [other])
        let late = try node("d", [key], seeds: [strict.driver.address])
        try await withNodes([strict, late]) {
            try await eventually("it is refused once the old key is gone") {
                strict.host.refusals.contains(.unknownKey)
            }
            #expect(try await strict.status().alive == 1)
        }
    }
}
