// SPDX-License-Identifier: Apache-2.0
// Owns the behaviour of stream framing, however the bytes are cut on their way.

import ClusterTypes
import NodeKernel
import Testing
import WireProtocol

@Suite("Stream framing")
struct StreamFrameTests {
    @Test(
        "Packets come out whole and in order, however the stream is cut", arguments: [1, 2, 3, 7, 64, 1_000, 100_000])
    func pieces(piece: Int) throws {
        var generator = MessageGenerator(seed: UInt64(piece))
        let packets = (0..<8).map { _ in generator.packet(messagesMax: 3) }
        let stream = try packets.flatMap { try StreamFrame.encode($0) }
        var accumulator = FrameAccumulator()
        var received: [Packet] = []
        for start in stride(from: 0, to: stream.count, by: piece) {
            accumulator.append(stream[start..<min(start + piece, stream.count)])
            while let decoded = try accumulator.next() { received.append(decoded.packet) }
        }
        #expect(received == packets)
        #expect(accumulator.buffered == 0)
    }

    static let lengths: [(UInt32, DecodeFailure?)] = [
        (0, .short), (27, .short), (28, nil), (UInt32(Bounds.frameBytesMax), nil),
        (UInt32(Bounds.frameBytesMax) + 1, .length), (.max, .length),
    ]

    @Test("A length that no packet has is refused before anything is buffered", arguments: lengths)
    func lengthBounds(length: UInt32, expected: DecodeFailure?) throws {
        var accumulator = FrameAccumulator()
        accumulator.append((0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * UInt32($0))) })
        if let expected {
            #expect(throws: expected) { try accumulator.next() }
            #expect(throws: expected) { try StreamFrame.packetBytes(from: length) }
        } else {
            #expect(try accumulator.next() == nil)
            #expect(try StreamFrame.packetBytes(from: length) == Int(length))
        }
    }

    @Test("After a refusal the stream stays refused and holds nothing")
    func staysRefused() throws {
        var accumulator = FrameAccumulator()
        let good = try StreamFrame.encode(Packet(cluster: Raw.cluster, sender: Raw.sender, messages: []))
        accumulator.append(good + hex("0000001d") + Raw.header() + [1] + good)
        #expect(try accumulator.next() != nil)
        #expect(throws: DecodeFailure.short) { try accumulator.next() }
        accumulator.append(good)
        #expect(throws: DecodeFailure.short) { try accumulator.next() }
        #expect(accumulator.buffered == 0)
    }

    @Test("Random streams never trap", arguments: 0..<20 as Range<UInt64>)
    func randomStreams(seed: UInt64) {
        var generator = MessageGenerator(seed: seed)
        for _ in 0..<50 {
            var accumulator = FrameAccumulator()
            for _ in 0..<5 {
                accumulator.append(
                    [0, 0, 0, UInt8(truncatingIfNeeded: generator.rng.next())] + generator.bytes(max: 90))
                while let next = try? accumulator.next() { _ = next }
            }
            #expect(accumulator.buffered < 5 * 94)
        }
    }

    @Test("A packet beyond the bound of a frame is not written")
    func tooLarge() {
        let row = MessageGenerator.rowOf(valueBytes: Bounds.valueBytesMax)
        let packet = Packet(cluster: Raw.cluster, sender: Raw.sender, messages: [.row(row), .row(row)])
        #expect(throws: EncodeFailure.limit) { try StreamFrame.encode(packet) }
    }
}
