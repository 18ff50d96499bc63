// SPDX-License-Identifier: Apache-2.0
// Owns a thread for work on files that nothing in the log waits for: snapshots, spare segments, removals.

/// Carries out jobs in order. One that finds no room is tried again without end, with the condition told meanwhile.
final class DiskWorker: Sendable {
    /// Asked between parts of a long job: false gives it up, at a stop.
    typealias Job = @Sendable (_ keepsOn: () -> Bool) throws(PersistenceFailure) -> Void

    private struct State {
        var jobs: [Job] = []
        var isStopping = false
    }

    private let monitor: Monitor<State>
    private let thread: StorageThread

    /// - Parameters:
    ///   - isFull: Called when a job begins to wait for room, and when it has found some.
    ///   - failed: A job failed for good; the jobs behind it are still done.
    init(
        name: String, retryMilliseconds: Int, isFull: @escaping @Sendable (Bool) -> Void,
        failed: @escaping @Sendable (PersistenceFailure) -> Void
    ) throws(PersistenceFailure) {
        let monitor = Monitor(State())
        self.monitor = monitor
        thread = try StorageThread(name: name) {
            while let job = Self.next(monitor) {
                Self.run(job, monitor, retryMilliseconds, isFull, failed)
            }
        }
    }

    /// Whoever drops it without `stop` does not wait for its thread.
    deinit { monitor.withLock { $0.isStopping = true } }

    func add(_ job: @escaping Job) { monitor.withLock { $0.jobs.append(job) } }

    /// Gives up what waits and returns when the thread has ended.
    func stop() {
        monitor.withLock { state in
            state.isStopping = true
            state.jobs.removeAll()
        }
        thread.join()
    }

    private static func next(_ monitor: Monitor<State>) -> Job? {
        let taken: [Job] = monitor.wait { state in
            if state.isStopping { return [] }
            return state.jobs.isEmpty ? nil : [state.jobs.removeFirst()]
        }
        return taken.first
    }

    private static func run(
        _ job: Job, _ monitor: Monitor<State>, _ retryMilliseconds: Int, _ isFull: (Bool) -> Void,
        _ failed: (PersistenceFailure) -> Void
    ) {
        var isWaiting = false
        while true {
            do throws(PersistenceFailure) {
                try job { !monitor.withQuietLockResult(\.isStopping) }
                if isWaiting { isFull(false) }
                return
            } catch {
                guard error.isTemporary else { return failed(error) }
                if !isWaiting { isFull(true) }
                isWaiting = true
                let hasStopped = monitor.wait(milliseconds: retryMilliseconds) { $0.isStopping ? true : nil }
                if hasStopped != nil { return }
            }
        }
    }
}
