// SPDX-License-Identifier: Apache-2.0
// Owns as much of HTTP/2 (RFC 9113), HPACK (RFC 7541) and etcd's messages as unary calls of one kind over a connection need.

import NIOCore

/// What each client asks etcd for.
struct GRPCShape: Sendable {
    var operation: LoadCommand.Operation
    var authority: String
    var prefix: String
    var value: [UInt8]
    var keys: Int
    /// Of a get: answered by the asked member alone.
    var isSerializable: Bool

    private var path: String {
        switch operation {
        case .put: "/etcdserverpb.KV/Put"
        case .get: "/etcdserverpb.KV/Range"
        }
    }

    /// Of the first call of a connection: what differs from the static table is told, and remembered by the server.
    var firstHeaders: [UInt8] {
        // Static entries: ":method: POST", ":scheme: http"; names 4, 1 and 31: ":path", ":authority", "content-type".
        var block: [UInt8] = [0x83, 0x86]
        for (name, value) in [(UInt8(0x44), path), (0x41, authority), (0x5f, "application/grpc")] {
            block += [name, UInt8(value.utf8.count)] + Array(value.utf8)
        }
        return block + [0x40, 2] + Array("te".utf8) + [8] + Array("trailers".utf8)
    }

    /// Of all later ones: the last of what was remembered is 62.
    static let laterHeaders: [UInt8] = [0x83, 0x86, 0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62]

    /// A message with its prefix of five bytes: not compressed, its length.
    func message(_ number: Int) -> [UInt8] {
        var body: [UInt8] = []
        switch operation {
        case .put:
            Self.field(1, Array("\(prefix)/\(number % keys)".utf8), into: &body)
            Self.field(2, value, into: &body)
        case .get:
            Self.field(1, Array("\(prefix)/\((number &* 7_919) % keys)".utf8), into: &body)
            // Field 7, a bool.
            if isSerializable { body += [7 << 3, 1] }
        }
        return [0] + (0..<4).map { UInt8(truncatingIfNeeded: body.count >> (24 - 8 * $0)) } + body
    }

    /// A length-delimited field of a protocol buffer.
    private static func field(_ number: UInt8, _ bytes: [UInt8], into body: inout [UInt8]) {
        body.append(number << 3 | 2)
        var count = bytes.count
        while count >= 0x80 {
            body.append(UInt8(count & 0x7f) | 0x80)
            count >>= 7
        }
        body.append(UInt8(count))
        body += bytes
    }
}

/// The frame types that are sent or looked at; others are passed over, as RFC 9113 section 5.5 asks.
enum HTTP2Kind {
    static let data: UInt8 = 0
    static let headers: UInt8 = 1
    static let reset: UInt8 = 3
    static let settings: UInt8 = 4
    static let ping: UInt8 = 6
    static let goAway: UInt8 = 7
    static let windowUpdate: UInt8 = 8
    static let endStream: UInt8 = 0x1
    /// Of settings and pings.
    static let acknowledged: UInt8 = 0x1
    static let endHeaders: UInt8 = 0x4
}

struct HTTP2Frame {
    static let headBytes = 9
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    var kind: UInt8
    var flags: UInt8
    var stream: UInt32
    var payload: ByteBuffer

    /// nil: not all of it is there yet.
    static func next(in buffer: inout ByteBuffer) -> HTTP2Frame? {
        guard let head = buffer.getBytes(at: buffer.readerIndex, length: headBytes) else { return nil }
        let count = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
        guard buffer.readableBytes >= headBytes + count else { return nil }
        buffer.moveReaderIndex(forwardBy: headBytes)
        guard let payload = buffer.readSlice(length: count) else { return nil }
        let stream = UInt32(head[5] & 0x7f) << 24 | UInt32(head[6]) << 16 | UInt32(head[7]) << 8 | UInt32(head[8])
        return HTTP2Frame(kind: head[3], flags: head[4], stream: stream, payload: payload)
    }

    static func write(_ kind: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8], to buffer: inout ByteBuffer)
    {
        buffer.writeInteger(UInt8(truncatingIfNeeded: payload.count >> 16))
        buffer.writeInteger(UInt16(truncatingIfNeeded: payload.count))
        buffer.writeInteger(kind)
        buffer.writeInteger(flags)
        buffer.writeInteger(stream)
        buffer.writeBytes(payload)
    }

    static func bytes(_ number: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) }
    }
}
