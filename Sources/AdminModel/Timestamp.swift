// SPDX-License-Identifier: Apache-2.0
// Owns points of wall-clock time in documents: RFC 3339, UTC, milliseconds.

/// Milliseconds since 1970-01-01T00:00:00Z, printed as `2026-11-20T12:00:01.123Z`.
///
/// Bounds: years 0000 to 9999; times outside are clamped, so that a wild clock still prints.
package struct Timestamp: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let milliseconds: Int64

    private static let range: ClosedRange<Int64> = -62_167_219_200_000...253_402_300_799_999

    package init(milliseconds: Int64) {
        self.milliseconds = min(max(milliseconds, Self.range.lowerBound), Self.range.upperBound)
    }

    package static func < (a: Timestamp, b: Timestamp) -> Bool { a.milliseconds < b.milliseconds }

    /// Parses what `description` prints, and RFC 3339 in UTC (`Z`) with no to nine fraction digits.
    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, bytes.last == UInt8(ascii: "Z") else { return nil }
        func number(_ start: Int, _ count: Int) -> Int64? {
            var result: Int64 = 0
            for byte in bytes[start..<start + count] {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
                result = result * 10 + Int64(byte - UInt8(ascii: "0"))
            }
            return result
        }
        let marks: [(Int, Character)] = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")]
        guard marks.allSatisfy({ bytes[$0.0] == $0.1.asciiValue }),
            let year = number(0, 4), let month = number(5, 2), let day = number(8, 2),
            let hour = number(11, 2), let minute = number(14, 2), let second = number(17, 2),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        var fraction: Int64 = 0
        if bytes.count > 20 {
            let digits = bytes.count - 21
            guard bytes[19] == UInt8(ascii: "."), (1...9).contains(digits), number(20, digits) != nil else {
                return nil
            }
            for place in 0..<3 {
                fraction = fraction * 10 + (place < digits ? Int64(bytes[20 + place] - UInt8(ascii: "0")) : 0)
            }
        }
        let days = Self.days(year: year, month: month, day: day)
        self.init(milliseconds: (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + fraction)
        // 31 February parses as a number but is no date.
        guard Self.civil(days: days) == (year, month, day) else { return nil }
    }

    package var description: String {
        let (days, inDay) = milliseconds.flooredDivision(by: 86_400_000)
        let (year, month, day) = Self.civil(days: days)
        return Self.text(
            [(year, 4, "-"), (month, 2, "-"), (day, 2, "T")] + Self.clock(inDay, ".") + [(inDay % 1000, 3, "Z")])
    }

    /// The time of day, `12:00:01` in UTC: for people who know which day it is.
    package var clock: String { Self.text(Self.clock(milliseconds.flooredDivision(by: 86_400_000).remainder, nil)) }

    /// A number, in how many digits, and what follows it.
    private typealias Field = (number: Int64, digits: Int, mark: Unicode.Scalar?)

    private static func clock(_ inDay: Int64, _ mark: Unicode.Scalar?) -> [Field] {
        [(inDay / 3_600_000, 2, ":"), (inDay / 60_000 % 60, 2, ":"), (inDay / 1000 % 60, 2, mark)]
    }

    private static func text(_ fields: [Field]) -> String {
        let count = fields.reduce(0) { $0 + $1.digits + ($1.mark == nil ? 0 : 1) }
        return String(unsafeUninitializedCapacity: count) { buffer in
            var place = 0
            for field in fields {
                var rest = field.number
                for digit in (place..<place + field.digits).reversed() {
                    buffer[digit] = UInt8(ascii: "0") + UInt8(rest % 10)
                    rest /= 10
                }
                place += field.digits
                guard let mark = field.mark else { continue }
                buffer[place] = UInt8(ascii: mark)
                place += 1
            }
            return place
        }
    }

    /// Days since 1970-01-01 of a date in the proleptic Gregorian calendar, counted in years that begin in March,
    /// so that the leap day is the last of its year.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = shifted.flooredDivision(by: 400)
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// The inverse of `days(year:month:day:)`.
    private static func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = (days + 719_468).flooredDivision(by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }
}

extension Timestamp: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let parsed = Timestamp(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an RFC 3339 time in UTC")
        }
        self = parsed
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension Int64 {
    /// Division whose remainder is never negative; the divisor is positive.
    fileprivate func flooredDivision(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
