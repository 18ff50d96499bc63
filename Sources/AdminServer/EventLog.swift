// SPDX-License-Identifier: Apache-2.0
// Owns the recent past of a stream and its readers: cursors, resuming without a gap, saying when there is one.

import AdminModel
import Synchronization

/// A bounded history of events with live subscribers; safe to use from any thread.
///
/// A cursor is `<epoch>-<sequence>`: the sequence counts events, in this process from 1 or wherever they are numbered
/// by somebody else; the epoch (the boot epoch in hex, the id of a store) keeps a cursor from meaning something else.
package final class EventLog<Event: Sendable>: Sendable {
    /// Makes the event at a place of what was appended together, for its cursor; nil: readers do not see it.
    private typealias Builder = @Sendable (_ place: Int, _ cursor: String) -> Event?

    private struct Entry {
        enum Content {
            /// A number without an event that readers may see.
            case nothing
            indirect case event(Event)
            /// Built for whoever reads it: most events nobody reads.
            case unbuilt(Builder, place: Int)
        }

        var content: Content
        var cost: Int

        static var nothing: Entry { Entry(content: .nothing, cost: 0) }
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

        func entries(after sequence: UInt64) -> ArraySlice<Entry> {
            entries.dropFirst(sequence >= first ? Int(min(sequence, next - 1) + 1 - first) : 0)
        }
    }

    /// Events that were built before the lock was taken, so that a reader who wants many holds nobody up.
    private struct Built {
        /// The sequences from which on, and before which, all are here.
        var first: UInt64 = 0
        var end: UInt64 = 0
        /// Those that the reader accepts.
        var events: [(sequence: UInt64, event: Event)] = []
    }

    /// The cursor of before the oldest event that is held.
    package static var start: String { "start" }

    private let epoch: String
    private let countMax: Int
    private let costMax: Int
    private let waitingMax: Int
    private let state = Mutex(State())

    /// Keeps at most `countMax` events of `costMax` bytes together; the first one gets the sequence `next`. So many as `waitingMax`
    /// wait for a reader before it is too slow.
    package init(
        epoch: String, next: UInt64 = 1, countMax: Int = 4096, costMax: Int = 4 * 1024 * 1024, waitingMax: Int = 1024
    ) {
        precondition(countMax > 0, "an event log without room loses every event")
        self.epoch = epoch
        self.countMax = countMax
        self.costMax = costMax
        self.waitingMax = waitingMax
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
            append(Entry(content: .event(event), cost: cost), &state)
            state.subscribers.removeAll { $0.subscription.ending != nil }
            offer(event, number, cost: cost, &state)
        }
    }

    /// Adds `count` events, which somebody else numbers, ever higher. `build` makes the one at a place when a reader wants it,
    /// nil: no reader sees it.
    package func append(
        count: Int, sequence: (_ place: Int) -> UInt64, cost: (_ place: Int) -> Int,
        build: @escaping @Sendable (_ place: Int, _ cursor: String) -> Event?
    ) {
        state.withLock { state in
            state.subscribers.removeAll { $0.subscription.ending != nil }
            for place in 0..<count {
                skip(to: sequence(place), &state)
                let number = state.next
                let cost = cost(place)
                append(Entry(content: .unbuilt(build, place: place), cost: cost), &state)
                if state.subscribers.isEmpty { continue }
                if let event = build(place, cursor(number)) { offer(event, number, cost: cost, &state) }
            }
        }
    }

    private func append(_ entry: Entry, _ state: inout State) {
        state.entries.append(entry)
        state.cost += entry.cost
        if state.entries.count > countMax || state.cost > costMax { trim(&state) }
    }

    private func offer(_ event: Event, _ number: UInt64, cost: Int, _ state: inout State) {
        for subscriber in state.subscribers where subscriber.seen < number && subscriber.accepts(event) {
            subscriber.subscription.offer(event, cost: cost)
        }
    }

    private func event(_ entry: Entry, _ sequence: UInt64) -> Event? {
        switch entry.content {
        case .nothing: nil
        case .event(let event): event
        case .unbuilt(let build, let place): build(place, cursor(sequence))
        }
    }

    /// The events after `sequence` as far as there are any now.
    private func built(after sequence: UInt64, where accepts: (Event) -> Bool) -> Built {
        let (entries, next) = state.withLock { state in (state.entries(after: sequence), state.next) }
        let first = next - UInt64(entries.count)
        var built = Built(first: first, end: next)
        for (number, entry) in zip(first..., entries) {
            if let event = event(entry, number), accepts(event) { built.events.append((number, event)) }
        }
        return built
    }

    /// The events held after `sequence`, of which those in `built` need not be built.
    private func events(
        after sequence: UInt64, _ built: Built, _ state: State, where accepts: (Event) -> Bool
    ) -> [Event] {
        let entries = state.entries(after: sequence)
        let first = state.next - UInt64(entries.count)
        guard built.first <= first, first <= built.end else {
            return zip(first..., entries).compactMap { event($1, $0) }.filter(accepts)
        }
        let news = zip(built.end..., entries.dropFirst(Int(built.end - first))).compactMap { event($1, $0) }
        return built.events.filter { $0.sequence >= first }.map(\.event) + news.filter(accepts)
    }

    /// The events held that `accepts` takes, oldest first.
    package func held(where accepts: (Event) -> Bool = { _ in true }) -> [Event] {
        built(after: 0, where: accepts).events.map(\.event)
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
        var known = Built()
        switch place {
        case nil where follow: break
        case nil, .start: known = built(after: 0, where: accepts)
        case .after(let sequence): known = built(after: sequence, where: accepts)
        case .otherEpoch: break
        }
        let found: Subscription<Event>? = state.withLock { state in
            let newest = cursor(state.next - 1)
            var backlog: [Event] = []
            switch place {
            case nil:
                backlog = follow ? [] : events(after: 0, known, state, where: accepts)
            case .start:
                backlog = events(after: 0, known, state, where: accepts)
            case .after(let sequence) where sequence + 1 >= state.first && sequence < state.next:
                backlog = events(after: sequence, known, state, where: accepts)
            case .after, .otherEpoch:
                guard let resync else { return nil }
                backlog = [resync(newest)]
            }
            // Without events the reader resumes from where it asked, or from here; filtered ones need no replay.
            let subscription = Subscription(startCursor: newest, backlog: backlog, countMax: waitingMax)
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
            if state.next == sequence { state.entries.append(.nothing) }
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
        while state.next < sequence { state.entries.append(.nothing) }
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
        let known = built(after: sequence, where: accepts)
        return state.withLock { state in
            guard sequence + 1 >= state.first else { return false }
            // Whoever reads the file may be ahead of this log.
            subscription.offerHeld(events(after: sequence, known, state, where: accepts))
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
