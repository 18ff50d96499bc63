// SPDX-License-Identifier: Apache-2.0
// Owns the frames of streams in byte buffers: appending one, taking the next.

import ClusterTypes
import NIOCore
import NodeKernel
import WireProtocol

extension ByteBuffer {
    /// Appends length and packet; false, with nothing appended, when the packet breaks a bound.
    mutating func writeFrame(_ packet: Packet, size: Int) -> Bool {
        guard size <= Bounds.frameBytesMax, let length = UInt32(exactly: size) else { return false }
        let before = writerIndex
        writeInteger(length)
        var isGood = false
        writeWithUnsafeMutableBytes(minimumWritableBytes: size) { raw in
            let target = UnsafeMutableRawBufferPointer(rebasing: raw[..<size])
            let outcome = Result { () throws(EncodeFailure) in try PacketCodec.encode(packet, into: target) }
            guard case .success(let written) = outcome, written == size else { return 0 }
            isGood = true
            return written
        }
        if !isGood { moveWriterIndex(to: before) }
        return isGood
    }

    /// Takes the next frame; nil when its end has not arrived.
    mutating func readFrame() -> Result<DecodedPacket?, DecodeFailure> {
        guard let length = getInteger(at: readerIndex, as: UInt32.self) else { return .success(nil) }
        let size: Int
        do throws(DecodeFailure) {
            size = try StreamFrame.packetBytes(from: length)
        } catch {
            return .failure(error)
        }
        guard readableBytes >= StreamFrame.lengthBytes + size else { return .success(nil) }
        moveReaderIndex(forwardBy: StreamFrame.lengthBytes)
        defer { moveReaderIndex(forwardBy: size) }
        return decodePacket(bytes: size).map { $0 }
    }
}
