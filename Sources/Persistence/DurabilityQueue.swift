// SPDX-License-Identifier: Apache-2.0
// Owns the storage thread: batches made durable in order, several in one round.

import Glibc

/// Carries out batches on a thread of its own, in the order they were enqueued.
///
/// Group commit: whatever waits when a round begins, up to `roundMax` batches, goes to `commit` together, which pays
/// for one fsync. After the first failure nothing more is committed: what is on disk is no longer known, and each
/// later batch fails with the same reason, so that none is taken for durable (PEERS.md: a failed fsync, retried,
/// reports success for data that is lost).
///
/// `commit` and `completed` run on the storage thread. `completed` is called once for each batch, in order.
package final class DurabilityQueue<Batch: Sendable, Token: Sendable>: Sendable {
    package typealias Commit = @Sendable ([Batch]) throws(PersistenceFailure) -> Void
    package typealias Completed = @Sendable (Token, Result<Void, PersistenceFailure>) -> Void

    /// Batches that may wait. Default 1 024.
    package let capacity: Int
    /// Batches in one round. Default 256.
    package let roundMax: Int

    private let monitor: Monitor<State>
    private let thread: StorageThread

    private struct State {
        var waiting: [(batch: Batch, token: Token)] = []
        var isStopping = false
    }

    package init(
        capacity: Int = 1_024, roundMax: Int = 256, commit: @escaping Commit, completed: @escaping Completed
    ) throws(PersistenceFailure) {
        precondition(capacity > 0 && roundMax > 0, "a queue of \(capacity) in rounds of \(roundMax) holds nothing")
        self.capacity = capacity
        self.roundMax = roundMax
        let monitor = Monitor(State())
        self.monitor = monitor
        thread = try StorageThread(name: "gossipd-storage") {
            Self.run(monitor, roundMax: roundMax, commit: commit, completed: completed)
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

    /// Takes no more batches, makes those that wait durable, and returns when the thread has ended. Blocks for the
    /// disk's time; call it once the event loop no longer needs its thread, never from `commit` or `completed`.
    package func stop() {
        monitor.withLock { $0.isStopping = true }
        thread.join()
    }

    private static func run(
        _ monitor: Monitor<State>, roundMax: Int, commit: Commit, completed: Completed
    ) {
        var failure: PersistenceFailure?
        while true {
            let round = monitor.wait { state -> [(batch: Batch, token: Token)]? in
                if state.waiting.isEmpty { return state.isStopping ? [] : nil }
                let round = Array(state.waiting.prefix(roundMax))
                state.waiting.removeFirst(round.count)
                return round
            }
            if round.isEmpty { return }
            if failure == nil {
                do throws(PersistenceFailure) {
                    try commit(round.map(\.batch))
                } catch {
                    failure = error
                }
            }
            for entry in round { completed(entry.token, failure.map { .failure($0) } ?? .success(())) }
        }
    }
}
