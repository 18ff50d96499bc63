// SPDX-License-Identifier: Apache-2.0
// Owns the actors that the store's rows name: short numbers for them, and per actor the index from event to row.

import ClusterTypes

/// Gives each actor a number in the order of arrival, which never leaves the store.
struct ActorTable: Sendable {
    /// The row that `counter` is the actor's last event on.
    struct Event: Hashable, Sendable {
        var counter: UInt64
        var row: UInt32

        /// Comes after every event with this counter and before all with a higher one.
        static func end(of counter: UInt64) -> Event { Event(counter: counter, row: .max) }
    }

    private var ids: [ActorID] = []
    private var numbers: [ActorID: UInt32] = [:]
    /// All numbers, sorted by actor.
    private(set) var sorted: [UInt32] = []
    /// By number: the actor's events that are some row's last of this actor, sorted by counter. Holds exactly one
    /// entry for each pair of a row and an actor in its versions, however often rows are overwritten.
    private var events: [ChunkedArray<Event>] = []

    subscript(number: UInt32) -> ActorID { ids[Int(number)] }

    /// Entries in all indexes together.
    var eventCount: Int { events.reduce(0) { $0 + $1.count } }

    mutating func number(of actor: ActorID) -> UInt32 {
        if let number = numbers[actor] { return number }
        let number = UInt32(ids.count)
        sorted.insert(number, at: insertionPoint(of: actor))
        ids.append(actor)
        numbers[actor] = number
        events.append(ChunkedArray())
        return number
    }

    /// The position in `sorted` of the first actor that is `actor` or comes after it.
    func insertionPoint(of actor: ActorID) -> Int {
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            if ids[Int(sorted[middle])] < actor { low = middle + 1 } else { high = middle }
        }
        return low
    }

    mutating func insert(_ dot: Dot, row: UInt32) {
        let number = Int(number(of: dot.actor))
        let event = Event(counter: dot.counter, row: row)
        events[number].insert(event, at: events[number].partitionPoint { Self.precedes($0, event) })
    }

    /// The row's last event of the actor with this number is another one now.
    mutating func move(_ number: UInt32, from old: UInt64, to new: UInt64, row: UInt32) {
        let former = Event(counter: old, row: row)
        let position = events[Int(number)].partitionPoint { Self.precedes($0, former) }
        precondition(events[Int(number)].element(at: position) == former, "event \(old) of row \(row) is not indexed")
        events[Int(number)].remove(at: position)
        let event = Event(counter: new, row: row)
        events[Int(number)].insert(event, at: events[Int(number)].partitionPoint { Self.precedes($0, event) })
    }

    mutating func remove(_ dot: Dot, row: UInt32) {
        let number = Int(number(of: dot.actor))
        let event = Event(counter: dot.counter, row: row)
        let position = events[number].partitionPoint { Self.precedes($0, event) }
        precondition(events[number].element(at: position) == event, "\(dot) of row \(row) is not indexed")
        events[number].remove(at: position)
    }

    /// The actor's first event after `event`.
    func position(of number: UInt32, behind event: Event) -> ChunkedArray<Event>.Position {
        events[Int(number)].partitionPoint { !Self.precedes(event, $0) }
    }

    /// True when the index knows the row as that of the event.
    func contains(_ dot: Dot, row: UInt32) -> Bool {
        guard let number = numbers[dot.actor] else { return false }
        let event = Event(counter: dot.counter, row: row)
        let index = events[Int(number)]
        return index.element(at: index.partitionPoint { Self.precedes($0, event) }) == event
    }

    func rowCount(of actor: ActorID) -> Int { numbers[actor].map { events[Int($0)].count } ?? 0 }

    /// Calls `body` with each row that names the actor.
    func forEachRow(of actor: ActorID, _ body: (UInt32) -> Void) {
        if let number = numbers[actor] { events[Int(number)].forEach { body($0.row) } }
    }

    /// The actor's last event that some row names.
    func lastEvent(of actor: ActorID) -> Event? {
        guard let number = numbers[actor] else { return nil }
        let index = events[Int(number)]
        var low: UInt64 = 0
        var high = Dot.counterMax
        var last: Event?
        // The highest counter from which on there is an event.
        while low < high {
            let middle = (low + high + 1) / 2
            if let event = index.element(at: index.partitionPoint { $0.counter < middle }) {
                last = event
                low = event.counter
            } else {
                high = middle - 1
            }
        }
        return last
    }

    func event(of number: UInt32, at position: ChunkedArray<Event>.Position) -> Event? {
        events[Int(number)].element(at: position)
    }

    func position(of number: UInt32, after position: ChunkedArray<Event>.Position) -> ChunkedArray<Event>.Position {
        events[Int(number)].position(after: position)
    }

    /// Honest rows never share a dot; rows of a defective peer may, so the row decides between equals.
    private static func precedes(_ a: Event, _ b: Event) -> Bool {
        a.counter != b.counter ? a.counter < b.counter : a.row < b.row
    }

    func checkInvariants() {
        precondition(
            sorted.count == ids.count && events.count == ids.count, "\(ids.count) actors, \(sorted.count) sorted")
        for (index, number) in sorted.enumerated() where index > 0 {
            precondition(self[sorted[index - 1]] < self[number], "\(self[number]) is out of order")
        }
        for index in events {
            index.checkInvariants()
            var before: Event?
            index.forEach { event in
                if let before { precondition(Self.precedes(before, event), "events \(before), \(event) are swapped") }
                before = event
            }
        }
    }
}
