// SPDX-License-Identifier: Apache-2.0
// Owns the bounded buffer between the node, which must never wait, and one reader of a stream, who may be slow.

import AdminModel
import Synchronization

/// One reader's events. The node calls `offer` from anywhere and never waits; one task reads with `next`.
///
/// Bounds: `countMax` events and `costMax` bytes wait at most. An offer above either ends the subscription with
/// `slow_reader`: the reader still gets what waited, then nil.
package final class Subscription<Event: Sendable>: Sendable {
    package enum Delivery: Sendable {
        case event(Event)
        /// `tick` was called while nothing waited.
        case idle
    }

    private struct State {
        var waiting: [(event: Event, cost: Int)] = []
        /// Events before this index were delivered; the array is compacted when half of it is.
        var head = 0
        var cost = 0
        var ending: Ending?
        var reader: CheckedContinuation<Delivery?, Never>?
        /// How many events may wait: the bound, and what was held before the reader came.
        var countMax: Int
        /// The page of the past that is being read.
        var past: ArraySlice<Event> = []
        var isPastOver = false

        mutating func takeFirst() -> Event? {
            guard head < waiting.count else { return nil }
            let (event, cost) = waiting[head]
            head += 1
            self.cost -= cost
            if head * 2 > waiting.count {
                waiting.removeFirst(head)
                head = 0
            }
            return event
        }
    }

    /// Why no more events come.
    package enum Ending: Sendable, Hashable {
        /// Everything asked for was delivered.
        case complete
        /// The daemon cut the reader off.
        case cut(StreamEnding)
        /// The reader went away.
        case cancelled
    }

    /// Where the reader resumes when it has seen no event yet.
    package let startCursor: String
    private let costMax: Int
    private let catchUp: PullStream<[Event]>?
    private let state: Mutex<State>

    /// `catchUp` is read first, page by page, each when the reader has taken the one before it; what is offered
    /// meanwhile waits. Its owner attaches the subscription to what is new, without a gap, when it gives the last page.
    /// When it fails, the subscription ends as `cut(.shutdown)`.
    ///
    /// `backlog` is delivered first and does not count against the bounds; its owner bounds it.
    package init(
        startCursor: String, backlog: [Event] = [], catchUp: PullStream<[Event]>? = nil, countMax: Int = 1024,
        costMax: Int = 4 * 1024 * 1024
    ) {
        precondition(countMax > 0 && costMax > 0, "a subscription without room delivers nothing")
        self.startCursor = startCursor
        self.costMax = costMax
        self.catchUp = catchUp
        state = Mutex(
            State(
                waiting: backlog.map { ($0, 0) }, countMax: countMax + backlog.count, isPastOver: catchUp == nil))
    }

    /// Queues an event of about `cost` bytes; false when the subscription is over.
    @discardableResult
    package func offer(_ event: Event, cost: Int = 256) -> Bool {
        let (reader, accepted) = state.withLock { state -> (CheckedContinuation<Delivery?, Never>?, Bool) in
            guard state.ending == nil else { return (nil, false) }
            if let reader = state.reader {
                state.reader = nil
                return (reader, true)
            }
            guard state.waiting.count - state.head < state.countMax, state.cost + cost <= costMax else {
                state.ending = .cut(.slowReader)
                return (nil, false)
            }
            state.waiting.append((event, cost))
            state.cost += cost
            return (nil, true)
        }
        reader?.resume(returning: .event(event))
        return accepted
    }

    /// Queues what was held before the reader was attached. As with the backlog of `init`, it does not count against the
    /// bounds: the reader could not have read it yet, however fast it is.
    func offerHeld(_ events: [Event]) {
        guard !events.isEmpty else { return }
        let reader = state.withLock { state -> CheckedContinuation<Delivery?, Never>? in
            guard state.ending == nil else { return nil }
            let reader = state.reader
            state.reader = nil
            let waiting = reader == nil ? events[...] : events.dropFirst()
            state.waiting += waiting.map { ($0, 0) }
            state.countMax += waiting.count
            return reader
        }
        reader?.resume(returning: .event(events[0]))
    }

    /// Wakes a reader that waits, so that it can show that the stream lives.
    package func tick() {
        let reader = state.withLock { state in
            let reader = state.reader
            state.reader = nil
            return reader
        }
        reader?.resume(returning: .idle)
    }

    /// Ends the subscription; what waits is still delivered, except after `cancelled`. The first ending stays.
    package func finish(_ ending: Ending = .complete) {
        let reader = state.withLock { state in
            if state.ending == nil { state.ending = ending }
            if ending == .cancelled {
                state.waiting = []
                state.head = 0
            }
            let reader = state.reader
            state.reader = nil
            return reader
        }
        reader?.resume(returning: nil)
    }

    /// Events that wait for the reader.
    package var waitingCount: Int { state.withLock { $0.waiting.count - $0.head } }

    /// Why it ended; nil while it lives.
    package var ending: Ending? { state.withLock { $0.ending } }

    /// The next event, waiting for it; nil once the subscription has ended and nothing waits any more, or when the
    /// reading task is cancelled. One reader only.
    package func next() async -> Delivery? {
        if let event = await nextOfPast() { return .event(event) }
        return await nextOfPresent()
    }

    /// Nil when all that was there before is read, or the subscription is over.
    private func nextOfPast() async -> Event? {
        while let catchUp {
            let (event, isOver) = state.withLock { state -> (Event?, Bool) in
                guard !state.isPastOver else { return (nil, true) }
                guard state.ending == nil else {
                    state.isPastOver = true
                    state.past = []
                    return (nil, false)
                }
                return (state.past.popFirst(), false)
            }
            if event != nil || isOver { return event }
            var page: [Event]?
            do throws(AdminFailure) {
                if ending == nil { page = try await catchUp.next() }
            } catch {
                finish(.cut(.shutdown))
            }
            let isEnd = page == nil
            state.withLock { state in
                state.past = (page ?? [])[...]
                state.isPastOver = isEnd
            }
            if isEnd {
                catchUp.close()
                return nil
            }
        }
        return nil
    }

    private func nextOfPresent() async -> Delivery? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (answer, wait) = state.withLock { state -> (Delivery?, Bool) in
                    if let event = state.takeFirst() { return (.event(event), false) }
                    if state.ending != nil { return (nil, false) }
                    precondition(state.reader == nil, "a subscription has one reader")
                    state.reader = continuation
                    return (nil, true)
                }
                if !wait { continuation.resume(returning: answer) }
            }
        } onCancel: {
            finish(.cancelled)
        }
    }
}
