// SPDX-License-Identifier: Apache-2.0
// Owns the deadline of an exchange: it closes the connection, so that whoever waits on it goes on.

import NIOCore
import Synchronization

final class Deadline: Sendable {
    private struct State {
        var timer: Scheduled<Void>?
        var passed = false
    }

    private let channel: any Channel
    private let state = Mutex(State())

    init(_ channel: any Channel, in duration: Duration) {
        self.channel = channel
        move(to: duration)
    }

    /// Counts anew from now.
    func move(to duration: Duration) {
        let timer = channel.eventLoop.scheduleTask(in: TimeAmount(duration)) { [weak self] () -> Void in
            self?.fire()
        }
        let earlier = state.withLock { state in
            let earlier = state.timer
            state.timer = timer
            return earlier
        }
        earlier?.cancel()
    }

    func cancel() {
        state.withLock { state in
            let timer = state.timer
            state.timer = nil
            return timer
        }?.cancel()
    }

    /// Whether it closed the connection.
    var passed: Bool { state.withLock { $0.passed } }

    private func fire() {
        state.withLock { $0.passed = true }
        channel.close(promise: nil)
    }
}

extension Duration {
    /// `1.5 s` or `500 ms`: for sentences.
    package var shortText: String {
        let milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
        if milliseconds < 1000 { return "\(milliseconds) ms" }
        let tenths = milliseconds / 100
        return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
    }
}
