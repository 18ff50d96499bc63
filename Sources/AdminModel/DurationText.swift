// SPDX-License-Identifier: Apache-2.0
// Owns durations in text: a number and a unit, such as 500ms, 90s, 5m, 24h or 7d.

package enum DurationText {
    private static let units: [(suffix: String, milliseconds: Double)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]

    /// Nil when it is no duration, below a millisecond or above `max`.
    package static func parse(_ text: String, max: Duration) -> Duration? {
        for (suffix, milliseconds) in units where text.hasSuffix(suffix) {
            let digits = text.dropLast(suffix.count)
            // Swift also reads inf, nan, hexadecimal and exponents.
            guard
                digits.utf8.allSatisfy({
                    $0 == UInt8(ascii: ".") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                }),
                let number = Double(digits)
            else { continue }
            let total = number * milliseconds
            guard total >= 1, total <= 1e15 else { return nil }
            let duration = Duration.milliseconds(Int64(total))
            return duration <= max ? duration : nil
        }
        return nil
    }
}
