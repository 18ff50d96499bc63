// SPDX-License-Identifier: Apache-2.0
// Owns the order of simulated events: by time, and at one time by insertion.

import ClusterTypes

/// A binary heap of payloads ordered by (time, insertion sequence).
///
/// The heap holds plain keys and the payloads stay where they are, so that sifting copies 24 bytes a step.
/// Bounded by `capacity`: a simulation that schedules without end stops with a message instead of eating the memory.
package struct EventQueue<Payload> {
    private struct Key {
        var time: Int64
        var sequence: UInt64
        var slot: Int

        func isBefore(_ other: Key) -> Bool {
            time != other.time ? time < other.time : sequence < other.sequence
        }
    }

    private var heap: [Key] = []
    private var slots: [Payload?] = []
    private var freeSlots: [Int] = []
    private var nextSequence: UInt64 = 0
    private let capacity: Int

    package init(capacity: Int = 50_000_000) { self.capacity = capacity }

    package var count: Int { heap.count }
    package var isEmpty: Bool { heap.isEmpty }

    package mutating func push(_ payload: Payload, at time: Instant) {
        precondition(heap.count < capacity, "\(heap.count) events wait: the simulation schedules without end")
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
            slots[slot] = payload
        } else {
            slot = slots.count
            slots.append(payload)
        }
        heap.append(Key(time: time.nanoseconds, sequence: nextSequence, slot: slot))
        nextSequence += 1
        siftUp(heap.count - 1)
    }

    /// Takes the earliest event unless it is later than `limit`.
    package mutating func pop(until limit: Instant) -> (time: Instant, payload: Payload)? {
        guard let first = heap.first, first.time <= limit.nanoseconds else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            siftDown(0)
        }
        freeSlots.append(first.slot)
        guard let payload = slots[first.slot].take() else {
            preconditionFailure("slot \(first.slot) of the event queue is empty")
        }
        return (Instant(nanoseconds: first.time), payload)
    }

    private mutating func siftUp(_ start: Int) {
        let key = heap[start]
        var index = start
        while index > 0 {
            let parent = (index - 1) / 2
            guard key.isBefore(heap[parent]) else { break }
            heap[index] = heap[parent]
            index = parent
        }
        heap[index] = key
    }

    private mutating func siftDown(_ start: Int) {
        let key = heap[start]
        var index = start
        while true {
            var child = 2 * index + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].isBefore(heap[child]) { child += 1 }
            guard heap[child].isBefore(key) else { break }
            heap[index] = heap[child]
            index = child
        }
        heap[index] = key
    }
}
