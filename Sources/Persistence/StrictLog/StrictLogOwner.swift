// SPDX-License-Identifier: Apache-2.0
// Owns what the threads of the strict group's disk share: the log, its figures, the first failure, the condition.

import ClusterTypes
import Glibc
import RaftCore
import StrictGroup
import Synchronization

/// Counters since the opening; they only grow.
package struct StrictDiskStatistics: Hashable, Sendable {
    /// Frames, each of them one write and one sync.
    package var syncs: UInt64 = 0
    /// Of frames.
    package var bytes: UInt64 = 0
    /// How long the rounds of writing took, each until it was synced.
    package var rounds = DurationHistogram()
}

/// The log under its lock.
final class StrictLogOwner: Sendable {
    private let log: Mutex<StrictLog>
    private let figures = Mutex(StrictDiskStatistics())
    private let store: SegmentStore

    init(_ log: StrictLog) {
        store = log.store
        self.log = Mutex(log)
    }

    var statistics: StrictDiskStatistics { figures.withLock { $0 } }

    func commit(_ round: [StrictLogWork]) throws(PersistenceFailure) -> StrictLog.Garbage? {
        let start = Self.nanoseconds()
        let (garbage, statistics) = try log.withLock { log throws(PersistenceFailure) in
            try log.commit(round)
            return (log.takeGarbage(), log.statistics)
        }
        let took = Interval(nanoseconds: Self.nanoseconds() - start)
        figures.withLock { held in
            (held.syncs, held.bytes) = (statistics.syncs, statistics.bytes)
            held.rounds.add(took)
        }
        return garbage
    }

    private static func nanoseconds() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }

    func prepareSpare() throws(PersistenceFailure) { try store.prepare() }

    func dispose(_ garbage: StrictLog.Garbage) throws(PersistenceFailure) {
        for name in garbage.snapshots { try store.folder.remove(name) }
        for segment in garbage.segments { try store.recycle(segment.id, bytes: segment.bytes) }
        if garbage.needsSpare { try store.prepare() }
    }

    /// As well as it goes: nothing depends on it.
    func close() { log.withLock { log in try? log.close() } }
}

/// Calls its listener for the first failure only.
final class FirstFailure: Sendable {
    private let state = Mutex(false)
    private let failed: @Sendable (PersistenceFailure) -> Void

    init(_ failed: @escaping @Sendable (PersistenceFailure) -> Void) { self.failed = failed }

    var hasFailed: Bool { state.withLock { $0 } }

    func note(_ failure: PersistenceFailure) {
        let isFirst = state.withLock { state in
            defer { state = true }
            return !state
        }
        if isFirst { failed(failure) }
    }
}

/// One condition of two threads: full when either finds no room, else what the log's shows.
final class ConditionJoint: Sendable {
    private struct State {
        var log = DiskCondition.ok
        var isMakerFull = false
        var told = DiskCondition.ok
    }

    private let state = Mutex(State())
    private let changed: StrictDisk.ConditionChanged

    init(changed: @escaping StrictDisk.ConditionChanged) { self.changed = changed }

    func tell(log condition: DiskCondition) { update { $0.log = condition } }

    func tell(isMakerFull: Bool) { update { $0.isMakerFull = isMakerFull } }

    /// Under the lock, so that changes are told in their order.
    private func update(_ change: (inout State) -> Void) {
        state.withLock { state in
            change(&state)
            let now = state.isMakerFull ? .full : state.log
            if now == state.told { return }
            state.told = now
            changed(now)
        }
    }
}
