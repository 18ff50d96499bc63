// SPDX-License-Identifier: Apache-2.0
// Owns points of the past as people type them: a revision, a time, or how long ago.

import AdminModel
import ArgumentParser
import Glibc

/// `1042` (a revision), `2026-11-20T12:00:00Z`, `2026-11-20 12:00`, `2026-11-20` (UTC), `10m`, `2h`, `3d` (ago).
struct PastPointArgument: BoundedArgument, Hashable {
    static let bounds = "a revision, or \(TimeArgument.bounds)"

    var point: PastPoint

    init?(argument: String) {
        if let revision = UInt64(argument) {
            point = .revision(revision)
        } else if let time = TimeArgument(argument: argument) {
            point = .time(time.time)
        } else {
            return nil
        }
    }
}

/// As above, without revisions.
struct TimeArgument: BoundedArgument, Hashable {
    static let bounds = "a time such as 2026-11-20T12:00:00Z, or how long ago, such as 10m"

    var time: Timestamp

    private static let agoMax = Duration.seconds(100 * 366 * 86_400)

    init?(argument: String) {
        self.init(argument, now: Self.now)
    }

    init?(_ text: String, now: Timestamp) {
        if let ago = DurationText.parse(text, max: Self.agoMax) {
            time = Timestamp(milliseconds: now.milliseconds - Int64(ago / .milliseconds(1)))
            return
        }
        // What a person leaves away: the T, the Z, the seconds, the time of day.
        var full = text
        if let space = full.firstIndex(of: " ") { full.replaceSubrange(space...space, with: "T") }
        if !full.hasSuffix("Z") { full += "Z" }
        for candidate in [full, full.dropLast() + ":00Z", full.dropLast() + "T00:00:00Z"] {
            if let found = Timestamp(candidate) {
                time = found
                return
            }
        }
        return nil
    }

    private static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
