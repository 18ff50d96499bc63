// SPDX-License-Identifier: Apache-2.0
// Owns how figures are written, alike on every machine, and the quantiles of samples.

import ClusterTypes

/// Figures as text. Decimals are made from integers: no locale, no rounding mode of a library.
package enum Figure {
    /// `12.345 s`.
    package static func seconds(_ interval: Interval) -> String { decimal(interval.seconds, digits: 3) + " s" }

    /// `digits` decimals, rounded half away from zero; 0...6 digits, magnitudes below 1e12.
    package static func decimal(_ value: Double, digits: Int) -> String {
        var scale: Int64 = 1
        for _ in 0..<digits { scale *= 10 }
        let scaled = (abs(value) * Double(scale)).rounded(.toNearestOrAwayFromZero)
        guard scaled < 9e18 else { return "?" }
        let whole = Int64(scaled)
        let sign = value < 0 && whole > 0 ? "-" : ""
        guard digits > 0 else { return "\(sign)\(whole)" }
        let fraction = String(whole % scale)
        return "\(sign)\(whole / scale).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
    }

    /// `1 234 567`.
    package static func grouped(_ value: Int) -> String {
        var groups: [String] = []
        var rest = value.magnitude
        repeat {
            let group = String(rest % 1000)
            rest /= 1000
            groups.append(rest > 0 ? String(repeating: "0", count: 3 - group.count) + group : group)
        } while rest > 0
        return (value < 0 ? "-" : "") + groups.reversed().joined(separator: " ")
    }

    package static func mean(_ values: [Double]) -> Double? {
        values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }

    package static func median(_ values: [Double]) -> Double? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        return sorted[sorted.count / 2]
    }
}

/// Samples of a duration, kept whole up to `capacity`; further ones count but do not move the quantiles.
package struct Samples: Hashable, Sendable {
    package private(set) var values: [Int64] = []
    /// Samples offered, those beyond the capacity included.
    package private(set) var offered = 0
    private let capacity: Int

    package init(capacity: Int = 4_000_000) { self.capacity = capacity }

    package mutating func add(_ interval: Interval) {
        offered += 1
        if values.count < capacity { values.append(interval.nanoseconds) }
    }

    package var summary: Summary? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        return Summary(
            count: offered, first: Interval(nanoseconds: sorted[0]), median: Self.quantile(sorted, 50),
            p99: Self.quantile(sorted, 99), last: Interval(nanoseconds: sorted[sorted.count - 1]))
    }

    /// The smallest sample that `percent` of all samples do not exceed.
    private static func quantile(_ sorted: [Int64], _ percent: Int) -> Interval {
        let rank = (sorted.count * percent + 99) / 100
        return Interval(nanoseconds: sorted[max(0, rank - 1)])
    }

    package struct Summary: Hashable, Sendable {
        package var count: Int
        package var first: Interval
        package var median: Interval
        package var p99: Interval
        package var last: Interval
    }
}
