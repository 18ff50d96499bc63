// SPDX-License-Identifier: Apache-2.0
// Owns the way of user events through the kernel: from a client into gossip, from gossip to whoever listens.

import ClusterTypes
import SWIMCore

/// What of user events waits to be sent, and when their next timer fires.
struct UserEventSchedule: Sendable {
    var queue = DisseminationQueue<UserEventID, UserEventID>(capacity: UserEventExchange.retainedMax)
    var generation: UInt64 = 0
    var timerAt: Instant?
    /// When this process last did anything.
    var lastInputAt: Instant
    /// How long it stood still before, and until when what it reads may be from that time.
    var delay = Interval.zero
    var delayedUntil = Instant.origin

    init(now: Instant) { lastInputAt = now }
}

extension NodeKernel {
    /// What a stopped process finds in its sockets is read within this.
    private static let backlogTime = Interval.seconds(1)
    /// Longer than any stall that matters beside `UserEventExchange.retention`.
    private static let delayMax = Interval.seconds(10)

    /// Called with each input: a process that does nothing for longer than its timers allow was not running, and what it
    /// reads next has waited for it.
    mutating func noteProgress(now: Instant) {
        let pause = now - userEventSchedule.lastInputAt
        userEventSchedule.lastInputAt = now
        if pause > configuration.swim.probeInterval * 1.5 {
            userEventSchedule.delay = min(pause, Self.delayMax)
            userEventSchedule.delayedUntil = now + Self.backlogTime
        } else if now >= userEventSchedule.delayedUntil {
            userEventSchedule.delay = .zero
        }
    }

    /// Datagrams in answer to one request: more is asked for again.
    private static let userEventDatagramsMax = 4

    mutating func sendEvent(name: String, payload: [UInt8], _ id: CommandID, _ turn: inout Turn) {
        guard isReady(id, &turn) else { return }
        guard UserEvent.isName(name) else {
            let bound = "1 to \(Bounds.userEventNameBytesMax) letters, digits, '.', '_' or '-'"
            return reply(id, .failure(.invalid("the name of an event is \(bound)")), &turn)
        }
        guard payload.count <= Bounds.userEventPayloadBytesMax else {
            let bound = "at most \(Bounds.userEventPayloadBytesMax) bytes"
            return reply(id, .failure(.invalid("the payload of an event has \(bound)")), &turn)
        }
        guard
            let event = userEvents.send(
                name: name, payload: payload, epoch: membership.me.incarnation, now: turn.now)
        else {
            return reply(id, .failure(.tooManyEvents), &turn)
        }
        queue(event.id, &turn)
        turn.actions.append(.event(.userEvent(event)))
        reply(id, .eventSent(event.id), &turn)
    }

    private mutating func queue(_ id: UserEventID, _ turn: inout Turn) {
        guard let notice = userEvents.notice(id, now: turn.now) else { return }
        userEventSchedule.queue.enqueue(id, for: id, bytes: configuration.sizes.message(.userEvent(notice)))
    }

    mutating func onUserEvent(_ notice: UserEventNotice, from peer: NodeID, _ turn: inout Turn) {
        var deliveries: [UserEvent] = []
        let delay = userEventSchedule.delay
        if userEvents.receive(notice, from: peer, delay: delay, now: turn.now, into: &deliveries) == .new {
            queue(notice.event.id, &turn)
        }
        for event in deliveries { turn.actions.append(.event(.userEvent(event))) }
        setUserEventTimer(&turn)
    }

    mutating func onUserEventMarks(_ marks: UserEventMarks, from peer: NodeID, _ turn: inout Turn) {
        userEvents.hear(marks, from: peer, now: turn.now)
        setUserEventTimer(&turn)
        // Only to where a member is known to be: whoever sends under another's address gets nothing sent there.
        guard marks.isRequest, let address = membership.table[peer]?.info.address else { return }
        var notices = userEvents.answer(marks, now: turn.now)[...]
        for _ in 0..<Self.userEventDatagramsMax where !notices.isEmpty {
            var messages: [Message] = []
            var budget = configuration.datagramBytesMax - configuration.sizes.header
            while let notice = notices.first {
                let bytes = configuration.sizes.message(.userEvent(notice))
                guard bytes <= budget else { break }
                budget -= bytes
                messages.append(.userEvent(notice))
                notices.removeFirst()
            }
            guard !messages.isEmpty else { return }
            turn.actions.append(
                .send(Packet(cluster: configuration.cluster, sender: selfID, messages: messages), to: address))
        }
    }

    mutating func onUserEventTimer(_ generation: UInt64, _ turn: inout Turn) {
        guard generation == userEventSchedule.generation else { return }
        userEventSchedule.timerAt = nil
        var deliveries: [UserEvent] = []
        for ask in userEvents.due(now: turn.now, into: &deliveries) { send(ask, &turn) }
        for event in deliveries { turn.actions.append(.event(.userEvent(event))) }
        setUserEventTimer(&turn)
    }

    /// First to whoever showed that it has more, then to the origin, then to anybody, and so on in turn.
    private mutating func send(_ ask: UserEventExchange.Ask, _ turn: inout Turn) {
        var peer: NodeID? = ask.attempt % 3 == 1 ? ask.mark.origin : ask.holder
        if ask.attempt % 3 == 2 || peer.map({ membership.table[$0]?.state.isActive != true }) ?? true {
            let peers = membership.table.activePeers
            peer = peers.isEmpty ? nil : peers[turn.rng.index(below: peers.count)]
        }
        guard let peer, let address = membership.table[peer]?.info.address else { return }
        let request = Message.userEventMarks(UserEventMarks(isRequest: true, marks: [ask.mark]))
        turn.actions.append(
            .send(Packet(cluster: configuration.cluster, sender: selfID, messages: [request]), to: address))
    }

    private mutating func setUserEventTimer(_ turn: inout Turn) {
        guard let at = userEvents.nextDue else { return }
        if let set = userEventSchedule.timerAt, set <= at { return }
        userEventSchedule.generation += 1
        userEventSchedule.timerAt = at
        turn.actions.append(.setTimer(.userEvents(generation: userEventSchedule.generation), at: at))
    }

    var hasUserEventNews: Bool { !userEventSchedule.queue.isEmpty }

    /// Adds events to a datagram with `budget` bytes left and returns what they took.
    mutating func addUserEvents(to messages: inout [Message], budget: Int, now: Instant) -> Int {
        var ids: [UserEventID] = []
        let limit = membership.transmissionsMax
        let used = userEventSchedule.queue.take(budget: budget, limit: limit, into: &ids)
        for id in ids {
            if let notice = userEvents.notice(id, now: now) {
                messages.append(.userEvent(notice))
            } else {
                userEventSchedule.queue.remove(id)
            }
        }
        return used
    }

    /// Adds what this node has, so that whoever missed something learns of it.
    mutating func addUserEventMarks(to messages: inout [Message], budget: inout Int, now: Instant) {
        guard let marks = userEvents.marks(now: now) else { return }
        let message = Message.userEventMarks(marks)
        let bytes = configuration.sizes.message(message)
        guard bytes <= budget else { return }
        budget -= bytes
        messages.append(message)
    }
}
