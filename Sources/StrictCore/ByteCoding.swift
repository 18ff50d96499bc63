// SPDX-License-Identifier: Apache-2.0
// Owns the primitive fields of commands, answers and snapshots: written in one form, read from bytes nobody vouches for.

import ClusterTypes

/// Why bytes are no command, answer or snapshot.
package enum StrictDecodeFailure: Error, Hashable, Sendable {
    /// Of a later program. It must not be taken for malformed: other replicas apply it.
    case unknownFormat(UInt8)
    case truncated
    /// A number in another than its shortest form, or beyond 64 bits.
    case varint
    /// A count or length beyond its bound.
    case bounds
    /// A code that stands for nothing.
    case code
    /// A text that is no key.
    case key
    /// Something follows the end.
    case trailing
    /// The fields are readable and contradict each other or a rule.
    case value
    /// Records are out of order, doubled or missing.
    case order
    /// The bytes are not those that were written.
    case digest
}

/// Bytes as they are appended. Numbers are LEB128, texts and byte strings are counted.
struct FieldWriter {
    private(set) var bytes: [UInt8] = []

    mutating func put(_ byte: UInt8) { bytes.append(byte) }

    mutating func put(_ flag: Bool) { bytes.append(flag ? 1 : 0) }

    mutating func put(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    mutating func put(count: Int) { put(varint: UInt64(count)) }

    mutating func put(counted value: [UInt8]) {
        put(count: value.count)
        bytes.append(contentsOf: value)
    }

    mutating func put(_ key: StrictKey) {
        put(count: key.bytes)
        bytes.append(contentsOf: key.text.utf8)
    }

    mutating func put(raw value: [UInt8]) { bytes.append(contentsOf: value) }

    mutating func put(fixed value: UInt64) {
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
        }
    }

    mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }
}

/// A cursor that never reads past its end and allocates only what the bytes at hand justify.
struct FieldReader {
    private let bytes: [UInt8]
    private(set) var at: Int
    private let end: Int

    init(_ bytes: [UInt8], from start: Int = 0, to end: Int? = nil) {
        self.bytes = bytes
        at = start
        self.end = end ?? bytes.count
    }

    var remaining: Int { end - at }

    mutating func byte() throws(StrictDecodeFailure) -> UInt8 {
        guard at < end else { throw .truncated }
        defer { at += 1 }
        return bytes[at]
    }

    mutating func flag() throws(StrictDecodeFailure) -> Bool {
        switch try byte() {
        case 0: false
        case 1: true
        case _: throw .code
        }
    }

    /// Exactly one form is accepted for each number: the shortest.
    mutating func varint() throws(StrictDecodeFailure) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try byte()
            // The tenth byte holds the 64th bit alone.
            guard shift < 63 || byte <= 1 else { throw .varint }
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 {
                guard byte != 0 || shift == 0 else { throw .varint }
                return value
            }
            shift += 7
        }
    }

    /// How many elements follow: at most `max`, and no more than the bytes left can hold.
    mutating func count(max: Int, elementBytesMin: Int) throws(StrictDecodeFailure) -> Int {
        let claimed = try varint()
        guard claimed <= UInt64(max) else { throw .bounds }
        guard claimed <= UInt64(remaining / elementBytesMin) else { throw .truncated }
        return Int(claimed)
    }

    mutating func counted(max: Int) throws(StrictDecodeFailure) -> [UInt8] {
        try raw(count(max: max, elementBytesMin: 1))
    }

    mutating func raw(_ count: Int) throws(StrictDecodeFailure) -> [UInt8] {
        guard count <= remaining else { throw .truncated }
        defer { at += count }
        return Array(bytes[at..<at + count])
    }

    mutating func fixed() throws(StrictDecodeFailure) -> UInt64 {
        var value: UInt64 = 0
        for _ in 0..<8 { value = value << 8 | UInt64(try byte()) }
        return value
    }

    mutating func key() throws(StrictDecodeFailure) -> StrictKey {
        let bytes = try counted(max: Bounds.keyBytesMax)
        guard let text = String(validating: bytes, as: UTF8.self), let key = StrictKey(text) else { throw .key }
        return key
    }

    func finish() throws(StrictDecodeFailure) {
        if at < end { throw .trailing }
    }
}
