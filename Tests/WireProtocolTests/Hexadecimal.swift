// SPDX-License-Identifier: Apache-2.0
// Owns bytes written as hexadecimal text in tests, and packets put together by hand.

import ClusterTypes
import NodeKernel
import WireProtocol

/// The bytes of hexadecimal text; spaces and line ends separate fields.
func hex(_ text: String) -> [UInt8] {
    let digits = text.filter { !$0.isWhitespace }.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

func text(_ bytes: some Sequence<UInt8>) -> String { bytes.map { Hex.string($0) }.joined() }

/// Bytes put together by hand, around the codec.
enum Raw {
    static let cluster = ClusterID(rawValue: 0xa1a2_a3a4_a5a6_a7a8)
    static let sender = NodeID(high: 0x0102_0304_0506_0708, low: 0x090a_0b0c_0d0e_0f10)
    static let other = NodeID(high: 0x1112_1314_1516_1718, low: 0x191a_1b1c_1d1e_1f20)
    static let senderHex = "0102030405060708 090a0b0c0d0e0f10"
    static let otherHex = "1112131415161718 191a1b1c1d1e1f20"

    static func header(version: UInt8 = 0x10, flags: UInt8 = 0) -> [UInt8] {
        hex("6773") + [version, flags] + hex("a1a2a3a4a5a6a7a8") + hex(senderHex)
    }

    static func message(_ kind: UInt8, _ body: [UInt8]) -> [UInt8] {
        [kind, UInt8(body.count >> 8), UInt8(body.count & 255)] + body
    }

    /// A message with the long form of its length.
    static func longPacket(_ kind: UInt8, _ body: String) -> [UInt8] {
        let body = hex(body)
        return header() + [kind, 0xff, 0xff] + (0..<4).map { UInt8(body.count >> (24 - 8 * $0) & 255) } + body
    }

    static func varint(_ value: Int) -> String {
        value < 0x80 ? Hex.string(UInt8(value)) : Hex.string(UInt8(value & 0x7f | 0x80)) + varint(value >> 7)
    }

    static func packet(_ kind: UInt8, _ body: String) -> [UInt8] { header() + message(kind, hex(body)) }
}

/// How decoding ends, as a value that a table can hold.
func outcome(_ bytes: [UInt8]) -> Result<DecodedPacket, DecodeFailure> {
    Result { () throws(DecodeFailure) in try PacketCodec.decode(bytes) }
}

func failure(_ bytes: [UInt8]) -> DecodeFailure? {
    if case .failure(let reason) = outcome(bytes) { return reason }
    return nil
}
