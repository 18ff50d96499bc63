// SPDX-License-Identifier: Apache-2.0
// Owns the watch over commits: says when one takes too long while it still does.

import Glibc

/// A thread that sleeps while nothing is committed, and looks at the commit under way now and then while something is.
final class CommitWatch: Sendable {
    private struct State {
        /// Numbers commits; odd while one is under way.
        var turn: UInt64 = 0
        /// Milliseconds on the monotonic clock.
        var startedAt: Int = 0
        var condition = DiskCondition.ok
        var isAsleep = false
        var isStopping = false
    }

    private let monitor: Monitor<State>
    private let changed: @Sendable (DiskCondition) -> Void
    private let thread: StorageThread

    init(
        slowAfterMilliseconds: Int, changed: @escaping @Sendable (DiskCondition) -> Void
    ) throws(PersistenceFailure) {
        let monitor = Monitor(State())
        self.monitor = monitor
        self.changed = changed
        thread = try StorageThread(name: "gossipd-watch") {
            Self.run(monitor, slowAfterMilliseconds, changed)
        }
    }

    /// A commit begins.
    func begin() {
        let now = Self.milliseconds()
        monitor.withQuietLock { state in
            state.turn += 1
            state.startedAt = now
            defer { state.isAsleep = false }
            return state.isAsleep
        }
    }

    /// It is over; `condition` is what it showed, nil: the process is about to end.
    func end(_ condition: DiskCondition?) {
        monitor.withQuietLock { state in
            state.turn += 1
            if let condition { Self.change(&state, to: condition, changed) }
            return false
        }
    }

    /// Ends the thread and waits for it.
    func stop() {
        monitor.withLock { $0.isStopping = true }
        thread.join()
    }

    /// Called under the lock, so that changes are reported in their order.
    private static func change(
        _ state: inout State, to condition: DiskCondition, _ changed: (DiskCondition) -> Void
    ) {
        if state.condition == condition { return }
        state.condition = condition
        changed(condition)
    }

    private static func run(
        _ monitor: Monitor<State>, _ slowAfter: Int, _ changed: (DiskCondition) -> Void
    ) {
        var seen: UInt64 = 0
        while true {
            // Looks again each `slowAfter` as long as there are commits; then sleeps until one begins.
            let isStopping = monitor.wait(milliseconds: slowAfter) { $0.isStopping ? true : nil } ?? false
            if isStopping { return }
            let now = milliseconds()
            let isActive = monitor.withQuietLockResult { state in
                let isUnderWay = state.turn % 2 == 1
                if isUnderWay, now - state.startedAt >= slowAfter, state.condition == .ok {
                    change(&state, to: .slow, changed)
                }
                defer { seen = state.turn }
                if isUnderWay || seen != state.turn { return true }
                state.isAsleep = true
                return false
            }
            if isActive { continue }
            let ended = monitor.wait { state -> Bool? in
                if state.isStopping { return true }
                return state.isAsleep ? nil : false
            }
            if ended { return }
        }
    }

    static func milliseconds() -> Int {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
    }
}
