// SPDX-License-Identifier: Apache-2.0
// Owns how packets follow each other on a stream: a 4-byte length, then the packet.

import ClusterTypes
import NodeKernel

/// One packet on a stream: its length as 4 bytes big-endian, then as many bytes of packet.
package enum StreamFrame {
    package static let lengthBytes = 4

    /// The length of the packet that follows, from the first four bytes; nil when fewer are at hand.
    package static func packetBytes(from bytes: UnsafeRawBufferPointer) throws(DecodeFailure) -> Int? {
        guard bytes.count >= lengthBytes else { return nil }
        return try packetBytes(from: UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))
    }

    /// The same from the number itself; a length that no packet has is refused before anything is buffered.
    package static func packetBytes(from length: UInt32) throws(DecodeFailure) -> Int {
        guard length <= UInt32(Bounds.frameBytesMax) else { throw .length }
        guard length >= UInt32(WireLayout.headerBytes) else { throw .short }
        return Int(length)
    }

    /// Length and packet, ready to write.
    package static func encode(_ packet: Packet) throws(EncodeFailure) -> [UInt8] {
        let size = PacketCodec.size(of: packet)
        guard size <= Bounds.frameBytesMax, let length = UInt32(exactly: size) else { throw .limit }
        var outcome: Result<Int, EncodeFailure> = .success(0)
        let bytes = [UInt8](unsafeUninitializedCapacity: lengthBytes + size) { buffer, count in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            raw.storeBytes(of: length.bigEndian, as: UInt32.self)
            let rest = UnsafeMutableRawBufferPointer(rebasing: raw[lengthBytes...])
            outcome = Result { () throws(EncodeFailure) in try PacketCodec.encode(packet, into: rest) }
            if case .success(let written) = outcome { count = lengthBytes + written }
        }
        _ = try outcome.get()
        return bytes
    }
}

/// Cuts a stream of bytes into packets. It holds less than one frame beside the bytes last added.
package struct FrameAccumulator: Sendable {
    private var buffer: [UInt8] = []
    private var start = 0
    private var failure: DecodeFailure?

    /// Memory that is kept between frames, in bytes.
    private static let keptBytesMax = 64 * 1024

    package init() {}

    /// Bytes that are held and not yet handed out.
    package var buffered: Int { buffer.count - start }

    /// Adds received bytes; call `next` until it returns nil before adding more.
    package mutating func append(_ bytes: some Collection<UInt8>) {
        guard failure == nil else { return }
        if start == buffer.count {
            // One large frame must not hold its memory for as long as the stream lives.
            buffer.removeAll(keepingCapacity: buffer.capacity <= Self.keptBytesMax)
        } else {
            buffer.removeFirst(start)
        }
        start = 0
        buffer.append(contentsOf: bytes)
    }

    /// The next packet; nil when its end has not arrived. After a failure the stream cannot be trusted: close it.
    package mutating func next() throws(DecodeFailure) -> DecodedPacket? {
        if let failure { throw failure }
        do throws(DecodeFailure) {
            return try take()
        } catch {
            failure = error
            buffer = []
            start = 0
            throw error
        }
    }

    private mutating func take() throws(DecodeFailure) -> DecodedPacket? {
        let from = start
        let outcome: Result<(DecodedPacket, Int)?, DecodeFailure> = buffer.withUnsafeBytes { raw in
            Result { () throws(DecodeFailure) in
                let rest = UnsafeRawBufferPointer(rebasing: raw[from...])
                guard let length = try StreamFrame.packetBytes(from: rest) else { return nil }
                let end = StreamFrame.lengthBytes + length
                guard rest.count >= end else { return nil }
                let packet = UnsafeRawBufferPointer(rebasing: rest[StreamFrame.lengthBytes..<end])
                return (try PacketCodec.decode(packet), end)
            }
        }
        guard let (decoded, used) = try outcome.get() else { return nil }
        start += used
        return decoded
    }
}
