// SPDX-License-Identifier: Apache-2.0
// Owns the logarithm, which the standard library lacks and which must round alike on every machine.

/// Logarithms of positive finite numbers by the series of atanh; the error is below 1e-12.
package enum Logarithm {
    package static func natural(_ x: Double) -> Double {
        precondition(x > 0 && x.isFinite, "the logarithm of \(x) is not defined")
        // x = m * 2^e with 1 <= m < 2; ln m = 2 atanh((m - 1) / (m + 1)).
        let t = (x.significand - 1) / (x.significand + 1)
        var power = t
        var sum = 0.0
        for k in stride(from: 1, to: 40, by: 2) {
            sum += power / Double(k)
            power *= t * t
        }
        return 2 * sum + Double(x.exponent) * 0.693_147_180_559_945_3
    }

    package static func base10(_ x: Double) -> Double { natural(x) / 2.302_585_092_994_046 }

    /// `ceil(log10(n + 1))`, exactly, for a count of nodes: 1 for 1...9, 2 for 10...99, and so on; 0 for 0.
    package static func decimalDigits(_ count: Int) -> Int {
        var digits = 0
        var rest = count
        while rest > 0 {
            digits += 1
            rest /= 10
        }
        return digits
    }
}
