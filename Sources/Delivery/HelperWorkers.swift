// SPDX-License-Identifier: Apache-2.0
// Owns the helper's threads: how many, a descriptor that tells when one has ended, and waiting for all of them.

internal import CProcess
import Glibc
import Synchronization

/// Threads for requests that may take long. Safe from any thread.
final class HelperWorkers: Sendable {
    /// Threads at once: twice what a daemon asks for at the same time, `DeliverySchedule.batchesMax`.
    static let countMax = 2 * DeliverySchedule.batchesMax

    private struct State {
        var count = 0
        var idleSince: ContinuousClock.Instant
    }

    private let state = Mutex(State(idleSince: .now))
    /// Readable after a thread has ended, until `quiet`.
    let bell: CInt
    private let ringer: CInt

    init() throws(DeliveryFailure) {
        var ends: [CInt] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC | O_NONBLOCK) == 0 else {
            throw .helper("no pipe for the helper's threads: \(SystemText.of(errno))")
        }
        (bell, ringer) = (ends[0], ends[1])
    }

    deinit {
        close(bell)
        close(ringer)
    }

    var isFull: Bool { state.withLock { $0.count >= Self.countMax } }

    /// Since when nobody works; now, when somebody does.
    var idleSince: ContinuousClock.Instant { state.withLock { $0.count > 0 ? .now : $0.idleSince } }

    /// Runs `work` on a thread of its own; on the caller's when there is none.
    func start(_ work: @escaping @Sendable () -> Void) {
        state.withLock { $0.count += 1 }
        let all: @Sendable () -> Void = { [self] in
            work()
            state.withLock { state in
                state.count -= 1
                state.idleSince = .now
            }
            // A full pipe rings already.
            _ = write(ringer, [UInt8(0)], 1)
        }
        if BlockingThread.start(all) != 0 { all() }
    }

    func quiet() {
        var bytes = [UInt8](repeating: 0, count: Self.countMax)
        while read(bell, &bytes, bytes.count) > 0 {}
    }

    /// Blocks until every thread has ended.
    func waitForAll() {
        while state.withLock({ $0.count > 0 }) {
            var wait = pollfd(fd: bell, events: Int16(POLLIN), revents: 0)
            poll(&wait, 1, -1)
            quiet()
        }
    }
}
