// SPDX-License-Identifier: Apache-2.0
// Owns the reasons to wake the daemon's main task: a stop, a reload, news for the status line.

import ClusterTypes
import NodeKernel

/// Why the daemon stops.
enum StopReason: Sendable {
    /// SIGTERM or SIGINT: this host goes away.
    case signal
    /// SIGUSR2: the daemon is about to be started again, so the peers need no goodbye (decision 9).
    case restart
    /// The node has left the cluster because a client asked for it.
    case left(LeaveOutcome)
    /// An older process with this node's id lives at this address.
    case double(Address)
}

extension StopReason {
    /// For `reason` in the event.
    var word: String {
        switch self {
        case .signal: "signal"
        case .restart: "restart"
        case .left: "left"
        case .double: "cloned_identity"
        }
    }
}

/// Wakes the daemon from any thread.
struct DaemonSignals: Sendable {
    enum Wish: Sendable {
        case stop(StopReason)
        case reload
    }

    let wishes: AsyncStream<Wish>
    let news: AsyncStream<Void>
    private let wish: AsyncStream<Wish>.Continuation
    private let novelty: AsyncStream<Void>.Continuation

    init() {
        // Only this host's administrator sends signals; none of them may push a wish to stop out.
        (wishes, wish) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
        (news, novelty) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func stop(_ reason: StopReason) { wish.yield(.stop(reason)) }

    func reload() { wish.yield(.reload) }

    /// The status line may have changed.
    func somethingHappened() { novelty.yield() }

    /// The status line stays as it is: what follows is the stop.
    func endNews() { novelty.finish() }

    func finish() {
        wish.finish()
        novelty.finish()
    }
}
