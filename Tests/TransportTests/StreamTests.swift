// SPDX-License-Identifier: Apache-2.0
// Owns the tests of streams: framing, limits, deadlines, ends; against each other and against raw sockets.

import ClusterTypes
import Glibc
import NIOCore
import NodeKernel
import Testing
import WireProtocol

@testable import Transport

private let first = StreamID(rawValue: 2)

@Suite("Streams")
struct StreamTests {
    @Test("frames go both ways, in order, and everything written before a close arrives")
    func exchange() async throws {
        let a = try await Side()
        let b = try await Side()
        try await with(a, b) {
            try await a.run { $0.open(first, to: b.address, timeout: .seconds(5)) }
            try await eventually("the connection") { a.opened == [first] && b.accepted.count == 1 }
            let theirs = try #require(b.accepted.first)
            #expect(theirs.rawValue % 2 == 1)
            try await b.run { $0.write(theirs, packet(mark: 99)) }
            try await eventually("the answer") { a.received == [packet(mark: 99)] }
            // About 11 MB, far beyond the sockets' buffers, then the close at once.
            try await a.run { table in
                for mark in 0..<50 { table.write(first, packet(digests: 8_000, mark: UInt64(mark))) }
                table.close(first)
            }
            try await eventually("all frames") { b.received.count == 50 }
            let inOrder = b.received == (0..<50).map { packet(digests: 8_000, mark: UInt64($0)) }
            #expect(inOrder)
            try await eventually("the end") { b.ends.count == 1 }
            #expect(b.ends.map(\.0) == [theirs] && b.ends.map(\.1) == [.finished])
            try await eventually("no place is held") {
                let (left, right) = (try await a.run { $0.count }, try await b.run { $0.count })
                return left == 0 && right == 0
            }
            #expect(a.ends.isEmpty, "the kernel closed it: it is not told")
            #expect(a.counters.snapshot.framesSent == 50)
            #expect(b.counters.snapshot.framesReceived == 50)
        }
    }

    @Test("what was written last survives the peer's unread bytes")
    func closeAgainstUnreadBytes() async throws {
        let a = try await Side()
        let b = try await Side()
        try await with(a, b) {
            for round in 1...20 {
                let id = StreamID(rawValue: UInt64(round) * 2)
                try await a.run { $0.open(id, to: b.address, timeout: .seconds(5)) }
                try await eventually("the connection") { a.opened.count == round && b.accepted.count == round }
                let theirs = try #require(b.accepted.last)
                // Both write, and A closes without waiting for what B writes.
                try await b.run { $0.write(theirs, packet(digests: 1_000)) }
                try await a.run { table in
                    table.write(id, packet(mark: UInt64(round)))
                    table.close(id)
                }
                try await eventually("the last frame") { b.received.last == packet(mark: UInt64(round)) }
                try await eventually("the end") { b.ends.count == round }
                #expect(b.ends.last?.0 == theirs && b.ends.last?.1 == .finished)
            }
        }
    }

    @Test("a connect to a closed port is refused")
    func refused() async throws {
        let a = try await Side()
        let closed = try RawSocket.bound(SOCK_STREAM).1
        try await with(a) {
            try await a.run { $0.open(first, to: closed, timeout: .seconds(5)) }
            try await eventually("the end") { a.ends.count == 1 }
            #expect(a.ends.map(\.0) == [first] && a.ends.map(\.1) == [.refused])
            #expect(a.counters.snapshot.streamConnectFailures == 1)
            #expect(try await a.run { $0.count } == 0)
        }
    }

    @Test("a connect that nobody answers times out")
    func connectTimeout() async throws {
        let a = try await Side()
        let (listener, address) = try RawSocket.bound(SOCK_STREAM)
        #expect(listen(listener.descriptor, 0) == 0)
        // A full accept queue makes the system ignore further connects.
        var fillers: [RawSocket] = []
        for _ in 0..<4 {
            let filler = try RawSocket(SOCK_STREAM)
            _ = fcntl(filler.descriptor, F_SETFL, O_NONBLOCK)
            _ = address.withSockaddr(.ipv4) { connect(filler.descriptor, $0, $1) }
            fillers.append(filler)
        }
        try await with(a) {
            try await a.run { $0.open(first, to: address, timeout: .milliseconds(100)) }
            try await eventually("the end") { a.ends.count == 1 }
            #expect(a.ends.map(\.0) == [first] && a.ends.map(\.1) == [.timedOut])
        }
        #expect(fillers.count == 4)
    }

