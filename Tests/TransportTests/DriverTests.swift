// SPDX-License-Identifier: Apache-2.0
// Owns the tests of whole nodes on loopback: real kernels, real sockets.

import ClusterTypes
import Glibc
import NIOCore
import NodeKernel
import Testing
import WireProtocol

@testable import Transport

@Suite("Kernel driver")
struct DriverTests {
    @Test("two nodes join over real sockets and see each other", arguments: [loopback, loopback6])
    func join(_ address: Address) async throws {
        let a = try TestNode.make("a", at: address)
        let b = try TestNode.make("b", at: address, seeds: [a.driver.address])
        try await withNodes([a, b]) {
            try await eventually("both see two members") {
                let (first, second) = (try await a.status(), try await b.status())
                return first.alive == 2 && second.alive == 2
            }
            #expect(a.driver.counters.streamsAccepted > 0)
            #expect(b.driver.counters.streamsOpened > 0)
            #expect(a.driver.counters.decodeFailuresTotal == 0)
            #expect(a.driver.counters.datagramSendErrors == 0)
        }
    }

    @Test("a dual-stack node is reached over IPv4 and over IPv6")
    func dualStack() async throws {
        let wildcard = Address(high: 0, low: 0, port: 0)
        let a = try TestNode.make("dual", at: wildcard)
        let port = a.driver.address.port
        let raw = try RawSocket(SOCK_DGRAM)
        let raw6 = try RawSocket(SOCK_DGRAM, family: AF_INET6)
        try await withNodes([a]) {
            raw.send([1], to: Address(ipv4: 0x7f00_0001, port: port))
            try await eventually("the IPv4 datagram") { a.driver.counters.datagramsReceived == 1 }
            let target = Address(high: 0, low: 1, port: port)
            _ = target.withSockaddr(.ipv6) { sendto(raw6.descriptor, [2], 1, 0, $0, $1) }
            try await eventually("the IPv6 datagram") { a.driver.counters.datagramsReceived == 2 }
        }
    }

    @Test("a write on one node arrives on the other, small and large", arguments: [10, 200_000])
    func replicate(_ bytes: Int) async throws {
        let a = try TestNode.make("a\(bytes)")
        let b = try TestNode.make("b\(bytes)", seeds: [a.driver.address])
        try await withNodes([a, b]) {
            try await eventually("the join") { try await a.status().alive == 2 }
            let reply = await b.driver.perform(.put(key: "app/key", value: [UInt8](repeating: 42, count: bytes)))
            guard case .written = reply else {
                Issue.record("the write was answered \(reply)")
                return
            }
            try await eventually("the same root on both") {
                let (first, second) = (try await a.status(), try await b.status())
                return first.keys == 1 && first.root == second.root
            }
        }
    }

