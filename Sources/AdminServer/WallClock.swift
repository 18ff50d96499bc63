// SPDX-License-Identifier: Apache-2.0
// Owns the admin server's one look at the wall clock: the time in heartbeats and closing lines.

import AdminModel
import Glibc

enum WallClock {
    static func read() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
