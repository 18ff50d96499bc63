// SPDX-License-Identifier: Apache-2.0
// Owns one simulated disk: group commit, how long it takes, and how it fails.

import ClusterTypes
import NodeKernel

/// What one crash leaves of the batches that the disk had not confirmed.
package enum CrashMode: String, Hashable, Sendable, CaseIterable {
    /// Nothing.
    case lost
    /// The first few, drawn by the seed: none, some or all. What SQLite promises, and the default.
    case torn
    /// The first few, and of the next one a part: a disk that breaks its promise, to see that the checks notice.
    case half
    /// Not even all that was confirmed: the last commit before the crash is gone too. Another disk that breaks its
    /// promise.
    case unsynced
}

/// A disk with group commit: what is asked for during one commit waits for it and then goes into the next together.
package struct SimulatedDisk: Sendable {
    /// What one `persist` asked for.
    package struct Batch: Sendable {
        package var token: PersistToken
        package var records: [DurableRecord]

        package init(token: PersistToken, records: [DurableRecord]) {
            self.token = token
            self.records = records
        }
    }

    /// A commit that takes longer is told to the kernel as `StorageCondition.slow`.
    static let slowAfter = Interval.seconds(1)
    /// A commit that found no room is tried again after this.
    static let retryInterval = Interval.seconds(1)

    /// Of one commit. Default 200 us, and up to `jitter` more.
    var latency = Interval.microseconds(200)
    /// Default 100 us.
    var jitter = Interval.microseconds(100)
    private var rng: SeededGenerator

    package private(set) var content = DiskContent()
    /// What it was before the last commit, while the disk is one that loses it.
    private var contentBefore: DiskContent?
    /// A copy that a scenario keeps.
    private(set) var saved: DiskContent?

    private var committing: [Batch] = []
    private var waiting: [Batch] = []
    /// When the commit under way began.
    private(set) var begunAt = Instant.origin

    package var crashMode = CrashMode.torn
    var isFull = false
    /// Nothing completes before this.
    var stalledUntil = Instant.origin
    /// The next commit fails for good, and the process is started again so much later.
    var failure: Interval?
    /// What the running process was told last.
    var told = StorageCondition.ok

    /// Crashes after which some of what the strict log had not confirmed was there all the same.
    private(set) var strictStepsKept = 0

    package init(rng: SeededGenerator) { self.rng = rng }

    /// The strict log's own work, beside the store's.
    var strictLog = SimulatedStrictLog()

    var isCommitting: Bool { !committing.isEmpty }

    /// Takes a batch in; returns when the commit that begins with it is due, nil when one is under way.
    package mutating func submit(_ batch: Batch, at now: Instant) -> Instant? {
        waiting.append(batch)
        return begin(at: now)
    }

    /// Begins the next commit if one is wanted and none is under way; returns when it is due.
    package mutating func begin(at now: Instant) -> Instant? {
        guard committing.isEmpty, !waiting.isEmpty else { return nil }
        swap(&committing, &waiting)
        begunAt = now
        return max(stalledUntil, now + latency + jitter * rng.fraction())
    }

    /// The commit under way is durable; returns its batches in order.
    package mutating func finish() -> [Batch] {
        var done: [Batch] = []
        swap(&done, &committing)
        contentBefore = crashMode == .unsynced ? content : nil
        for batch in done { apply(batch.records) }
        return done
    }

    /// The process is gone, and with it what waited; returns how many batches survived without having been confirmed.
    package mutating func crash() -> Int {
        let pending = committing + waiting
        committing = []
        waiting = []
        told = .ok
        if let contentBefore { content = contentBefore }
        if strictLog.crash(&content.strict, keepsSome: crashMode == .torn || crashMode == .half, using: &rng) > 0 {
            strictStepsKept += 1
        }
        contentBefore = nil
        guard !pending.isEmpty else { return 0 }
        switch crashMode {
        case .lost, .unsynced: return 0
        case .torn:
            let kept = rng.index(below: pending.count + 1)
            for batch in pending.prefix(kept) { apply(batch.records) }
            return kept
        case .half:
            let kept = rng.index(below: pending.count)
            for batch in pending.prefix(kept) { apply(batch.records) }
            let records = pending[kept].records
            if records.count > 1 { apply(Array(records.prefix(1 + rng.index(below: records.count - 1)))) }
            return kept
        }
    }

    /// Begins what waits for the strict log; returns when it is due, nil when there is nothing to begin.
    mutating func beginStrict(at now: Instant) -> Instant? {
        guard strictLog.begin() else { return nil }
        return max(stalledUntil, now + latency + jitter * rng.fraction())
    }

    mutating func finishStrict() -> [StrictDiskResult] { strictLog.finish(&content.strict) }

    /// A record in the middle of the strict log rots; false when there is none.
    mutating func damageStrictLog() -> Bool { content.strict.damage(using: &rng) }

    private mutating func apply(_ records: [DurableRecord]) {
        for record in records { content.apply(record) }
    }

    mutating func save() { saved = content }

    /// The disk is the copy that was kept; false when there is none.
    mutating func restore() -> Bool {
        guard let saved else { return false }
        content = saved
        return true
    }

    mutating func replace(with content: DiskContent) { self.content = content }
}
