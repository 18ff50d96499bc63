// SPDX-License-Identifier: Apache-2.0
// Owns the fuzz targets of plain bytes from peers: a datagram, a stream.

import ClusterTypes
import WireProtocol

enum WireFuzz {
    static func packet(_ bytes: [UInt8]) throws(FuzzFailure) {
        guard let decoded = try? PacketCodec.decode(bytes) else { return }
        // What can be read can be written, and reads the same again.
        guard let encoded = try? PacketCodec.encode(decoded.packet, limit: Bounds.frameBytesMax) else { return }
        try require(encoded.count == PacketCodec.size(of: decoded.packet), "the size is not what the encoder wrote")
        guard let again = try? PacketCodec.decode(encoded) else {
            throw FuzzFailure("what was encoded cannot be decoded")
        }
        try require(again.packet == decoded.packet, "decoding is not the inverse of encoding")
    }

    /// The first byte chooses the size of the pieces.
    static func stream(_ bytes: [UInt8]) throws(FuzzFailure) {
        guard let first = bytes.first else { return }
        var accumulator = FrameAccumulator()
        var rest = bytes.dropFirst()
        while !rest.isEmpty {
            accumulator.append(rest.prefix(Int(first) + 1))
            rest = rest.dropFirst(Int(first) + 1)
            while true {
                do {
                    if try accumulator.next() == nil { break }
                } catch {
                    try require(accumulator.buffered == 0, "a stream that cannot be trusted still holds bytes")
                    return
                }
            }
        }
    }
}
