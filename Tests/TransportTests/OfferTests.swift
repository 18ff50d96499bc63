// SPDX-License-Identifier: Apache-2.0
// Owns the tests of frames that give way: what overtakes them, their bound, and their end.

import NIOCore
import NodeKernel
import Testing
import WireProtocol

@testable import Transport

@Suite("Frames that give way")
struct OfferTests {
    @Test("what is offered lets other frames go ahead, is given up beyond the bound, and does not end the stream")
    func offered() async throws {
        let a = try await Side { $0.streamBufferBytesMax = 16 << 20 }
        try await with(a) {
            let client = try RawSocket.connected(to: a.address)
            try await eventually("the stream") { a.accepted.count == 1 }
            let id = try #require(a.accepted.first)
            let count = 200
            let held = try await a.run { table in
                for _ in 0..<count { table.offer(id, packet(digests: 8_000, mark: 1)) }
                table.write(id, packet(mark: 2))
                return (table.bufferedBytes, table.offeredBytes)
            }
            // Two frames of 216 KB may be on their way.
            #expect(held.0 < 512 << 10 && held.0 + held.1 <= 16 << 20)
            #expect(a.ends.isEmpty && a.counters.snapshot.streamsEndedAtLimit == 0)
            let givenUp = Int(a.counters.snapshot.framesGivenUp)
            #expect((1..<count).contains(givenUp))
            let marks = try await Task.detached { try Self.marks(client, frames: count - givenUp + 1) }.value
            #expect(marks.count { $0 == 1 } == count - givenUp && marks.firstIndex(of: 2).map { $0 <= 2 } == true)
            try await eventually("nothing held") { try await a.run { $0.bufferedBytes + $0.offeredBytes } == 0 }
        }
    }

    @Test("what is offered and waits is given up with its stream")
    func offeredToTheEnd() async throws {
        let a = try await Side()
        try await with(a) {
            let client = try RawSocket.connected(to: a.address)
            try await eventually("the stream") { a.accepted.count == 1 }
            let id = try #require(a.accepted.first)
            let left = try await a.run { table in
                for _ in 0..<20 { table.offer(id, packet(digests: 8_000, mark: 1)) }
                table.close(id)
                return table.offeredBytes
            }
            #expect(left == 0 && a.counters.snapshot.framesGivenUp == 18)
            try client.drain()
        }
    }

    /// The first digest of each frame that arrives.
    private static func marks(_ client: RawSocket, frames: Int) throws -> [UInt64] {
        var buffer = ByteBuffer()
        var marks: [UInt64] = []
        while marks.count < frames, let bytes = try client.receive(), !bytes.isEmpty {
            buffer.writeBytes(bytes)
            while let decoded = try buffer.readFrame().get() {
                if case .digest(let digest)? = decoded.packet.messages.first { marks.append(digest.members) }
            }
        }
        return marks
    }
}
