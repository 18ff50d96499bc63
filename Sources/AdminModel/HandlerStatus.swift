// SPDX-License-Identifier: Apache-2.0
// Owns how a handler of this node stands, in its status.

/// One command that runs on events.
package struct HandlerStatus: Codable, Hashable, Sendable {
    package var name: String
    /// Runs that have ended, failed ones included, since the daemon started.
    package var runs: UInt64
    package var failed: UInt64
    package var timedOut: UInt64
    /// Events that it was to have, and of them those that were dropped because its queue was full.
    package var events: UInt64
    package var dropped: UInt64
    /// Events that wait, and runs under way.
    package var queued: Int
    package var running: Int
    /// Its last run failed.
    package var isFailing: Bool

    package init(
        name: String, runs: UInt64, failed: UInt64, timedOut: UInt64, events: UInt64, dropped: UInt64, queued: Int,
        running: Int, isFailing: Bool
    ) {
        self.name = name
        self.runs = runs
        self.failed = failed
        self.timedOut = timedOut
        self.events = events
        self.dropped = dropped
        self.queued = queued
        self.running = running
        self.isFailing = isFailing
    }

    private enum CodingKeys: String, CodingKey {
        case name, runs, failed, events, dropped, queued, running
        case timedOut = "timed_out"
        case isFailing = "failing"
    }
}
