// SPDX-License-Identifier: Apache-2.0
// Owns keeping the database small: forgetting history and requests, folding the log into the file.

import ClusterTypes
import StoreCore

extension StoreWriter {
    /// Entries looked at in one step: a few milliseconds.
    private static let stepMax: Int64 = 512
    /// Where there is a long way to go, one entry of so many is looked at for too many of its key: a power of two up to 16.
    private static let sweepStride: UInt64 = 16
    /// How long an answered request is remembered.
    static let requestAgeMilliseconds: UInt64 = 24 * 3_600_000
    /// Pages in the log from which it is folded into the file: 16 MiB.
    static let logPagesFolded = 4_096
    /// Pages in the log from which readers in the way are evicted: 256 MiB.
    static let logPagesMax = 65_536

    /// True: there is more to do.
    func prune(now: WallTime) throws(PersistenceFailure) -> Bool {
        if let failure { throw failure }
        do throws(PersistenceFailure) {
            let plan = try plan(now: now)
            guard plan.hasWork else { return plan.isUnfinished }
            try transaction { () throws(PersistenceFailure) in try carryOut(plan) }
            return true
        } catch {
            throw note(error)
        }
    }

    /// What one step is going to do; made by reading alone, so that an idle node writes nothing.
    private struct Plan {
        /// Entries up to here go for their age; nil: none.
        var agedThrough: UInt64?
        /// Entries to look at for too many of their key: a part of the revisions.
        var sweep: Sweep?
        /// Requests up to this number go.
        var requestsThrough: Int64?

        /// Nothing to do yet, but not everything has been looked at.
        var isUnfinished = false

        var hasWork: Bool { agedThrough != nil || sweep != nil || requestsThrough != nil }
    }

    /// Revisions whose keys may have too many entries.
    private struct Sweep {
        var revisions: ClosedRange<UInt64>
        /// One revision in how many is looked at.
        var stride: UInt64 = 1

        /// All of them, or one of each `stride`: which one differs, so that no key that comes at regular turns is missed.
        var examined: [ClosedRange<UInt64>] {
            if stride == 1 { return [revisions] }
            return Swift.stride(from: revisions.lowerBound, to: revisions.upperBound, by: Int(stride)).map { first in
                let one = first + (first &* 0x9e37_79b9_7f4a_7c15) >> 60
                return one...one
            }
        }
    }

    /// The next step from a revision on.
    private func planSweep(after: UInt64, last: UInt64) throws(PersistenceFailure) -> Sweep {
        let step = UInt64(Self.stepMax)
        let near = Sweep(revisions: (after + 1)...min(last, after + step))
        guard last - after > step * Self.sweepStride else { return near }
        let far = (after + 1)...(after + step * Self.sweepStride)
        let count = try connection.prepare("SELECT count(*) FROM history WHERE revision BETWEEN ?1 AND ?2")
        count.bind(1, far.lowerBound)
        count.bind(2, far.upperBound)
        guard try count.step() else { return near }
        switch count.integer(0) {
        // A gap.
        case ...Self.stepMax: return Sweep(revisions: far)
        // A long way to go: a key that is written again and again is met often enough.
        case (Self.stepMax * Int64(Self.sweepStride) / 4 * 3)...: return Sweep(revisions: far, stride: Self.sweepStride)
        case _: return near
        }
    }

    private func plan(now: WallTime) throws(PersistenceFailure) -> Plan {
        var plan = Plan()
        if let newest = try newestRevision(), case let last = try lastNotKept(newest), last > 0 {
            try planAge(&plan, last: last, now: now.milliseconds)
            let from = max(meta.swept, plan.agedThrough ?? 0)
            if from < last { plan.sweep = try planSweep(after: from, last: last) }
        }
        plan.requestsThrough = try requestsToForget(now: now)
        return plan
    }

    /// Looks from the oldest entry on for what is too old. One from the future (the clock was ahead when it was applied)
    /// says nothing of its age: it goes with the first of those behind it, which were applied later.
    private func planAge(_ plan: inout Plan, last: UInt64, now: UInt64) throws(PersistenceFailure) {
        let cutoff = now > limits.ageMilliseconds ? now - limits.ageMilliseconds : 0
        if now >= ahead.until { ahead = Ahead() }
        let oldest = try connection.prepare(
            "SELECT revision, applied_at FROM history WHERE revision > ?1 AND revision <= ?2 ORDER BY revision LIMIT ?3"
        )
        oldest.bind(1, ahead.through)
        oldest.bind(2, last)
        oldest.bind(3, Self.stepMax)
        var seen: Int64 = 0
        while try oldest.step() {
            let (revision, appliedAt) = (oldest.unsigned(0), oldest.unsigned(1))
            if appliedAt < cutoff {
                plan.agedThrough = revision
            } else if appliedAt <= now {
                break
            } else if plan.agedThrough == nil {
                ahead = Ahead(through: revision, until: min(ahead.until, appliedAt))
            }
            seen += 1
        }
        oldest.reset()
        plan.isUnfinished = plan.agedThrough == nil && seen == Self.stepMax
        guard let aged = plan.agedThrough else { return }
        // Those from the future may be many.
        let most = try connection.prepare(
            "SELECT revision FROM history WHERE revision <= ?1 ORDER BY revision LIMIT 1 OFFSET ?2")
        most.bind(1, aged)
        most.bind(2, Self.stepMax - 1)
        if try most.step() { plan.agedThrough = most.unsigned(0) }
    }