    @Test(
        "addresses that cannot be connected to are unreachable",
        arguments: [
            Address(ipv4: 0, port: 80), Address(ipv4: 0x7f00_0001, port: 0),
        ])
    func unreachable(_ target: Address) async throws {
        let a = try await Side()
        try await with(a) {
            try await a.run { $0.open(first, to: target, timeout: .seconds(1)) }
            #expect(a.ends.map(\.1) == [.unreachable])
        }
    }

    @Test("closing before the connect is through is silent and frees the place")
    func closeWhileConnecting() async throws {
        let a = try await Side()
        let b = try await Side()
        try await with(a, b) {
            try await a.run { table in
                table.open(first, to: b.address, timeout: .seconds(5))
                table.close(first)
            }
            try await eventually("the place") { try await a.run { $0.count } == 0 }
            #expect(a.opened.isEmpty)
            #expect(a.ends.isEmpty)
        }
    }

    @Test("streams beyond the bounds are refused, counted, and let in when there is room again")
    func limits() async throws {
        let a = try await Side {
            $0.inboundStreamsMax = 2
            $0.outboundStreamsMax = 1
        }
        try await with(a) {
            var clients = try (0..<2).map { _ in try RawSocket.connected(to: a.address) }
            for client in clients { try client.send(try StreamFrame.encode(packet())) }
            try await eventually("two frames") { a.received.count == 2 }
            for number in 1...3 {
                let refused = try RawSocket.connected(to: a.address)
                try refused.drain()
                #expect(a.counters.snapshot.streamsRefusedAtLimit == UInt64(number))
            }
            clients.removeAll()
            try await eventually("both ends") { a.ends.count == 2 }
            let next = try RawSocket.connected(to: a.address)
            try await eventually("a third stream") { a.accepted.count == 3 }
            #expect(next.descriptor >= 0)

            let (listener, address) = try RawSocket.bound(SOCK_STREAM)
            #expect(listen(listener.descriptor, 8) == 0)
            try await a.run { table in
                table.open(first, to: address, timeout: .seconds(5))
                table.open(StreamID(rawValue: 4), to: address, timeout: .seconds(5))
            }
            #expect(a.ends.last?.0 == StreamID(rawValue: 4))
            #expect(a.ends.last?.1 == .localLimit)
            try await eventually("the first one") { a.opened == [first] }
        }
    }

    @Test("who connects and says nothing gives its place to the next one, the oldest of them first")
    func displaced() async throws {
        let a = try await Side { $0.inboundStreamsMax = 3 }
        try await with(a) {
            let member = try RawSocket.connected(to: a.address)
            try member.send(try StreamFrame.encode(packet()))
            try await eventually("a frame") { a.received.count == 1 }
            let silent = try (0..<2).map { _ in try RawSocket.connected(to: a.address) }
            var others: [RawSocket] = []
            try await eventually("three streams") { a.accepted.count == 3 }
            for (number, oldest) in silent.enumerated() {
                let next = try RawSocket.connected(to: a.address)
                others.append(next)
                try next.send(try StreamFrame.encode(packet()))
                try await eventually("its frame") { a.received.count == number + 2 }
                try oldest.drain()
                #expect(a.counters.snapshot.streamsDisplaced == UInt64(number + 1))
            }
            #expect(a.counters.snapshot.streamsRefusedAtLimit == 0 && others.count == 2)
        }
    }

