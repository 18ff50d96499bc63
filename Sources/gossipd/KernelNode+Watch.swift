// SPDX-License-Identifier: Apache-2.0
// Owns watches that resume: from memory, or first from the store's file, without a gap and without a repeat.

import AdminModel
import AdminServer
import Persistence
import StoreCore
import Synchronization

extension KernelNode {
    /// Changes read from the file at a time for a watch that was away.
    private static let replayedChangesMax = 512

    func watch(_ prefix: KeyPrefix, since cursor: String?) async throws(AdminFailure) -> Subscription<WatchEvent> {
        let accepts: @Sendable (WatchEvent) -> Bool = { event in event.key.map(prefix.shows) ?? true }
        if let cursor {
            switch try hub.watches.place(of: cursor) {
            case .older(let revision): return replay(cursor, after: revision, accepts)
            // All that is held: the file holds more than memory.
            case .start: return replay(cursor, after: 0, fromOldest: true, accepts)
            case .held, .foreign: break
            }
        }
        return try hub.watches.subscribe(since: cursor, follow: true, accepts: accepts, resync: WatchEvent.resync)
    }

    /// Reads what the watch has missed from the file, page by page, and then attaches it to what is new. With
    /// `fromOldest` it begins where the file begins, and what is gone before that is not missed.
    private func replay(
        _ cursor: String, after revision: UInt64, fromOldest: Bool = false,
        _ accepts: @escaping @Sendable (WatchEvent) -> Bool
    ) -> Subscription<WatchEvent> {
        let (past, hub) = (past, hub)
        let replay = Replay(after: revision)
        let pages = PullStream<[WatchEvent]>(next: { () async throws(AdminFailure) -> [WatchEvent]? in
            let seen = replay.revision
            if let subscription = replay.subscription, hub.watches.attach(subscription, after: seen, accepts: accepts) {
                return nil
            }
            // A commit is in the file a moment before the log hears of it; what is ahead of the log comes by the log.
            let known = hub.watches.newestSequence
            let page = try await past.read { try $0.changes(after: seen, limit: Self.replayedChangesMax) }
            switch page {
            case .changes(let records):
                let heard = records.prefix { $0.revision <= known }
                replay.move(to: heard.last?.revision ?? max(seen, known))
                return heard.compactMap { record in
                    WatchEvent(
                        record, author: hub.identity(record.change.author.node),
                        cursor: hub.watches.cursor(record.revision))
                }.filter(accepts)
            case .gone(let since) where fromOldest && since > seen:
                replay.move(to: since)
                return []
            case .gone:
                let newest = hub.watches.newestSequence
                replay.move(to: newest)
                return [WatchEvent.resync(cursor: hub.watches.cursor(newest))]
            }
        })
        let subscription = Subscription<WatchEvent>(
            startCursor: cursor, catchUp: pages, countMax: EventHub.watchWaitingMax)
        replay.feed(subscription)
        return subscription
    }
}

/// How far a watch has been fed from the file, and the subscription that it feeds. One reader moves it.
private final class Replay: Sendable {
    private struct State {
        var revision: UInt64
        weak var subscription: Subscription<WatchEvent>?
    }
    private let state: Mutex<State>

    init(after revision: UInt64) { state = Mutex(State(revision: revision)) }

    var revision: UInt64 { state.withLock { $0.revision } }
    var subscription: Subscription<WatchEvent>? { state.withLock { $0.subscription } }
    func move(to revision: UInt64) { state.withLock { $0.revision = revision } }
    func feed(_ subscription: Subscription<WatchEvent>) { state.withLock { $0.subscription = subscription } }
}
