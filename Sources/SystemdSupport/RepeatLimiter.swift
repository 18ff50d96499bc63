// SPDX-License-Identifier: Apache-2.0
// Owns the rule for lines that repeat: the first ones are written, the others counted and told together.

import Glibc
internal import Logging
import Synchronization

/// Keeps one cause from filling the journal.
///
/// Entries are alike when they are of one kind about one member, address, key, file, reload and reason; without a kind,
/// when they have the same text. The first `burst` of a `window` are written. Those after it are counted, and when the
/// window is over one entry says how many there were (`count`), in the words and with the fields of the last one.
/// Critical entries are never held back, nor are debug and trace: who asks for those wants to see each.
package final class RepeatLimiter: Sendable {
    /// Alike entries that are written in one window. Range: 1 or more.
    package static let burst = 10
    /// Milliseconds.
    package static let window: Int64 = 30_000
    /// Kinds of lines watched at one time; the one watched longest gives way, and what was counted of it is told.
    package static let keysMax = 256

    private struct Key: Hashable {
        var event: EventKind?
        var about: [String]
    }

    private struct Window {
        var began: Int64
        var written = 0
        var held = 0
        var last: LogEntry
    }

    private struct State {
        var windows: [Key: Window] = [:]
        /// When the first window is over that has something to tell.
        var due = Int64.max
    }

    private let state = Mutex(State())
    private let now: @Sendable () -> Int64

    /// - Parameter now: milliseconds of a clock that never goes back.
    package init(now: @escaping @Sendable () -> Int64 = monotonicMilliseconds) { self.now = now }

    package static func monotonicMilliseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }

    /// What is to be written now that `entry` came: nothing, itself, and before it what has become due.
    package func take(_ entry: LogEntry) -> [LogEntry] {
        guard entry.level >= .info, entry.level < .critical else { return [entry] }
        let now = now()
        let key = Self.key(entry)
        return state.withLock { state in
            var out = state.due <= now ? Self.close(&state, at: now) : []
            var window = state.windows[key] ?? Window(began: now, last: entry)
            if window.began + Self.window <= now { window = Window(began: now, last: entry) }
            if window.written < Self.burst {
                window.written += 1
                out.append(entry)
            } else {
                window.held += 1
                window.last = entry
                state.due = min(state.due, window.began + Self.window)
            }
            state.windows[key] = window
            if state.windows.count > Self.keysMax { out += Self.makeRoom(&state) }
            return out
        }
    }

    /// What has become due although nothing was logged.
    package func due() -> [LogEntry] {
        let now = now()
        return state.withLock { state in state.due <= now ? Self.close(&state, at: now) : [] }
    }

    /// Everything that was counted so far: the process ends.
    package func finish() -> [LogEntry] {
        state.withLock { state in Self.close(&state, at: .max) }
    }

    private static func key(_ entry: LogEntry) -> Key {
        guard let event = entry.event else { return Key(event: nil, about: [entry.level.rawValue, entry.message]) }
        let names: Set<String> = ["member", "member_id", "address", "reason", "key", "file", "target"]
        return Key(event: event, about: entry.metadata.filter { names.contains($0.key) }.map { "\($0.value)" })
    }

    /// Drops the windows that are over, and tells what was held back in them, the oldest first.
    private static func close(_ state: inout State, at now: Int64) -> [LogEntry] {
        let over = state.windows.filter { now == .max || $0.value.began + window <= now }
        for key in over.keys { state.windows[key] = nil }
        state.due = state.windows.values.filter { $0.held > 0 }.map { $0.began + window }.min() ?? .max
        return over.values.filter { $0.held > 0 }.sorted { ($0.began, $0.last.message) < ($1.began, $1.last.message) }
            .map(summary)
    }

    private static func makeRoom(_ state: inout State) -> [LogEntry] {
        func age(_ entry: (key: Key, value: Window)) -> (Int64, String) { (entry.value.began, "\(entry.key.about)") }
        guard let oldest = state.windows.min(by: { age($0) < age($1) }) else { return [] }
        state.windows[oldest.key] = nil
        return oldest.value.held > 0 ? [summary(oldest.value)] : []
    }

    private static func summary(_ window: Window) -> LogEntry {
        var entry = window.last
        let times = window.held == 1 ? "1 more entry" : "\(window.held) more entries"
        entry.message = "\(times) like this in \(Self.window / 1_000) s, the last one: \(entry.message)"
        entry.metadata.removeAll { $0.key == "count" }
        entry.metadata.append(("count", "\(window.held)"))
        entry.metadata.sort { $0.key < $1.key }
        return entry
    }
}
