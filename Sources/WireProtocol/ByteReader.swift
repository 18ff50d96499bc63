// SPDX-License-Identifier: Apache-2.0
// Owns reading primitive fields out of bytes that nobody vouches for: every read is checked, none can trap.

import ClusterTypes
import StoreCore

/// A cursor over received bytes. It never reads past `end` and allocates only what the bytes at hand justify.
struct ByteReader {
    private let base: UnsafeRawPointer
    private(set) var at: Int
    let end: Int

    /// `base` must be valid for `end` bytes as long as the reader lives.
    init(base: UnsafeRawPointer, at: Int = 0, end: Int) {
        self.base = base
        self.at = at
        self.end = end
    }

    var remaining: Int { end &- at }
    var isAtEnd: Bool { at >= end }

    @inline(__always)
    private mutating func load<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type
    ) throws(DecodeFailure) -> Value {
        guard remaining >= MemoryLayout<Value>.size else { throw .truncated }
        let value = base.loadUnaligned(fromByteOffset: at, as: type)
        at &+= MemoryLayout<Value>.size
        return Value(bigEndian: value)
    }

    @inline(__always) mutating func uint8() throws(DecodeFailure) -> UInt8 { try load(UInt8.self) }
    @inline(__always) mutating func uint16() throws(DecodeFailure) -> UInt16 { try load(UInt16.self) }
    @inline(__always) mutating func uint32() throws(DecodeFailure) -> UInt32 { try load(UInt32.self) }
    @inline(__always) mutating func uint64() throws(DecodeFailure) -> UInt64 { try load(UInt64.self) }

    /// LEB128 of at most 64 bits. Exactly one form is accepted for each number: the shortest.
    @inline(__always)
    mutating func varint() throws(DecodeFailure) -> UInt64 {
        let first = try uint8()
        return first < 0x80 ? UInt64(first) : try longVarint(first)
    }

    private mutating func longVarint(_ first: UInt8) throws(DecodeFailure) -> UInt64 {
        var value = UInt64(first & 0x7f)
        var shift: UInt64 = 7
        while true {
            let byte = try uint8()
            // The tenth byte holds the 64th bit alone.
            guard shift < 63 || byte <= 1 else { throw .varint }
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 {
                guard byte != 0 else { throw .varint }
                return value
            }
            shift += 7
        }
    }

    /// How many elements follow: at most `max`, and no more than the bytes left can hold.
    mutating func count(max: UInt64 = .max, elementBytesMin: Int) throws(DecodeFailure) -> Int {
        let claimed = try varint()
        guard claimed <= max else { throw .bounds }
        guard claimed <= UInt64(remaining / elementBytesMin) else { throw .truncated }
        return Int(claimed)
    }

    /// The bytes of a counted field of at most `max` bytes.
    mutating func counted(max: Int) throws(DecodeFailure) -> UnsafeRawBufferPointer {
        let length = try count(max: UInt64(max), elementBytesMin: 1)
        let bytes = UnsafeRawBufferPointer(start: base + at, count: length)
        at &+= length
        return bytes
    }

    mutating func bytes(max: Int) throws(DecodeFailure) -> [UInt8] { try Array(counted(max: max)) }

    /// The next `count` bytes; the caller has seen that as many remain.
    @inline(__always)
    mutating func bytes(count: Int) throws(DecodeFailure) -> [UInt8] {
        guard count <= remaining else { throw .truncated }
        defer { at &+= count }
        return Array(UnsafeRawBufferPointer(start: base + at, count: count))
    }

    /// Counted UTF-8 text of `min...max` bytes.
    mutating func text(min: Int, max: Int) throws(DecodeFailure) -> String {
        let bytes = try counted(max: max)
        guard bytes.count >= min else { throw .bounds }
        return try Self.text(bytes)
    }

    @inline(__always)
    static func text(_ bytes: UnsafeRawBufferPointer) throws(DecodeFailure) -> String {
        // Nearly all text is ASCII, and the general path costs five times as much.
        if bytes.allSatisfy({ $0 < 0x80 }) { return String(decoding: bytes, as: UTF8.self) }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .utf8 }
        return text
    }

    @inline(__always)
    mutating func nodeID() throws(DecodeFailure) -> NodeID {
        guard remaining >= 16 else { throw .truncated }
        return NodeID(high: try uint64(), low: try uint64())
    }

    /// A node that is somebody: a sender, a subject, an author.
    @inline(__always)
    mutating func knownNodeID() throws(DecodeFailure) -> NodeID {
        let id = try nodeID()
        guard id != .unknown else { throw .value }
        return id
    }

    @inline(__always)
    mutating func actor() throws(DecodeFailure) -> ActorID {
        let node = try knownNodeID()
        return ActorID(node: node, epoch: try uint32())
    }

    /// An event's number, `least...Dot.counterMax`.
    @inline(__always)
    mutating func eventNumber(from least: UInt64) throws(DecodeFailure) -> UInt64 {
        let number = try varint()
        guard number >= least else { throw .value }
        guard number <= Dot.counterMax else { throw .bounds }
        return number
    }

    @inline(__always)
    mutating func dot() throws(DecodeFailure) -> Dot {
        let actor = try actor()
        return Dot(actor: actor, counter: try eventNumber(from: 1))
    }

    /// nil: a family that this version does not know, of unknown length, so that nothing after it can be read.
    mutating func address() throws(DecodeFailure) -> Address? {
        switch try uint8() {
        case WireLayout.familyIPv4:
            let ipv4 = try uint32()
            return Address(ipv4: ipv4, port: try uint16())
        case WireLayout.familyIPv6:
            let high = try uint64()
            let low = try uint64()
            let address = Address(high: high, low: low, port: try uint16())
            // IPv4 has one form only.
            guard !address.isIPv4 else { throw .value }
            return address
        case _:
            return nil
        }
    }

    /// The frame's content as a reader of its own; this reader moves past it. Too short a rest is `.short`.
    @inline(__always)
    mutating func frame() throws(DecodeFailure) -> ByteReader {
        guard remaining >= 2 else { throw .short }
        var length = Int(try uint16())
        if length == Int(WireLayout.lengthEscape) {
            guard remaining >= WireLayout.lengthEscapeBytes else { throw .short }
            length = Int(try uint32())
            guard length >= Int(WireLayout.lengthEscape) else { throw .length }
        }
        guard length <= remaining else { throw .short }
        let body = ByteReader(base: base, at: at, end: at &+ length)
        at &+= length
        return body
    }
}