    /// The revision before the oldest change that is kept for watches.
    private func lastNotKept(_ newest: UInt64) throws(PersistenceFailure) -> UInt64 {
        // Counted by revisions; where they jump, more entries are kept.
        let byCount = newest - min(UInt64(limits.changesKept), newest)
        let bytes = "CASE typeof(before) WHEN 'blob' THEN length(before) ELSE 0 END"
        if let first = window.first {
            let oldest = try connection.prepare(
                "SELECT revision, \(bytes) FROM history WHERE revision >= ?1 ORDER BY revision")
            oldest.bind(1, first)
            while try oldest.step() {
                let revision = oldest.unsigned(0)
                window.first = revision
                if revision > byCount, window.bytes <= limits.changesKeptBytes || revision == newest { break }
                window.bytes -= min(oldest.unsigned(1), window.bytes)
            }
        } else {
            let youngest = try connection.prepare("SELECT revision, \(bytes) FROM history ORDER BY revision DESC")
            window.bytes = 0
            while try youngest.step(), youngest.unsigned(0) > byCount {
                let sum = window.bytes + youngest.unsigned(1)
                if window.first != nil, sum > limits.changesKeptBytes { break }
                window = StoreWriter.ChangeWindow(first: youngest.unsigned(0), bytes: sum)
            }
        }
        return max(byCount, (window.first ?? 1) - 1)
    }

    private func newestRevision() throws(PersistenceFailure) -> UInt64? {
        try connection.integer("SELECT max(revision) FROM history").map { UInt64(bitPattern: $0) }
    }

    private func requestsToForget(now: WallTime) throws(PersistenceFailure) -> Int64? {
        let cutoff = now.milliseconds > Self.requestAgeMilliseconds ? now.milliseconds - Self.requestAgeMilliseconds : 0
        let oldest = try connection.prepare("SELECT number, at FROM request WHERE at <= ?1 ORDER BY number LIMIT ?2")
        oldest.bind(1, now.milliseconds)
        oldest.bind(2, Self.stepMax)
        var through: Int64?
        while try oldest.step(), oldest.unsigned(1) < cutoff { through = oldest.integer(0) }
        oldest.reset()
        let tooMany = try connection.prepare("SELECT number FROM request ORDER BY number DESC LIMIT 1 OFFSET ?1")
        tooMany.bind(1, Int64(Bounds.requestsMax))
        if try tooMany.step() { through = max(through ?? 0, tooMany.integer(0)) }
        return through
    }

    private func carryOut(_ plan: Plan) throws(PersistenceFailure) {
        if let through = plan.agedThrough { try forget(through: through) }
        if let sweep = plan.sweep { try self.sweep(sweep) }
        if let through = plan.requestsThrough {
            try connection.execute("DELETE FROM request WHERE number <= \(through)")
        }
    }

    /// Forgets all entries up to a revision.
    private func forget(through revision: UInt64) throws(PersistenceFailure) {
        let going = try connection.prepare("SELECT \(HistoryRow.columns) FROM history WHERE revision <= ?1")
        going.bind(1, revision)
        while try going.step() {
            guard let entry = HistoryRow(going) else { throw damagedHistory }
            meta.prunedTime = max(meta.prunedTime, entry.time)
        }
        going.reset()
        let through = Int64(bitPattern: revision)
        try connection.execute("DELETE FROM history WHERE revision <= \(through)")
        // What is said of all keys needs not be said of one.
        try connection.execute("DELETE FROM pruned WHERE revision <= \(through)")
        meta.prunedThrough = max(meta.prunedThrough, revision)
        meta.swept = max(meta.swept, revision)
    }

    /// Forgets what is too much of the keys of these entries. Each entry of a key leads here once, and the last one finds
    /// whatever the others left: so of a long way to go a part of them is enough.
    private func sweep(_ sweep: Sweep) throws(PersistenceFailure) {
        for (revision, key) in try keys(in: sweep) {
            guard let excess = try keyHistory.limit(key, at: revision, to: limits.countPerKey) else { continue }
            meta.gapThrough = max(meta.gapThrough, excess.through)
        }
        meta.swept = sweep.revisions.upperBound
    }

    private func keys(in sweep: Sweep) throws(PersistenceFailure) -> [(UInt64, String)] {
        let statement = try connection.prepare(
            "SELECT revision, key FROM history WHERE revision BETWEEN ?1 AND ?2 ORDER BY revision")
        var keys: [(UInt64, String)] = []
        for revisions in sweep.examined {
            statement.bind(1, revisions.lowerBound)
            statement.bind(2, revisions.upperBound)
            while try statement.step() { keys.append((statement.unsigned(0), statement.text(1))) }
            statement.reset()
        }
        return keys
    }

    private var damagedHistory: PersistenceFailure {
        .corrupt(file: connection.file, reason: "a row of its history is damaged")
    }

    /// Folds a long log into the file. What is committed is durable either way, so a full disk is no failure here.
    func checkpoint(_ gate: ReaderGate) throws(PersistenceFailure) {
        guard connection.logPages >= Self.logPagesFolded else { return }
        do throws(PersistenceFailure) {
            let (logged, moved) = try connection.checkpoint(truncate: false)
            guard logged >= Self.logPagesMax else { return }
            if moved < logged { gate.evict() }
            // Nobody is waited for: what is in the way now is gone at the next commit.
            connection.wait(milliseconds: 0)
            defer { connection.wait(milliseconds: nil) }
            _ = try connection.checkpoint(truncate: true)
        } catch {
            if error.isTemporary { return }
            throw note(error)
        }
    }
}
