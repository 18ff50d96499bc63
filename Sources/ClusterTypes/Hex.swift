// SPDX-License-Identifier: Apache-2.0
// Owns fixed-width hexadecimal text, which the standard library does not have.

/// Fixed-width lower-case hexadecimal.
package enum Hex {
    package static func isDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "a")...UInt8(ascii: "f"): true
        case UInt8(ascii: "A")...UInt8(ascii: "F"): true
        case _: false
        }
    }

    /// `value` with leading zeros: two digits a byte.
    package static func string<Value: FixedWidthInteger & UnsignedInteger>(_ value: Value) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: Value.bitWidth / 4 - digits.count) + digits
    }

    /// The bytes of exactly `2 * count` digits; nil for anything else.
    package static func bytes(_ text: some StringProtocol, count: Int) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count == 2 * count, digits.allSatisfy(isDigit) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        for at in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(decoding: digits[at..<at + 2], as: UTF8.self), radix: 16) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}
