// SPDX-License-Identifier: Apache-2.0
// Owns time as the cores see it: monotonic instants, intervals between them, and wall time for stamps.

/// A length of time in whole nanoseconds; at most about 292 years either way.
package struct Interval: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package static let zero = Interval(nanoseconds: 0)

    package static func nanoseconds(_ count: Int) -> Interval { Interval(nanoseconds: Int64(count)) }
    package static func microseconds(_ count: Int) -> Interval { Interval(nanoseconds: Int64(count) * 1_000) }
    package static func milliseconds(_ count: Int) -> Interval { Interval(nanoseconds: Int64(count) * 1_000_000) }
    package static func seconds(_ count: Int) -> Interval { Interval(nanoseconds: Int64(count) * 1_000_000_000) }

    /// Rounds to the nearest nanosecond and clamps to what fits.
    package static func seconds(_ count: Double) -> Interval {
        let nanoseconds = (count * 1e9).rounded()
        if nanoseconds >= 9.2e18 { return Interval(nanoseconds: .max) }
        if nanoseconds <= -9.2e18 || nanoseconds.isNaN { return Interval(nanoseconds: .min) }
        return Interval(nanoseconds: Int64(nanoseconds))
    }

    package var seconds: Double { Double(nanoseconds) / 1e9 }
    package var milliseconds: Double { Double(nanoseconds) / 1e6 }

    package static func < (a: Interval, b: Interval) -> Bool { a.nanoseconds < b.nanoseconds }
    package static func + (a: Interval, b: Interval) -> Interval {
        Interval(nanoseconds: a.nanoseconds &+ b.nanoseconds)
    }
    package static func - (a: Interval, b: Interval) -> Interval {
        Interval(nanoseconds: a.nanoseconds &- b.nanoseconds)
    }
    package static func * (a: Interval, factor: Int) -> Interval {
        Interval(nanoseconds: a.nanoseconds &* Int64(factor))
    }
    package static func * (a: Interval, factor: Double) -> Interval { .seconds(a.seconds * factor) }
    package static func / (a: Interval, divisor: Int) -> Interval {
        Interval(nanoseconds: a.nanoseconds / Int64(divisor))
    }

    /// `340 ms` below a second, `2.1 s` below ten minutes, then whole minutes, hours, days: `42 min`, `30 h`, `365 d`.
    package var description: String {
        if nanoseconds < 1_000_000_000 { return "\(nanoseconds / 1_000_000) ms" }
        let whole = nanoseconds / 1_000_000_000
        if whole >= 3 * 86_400 { return "\(whole / 86_400) d" }
        if whole >= 3 * 3_600 { return "\(whole / 3_600) h" }
        if whole >= 600 { return "\(whole / 60) min" }
        let tenths = nanoseconds / 100_000_000 + nanoseconds % 100_000_000 / 50_000_000
        return "\(tenths / 10).\(tenths % 10) s"
    }
}

/// A point on this process's monotonic clock, in nanoseconds since an arbitrary origin. Never sent to a peer.
package struct Instant: Hashable, Comparable, Sendable {
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package static let origin = Instant(nanoseconds: 0)

    package static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }
    package static func + (a: Instant, b: Interval) -> Instant {
        Instant(nanoseconds: a.nanoseconds &+ b.nanoseconds)
    }
    package static func - (a: Instant, b: Interval) -> Instant {
        Instant(nanoseconds: a.nanoseconds &- b.nanoseconds)
    }
    package static func - (a: Instant, b: Instant) -> Interval {
        Interval(nanoseconds: a.nanoseconds &- b.nanoseconds)
    }
}

/// Wall-clock time in whole milliseconds since 1970-01-01T00:00:00Z. It may jump; only stamps and people use it.
package struct WallTime: Hashable, Comparable, Sendable {
    package var milliseconds: UInt64

    package init(milliseconds: UInt64) { self.milliseconds = milliseconds }

    package static func < (a: WallTime, b: WallTime) -> Bool { a.milliseconds < b.milliseconds }
}

/// The two clocks an input arrives with: what the cores use instead of reading a clock.
package struct Clock: Hashable, Sendable {
    package var now: Instant
    package var wall: WallTime

    package init(now: Instant, wall: WallTime) {
        self.now = now
        self.wall = wall
    }
}
