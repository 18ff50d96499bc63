// SPDX-License-Identifier: Apache-2.0
// Owns the recent past of a stream and its readers: cursors, resuming without a gap, saying when there is one.

import AdminModel
import Synchronization

/// A bounded history of events with live subscribers; safe to use from any thread.
///
/// A cursor is `<epoch>-<sequence>`: the sequence counts events, in this process from 1 or wherever they are numbered
/// by somebody else; the epoch (the boot epoch in hex, the id of a store) keeps a cursor from meaning something else.
package final class EventLog<Event: Sendable>: Sendable {
    private struct Entry {
        /// Nil for a number without an event that readers may see.
        var event: Event?
        var cost: Int
    }

    private struct Subscriber {
        var subscription: Subscription<Event>
        /// What it has seen elsewhere already, though this log may not have heard of it yet.
        var seen: UInt64 = 0
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

    /// Keeps at most `countMax` events of `costMax` bytes together; the first one gets the sequence `next`.
    package init(epoch: String, next: UInt64 = 1, countMax: Int = 4096, costMax: Int = 4 * 1024 * 1024) {
        precondition(countMax > 0, "an event log without room loses every event")
        self.epoch = epoch
        self.countMax = countMax
        self.costMax = costMax
        state.withLock { $0.first = next }
    }

    /// Adds the event that `make` builds with its cursor, about `cost` bytes, and hands it to every subscriber.
    ///
    /// `sequence`: for events that somebody else numbers, ever higher; numbers left out have no event.
    package func append(sequence: UInt64? = nil, cost: Int = 256, _ make: (_ cursor: String) -> Event) {
        state.withLock { state in
            if let sequence { skip(to: sequence, &state) }
            let number = state.next
            let event = make(cursor(number))
            state.entries.append(Entry(event: event, cost: cost))
            state.cost += cost
            if state.entries.count > countMax || state.cost > costMax { trim(&state) }
            state.subscribers.removeAll { $0.subscription.ending != nil }
            for subscriber in state.subscribers where subscriber.seen < number && subscriber.accepts(event) {
                subscriber.subscription.offer(event, cost: cost)
            }
        }
    }

    /// The events held that `accepts` takes, oldest first.
    package func held(where accepts: (Event) -> Bool = { _ in true }) -> [Event] {
        state.withLock { $0.entries.compactMap(\.event).filter(accepts) }
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
                backlog = follow ? [] : state.entries.compactMap(\.event).filter(accepts)
            case .start:
                backlog = state.entries.compactMap(\.event).filter(accepts)
            case .after(let sequence) where sequence + 1 >= state.first && sequence < state.next:
                backlog = state.entries.dropFirst(Int(sequence + 1 - state.first)).compactMap(\.event).filter(accepts)
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

    /// Takes note of a number that has no event.
    package func skip(to sequence: UInt64) {
        state.withLock { state in
            skip(to: sequence, &state)
            if state.next == sequence { state.entries.append(Entry(event: nil, cost: 0)) }
            if state.entries.count > countMax { trim(&state) }
        }
    }

    /// Makes room for `sequence` as the next one.
    private func skip(to sequence: UInt64, _ state: inout State) {
        guard sequence > state.next else { return }
        if sequence - state.next > UInt64(countMax) {
            state.entries = []
            state.cost = 0
            state.first = sequence
        }
        while state.next < sequence { state.entries.append(Entry(event: nil, cost: 0)) }
    }

    /// Where a cursor stands among what is held.
    package enum Place: Hashable, Sendable {
        /// Before the oldest event that is held.
        case start
        /// What comes after it is held, or still to come.
        case held(UInt64)
        /// What comes after it is not held any more.
        case older(UInt64)
        /// Of another epoch, or ahead of everything.
        case foreign
    }

    /// Fails with `bad_request` when the text is no cursor.
    package func place(of text: String) throws(AdminFailure) -> Place {
        switch try parse(text) {
        case .start: .start
        case .otherEpoch: .foreign
        case .after(let sequence):
            state.withLock { state in
                if sequence >= state.next { return .foreign }
                return sequence + 1 >= state.first ? .held(sequence) : .older(sequence)
            }
        }
    }

    /// Hands a reader, who has seen everything up to `sequence`, what is held after it and then what comes; false when
    /// something after it is held no more.
    package func attach(
        _ subscription: Subscription<Event>, after sequence: UInt64,
        accepts: @escaping @Sendable (Event) -> Bool = { _ in true }
    ) -> Bool {
        state.withLock { state in
            guard sequence + 1 >= state.first else { return false }
            // Whoever reads the file may be ahead of this log.
            let held = min(sequence, state.next - 1)
            subscription.offerHeld(
                state.entries.dropFirst(Int(held + 1 - state.first)).compactMap(\.event).filter(accepts))
            state.subscribers.removeAll { $0.subscription.ending != nil }
            state.subscribers.append(Subscriber(subscription: subscription, seen: sequence, accepts: accepts))
            return true
        }
    }

    /// What came before is of no use any more: forgets it, goes on behind `sequence`, and tells every reader.
    package func restart(after sequence: UInt64, _ make: (_ cursor: String) -> Event) {
        state.withLock { state in
            state.first = max(sequence + 1, state.next)
            state.entries = []
            state.cost = 0
            let event = make(cursor(state.next - 1))
            for subscriber in state.subscribers { subscriber.subscription.offer(event) }
        }
    }

    /// The cursor of the newest event, and its number.
    package var newestCursor: String { cursor(newestSequence) }
    package var newestSequence: UInt64 { state.withLock { $0.next - 1 } }

    /// The cursor of an event with this number.
    package func cursor(_ sequence: UInt64) -> String { "\(epoch)-\(sequence)" }

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

    private enum Parsed {
        case start
        case after(UInt64)
        case otherEpoch
    }

    private func parse(_ text: String) throws(AdminFailure) -> Parsed {
        if text == Self.start { return .start }
        guard let dash = text.lastIndex(of: "-"), let sequence = UInt64(text[text.index(after: dash)...]),
            sequence < UInt64.max
        else {
            throw AdminFailure(.badRequest, "\(text.quoted) is not a cursor: give one that a stream printed, or start")
        }
        return text[..<dash] == epoch ? .after(sequence) : .otherEpoch
    }
}
