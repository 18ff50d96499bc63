// SPDX-License-Identifier: Apache-2.0
// Owns the events that wait for handlers: bounded queues that whoever puts something in never waits for.

import AdminModel
import Synchronization

/// The queues of all handlers. `note` is called on the kernel's event loop.
package final class HandlerInbox: Sendable {
    /// Numbers of one handler since the process began.
    package struct Counters: Hashable, Sendable {
        package var runs: UInt64 = 0
        package var failed: UInt64 = 0
        package var timedOut: UInt64 = 0
        package var events: UInt64 = 0
        package var dropped: UInt64 = 0
    }

    /// A run that is due.
    struct Job: Sendable {
        var spec: HandlerSpec
        var events: [ClusterEvent]
        var dropped: Int
    }

    struct Slot: Sendable {
        var spec: HandlerSpec
        /// From `head` on.
        var waiting: [ClusterEvent] = []
        var head = 0
        /// When the first of those that wait may run.
        var readyAt: ContinuousClock.Instant?
        var running = 0
        /// Dropped and neither told to the handler nor to the journal.
        var untold = 0
        var unreported = 0
        var isFailing = false
        var counters = Counters()

        var length: Int { waiting.count - head }

        init(_ spec: HandlerSpec) { self.spec = spec }

        mutating func append(_ event: ClusterEvent, now: ContinuousClock.Instant) {
            if length == 0 { readyAt = now + spec.batchWindow }
            waiting.append(event)
            counters.events += 1
            shed()
        }

        /// Drops the oldest beyond the bound.
        mutating func shed() {
            let excess = length - spec.queue
            guard excess > 0 else { return }
            head += excess
            untold += excess
            unreported += excess
            counters.dropped += UInt64(excess)
            compact()
        }

        private mutating func compact() {
            guard head > 64, head * 2 >= waiting.count else { return }
            waiting.removeFirst(head)
            head = 0
        }

        mutating func takeJob(now: ContinuousClock.Instant) -> Job? {
            guard length > 0, running < spec.concurrency, let readyAt else { return nil }
            guard readyAt <= now || length >= spec.batchMax else { return nil }
            let end = min(head + spec.batchMax, waiting.count)
            let job = Job(spec: spec, events: Array(waiting[head..<end]), dropped: untold)
            head = end
            untold = 0
            running += 1
            // What is left has waited already.
            self.readyAt = length > 0 ? now : nil
            compact()
            return job
        }
    }

    private struct State {
        /// Sorted by name.
        var slots: [Slot] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    /// One element stands for any number of changes.
    let changes: AsyncStream<Void>
    private let changed: AsyncStream<Void>.Continuation

    package init() {
        (changes, changed) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Queues the event for every handler that wants it; never waits.
    ///
    /// - Parameter tags: those of the member that it is about, or that sent it.
    package func note(_ event: ClusterEvent, tags: [String: String]) {
        let isWanted = state.withLock { state in
            guard !state.slots.isEmpty, !state.isClosed else { return false }
            let now = ContinuousClock.now
            var isWanted = false
            for index in state.slots.indices where state.slots[index].spec.accepts(event, tags: tags) {
                state.slots[index].append(event, now: now)
                isWanted = true
            }
            return isWanted
        }
        if isWanted { changed.yield() }
    }

    /// These handlers from now on. What waits for one that stays, waits on; runs that are under way end as they are.
    func replace(_ specs: [HandlerSpec]) {
        state.withLock { state in
            let former = Dictionary(state.slots.map { ($0.spec.name, $0) }) { first, _ in first }
            state.slots = specs.map { spec in
                guard var slot = former[spec.name] else { return Slot(spec) }
                slot.spec = spec
                slot.shed()
                return slot
            }
        }
        changed.yield()
    }

    func wake() { changed.yield() }

    /// The runs that are due, when the next one will be, and what overflowed since the last call.
    func take(
        now: ContinuousClock.Instant
    ) -> (jobs: [Job], next: ContinuousClock.Instant?, overflows: [(name: String, count: Int)]) {
        state.withLock { state in
            var jobs: [Job] = []
            var next: ContinuousClock.Instant?
            var overflows: [(name: String, count: Int)] = []
            for index in state.slots.indices {
                while let job = state.slots[index].takeJob(now: now) { jobs.append(job) }
                let slot = state.slots[index]
                if slot.running < slot.spec.concurrency, let at = slot.readyAt { next = min(next ?? at, at) }
                if slot.unreported > 0 {
                    overflows.append((slot.spec.name, slot.unreported))
                    state.slots[index].unreported = 0
                }
            }
            return (jobs, next, overflows)
        }
    }

    /// A run is over; returns whether the handler had failed before.
    func ended(_ name: String, _ count: (inout Counters) -> Void, isFailure: Bool) -> Bool {
        state.withLock { state in
            guard let index = state.slots.firstIndex(where: { $0.spec.name == name }) else { return false }
            let wasFailing = state.slots[index].isFailing
            state.slots[index].running = max(0, state.slots[index].running - 1)
            state.slots[index].isFailing = isFailure
            count(&state.slots[index].counters)
            return wasFailing
        }
    }

    /// Nothing more comes in, and nothing that waits runs. Returns how many events waited.
    func close() -> Int {
        let waiting = state.withLock { state in
            state.isClosed = true
            let waiting = state.slots.reduce(0) { $0 + $1.length }
            for index in state.slots.indices {
                state.slots[index].waiting = []
                state.slots[index].head = 0
                state.slots[index].readyAt = nil
            }
            return waiting
        }
        changed.finish()
        return waiting
    }

    package func status() -> [HandlerStatus] {
        state.withLock { state in
            state.slots.map { slot in
                HandlerStatus(
                    name: slot.spec.name, runs: slot.counters.runs, failed: slot.counters.failed,
                    timedOut: slot.counters.timedOut, events: slot.counters.events, dropped: slot.counters.dropped,
                    queued: slot.length, running: slot.running, isFailing: slot.isFailing)
            }
        }
    }
}
