// SPDX-License-Identifier: Apache-2.0
// Owns the recent past of a stream and its readers: cursors, resuming without a gap, saying when there is one.

import AdminModel
import Synchronization

/// A bounded history of events with live subscribers; safe to use from any thread.
///
/// A cursor is `<epoch>-<sequence>`: the sequence counts this process's events from 1, the epoch (for example the
/// boot epoch in hex) keeps a cursor of an earlier process from meaning something else in this one.
package final class EventLog<Event: Sendable>: Sendable {
    private struct Entry {
        var event: Event
        var cost: Int
    }

    private struct Subscriber {
        var subscription: Subscription<Event>
        var accepts: @Sendable (Event) -> Bool
    }

    private struct State {
        /// The entries with the sequences `first ..< first + entries.count`, oldest first.
        var entries: [Entry] = []
        var first: UInt64 = 1
        var cost = 0
        var subscribers: [Subscriber] = []

        var next: UInt64 { first + UInt64(entries.count) }
    }

    /// The cursor of before the oldest event that is held.
    package static var start: String { "start" }

    private let epoch: String
    private let countMax: Int
    private let costMax: Int
    private let state = Mutex(State())

    /// Keeps at most `countMax` events of `costMax` bytes together.
    package init(epoch: String, countMax: Int = 4096, costMax: Int = 4 * 1024 * 1024) {
        precondition(countMax > 0, "an event log without room loses every event")
        self.epoch = epoch
        self.countMax = countMax
        self.costMax = costMax
    }

    /// Adds the event that `make` builds with its cursor, about `cost` bytes, and hands it to every subscriber.
    package func append(cost: Int = 256, _ make: (_ cursor: String) -> Event) {
        state.withLock { state in
            let event = make(cursor(state.next))
            state.entries.append(Entry(event: event, cost: cost))
            state.cost += cost
            if state.entries.count > countMax || state.cost > costMax { trim(&state) }
            state.subscribers.removeAll { $0.subscription.ending != nil }
            for subscriber in state.subscribers where subscriber.accepts(event) {
                subscriber.subscription.offer(event, cost: cost)
            }
        }
    }

    /// The events held that `accepts` takes, oldest first.
    package func held(where accepts: (Event) -> Bool = { _ in true }) -> [Event] {
        state.withLock { $0.entries.map(\.event).filter(accepts) }
    }

    /// The events after `since`, and with `follow` the new ones as they come.
    ///
    /// `since` nil means everything held without `follow`, and nothing held with it; `start` means everything held.
    /// When events after `since` are gone: fails with `resync`, or, when `resync` builds an event, begins with that
    /// event and goes on with new ones. Fails with `bad_request` when `since` is no cursor.
    package func subscribe(
        since: String?, follow: Bool, accepts: @escaping @Sendable (Event) -> Bool = { _ in true },
        resync: ((_ cursor: String) -> Event)? = nil
    ) throws(AdminFailure) -> Subscription<Event> {
        let place = try since.map(parse)
        let found: Subscription<Event>? = state.withLock { state in
            let newest = cursor(state.next - 1)
            var backlog: [Event] = []
            switch place {
            case nil:
                backlog = follow ? [] : state.entries.map(\.event).filter(accepts)
            case .start:
                backlog = state.entries.map(\.event).filter(accepts)
            case .after(let sequence) where sequence + 1 >= state.first && sequence < state.next:
                backlog = state.entries.dropFirst(Int(sequence + 1 - state.first)).map(\.event).filter(accepts)
            case .after, .otherEpoch:
                guard let resync else { return nil }
                backlog = [resync(newest)]
            }
            // Without events the reader resumes from where it asked, or from here; filtered ones need no replay.
            let subscription = Subscription(startCursor: newest, backlog: backlog)
            if follow {
                state.subscribers.removeAll { $0.subscription.ending != nil }
                state.subscribers.append(Subscriber(subscription: subscription, accepts: accepts))
            } else {
                subscription.finish(.complete)
            }
            return subscription
        }
        guard let found else {
            throw AdminFailure(
                .resync, "events after this cursor are no longer held: read the current state, then start without it")
        }
        return found
    }

    /// Ends every subscription, as when the daemon stops.
    package func finishAll(_ ending: Subscription<Event>.Ending = .cut(.shutdown)) {
        let subscribers = state.withLock { state in
            let subscribers = state.subscribers
            state.subscribers = []
            return subscribers
        }
        for subscriber in subscribers { subscriber.subscription.finish(ending) }
    }

    /// Drops the oldest quarter at once, so that appending stays cheap on average.
    private func trim(_ state: inout State) {
        var dropped = max(1, state.entries.count / 4)
        var cost = state.entries.prefix(dropped).reduce(0) { $0 + $1.cost }
        while state.cost - cost > costMax, dropped < state.entries.count - 1 {
            cost += state.entries[dropped].cost
            dropped += 1
        }
        state.entries.removeFirst(dropped)
        state.first += UInt64(dropped)
        state.cost -= cost
    }

    private enum Place {
        case start
        case after(UInt64)
        case otherEpoch
    }

    private func cursor(_ sequence: UInt64) -> String { "\(epoch)-\(sequence)" }

    private func parse(_ text: String) throws(AdminFailure) -> Place {
        if text == Self.start { return .start }
        guard let dash = text.lastIndex(of: "-"), let sequence = UInt64(text[text.index(after: dash)...]),
            sequence < UInt64.max
        else {
            throw AdminFailure(.badRequest, "\(text.quoted) is not a cursor: give one that a stream printed, or start")
        }
        return text[..<dash] == epoch ? .after(sequence) : .otherEpoch
    }
}
