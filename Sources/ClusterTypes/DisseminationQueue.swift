// SPDX-License-Identifier: Apache-2.0
// Owns the queue that gossip is taken from: one slot per subject, fewest transmissions first.

/// Updates waiting to be piggybacked (SWIM, DSN 2002, section 4.1): each subject has one slot, a newer update
/// supersedes the older, and the update sent the fewest times goes first; among equals the newest goes first.
///
/// Taking is linear in what is looked at, never in the queue's length. Order depends on insertion order alone.
package struct DisseminationQueue<Subject: Hashable & Sendable, Payload: Sendable>: Sendable {
    /// What an update is sent as after it was sent whole so many times: its short form, for those that lack it still.
    package struct Later: Sendable {
        package var payload: Payload
        package var bytes: Int
        package var after: Int

        package init(_ payload: Payload, bytes: Int, after: Int) {
            precondition(after > 0, "an update that is never sent whole")
            self.payload = payload
            self.bytes = bytes
            self.after = after
        }
    }

    private struct Slot: Sendable {
        var payload: Payload
        var bytes: Int
        var generation: UInt64
        var transmissions: Int
        var later: Later?
    }

    private struct Ticket: Sendable {
        var subject: Subject
        var generation: UInt64
    }

    private var slots: [Subject: Slot] = [:]
    /// `levels[n]` holds tickets of updates sent n times, oldest first; a ticket whose generation is stale is void.
    private var levels: [[Ticket]] = [[]]
    private var nextGeneration: UInt64 = 0
    /// Tickets in all levels, void ones too: after an enqueue at most twice the slots and `voidTicketsMin`.
    package private(set) var ticketCount = 0
    package static var voidTicketsMin: Int { 64 }

    /// Slots at most; enqueueing beyond it drops the most transmitted update.
    private let capacity: Int

    package init(capacity: Int = 16_384) { self.capacity = capacity }

    package var count: Int { slots.count }
    package var isEmpty: Bool { slots.isEmpty }

    /// Updates that were never sent. Counted along: each input of a node asks.
    package private(set) var freshCount = 0

    /// True when at least one update was never sent.
    package var hasFresh: Bool { freshCount > 0 }

    /// Puts `payload` into the subject's slot with no transmissions yet. `bytes` is its size on the wire.
    package mutating func enqueue(_ payload: Payload, for subject: Subject, bytes: Int, later: Later? = nil) {
        let former = slots[subject]
        if slots.count >= capacity, former == nil { dropMostTransmitted() }
        if former?.transmissions != 0 { freshCount += 1 }
        slots[subject] = Slot(
            payload: payload, bytes: bytes, generation: nextGeneration, transmissions: 0, later: later)
        levels[0].append(Ticket(subject: subject, generation: nextGeneration))
        nextGeneration += 1
        ticketCount += 1
        // Nobody may be there to take from the queue: void tickets must not pile up until somebody is.
        if ticketCount > 2 * slots.count + Self.voidTicketsMin { dropVoidTickets() }
    }

    private mutating func dropVoidTickets() {
        levels = levels.map { $0.filter(isCurrent) }
        ticketCount = slots.count
    }

    /// Nobody is there to tell: forget everything.
    package mutating func removeAll() {
        slots.removeAll(keepingCapacity: true)
        levels = [[]]
        ticketCount = 0
        freshCount = 0
    }

    package mutating func remove(_ subject: Subject) {
        if slots.removeValue(forKey: subject)?.transmissions == 0 { freshCount -= 1 }
    }

    /// What is queued for `subject`, without counting a transmission.
    package func peek(_ subject: Subject) -> Payload? { slots[subject]?.payload }

    /// Takes updates that fit into `budget` bytes and counts one transmission for each; an update that has been sent
    /// `limit` times leaves the queue. At most `scanMax` updates that do not fit are passed over.
    package mutating func take(budget: Int, limit: Int, scanMax: Int = 16, into taken: inout [Payload]) -> Int {
        var used = 0
        var passedOver = 0
        var moved: [(ticket: Ticket, level: Int)] = []
        search: for level in levels.indices {
            var index = levels[level].count - 1
            while index >= 0 {
                let ticket = levels[level][index]
                guard let slot = slots[ticket.subject], slot.generation == ticket.generation else {
                    levels[level].remove(at: index)
                    ticketCount -= 1
                    index -= 1
                    continue
                }
                if used + slot.bytes <= budget {
                    levels[level].remove(at: index)
                    used += slot.bytes
                    taken.append(slot.payload)
                    moved.append((ticket, level + 1))
                } else {
                    passedOver += 1
                    if passedOver >= scanMax { break search }
                }
                index -= 1
            }
        }
        for (ticket, level) in moved { settle(ticket, at: level, limit: limit) }
        while levels.count > 1, levels[levels.count - 1].isEmpty { levels.removeLast() }
        return used
    }

    private mutating func settle(_ ticket: Ticket, at level: Int, limit: Int) {
        if level == 1 { freshCount -= 1 }
        if level >= limit {
            slots[ticket.subject] = nil
            ticketCount -= 1
            return
        }
        slots[ticket.subject]?.transmissions = level
        if let later = slots[ticket.subject]?.later, level >= later.after {
            slots[ticket.subject]?.payload = later.payload
            slots[ticket.subject]?.bytes = later.bytes
            slots[ticket.subject]?.later = nil
        }
        while levels.count <= level { levels.append([]) }
        levels[level].append(ticket)
    }

    private mutating func dropMostTransmitted() {
        for level in levels.indices.reversed() {
            while let ticket = levels[level].first {
                levels[level].removeFirst()
                ticketCount -= 1
                if isCurrent(ticket) {
                    remove(ticket.subject)
                    return
                }
            }
        }
    }

    private func isCurrent(_ ticket: Ticket) -> Bool { slots[ticket.subject]?.generation == ticket.generation }

    /// Every slot has exactly one current ticket, at the level of its transmissions.
    package func checkInvariants() {
        var seen = 0
        for (level, tickets) in levels.enumerated() {
            for ticket in tickets where isCurrent(ticket) {
                seen += 1
                precondition(
                    slots[ticket.subject]?.transmissions == level, "\(ticket.subject) waits at the wrong level \(level)"
                )
            }
        }
        precondition(seen == slots.count, "\(slots.count) slots but \(seen) tickets")
        let fresh = levels[0].count(where: isCurrent)
        precondition(fresh == freshCount, "\(fresh) updates were never sent, not \(freshCount)")
        precondition(levels.reduce(0) { $0 + $1.count } == ticketCount, "there are not \(ticketCount) tickets")
        precondition(slots.count <= capacity, "\(slots.count) slots exceed the bound \(capacity)")
    }
}
