// SPDX-License-Identifier: Apache-2.0
// Owns the way of changes from the kernel to delivery: what may concern a file, for a reader that may be slow.

import Delivery
import NodeKernel
import SWIMCore
import StoreCore
import Synchronization

/// Hands changes to one reader; never waits. Before somebody reads it costs next to nothing.
final class FleetFeed: Sendable {
    /// Changes that wait for the reader; of more it is told that anything may have changed.
    private static let waitingMax = 1_024

    private let reader = Mutex<AsyncStream<FleetChange>.Continuation?>(nil)

    /// Changes from now on; a second reader takes the first one's place.
    func changes() -> AsyncStream<FleetChange> {
        let (stream, continuation) = AsyncStream<FleetChange>.makeStream(
            bufferingPolicy: .bufferingNewest(Self.waitingMax))
        reader.withLock { reader in
            reader?.finish()
            reader = continuation
        }
        return stream
    }

    func note(_ event: KernelEvent) {
        guard let change = Self.change(event) else { return }
        reader.withLock { reader in
            guard let reader else { return }
            // The oldest was pushed out; this stands for it, and comes after it.
            if case .dropped = reader.yield(change) { _ = reader.yield(.everything) }
        }
    }

    func finish() { reader.withLock { $0?.finish() } }

    private static func change(_ event: KernelEvent) -> FleetChange? {
        switch event {
        case .keyChanged(let record): .keys([record.change.key])
        case .typeConflict(let key, _, _, _): .keys([key])
        case .storeReset: .everything
        case .member(let member): isVisible(member) ? .members : nil
        case .joinSucceeded, .joinFailed, .quarantined, .synchronised, .catchUp, .collected, .clockOutlier,
            .clockRecovered, .storage, .awarenessChanged, .stalled, .identityInUse, .packetIgnored, .leaving, .evicted,
            .userEvent, .strict:
            nil
        }
    }

    private static func isVisible(_ event: MemberEvent) -> Bool {
        switch event.kind {
        case .joined, .alive, .updated, .suspected, .failed, .left, .forgotten, .reaped: true
        case .udpBlocked, .udpRestored, .nameConflict, .forged, .equivocated, .refuted: false
        }
    }
}