    static let hostile: [(String, [UInt8])] = [
        ("a length beyond the bound", [0x7f, 0xff, 0xff, 0xff]),
        ("a length of zero", [0, 0, 0, 0]),
        ("an HTTP request", Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)),
        ("a frame of zeros", [0, 0, 0, 28] + [UInt8](repeating: 0, count: 28)),
        ("noise", (0..<5_000).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ 255) }),
    ]

    @Test("hostile bytes end the stream as invalid", arguments: hostile)
    func hostileBytes(_ name: String, _ bytes: [UInt8]) async throws {
        let a = try await Side()
        try await with(a) {
            let client = try RawSocket.connected(to: a.address)
            try client.send(bytes)
            try client.drain()
            try await eventually("the end of \(name)") { a.ends.count == 1 }
            #expect(a.ends.map(\.1) == [.invalid])
            #expect(a.counters.snapshot.decodeFailuresTotal == 1)
            #expect(a.received.isEmpty)
        }
    }

    @Test("good frames before a bad one count, nothing after it does")
    func badAfterGood() async throws {
        let a = try await Side()
        try await with(a) {
            let client = try RawSocket.connected(to: a.address)
            let good = try StreamFrame.encode(packet(mark: 1))
            try client.send(good + good + [0xff, 0xff, 0xff, 0xff] + good)
            try client.drain()
            try await eventually("the end") { a.ends.map(\.1) == [.invalid] }
            #expect(a.received == [packet(mark: 1), packet(mark: 1)])
        }
    }

    @Test("a frame may arrive byte by byte")
    func byteByByte() async throws {
        let a = try await Side()
        try await with(a) {
            let client = try RawSocket.connected(to: a.address)
            var one: CInt = 1
            setsockopt(client.descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<CInt>.size))
            let frames = try StreamFrame.encode(packet(mark: 1)) + StreamFrame.encode(packet(digests: 3, mark: 2))
            for byte in frames { try client.send([byte]) }
            try await eventually("both frames") { a.received.count == 2 }
            #expect(a.received == [packet(mark: 1), packet(digests: 3, mark: 2)])
        }
    }

    @Test("an end between frames is finished, within a frame it is a break")
    func ends() async throws {
        let a = try await Side()
        try await with(a) {
            let good = try StreamFrame.encode(packet())
            let orderly = try RawSocket.connected(to: a.address)
            try orderly.send(good)
            orderly.finishWriting()
            try orderly.drain()
            try await eventually("the orderly end") { a.ends.map(\.1) == [.finished] }
            let torn = try RawSocket.connected(to: a.address)
            try torn.send(Array(good.dropLast()))
            torn.finishWriting()
            try torn.drain()
            try await eventually("the torn end") { a.ends.map(\.1) == [.finished, .reset] }
        }
    }

    @Test("a reset is told as one, once")
    func reset() async throws {
        let a = try await Side()
        try await with(a) {
            do {
                let client = try RawSocket.connected(to: a.address)
                try await eventually("the stream") { a.accepted.count == 1 }
                // Linger 0: close sends a reset.
                var option = Glibc.linger(l_onoff: 1, l_linger: 0)
                setsockopt(
                    client.descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout.size(ofValue: option)))
            }
            try await eventually("the end") { !a.ends.isEmpty }
            #expect(a.ends.map(\.1) == [.reset])
            #expect(try await a.run { $0.count } == 0)
        }
    }

    @Test("a silent stream and a frame that never ends time out")
    func deadlines() async throws {
        let idle = try await Side { $0.streamIdleTimeout = .milliseconds(50) }
        let slow = try await Side { $0.frameTimeout = .milliseconds(50) }
        try await with(idle, slow) {
            let silent = try RawSocket.connected(to: idle.address)
            try silent.drain()
            try await eventually("the idle stream's end") { idle.ends.map(\.1) == [.timedOut] }
            #expect(idle.counters.snapshot.streamsTimedOut == 1)
            let trickling = try RawSocket.connected(to: slow.address)
            try trickling.send([0, 1, 0, 0])
            try await eventually("the frame's deadline") {
                // Bytes keep moving; the frame does not end.
                try? trickling.send([0])
                return !slow.ends.isEmpty
            }
            #expect(slow.ends.map(\.1) == [.timedOut])
        }
    }

    @Test("a peer that does not read cannot make us hold more than the bound")
    func writeBound() async throws {
        let a = try await Side { $0.streamBufferBytesMax = 1 << 20 }
        try await with(a) {
            let client = try RawSocket.connected(to: a.address)
            try await eventually("the stream") { a.accepted.count == 1 }
            let id = try #require(a.accepted.first)
            try await a.run { table in
                // 200 frames of 216 KB are 43 MB: more than any socket buffer here plus the bound.
                for _ in 0..<200 { table.write(id, packet(digests: 8_000)) }
            }
            #expect(a.ends.map(\.1) == [.localLimit])
            #expect(a.counters.snapshot.streamsEndedAtLimit == 1)
            #expect(try await a.run { $0.count } == 0)
            #expect(client.descriptor >= 0)
        }
    }

    @Test("all streams together hold no more than the common bound, and give back what they held")
    func commonWriteBound() async throws {
        let a = try await Side { $0.streamBuffersBytesMax = 2 << 20 }
        try await with(a) {
            let clients = try (0..<2).map { _ in try RawSocket.connected(to: a.address) }
            try await eventually("the streams") { a.accepted.count == clients.count }
            let ids = a.accepted
            try await a.run { table in
                // Not flushed within the turn, so that nothing of it leaves before the bound is met.
                for id in ids { for _ in 0..<6 { table.write(id, packet(digests: 8_000)) } }
            }
            #expect(a.ends.map(\.0) == [ids[1]])
            #expect(a.ends.map(\.1) == [.localLimit])
            let reader = Task.detached { try clients[0].drain() }
            try await eventually("nothing held") { try await a.run { $0.bufferedBytes } == 0 }
            try await a.run { $0.close(ids[0]) }
            try await reader.value
        }
    }

    @Test("a close does not reset the connection over bytes that were not read")
    func closeIsOrderly() async throws {
        let a = try await Side()
        try await with(a) {
            let client = try RawSocket.connected(to: a.address)
            try await eventually("the stream") { a.accepted.count == 1 }
            let id = try #require(a.accepted.first)
            try await a.run { table in
                // The loop is here and cannot read these before it closes.
                try? client.send([0, 0, 1])
                table.write(id, packet())
                table.close(id)
            }
            var received: [UInt8] = []
            var isOrderly = false
            while !isOrderly, let bytes = try client.receive() {
                received += bytes
                isOrderly = bytes.isEmpty
            }
            #expect(isOrderly, "the connection was reset")
            #expect(received == (try StreamFrame.encode(packet())))
        }
    }

    @Test("a finished stream does not wait for ever for the peer's end")
    func lingering() async throws {
        let a = try await Side { $0.lingerTimeout = .milliseconds(50) }
        try await with(a) {
            let client = try RawSocket.connected(to: a.address)
            try await eventually("the stream") { a.accepted.count == 1 }
            let id = try #require(a.accepted.first)
            try await a.run { table in
                table.write(id, packet())
                table.close(id)
            }
            // The client reads the frame and our end, and keeps its own side open.
            try client.drain()
            try await eventually("the place") { try await a.run { $0.count } == 0 }
            #expect(a.ends.isEmpty)
        }
    }

    @Test(
        "what an error means for the peer",
        arguments: [
            (ECONNREFUSED, StreamEnd.refused), (ETIMEDOUT, .timedOut), (EHOSTUNREACH, .unreachable),
            (ENETUNREACH, .unreachable), (ECONNRESET, .reset), (EPIPE, .reset), (EMFILE, .localLimit),
            (EPERM, .localLimit), (EADDRNOTAVAIL, .localLimit),
        ])
    func errors(_ code: CInt, _ expected: StreamEnd) {
        #expect(StreamEnd(IOError(errnoCode: code, reason: "test")) == expected)
        #expect(StreamEnd(ChannelError.connectTimeout(.seconds(1))) == .timedOut)
        #expect(StreamEnd(ChannelError.eof) == .reset)
    }
}
