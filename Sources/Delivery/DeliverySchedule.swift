// SPDX-License-Identifier: Apache-2.0
// Owns when files are rendered: quiescence, batches that share a reload and are under way, retries. A value without a
// clock.

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

    /// What goes one after the other; different ones go at the same time.
    package enum Lane: Hashable, Sendable {
        /// All files that share it.
        case reload(RenderSpec.Reload)
        /// A file without a reload is alone in its lane.
        case file(String)
    }

    /// Files of one lane that are rendered, put in place and reloaded together.
    package struct Batch: Hashable, Sendable {
        package var lane: Lane
        /// Sorted.
        package var names: [String]
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

    /// Batches under way at once. More wait, so that checks which hang cannot fill the host with processes.
    package static let batchesMax = 8

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
    /// The names of the batches under way. They outlive descriptions that are read anew meanwhile.
    private var inHand: [Lane: Set<String>] = [:]

    package init() {}

    /// The files that there are now. One that stays keeps its place in time; one that goes is forgotten.
    package mutating func replace(_ timings: [String: Timing]) {
        entries = entries.filter { timings[$0.key] != nil }
        for (name, timing) in timings { entries[name, default: Entry(timing: timing)].timing = timing }
    }

    /// What these files are made of may have changed. Names that are not known are ignored.
    ///
    /// - Parameter isNews: whether something is different from the last try, so that the next failure is a first one.
    package mutating func dirty(_ names: some Sequence<String>, now: Duration, isNews: Bool = true) {
        for name in names {
            guard var entry = entries.removeValue(forKey: name) else { continue }
            entry.changed = (entry.changed?.first ?? now, now)
            if isNews { entry.failures = 0 }
            entries[name] = entry
        }
    }

    // MARK: Batches

    /// The batches to begin now, longest due first; they count as begun. A file that is due takes along each changed one
    /// that shares its reload. Whose lane is under way waits for its end, however long it is due.
    package mutating func due(_ now: Duration) -> [Batch] {
        var ready: [Lane: Duration] = [:]
        for (name, entry) in entries {
            guard let dueAt = entry.dueAt, dueAt <= now, canBegin(name, entry) else { continue }
            let lane = Self.lane(name, entry)
            ready[lane] = min(ready[lane] ?? dueAt, dueAt)
        }
        let batches = ready.map { lane, dueAt in
            let names = entries.filter { name, entry in
                let isWanted = entry.changed != nil || entry.dueAt.map { $0 <= now } ?? false
                return isWanted && Self.lane(name, entry) == lane && !isInHand(name)
            }
            return (dueAt: dueAt, batch: Batch(lane: lane, names: names.keys.sorted()))
        }
        let sorted = batches.sorted { ($0.dueAt, $0.batch.names[0]) < ($1.dueAt, $1.batch.names[0]) }.map(\.batch)
        let begun = sorted.prefix(max(Self.batchesMax - inHand.count, 0))
        for batch in begun { begin(batch) }
        return Array(begun)
    }

    /// Batches of these files, whatever the time is, in order of their first names. They are not begun.
    package func batches(of names: some Sequence<String>) -> [Batch] {
        let known = Set(names).filter { entries[$0] != nil }
        let lanes = Dictionary(grouping: known) { name in entries[name].map { Self.lane(name, $0) } ?? .file(name) }
        return lanes.map { Batch(lane: $0, names: $1.sorted()) }.sorted { $0.names[0] < $1.names[0] }
    }

    /// Whether nothing of it is under way, and not too much else.
    package func canBegin(_ batch: Batch) -> Bool {
        inHand.count < Self.batchesMax && inHand[batch.lane] == nil && !batch.names.contains(where: isInHand)
    }

    /// Its files are rendered now: only what changes from here on is a change. To be called when it can begin.
    package mutating func begin(_ batch: Batch) {
        inHand[batch.lane] = Set(batch.names)
        for name in batch.names {
            entries[name]?.changed = nil
            entries[name]?.retryAt = nil
        }
    }

    package mutating func finish(_ batch: Batch) { inHand[batch.lane] = nil }

    private static func lane(_ name: String, _ entry: Entry) -> Lane {
        entry.timing.reload.map(Lane.reload) ?? .file(name)
    }

    private func canBegin(_ name: String, _ entry: Entry) -> Bool {
        inHand[Self.lane(name, entry)] == nil && !isInHand(name)
    }

    private func isInHand(_ name: String) -> Bool { inHand.values.contains { $0.contains(name) } }

    // MARK: Results

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

    /// The others of this lane that wait for their next try have it after `retryMin` at the latest: what was in their way
    /// has gone well now.
    package mutating func hasten(_ batch: Batch, now: Duration) {
        for (name, entry) in entries where Self.lane(name, entry) == batch.lane && !batch.names.contains(name) {
            guard let retryAt = entry.retryAt else { continue }
            entries[name]?.retryAt = min(retryAt, now + Self.retryMin)
        }
    }

    // MARK: What is known

    /// When `due` has something to give; nil when nothing waits but for the end of a batch.
    package var nextWake: Duration? {
        guard inHand.count < Self.batchesMax else { return nil }
        return entries.compactMap { canBegin($0.key, $0.value) ? $0.value.dueAt : nil }.min()
    }

    /// When this file is tried again after it failed; nil when it has not.
    package func retry(of name: String) -> Duration? { entries[name]?.retryAt }

    /// Whether a change of this file waits for its time, or is being put in place.
    package func isPending(_ name: String) -> Bool { entries[name]?.changed != nil || isInHand(name) }

    private static func retryDelay(failures: Int) -> Duration {
        var delay = retryMin
        for _ in 1..<max(failures, 1) where delay < retryMax { delay *= 2 }
        return min(delay, retryMax)
    }
}
