// SPDX-License-Identifier: Apache-2.0
// Owns the tests of when a lease is renewed and when it counts as lost, in made-up time.

import Testing

@testable import gossipctl

@Suite struct LeaseTimingTests {
    private let start = ContinuousClock.now

    @Test func `a lease is renewed at a third of its time and over at its end, both from when the request was sent`() {
        var timing = LeaseTiming(ttl: .seconds(9), grantedAt: start)
        #expect(timing.due == start + .seconds(3))
        #expect(!timing.isOver(at: start + .milliseconds(8_999)) && timing.isOver(at: start + .seconds(9)))
        timing.renewed(sentAt: start + .seconds(3))
        #expect(timing.due == start + .seconds(6) && timing.end == start + .seconds(12))
        #expect(timing.isFresh(at: start + .milliseconds(7_500)) && !timing.isFresh(at: start + .milliseconds(7_501)))
    }

    @Test func `a failed renewal is tried again soon and moves the end by nothing`() {
        var timing = LeaseTiming(ttl: .seconds(10), grantedAt: start)
        timing.failed(at: start + .seconds(4))
        #expect(timing.due == start + .milliseconds(4_500) && timing.end == start + .seconds(10))
        // An answer that comes late counts from when it was asked for, and never backwards.
        timing.renewed(sentAt: start + .seconds(5))
        timing.renewed(sentAt: start + .seconds(4))
        #expect(timing.end == start + .seconds(15))
    }

    @Test(arguments: [
        (Duration.seconds(1), Duration.milliseconds(333)), (.milliseconds(300), .milliseconds(200)),
        (.seconds(3600), .seconds(10)),
    ])
    func `one request takes a third of the time at most`(ttl: Duration, timeout: Duration) {
        let asked = LeaseTiming(ttl: ttl, grantedAt: start).requestTimeout
        #expect(abs((asked - timeout) / .milliseconds(1)) < 1)
    }

    @Test(arguments: [("0s", Duration.zero), ("0", .zero), ("10m", .seconds(600)), ("300ms", .milliseconds(300))])
    func `a time to wait may be none`(text: String, duration: Duration) {
        #expect(WaitTime(argument: text)?.duration == duration)
    }

    @Test(arguments: ["", "-1s", "25h", "5", "x"])
    func `what is no time to wait is refused`(text: String) {
        #expect(WaitTime(argument: text) == nil && LockTime(argument: text) == nil)
    }
}