    @Test("a write is answered only when storage has completed")
    func durability() async throws {
        let node = try TestNode.make("durable")
        try await withNodes([node]) {
            try await eventually("the first fence") { try await node.status().alive == 1 }
            node.host.hold()
            let answered = Flag()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    _ = await node.driver.perform(.put(key: "k", value: [1]))
                    answered.set()
                }
                try await eventually("the batch at the storage") { node.host.heldCount > 0 }
                // Whatever the kernel had to say about the write it has said by now.
                _ = try await node.status()
                #expect(!answered.isSet)
                node.host.release()
                try await group.waitForAll()
            }
            #expect(answered.isSet)
        }
    }

    @Test("junk datagrams are counted by reason and hurt nobody")
    func junkDatagrams() async throws {
        let node = try TestNode.make("junk")
        let raw = try RawSocket(SOCK_DGRAM)
        var generator = SeededGenerator(seed: 20_260_101)
        try await withNodes([node]) {
            let good = try PacketCodec.encode(packet(digests: 3), limit: 1_400)
            for round in 0..<2_000 {
                var bytes: [UInt8]
                if round % 2 == 0 {
                    bytes = (0..<generator.index(below: 1_500)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
                } else {
                    bytes = good
                    bytes[generator.index(below: bytes.count)] ^= UInt8(1 << generator.index(below: 8))
                    bytes.removeLast(generator.index(below: bytes.count))
                }
                raw.send(bytes, to: node.driver.address)
                if round % 100 == 99 {
                    // The node answers in between; also keeps the socket's buffer from overflowing.
                    _ = try await node.status()
                }
            }
            raw.send([UInt8](repeating: 0, count: 60_000), to: node.driver.address)
            try await eventually("the oversized one") { node.driver.counters.datagramsTruncated >= 1 }
            let counters = node.driver.counters
            #expect(counters.datagramsReceived > 1_000)
            #expect(counters.decodeFailures[.magic] ?? 0 > 500)
            #expect(counters.decodeFailures[.short] ?? 0 > 10)
            let friend = try TestNode.make("friend", seeds: [node.driver.address])
            try await withNodes([friend]) {
                try await eventually("the join after the storm") { try await node.status().alive == 2 }
            }
        }
    }

    @Test("another cluster's packets are counted and do not join")
    func otherCluster() async throws {
        let node = try TestNode.make("home")
        let stranger = try TestNode.make(
            "stranger", seeds: [node.driver.address], cluster: ClusterID(name: "elsewhere"))
        try await withNodes([node, stranger]) {
            try await eventually("the refusal") { node.driver.counters.otherClusterPackets > 0 }
            try await eventually("the stranger's report") {
                stranger.host.events.contains {
                    if case .joinFailed(_, .otherCluster, _) = $0 { true } else { false }
                }
            }
            #expect(try await node.status().alive == 1)
        }
    }

    @Test("a second node on the same address is refused by name")
    func addressInUse() async throws {
        let first = try NodeSockets.bind(to: loopback)
        let failure = #expect(throws: TransportFailure.addressInUse(first.address, isUDP: false)) {
            try NodeSockets.bind(to: first.address)
        }
        #expect(failure?.description.contains("\(first.address) is in use") == true)
        let (raw, taken) = try RawSocket.bound(SOCK_DGRAM)
        #expect(throws: TransportFailure.addressInUse(taken, isUDP: true)) { try NodeSockets.bind(to: taken) }
        #expect(raw.descriptor >= 0)
        #expect(throws: TransportFailure.addressNotAvailable(Address(ipv4: 0xc000_0201, port: 1))) {
            try NodeSockets.bind(to: Address(ipv4: 0xc000_0201, port: 1))
        }
    }

    @Test("sockets that nobody took are closed with their owner")
    func socketsAreClosed() throws {
        let address = try NodeSockets.bind(to: loopback).address
        #expect(address.port != 0)
        #expect(try NodeSockets.bind(to: address).address == address)
    }

    @Test("local send errors are counted and the socket lives on")
    func sendErrors() async throws {
        let node = try TestNode.make("sender")
        let (raw, target) = try RawSocket.bound(SOCK_DGRAM)
        try await withNodes([node]) {
            let hostile = [
                // Broadcast without permission (EACCES), port 0, another family, the unspecified address's port 0.
                Address(ipv4: 0xffff_ffff, port: 7_946), Address(ipv4: 0x7f00_0001, port: 0),
                Address(high: 0, low: 1, port: 7_946), Address(ipv4: 0, port: 0),
            ]
            for address in hostile {
                _ = try await node.driver.withCore { $0.datagrams?.send(packet(), to: address) }
            }
            #expect(node.driver.counters.datagramSendErrors == UInt64(hostile.count))
            _ = try await node.driver.withCore { $0.datagrams?.send(packet(digests: 5_000), to: target) }
            #expect(node.driver.counters.encodeFailures == 1)
            _ = try await node.driver.withCore { $0.datagrams?.send(packet(), to: target) }
            let received = try #require(try raw.receive())
            #expect(try PacketCodec.decode(received).packet == packet())
            #expect(node.driver.counters.socketsReopened == 0)
        }
    }

    @Test("sending to a port where nobody listens does not stop the receiving")
    func portUnreachable() async throws {
        let node = try TestNode.make("unreachable")
        let closed = try RawSocket.bound(SOCK_DGRAM).1
        let raw = try RawSocket(SOCK_DGRAM)
        try await withNodes([node]) {
            for _ in 0..<50 { _ = try await node.driver.withCore { $0.datagrams?.send(packet(), to: closed) } }
            raw.send([1, 2, 3], to: node.driver.address)
            try await eventually("a datagram after the ICMP errors") { node.driver.counters.datagramsReceived > 0 }
            let counters = node.driver.counters
            #expect(counters.pathErrors[.refused, default: 0] > 0)
            #expect(counters.datagramSendErrors == 0, "others' errors: \(counters.sendFailures)")
        }
    }

    @Test("errors in the queue neither close the socket nor keep the loop busy, however they come together")
    func errorQueue() async throws {
        let node = try TestNode.make("errors")
        let closed = try RawSocket.bound(SOCK_DGRAM).1
        let (open, target) = try RawSocket.bound(SOCK_DGRAM)
        let raw = try RawSocket(SOCK_DGRAM)
        try await withNodes([node]) {
            for round in 1...20 {
                // In one turn of the loop: each send finds the error of the one before, and the selector finds none left.
                _ = try await node.driver.withCore { core in
                    for _ in 0..<5 { core.datagrams?.send(packet(), to: closed) }
                    core.datagrams?.send(packet(), to: target)
                }
                _ = try #require(try open.receive(), "round \(round)")
                raw.send([1], to: node.driver.address)
                try await eventually("datagram \(round)") { node.driver.counters.datagramsReceived >= UInt64(round) }
            }
            #expect(node.driver.counters.pathErrors[.refused, default: 0] >= 80)
            #expect(node.driver.counters.datagramSendErrors == 0)
            // At rest nothing happens: no error is told again and again.
            let before = node.driver.counters
            try await Task.sleep(for: .milliseconds(300))
            #expect(node.driver.counters.pathErrors == before.pathErrors)
            #expect(node.driver.counters.socketsReopened == before.socketsReopened)
        }
    }

    @Test("a listening socket that breaks is opened again on the same port")
    func reopening() async throws {
        let node = try TestNode.make("phoenix")
        let address = node.driver.address
        try await withNodes([node]) {
            _ = try await node.driver.withCore { $0.streams?.listeningChannel?.close(promise: nil) }
            try await eventually("the new listening socket") { node.driver.counters.socketsReopened == 1 }
            let client = try RawSocket.connected(to: address)
            try client.send([0xff, 0xff, 0xff, 0xff])
            try client.drain()
            #expect(node.driver.counters.streamsAccepted == 1)
        }
    }

    @Test("stopping answers what waits, twice is harmless, and later commands fail at once")
    func stop() async throws {
        let node = try TestNode.make("stopper") { $0.commandsMax = 1 }
        let silent = try RawSocket.bound(SOCK_DGRAM).1
        try await node.driver.start()
        await withTaskGroup(of: Void.self) { group in
            // The storage never completes, so this write is never answered by the kernel.
            node.host.hold()
            group.addTask {
                let reply = await node.driver.perform(.put(key: "k", value: [1]))
                guard case .failure(.notReady) = reply else {
                    Issue.record("answered \(reply)")
                    return
                }
            }
            do {
                try await eventually("the waiting write") { node.host.heldCount > 0 }
            } catch {
                Issue.record(error)
            }
            let refused = await node.driver.perform(.join([silent.description]))
            if case .failure(.invalid) = refused {} else { Issue.record("answered \(refused)") }
            #expect(node.driver.counters.commandsRefused == 1)
            await node.driver.stop()
            await node.driver.stop()
        }
        guard case .failure(.notReady) = await node.driver.perform(.status) else {
            Issue.record("a stopped driver answered")
            return
        }
        // A completion that comes late finds nobody, and harms nobody.
        node.host.release()
        #expect(try NodeSockets.bind(to: node.driver.address).address == node.driver.address)
        await #expect(throws: TransportFailure.alreadyStarted) { try await node.driver.start() }
    }

    @Test("the watchdog's counter grows with the kernel's timers")
    func progress() async throws {
        let node = try TestNode.make("turner")
        #expect(node.driver.progress.timerTurns == 0)
        try await withNodes([node]) {
            try await eventually("three turns") { node.driver.progress.timerTurns >= 3 }
            #expect(node.driver.progress.loopLag < .seconds(5))
        }
    }

    @Test("leaving is told to the daemon")
    func leave() async throws {
        let a = try TestNode.make("stays")
        let b = try TestNode.make("leaves", seeds: [a.driver.address])
        try await withNodes([a, b]) {
            // Who leaves before it knows anybody tells nobody.
            try await eventually("the join") {
                let views = (try await a.status().alive, try await b.status().alive)
                return views == (2, 2)
            }
            _ = await b.driver.perform(.leave(deadline: .seconds(3)))
            try await eventually("the outcome") { !b.host.outcomes.isEmpty }
            #expect(b.host.outcomes.first?.isQuorum == true)
            try await eventually("the survivor's view") { try await a.status().left == 1 }
        }
    }
}
