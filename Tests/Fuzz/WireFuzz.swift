// SPDX-License-Identifier: Apache-2.0
// Owns the fuzz targets of bytes from peers and from backup files.

import BackupFormat
import ClusterTypes
import NodeKernel
import WireProtocol

enum PacketFuzz {
    static func feed(_ bytes: UnsafeBufferPointer<UInt8>) -> CInt {
        guard let decoded = try? PacketCodec.decode(UnsafeRawBufferPointer(bytes)) else { return 0 }
        // What can be read can be written, and reads the same again.
        guard let encoded = try? PacketCodec.encode(decoded.packet, limit: Bounds.frameBytesMax) else { return 0 }
        require(encoded.count == PacketCodec.size(of: decoded.packet), "the size is not what the encoder wrote")
        guard let again = try? PacketCodec.decode(encoded) else {
            require(false, "what was encoded cannot be decoded")
            return 0
        }
        require(again.packet == decoded.packet, "decoding is not the inverse of encoding")
        return 0
    }
}

enum StreamFuzz {
    /// The first byte chooses the size of the pieces.
    static func feed(_ bytes: UnsafeBufferPointer<UInt8>) -> CInt {
        guard let first = bytes.first else { return 0 }
        var accumulator = FrameAccumulator()
        var rest = bytes.dropFirst()
        while !rest.isEmpty {
            accumulator.append(rest.prefix(Int(first) + 1))
            rest = rest.dropFirst(Int(first) + 1)
            do {
                while try accumulator.next() != nil {}
            } catch {
                require(accumulator.buffered == 0, "a stream that cannot be trusted still holds bytes")
                return 0
            }
        }
        return 0
    }
}

enum BackupFuzz {
    static func feed(_ bytes: UnsafeBufferPointer<UInt8>) -> CInt {
        var rest = bytes[...]
        _ = try? BackupReader.verify {
            guard !rest.isEmpty else { return nil }
            defer { rest = rest.dropFirst(97) }
            return Array(rest.prefix(97))
        }
        return 0
    }
}
