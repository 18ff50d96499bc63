// SPDX-License-Identifier: Apache-2.0
// Owns the way of changes from the kernel to delivery: what may concern a file, for a reader that may be slow.

import Delivery
import NodeKernel
import SWIMCore
import StoreCore
import Synchronization

/// Hands changes to one reader; never waits. Before somebody reads it costs next to nothing, and a reader is woken once for
/// all that happened since it looked.
final class FleetFeed: Sendable {
    /// Keys that wait for the reader; of more it is told that anything may have changed.
    private static let waitingMax = 16_384

    private struct Waiting {
        var keys: [String] = []
        var hasMembers = false
        var isEverything = false

        mutating func note(_ change: FleetChange) {
            switch change {
            case .keys(let changed): if !isEverything { keys += changed }
            case .members: hasMembers = true
            case .everything: isEverything = true
            }
            if keys.count > FleetFeed.waitingMax { isEverything = true }
            if isEverything { keys = [] }
        }

        mutating func take() -> FleetChange? {
            if isEverything {
                self = Waiting()
                return .everything
            }
            if !keys.isEmpty {
                defer { keys = [] }
                return .keys(keys)
            }
            defer { hasMembers = false }
            return hasMembers ? .members : nil
        }
    }

    private struct State {
        var reader: AsyncStream<Void>.Continuation?
        var waiting = Waiting()
        /// The reader was told that something waits, and has not taken all of it since.
        var isTold = false

        mutating func take() -> FleetChange? {
            let change = waiting.take()
            if change == nil { isTold = false }
            return change
        }
    }

    private let state = Mutex(State())

    /// Changes from now on; a second reader takes the first one's place.
    func changes() -> AsyncStream<FleetChange> {
        let (news, reader) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        state.withLock { state in
            state.reader?.finish()
            state = State(reader: reader)
        }
        return AsyncStream { [self] in
            while true {
                if let change = state.withLock({ $0.take() }) { return change }
                // One iterator after the other on one buffer: the stream has a single reader.
                var iterator = news.makeAsyncIterator()
                if await iterator.next() == nil { return nil }
            }
        }
    }

    func note(_ event: KernelEvent) {
        guard let change = Self.change(event) else { return }
        state.withLock { state in
            guard let reader = state.reader else { return }
            state.waiting.note(change)
            guard !state.isTold else { return }
            state.isTold = true
            reader.yield()
        }
    }

    func finish() { state.withLock { $0.reader?.finish() } }

    private static func change(_ event: KernelEvent) -> FleetChange? {
        switch event {
        case .keysChanged(let records): .keys(records.map(\.change.key))
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
