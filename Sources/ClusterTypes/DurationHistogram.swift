// SPDX-License-Identifier: Apache-2.0
// Owns the counting of durations in buckets, for metrics.

/// Durations counted by size, as Prometheus has them: how many were at most a bound, their number, their sum.
package struct DurationHistogram: Hashable, Sendable {
    /// The upper bounds of all buckets but the last, which has none: 0.1 ms to 10 s, about 2.5-fold each.
    package static let bounds: [Interval] = [
        .microseconds(100), .microseconds(250), .microseconds(500), .milliseconds(1), .microseconds(2_500),
        .milliseconds(5), .milliseconds(10), .milliseconds(25), .milliseconds(50), .milliseconds(100),
        .milliseconds(250), .milliseconds(500), .seconds(1), .milliseconds(2_500), .seconds(10),
    ]

    /// How many fell into each bucket and no lower one; the last is for what is beyond all bounds.
    package private(set) var counts = [UInt64](repeating: 0, count: bounds.count + 1)
    package private(set) var sum = Interval.zero

    package init() {}

    package var count: UInt64 { counts.reduce(0, +) }

    /// Negative durations count as zero.
    package mutating func add(_ duration: Interval) {
        let duration = max(.zero, duration)
        counts[Self.bounds.firstIndex { duration <= $0 } ?? Self.bounds.count] += 1
        sum = sum + duration
    }
}
