// SPDX-License-Identifier: Apache-2.0
// Owns the handing over of accepted connections from the event loops to the task that serves them; none is lost.

import HummingbirdCore
import Logging
import Synchronization

/// A connection ready to be served by a task. It must be served, closed or not: its HTTP channel traps otherwise.
struct AcceptedConnection: Sendable {
    var http: HTTP1Channel
    var value: HTTP1Channel.Value
    /// Of the connection's event loop; the task that serves it prefers it.
    var executor: LoopExecutor

    func serve(logger: Logger) async { await http.handle(value: value, logger: logger) }
}

/// An unbounded queue with one reader; the limit of connections bounds it. Waiting is not ended by cancellation, so
/// that no connection is dropped unserved: `finish` ends it.
final class AcceptQueue: Sendable {
    private struct State {
        var waiting: [AcceptedConnection] = []
        /// Connections whose setup is under way.
        var reserved = 0
        var finished = false
        var reader: CheckedContinuation<AcceptedConnection?, Never>?

        /// What `next` returns now; nil when it must wait.
        mutating func answer() -> AcceptedConnection?? {
            if !waiting.isEmpty { return .some(waiting.removeFirst()) }
            return finished && reserved == 0 ? .some(nil) : nil
        }
    }

    private let state = Mutex(State())

    /// Announces a connection; false when the queue is finished. `fulfil` must follow.
    func reserve() -> Bool {
        state.withLock { state in
            guard !state.finished else { return false }
            state.reserved += 1
            return true
        }
    }

    /// Hands over an announced connection, or nil when its setup failed.
    func fulfil(_ connection: AcceptedConnection?) {
        wake { state in
            state.reserved -= 1
            if let connection { state.waiting.append(connection) }
        }
    }

    /// No connection is announced from now on.
    func finish() {
        wake { $0.finished = true }
    }

    /// The next connection, waiting for it; nil when the queue is finished and everything announced was handed over.
    func next() async -> AcceptedConnection? {
        await withCheckedContinuation { continuation in
            let answer: AcceptedConnection?? = state.withLock { state in
                let answer = state.answer()
                if answer == nil {
                    precondition(state.reader == nil, "the accept queue has one reader")
                    state.reader = continuation
                }
                return answer
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    private func wake(_ change: (inout State) -> Void) {
        let resume: (() -> Void)? = state.withLock { state in
            change(&state)
            guard let reader = state.reader, let answer = state.answer() else { return nil }
            state.reader = nil
            return { reader.resume(returning: answer) }
        }
        resume?()
    }
}
