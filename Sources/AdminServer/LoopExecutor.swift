// SPDX-License-Identifier: Apache-2.0
// Owns where the tasks of a connection run: on its own event loop, or off it when the work is long.

import NIOCore

/// Runs tasks on an event loop. A request that reads or writes one key then needs no other thread for what is done here:
/// each change of thread costs a wake-up, which is dearer than the work itself.
final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { [self] in job.runSynchronously(on: asUnownedTaskExecutor()) }
    }

    /// Runs `body` on the threads that all tasks share, so that the loop goes on serving other connections.
    static func offLoop<Result, Failure: Error>(
        _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        try await withTaskExecutorPreference(globalConcurrentExecutor, operation: body)
    }
}
