// SPDX-License-Identifier: Apache-2.0
// Owns when files are rendered: quiescence, batches that share a reload, retries. A value without a clock.

/// Decides which files are due. `now` is any time that only grows; all times are of that clock.
package struct DeliverySchedule: Sendable {
    /// What the schedule needs to know of a file.
    package struct Timing: Hashable, Sendable {
        package var waitMin: Duration
        package var waitMax: Duration
        /// Files with equal ones go together, so that what they share is reloaded once.
        package var reload: RenderSpec.Reload?

        package init(waitMin: Duration, waitMax: Duration, reload: RenderSpec.Reload? = nil) {
            self.waitMin = waitMin
            self.waitMax = waitMax
            self.reload = reload
        }

        package init(_ spec: RenderSpec) {
            self.init(waitMin: spec.waitMin, waitMax: spec.waitMax, reload: spec.reload)
        }
    }

    /// How soon a file that failed is tried again.
    package enum Patience: Hashable, Sendable {
        /// `retryMin`, doubled with each failure, up to `retryMax`.
        case growing
        /// `retryMax` at once: trying disturbs what is reloaded.
        case long
    }

    /// The wait after the first failure.
    package static let retryMin = Duration.seconds(5)
    /// The longest wait between two tries of a file that keeps failing.
    package static let retryMax = Duration.seconds(300)

    private struct Entry: Sendable {
        var timing: Timing
        /// The first and the last change since the file was last taken; nil when nothing changed.
        var changed: (first: Duration, last: Duration)?
        var failures = 0
        var retryAt: Duration?

        /// When the changes have been quiet for long enough, or have gone on for too long.
        var quietAt: Duration? {
            changed.map { min($0.last + timing.waitMin, $0.first + max(timing.waitMin, timing.waitMax)) }
        }

        var dueAt: Duration? {
            guard let quietAt, let retryAt else { return quietAt ?? retryAt }
            return min(quietAt, retryAt)
        }
    }

    private var entries: [String: Entry] = [:]

    package init() {}

    /// The files that there are now. One that stays keeps its place in time; one that goes is forgotten.
    package mutating func replace(_ timings: [String: Timing]) {
        entries = entries.filter { timings[$0.key] != nil }
        for (name, timing) in timings { entries[name, default: Entry(timing: timing)].timing = timing }
    }

    /// What these files are made of may have changed. Names that are not known are ignored.
    package mutating func dirty(_ names: some Sequence<String>, now: Duration) {
        for name in names {
            guard var entry = entries.removeValue(forKey: name) else { continue }
            entry.changed = (entry.changed?.first ?? now, now)
            entries[name] = entry
        }
    }

    /// The files to render now, in order of their names; they count as taken. A file that is due takes along each
    /// changed one that shares its reload.
    package mutating func due(_ now: Duration) -> [String] {
        let ready = entries.filter { $0.value.dueAt.map { $0 <= now } ?? false }
        let reloads = Set(ready.values.compactMap(\.timing.reload))
        let batch = entries.filter { name, entry in
            ready[name] != nil || (entry.changed != nil && entry.timing.reload.map(reloads.contains) ?? false)
        }
        take(batch.keys)
        return batch.keys.sorted()
    }

    /// These are rendered now, whatever the time is.
    package mutating func take(_ names: some Sequence<String>) {
        for name in names {
            entries[name]?.changed = nil
            entries[name]?.retryAt = nil
        }
    }

    package mutating func succeeded(_ name: String) {
        entries[name]?.failures = 0
        entries[name]?.retryAt = nil
    }

    /// Sets the next try.
    package mutating func failed(_ name: String, now: Duration, _ patience: Patience = .growing) {
        guard var entry = entries.removeValue(forKey: name) else { return }
        entry.failures += 1
        switch patience {
        case .growing: entry.retryAt = now + Self.retryDelay(failures: entry.failures)
        case .long: entry.retryAt = now + Self.retryMax
        }
        entries[name] = entry
    }

    /// When `due` has something to give; nil when nothing waits.
    package var nextWake: Duration? { entries.values.compactMap(\.dueAt).min() }

    /// When this file is tried again after it failed; nil when it has not.
    package func retry(of name: String) -> Duration? { entries[name]?.retryAt }

    /// Whether a change of this file waits for its time.
    package func isPending(_ name: String) -> Bool { entries[name]?.changed != nil }

    private static func retryDelay(failures: Int) -> Duration {
        var delay = retryMin
        for _ in 1..<max(failures, 1) where delay < retryMax { delay *= 2 }
        return min(delay, retryMax)
    }
}
