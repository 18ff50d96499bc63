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
}
