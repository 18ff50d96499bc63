// SPDX-License-Identifier: Apache-2.0
// Owns what a configuration key may look like, and how keys are compared.

import ClusterTypes

/// Keys are compared as bytes. `String`'s own comparison takes canonically equivalent texts for equal, and two nodes
/// that saw the two spellings in different order would then end with different roots.
package enum ConfigurationKey {
    /// The first rule that `key` breaks, nil when it is valid: 1 to 512 bytes, segments joined by `/`, no empty
    /// segment, no control character (C0, DEL, C1).
    package static func defect(of key: String) -> KeyDefect? {
        let bytes = key.utf8
        if bytes.isEmpty { return .empty }
        if bytes.count > Bounds.keyBytesMax { return .tooLong }
        let slash = UInt8(ascii: "/")
        var before = slash
        var defect: KeyDefect?
        for byte in bytes {
            let isC1 = before == 0xc2 && byte < 0xa0
            if byte < 0x20 || byte == 0x7f || isC1 { return .controlCharacter }
            if byte == slash, before == slash { defect = .emptySegment }
            before = byte
        }
        return before == slash ? .emptySegment : defect
    }

    /// True when the bytes are the same.
    package static func equal(_ a: String, _ b: String) -> Bool { order(a, b) == 0 }

    /// True when the bytes of `a` come before those of `b`.
    package static func precedes(_ a: String, _ b: String) -> Bool { order(a, b) < 0 }

    /// True when the bytes of `key` begin with those of `prefix`.
    package static func hasPrefix(_ key: String, _ prefix: String) -> Bool { key.utf8.starts(with: prefix.utf8) }

    /// A hash of the bytes. Differs between processes: fit for tables, not for results.
    static func tableHash(_ key: String) -> UInt32 {
        var hasher = Hasher()
        withBytes(key) { hasher.combine(bytes: $0) }
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }

    /// Negative, zero or positive as `a` comes before, equals or comes after `b`.
    package static func order(_ a: String, _ b: String) -> Int {
        withBytes(a) { x in withBytes(b) { y in order(x, y) } }
    }

    private static func order(_ x: UnsafeRawBufferPointer, _ y: UnsafeRawBufferPointer) -> Int {
        let common = min(x.count, y.count)
        var at = 0
        while at + 8 <= common {
            let left = UInt64(bigEndian: x.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            let right = UInt64(bigEndian: y.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            if left != right { return left < right ? -1 : 1 }
            at += 8
        }
        while at < common {
            if x[at] != y[at] { return x[at] < y[at] ? -1 : 1 }
            at += 1
        }
        return x.count - y.count
    }

    private static func withBytes<Result>(_ key: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let fast = key.utf8.withContiguousStorageIfAvailable { body(UnsafeRawBufferPointer($0)) }
        if let fast { return fast }
        return Array(key.utf8).withUnsafeBytes(body)
    }
}
