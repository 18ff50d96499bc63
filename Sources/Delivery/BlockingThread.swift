// SPDX-License-Identifier: Apache-2.0
// Owns taking work that blocks off the threads of Swift's tasks.

import Glibc

package enum BlockingThread {
    /// Runs `body` on a new thread and waits for its result without blocking the caller's.
    ///
    /// The threads of tasks are as few as the host's cores: a program that is waited for would hold up the whole node.
    ///
    /// - Throws: what `body` throws; `.command` when there is no thread to be had.
    package static func run<Result: Sendable>(
        _ body: @escaping @Sendable () throws(DeliveryFailure) -> Result
    ) async throws(DeliveryFailure) -> Result {
        let outcome: Swift.Result<Result, DeliveryFailure> = await withCheckedContinuation { continuation in
            let code = start {
                do throws(DeliveryFailure) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
            if code != 0 {
                continuation.resume(returning: .failure(.command("no thread could be started: error \(code)")))
            }
        }
        return try outcome.get()
    }

    /// Runs `body` on a new thread. 0, or the errno for which there is none; then `body` does not run.
    static func start(_ body: @escaping @Sendable () -> Void) -> CInt {
        let box = Unmanaged.passRetained(Work(body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            box.release()
            return code
        }
        pthread_detach(thread)
        return 0
    }

    private final class Work: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
