// SPDX-License-Identifier: Apache-2.0
// Owns writing primitive fields: once into bytes, once into a mere count, so that sizes cannot drift from bytes.

import ClusterTypes
import StoreCore

/// Where the fields of a message go. Integers are big-endian.
protocol ByteSink {
    mutating func put(_ value: UInt8)
    mutating func put(_ value: UInt16)
    mutating func put(_ value: UInt32)
    mutating func put(_ value: UInt64)
    /// LEB128: seven bits a byte, lowest first, the high bit set on all but the last; never longer than needed.
    mutating func put(varint value: UInt64)
    mutating func put(raw bytes: [UInt8])
    /// The bytes of `text` but for the first `start`, which it has.
    mutating func put(utf8 text: String, from start: Int)
    /// Leaves room for a 2-byte length and returns where the framed bytes begin.
    mutating func openFrame() -> Int
    /// Fills in the length of what was written since; `mark` is what `openFrame` returned.
    mutating func closeFrame(_ mark: Int)
    /// The value contradicts itself and cannot be written.
    mutating func refuse()
}

extension ByteSink {
    @inline(__always)
    mutating func put(_ id: NodeID) {
        put(id.high)
        put(id.low)
    }

    @inline(__always)
    mutating func put(_ actor: ActorID) {
        put(actor.node)
        put(actor.epoch)
    }

    @inline(__always)
    mutating func put(_ dot: Dot) {
        put(dot.actor)
        put(varint: dot.counter)
    }

    @inline(__always)
    mutating func put(_ address: Address) {
        if let ipv4 = address.ipv4 {
            put(WireLayout.familyIPv4)
            put(ipv4)
        } else {
            put(WireLayout.familyIPv6)
            put(address.high)
            put(address.low)
        }
        put(address.port)
    }

    @inline(__always)
    mutating func put(count: Int) { put(varint: UInt64(count)) }

    @inline(__always)
    mutating func put(counted bytes: [UInt8]) {
        put(count: bytes.count)
        put(raw: bytes)
    }

    @inline(__always)
    mutating func put(counted text: String) {
        put(count: text.utf8.count)
        put(utf8: text, from: 0)
    }
}

/// Counts the bytes that a `ByteWriter` would write.
struct SizeCounter: PacketSink {
    private(set) var bytes = 0

    @inline(__always) mutating func put(_ value: UInt8) { bytes += 1 }
    @inline(__always) mutating func put(_ value: UInt16) { bytes += 2 }
    @inline(__always) mutating func put(_ value: UInt32) { bytes += 4 }
    @inline(__always) mutating func put(_ value: UInt64) { bytes += 8 }

    @inline(__always)
    mutating func put(varint value: UInt64) { bytes += (70 - (value | 1).leadingZeroBitCount) / 7 }

    @inline(__always) mutating func put(raw bytes: [UInt8]) { self.bytes += bytes.count }
    @inline(__always) mutating func put(utf8 text: String, from start: Int) { bytes += text.utf8.count - start }

    @inline(__always)
    mutating func openFrame() -> Int {
        bytes += 2
        return bytes
    }

    @inline(__always)
    mutating func closeFrame(_ mark: Int) {
        if bytes - mark >= Int(WireLayout.lengthEscape) { bytes += WireLayout.lengthEscapeBytes }
    }

    @inline(__always) mutating func refuse() {}

    var count: Int { bytes }
    var hasFailed: Bool { false }
    mutating func rewind(to count: Int) { bytes = count }
}

/// Writes into a buffer of fixed size, never beyond it. The first field that does not fit sets `failure` for good: what
/// the buffer then holds means nothing.
struct ByteWriter: PacketSink {
    private let base: UnsafeMutableRawPointer
    private let limit: Int
    private(set) var count = 0
    private(set) var failure: EncodeFailure?

    init(base: UnsafeMutableRawPointer, limit: Int) {
        self.base = base
        self.limit = limit
    }

    /// Whether `bytes` more fit; if not, the packet has failed.
    @inline(__always)
    private mutating func hasRoom(_ bytes: Int) -> Bool {
        if bytes <= limit &- count { return true }
        fail(.limit)
        return false
    }

    private mutating func fail(_ reason: EncodeFailure) {
        if failure == nil { failure = reason }
    }

    mutating func refuse() { fail(.contentMismatch) }

    var hasFailed: Bool { failure != nil }

    mutating func rewind(to count: Int) {
        self.count = count
        failure = nil
    }

    @inline(__always)
    private mutating func store<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        guard hasRoom(MemoryLayout<Value>.size) else { return }
        base.storeBytes(of: value.bigEndian, toByteOffset: count, as: Value.self)
        count &+= MemoryLayout<Value>.size
    }

    @inline(__always) mutating func put(_ value: UInt8) { store(value) }
    @inline(__always) mutating func put(_ value: UInt16) { store(value) }
    @inline(__always) mutating func put(_ value: UInt32) { store(value) }
    @inline(__always) mutating func put(_ value: UInt64) { store(value) }

    @inline(__always)
    mutating func put(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            store(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        store(UInt8(truncatingIfNeeded: rest))
    }

    mutating func put(raw bytes: [UInt8]) {
        guard hasRoom(bytes.count) else { return }
        bytes.withUnsafeBytes { copy($0) }
    }

    mutating func put(utf8 text: String, from start: Int) {
        guard hasRoom(text.utf8.count - start) else { return }
        let wasContiguous: Void? = text.utf8.withContiguousStorageIfAvailable {
            copy(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer($0)[start...]))
        }
        if wasContiguous == nil { for byte in text.utf8.dropFirst(start) { store(byte) } }
    }

    @inline(__always)
    private mutating func copy(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        (base + count).copyMemory(from: source, byteCount: bytes.count)
        count &+= bytes.count
    }

    @inline(__always)
    mutating func openFrame() -> Int {
        put(UInt16(0))
        return count
    }

    @inline(__always)
    mutating func closeFrame(_ mark: Int) {
        guard failure == nil else { return }
        let length = count &- mark
        if length < Int(WireLayout.lengthEscape) {
            base.storeBytes(of: UInt16(length).bigEndian, toByteOffset: mark &- 2, as: UInt16.self)
        } else {
            escapeLength(length, at: mark)
        }
    }

    /// Moves what was framed to make room for the long form of its length; rare, and only on streams.
    private mutating func escapeLength(_ length: Int, at mark: Int) {
        guard hasRoom(WireLayout.lengthEscapeBytes) else { return }
        guard let long = UInt32(exactly: length) else { return fail(.limit) }
        (base + mark + WireLayout.lengthEscapeBytes).copyMemory(from: base + mark, byteCount: length)
        base.storeBytes(of: WireLayout.lengthEscape.bigEndian, toByteOffset: mark &- 2, as: UInt16.self)
        base.storeBytes(of: long.bigEndian, toByteOffset: mark, as: UInt32.self)
        count &+= WireLayout.lengthEscapeBytes
    }
}
