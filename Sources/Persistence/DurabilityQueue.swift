// SPDX-License-Identifier: Apache-2.0
// Owns the storage thread: batches made durable in order, several in one round.

import Glibc

/// How the disk is doing, as the storage thread sees it.
package enum DiskCondition: Hashable, Sendable {
    case ok
    /// There is no room: the round waits and is tried again and again.
    case full
    /// A commit has been under way for longer than `DurabilityQueue.Timing.slowAfterMilliseconds`, or another program
    /// holds a lock: the round waits and is tried again and again.
    case slow
}

/// Carries out batches on a thread of its own, in the order they were enqueued.
///
/// Group commit: whatever waits when a round begins, up to `roundMax` batches, goes to `commit` together, which pays
/// for one fsync. A round that fails with `.diskFull` or `.busy` had no effect; it is kept and tried again without end.
/// After any other failure nothing more is committed: what is on disk is no longer known, and each later batch fails
/// with the same reason, so that none is taken for durable (PEERS.md: a failed fsync, retried, reports success for data
/// that is lost).
///
/// `commit`, `completed` and `idle` run on the storage thread. `completed` is called once for each batch, in order.
package final class DurabilityQueue<Batch: Sendable, Token: Sendable>: Sendable {
    package typealias Commit = @Sendable ([Batch]) throws(PersistenceFailure) -> Void
    package typealias Completed = @Sendable (Token, Result<Void, PersistenceFailure>) -> Void
    /// Called at each change of the condition, in order, from the storage thread or the one that watches it. It must
    /// not call the queue.
    package typealias ConditionChanged = @Sendable (DiskCondition) -> Void
    /// Called when nothing waits, and now and then while there is always something; true: there is more to do at once. A failure counts as one of a commit: what fails
    /// is the next batch.
    package typealias Idle = @Sendable () throws(PersistenceFailure) -> Bool

    /// All in milliseconds.
    package struct Timing: Hashable, Sendable {
        /// Until a round that found no room is tried again. Default 1 000.
        package var retryMilliseconds: Int
        /// From when on a commit counts as slow. Default 1 000. It is noticed within twice that time.
        package var slowAfterMilliseconds: Int
        /// Between two calls of `idle` while nothing happens. Default 60 000.
        package var idleMilliseconds: Int
        /// From one `idle` to the next while there are rounds: it is called when this has passed and nothing waits. While
        /// rounds follow each other without a pause it is called all the same, for up to a quarter of this. Default 200.
        package var busyMilliseconds: Int

        package init(
            retryMilliseconds: Int = 1_000, slowAfterMilliseconds: Int = 1_000, idleMilliseconds: Int = 60_000,
            busyMilliseconds: Int = 200
        ) {
            self.retryMilliseconds = max(retryMilliseconds, 1)
            self.slowAfterMilliseconds = max(slowAfterMilliseconds, 1)
            self.idleMilliseconds = max(idleMilliseconds, 1)
            self.busyMilliseconds = max(busyMilliseconds, 0)
        }
    }

    /// Batches that may wait. Default 1 024.
    package let capacity: Int
    /// Batches in one round. Default 256.
    package let roundMax: Int

    private typealias Entry = (batch: Batch, token: Token)

    private let monitor: Monitor<State>
    private let thread: StorageThread
    private let watch: CommitWatch

    private struct State {
        var waiting: [Entry] = []
        var isStopping = false
    }

    package init(
        capacity: Int = 1_024, roundMax: Int = 256, timing: Timing = Timing(), commit: @escaping Commit,
        completed: @escaping Completed, idle: Idle? = nil, condition: @escaping ConditionChanged = { _ in }
    ) throws(PersistenceFailure) {
        precondition(capacity > 0 && roundMax > 0, "a queue of \(capacity) in rounds of \(roundMax) holds nothing")
        self.capacity = capacity
        self.roundMax = roundMax
        let monitor = Monitor(State())
        self.monitor = monitor
        let watch = try CommitWatch(slowAfterMilliseconds: timing.slowAfterMilliseconds, changed: condition)
        self.watch = watch
        let worker = Worker(
            monitor: monitor, watch: watch, roundMax: roundMax, timing: timing, commit: commit, completed: completed,
            idle: idle)
        do throws(PersistenceFailure) {
            thread = try StorageThread(name: "gossipd-storage") { worker.run() }
        } catch {
            watch.stop()
            throw error
        }
    }

    /// A queue dropped without `stop` still makes durable what waits; nobody waits for it then.
    deinit { monitor.withLock { $0.isStopping = true } }

    /// Queues a batch; `completed` follows with its token. Never blocks for the disk.
    ///
    /// When it throws (`queueFull`, `stopped`) the batch was not taken and `completed` will not be called for it.
    package func enqueue(_ batch: Batch, token: Token) throws(PersistenceFailure) {
        try monitor.withLock { state throws(PersistenceFailure) in
            if state.isStopping { throw .stopped }
            if state.waiting.count >= capacity { throw .queueFull(limit: capacity) }
            state.waiting.append((batch, token))
        }
    }

    /// Takes no more batches, makes those that wait durable, and returns when the thread has ended. On a full disk,
    /// or when another program holds a lock, they are tried once more and then fail with `.diskFull` or `.busy`. Blocks for the disk's time; call it once the event loop no
    /// longer needs its thread, never from `commit`, `completed`, `idle` or `condition`.
    package func stop() {
        monitor.withLock { $0.isStopping = true }
        thread.join()
        watch.stop()
    }

    /// What the storage thread works with.
    private struct Worker: Sendable {
        let monitor: Monitor<State>
        let watch: CommitWatch
        let roundMax: Int
        let timing: Timing
        let commit: Commit
        let completed: Completed
        let idle: Idle?

        func run() {
            var failure: PersistenceFailure?
            var idledAt = CommitWatch.milliseconds()
            while var round = next(&failure, &idledAt) {
                if failure == nil {
                    do throws(PersistenceFailure) { try persist(round) } catch { failure = error }
                }
                // A batch may hold on to what its owner goes on with once it is told, and would have to copy.
                let tokens = round.map(\.token)
                round.removeAll()
                for token in tokens { completed(token, failure.map { .failure($0) } ?? .success(())) }
            }
            watch.stop()
        }

        /// The next round; nil: the queue has stopped and nothing waits.
        private func next(_ failure: inout PersistenceFailure?, _ idledAt: inout Int) -> [Entry]? {
            let start = CommitWatch.milliseconds()
            // Who writes without a pause would otherwise never be cleaned up after.
            var isDue = start - idledAt >= timing.busyMilliseconds
            // And who writes now and then would pay for a look at what there is to do with each write.
            var pause = max(idledAt + timing.busyMilliseconds - start, 0)
            while let idle, failure == nil {
                if !isDue, let round = monitor.wait(milliseconds: pause, take) { return round.isEmpty ? nil : round }
                var hasMore = false
                do throws(PersistenceFailure) {
                    hasMore = try idle()
                } catch {
                    // Without room there is nothing to be done in idle time.
                    if !error.isTemporary { failure = error }
                }
                pause = hasMore ? 0 : timing.idleMilliseconds
                idledAt = CommitWatch.milliseconds()
                isDue = isDue && hasMore && idledAt - start < timing.busyMilliseconds / 4
            }
            let round = monitor.wait(take)
            return round.isEmpty ? nil : round
        }

        private func take(_ state: inout State) -> [Entry]? {
            if state.waiting.isEmpty { return state.isStopping ? [] : nil }
            let round = Array(state.waiting.prefix(roundMax))
            state.waiting.removeFirst(round.count)
            return round
        }

        private func persist(_ round: [Entry]) throws(PersistenceFailure) {
            let batches = round.map(\.batch)
            while true {
                watch.begin()
                do throws(PersistenceFailure) {
                    try commit(batches)
                    watch.end(.ok)
                    return
                } catch {
                    guard error.isTemporary else {
                        watch.end(nil)
                        throw error
                    }
                    if case .busy = error { watch.end(.slow) } else { watch.end(.full) }
                    // Who stops does not wait for room: what is here is tried once more and then given up.
                    if hasStopped(within: timing.retryMilliseconds) {
                        try commit(batches)
                        return
                    }
                }
            }
        }

        private func hasStopped(within milliseconds: Int) -> Bool {
            monitor.wait(milliseconds: milliseconds) { $0.isStopping ? true : nil } ?? false
        }
    }
}
