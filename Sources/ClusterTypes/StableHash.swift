// SPDX-License-Identifier: Apache-2.0
// Owns the hash that is the same in every process and version: fingerprints and roots are built from it.

/// A 128-bit hash value; `+` and `-` are modulo 2^64 in each half, so that sums of row hashes ignore order.
package struct Hash128: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static let zero = Hash128(high: 0, low: 0)

    package static func < (a: Hash128, b: Hash128) -> Bool {
        a.high != b.high ? a.high < b.high : a.low < b.low
    }
    package static func += (a: inout Hash128, b: Hash128) {
        a.high &+= b.high
        a.low &+= b.low
    }
    package static func -= (a: inout Hash128, b: Hash128) {
        a.high &-= b.high
        a.low &-= b.low
    }

    package var description: String { Hex.string(high) + Hex.string(low) }
}

/// SipHash-2-4 with 128-bit output (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) under a fixed
/// key. Integers are absorbed little-endian. Unlike `Hasher` it never changes between processes.
package struct StableHasher: Sendable {
    private var v0: UInt64
    private var v1: UInt64
    private var v2: UInt64
    private var v3: UInt64
    private var tail: UInt64 = 0
    private var tailBytes: UInt64 = 0
    private var length: UInt64 = 0

    /// The key is a constant: the hash guards against accident, not against an attacker who can choose values.
    package init(key0: UInt64 = 0x6773_7069_7064_3031, key1: UInt64 = 0x726f_6f74_6861_7368) {
        v0 = key0 ^ 0x736f_6d65_7073_6575
        v1 = key1 ^ 0x646f_7261_6e64_6f6d ^ 0xee
        v2 = key0 ^ 0x6c79_6765_6e65_7261
        v3 = key1 ^ 0x7465_6462_7974_6573
    }

    package mutating func absorb(_ byte: UInt8) {
        tail |= UInt64(byte) << (8 * tailBytes)
        tailBytes += 1
        length &+= 1
        if tailBytes == 8 { flushTail() }
    }

    package mutating func absorb(_ value: UInt64) {
        length &+= 8
        if tailBytes == 0 {
            compress(value)
        } else {
            let shift = 8 * tailBytes
            compress(tail | (value << shift))
            tail = value >> (64 - shift)
        }
    }

    package mutating func absorb(_ value: UInt32) {
        for shift in stride(from: UInt32(0), to: 32, by: 8) { absorb(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    package mutating func absorb(_ id: NodeID) {
        absorb(id.high)
        absorb(id.low)
    }

    /// Absorbs the length first, so that neighbouring fields cannot run into each other.
    package mutating func absorb(counted bytes: some Collection<UInt8>) {
        absorb(UInt64(bytes.count))
        absorb(raw: bytes)
    }

    /// Absorbs the bytes alone.
    package mutating func absorb(raw bytes: some Collection<UInt8>) {
        let whole: Void? = bytes.withContiguousStorageIfAvailable { absorb(raw: UnsafeRawBufferPointer($0)) }
        if whole == nil { for byte in bytes { absorb(byte) } }
    }

    // What is hashed for each row, without generic code that other modules would not get specialised.

    package mutating func absorb(counted bytes: [UInt8]) {
        absorb(UInt64(bytes.count))
        bytes.withUnsafeBytes { absorb(raw: $0) }
    }

    package mutating func absorb(counted text: String.UTF8View) {
        absorb(UInt64(text.count))
        let whole: Void? = text.withContiguousStorageIfAvailable { absorb(raw: UnsafeRawBufferPointer($0)) }
        if whole == nil { for byte in text { absorb(byte) } }
    }

    package mutating func absorb(raw bytes: UnsafeRawBufferPointer) {
        var at = 0
        while at + 8 <= bytes.count {
            absorb(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)))
            at += 8
        }
        while at < bytes.count {
            absorb(bytes[at])
            at += 1
        }
    }

    package consuming func finalize() -> Hash128 {
        compress(tail | (length << 56))
        v2 ^= 0xee
        for _ in 0..<4 { round() }
        let first = v0 ^ v1 ^ v2 ^ v3
        v1 ^= 0xdd
        for _ in 0..<4 { round() }
        return Hash128(high: first, low: v0 ^ v1 ^ v2 ^ v3)
    }

    private mutating func flushTail() {
        compress(tail)
        tail = 0
        tailBytes = 0
    }

    private mutating func compress(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }

    private mutating func round() {
        v0 &+= v1
        v1 = (v1 << 13) | (v1 >> 51)
        v1 ^= v0
        v0 = (v0 << 32) | (v0 >> 32)
        v2 &+= v3
        v3 = (v3 << 16) | (v3 >> 48)
        v3 ^= v2
        v0 &+= v3
        v3 = (v3 << 21) | (v3 >> 43)
        v3 ^= v0
        v2 &+= v1
        v1 = (v1 << 17) | (v1 >> 47)
        v1 ^= v2
        v2 = (v2 << 32) | (v2 >> 32)
    }
}
