// SPDX-License-Identifier: Apache-2.0
// Owns the reading of the two clocks.

import ClusterTypes
import Glibc
import NIOCore

/// The host's clocks as inputs of a kernel.
package enum SystemClock {
    package static func now() -> Clock { Clock(now: monotonic(), wall: wall()) }

    /// CLOCK_MONOTONIC, the clock of SwiftNIO's timers.
    package static func monotonic() -> Instant {
        Instant(nanoseconds: Int64(clamping: NIODeadline.now().uptimeNanoseconds))
    }

    /// CLOCK_REALTIME; a clock set before 1970 reads 0.
    package static func wall() -> WallTime {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let milliseconds = Int64(now.tv_sec) * 1_000 + Int64(now.tv_nsec) / 1_000_000
        return WallTime(milliseconds: UInt64(max(milliseconds, 0)))
    }
}
