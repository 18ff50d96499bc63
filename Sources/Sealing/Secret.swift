// SPDX-License-Identifier: Apache-2.0
// Owns the wrapper around key material that keeps it out of every text: logs, errors, dumps.

import Crypto
import FoundationEssentials

/// Key material. No way of turning values into text shows it: not interpolation, not `dump`, not a mirror of what holds it.
struct Secret: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    let key: SymmetricKey

    init(_ key: SymmetricKey) { self.key = key }

    init(_ bytes: some ContiguousBytes) { key = SymmetricKey(data: bytes) }

    var description: String { "secret" }
    var debugDescription: String { "secret" }
    var customMirror: Mirror { Mirror(self, children: []) }

    /// A copy of the bytes; hand it to nothing that prints.
    var bytes: [UInt8] { key.withUnsafeBytes { Array($0) } }
}

/// Big-endian bytes of a number, as the format and all derivations write them.
enum BigEndian {
    static func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }
}
