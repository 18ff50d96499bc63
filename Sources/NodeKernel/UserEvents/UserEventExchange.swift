// SPDX-License-Identifier: Apache-2.0
// Owns which user events a node has, which it hands on in what order, and for how long it keeps them for others.

import ClusterTypes

/// User events of all origins: each is handed on at most once, those of one origin in the order in which it sent them.
///
/// An event that comes before its turn waits for those before it, which are asked for (`UserEventExchange+Gaps.swift`);
/// after `gapWait` they are given up and counted. Every node keeps what it has heard for `retention` and gives it to
/// whoever lacks it. It is not a log: who was away for longer, or starts later, does not get what was sent before.
package struct UserEventExchange: Sendable {
    /// Events are kept for neighbours for so long, and are of no use to anybody afterwards.
    package static let retention = Interval.seconds(120)
    /// Events kept, of all origins together, and their bytes; the oldest go first.
    package static let retainedMax = 4_096
    package static let retainedBytesMax = 4 << 20
    /// Events that one origin may send within `retention`: so many can be asked for, so a further one is refused.
    package static let originMax: UInt64 = 1_024
    /// Origins whose numbers are remembered; of more, those who were silent the longest are forgotten.
    package static let streamsMax = 4_096
    /// An event waits for those before it at most so long.
    package static let gapWait = Interval.seconds(10)
    /// What is missing may be on its way: it is asked for after this, and then ever more rarely up to `askIntervalMax`.
    package static let askDelay = Interval.milliseconds(100)
    package static let askIntervalMax = Interval.seconds(1)
    /// Origins in one `UserEventMarks`.
    package static let marksMax = 8

    /// An event with where its age stands.
    struct Retained: Sendable {
        var event: UserEvent
        var floor: UInt64
        /// When it was sent, on this node's clock: later than it really was by the network's delay.
        var bornAt: Instant
    }

    /// One epoch of one origin.
    struct Stream: Sendable {
        var epoch: UInt64
        /// All before it have been handed on or given up; 0 while nothing is known.
        var next: UInt64
        /// Further ones that are here, sorted.
        var held: [UInt64] = []
        /// When the newest was sent.
        var bornAt: Instant
        var gap: Gap?

        init(epoch: UInt64, next: UInt64, bornAt: Instant) {
            self.epoch = epoch
            self.next = next
            self.bornAt = bornAt
        }
    }

    /// Something is missing.
    struct Gap: Sendable {
        var since: Instant
        var askAt: Instant
        var attempts = 0
        /// Who has shown that it has more.
        var holder: NodeID
        /// How far the events go, and in which epoch, as somebody has said.
        var toldEpoch: UInt64
        var told: UInt64
    }

    package enum Receipt: Hashable, Sendable {
        /// Pass it on.
        case new
        /// Nothing to do.
        case known
    }

    let selfID: NodeID
    /// What was sent before is not for this process.
    let startedAt: Instant
    package internal(set) var statistics = UserEventStatistics()
    var streams: [NodeID: Stream] = [:]
    /// Origins that sent something within `retention`, sorted; some of them may be over.
    var active: [NodeID] = []
    /// Of them, where the next marks begin.
    var activeTurn = 0
    /// Origins of which something is missing, sorted.
    var gaps: [NodeID] = []
    private(set) var retained: [UserEventID: Retained] = [:]
    private var retainedBytes = 0
    /// In order of arrival, from `arrivalsHead` on.
    private var arrivals: [UserEventID] = []
    private var arrivalsHead = 0
    private var ownFloor: UInt64 = 1

    package init(selfID: NodeID, startedAt: Instant) {
        self.selfID = selfID
        self.startedAt = startedAt
    }

    /// Takes an event of this node's own: nil when there were too many lately, and nothing has changed.
    ///
    /// - Parameter epoch: `UserEventID.epoch`, were this the first one.
    package mutating func send(name: String, payload: [UInt8], epoch: UInt64, now: Instant) -> UserEvent? {
        var stream = streams[selfID] ?? Stream(epoch: epoch, next: 1, bornAt: now)
        while ownFloor < stream.next {
            let first = UserEventID(origin: selfID, epoch: stream.epoch, sequence: ownFloor)
            if let kept = retained[first], now - kept.bornAt < Self.retention { break }
            ownFloor += 1
        }
        guard stream.next - ownFloor < Self.originMax else {
            statistics.sendsRefused += 1
            return nil
        }
        let id = UserEventID(origin: selfID, epoch: stream.epoch, sequence: stream.next)
        let event = UserEvent(id: id, name: name, payload: payload)
        stream.next += 1
        stream.bornAt = now
        insert(stream, for: selfID)
        retain(Retained(event: event, floor: ownFloor, bornAt: now))
        statistics.sent += 1
        statistics.delivered += 1
        return event
    }

    /// Takes an event from `peer` and appends to `deliveries` those whose turn has come.
    ///
    /// - Parameter delay: how long it may have waited here before it was read, beyond the ordinary. It counts as age: rather
    ///   is an event not handed on by a process that began shortly before than by two processes of one node.
    package mutating func receive(
        _ notice: UserEventNotice, from peer: NodeID, delay: Interval = .zero, now: Instant,
        into deliveries: inout [UserEvent]
    ) -> Receipt {
        let id = notice.event.id
        let age = Interval.milliseconds(Int(notice.ageMilliseconds))
        guard id.origin != selfID else { return .known }
        guard age < Self.retention else {
            statistics.late += 1
            return .known
        }
        // No sender has so many to give, nor numbers beyond the last one.
        guard id.sequence <= UserEventID.sequenceMax, id.sequence - min(notice.floor, id.sequence) < Self.originMax
        else {
            statistics.refused += 1
            return .known
        }
        let bornAt = now - age - delay
        var stream = streams[id.origin] ?? Stream(epoch: id.epoch, next: 0, bornAt: bornAt)
        guard id.epoch >= stream.epoch else {
            statistics.late += 1
            return .known
        }
        if id.epoch > stream.epoch {
            // Its process has started again: nothing more comes of the former one.
            finish(&stream, of: id.origin, into: &deliveries)
            let gap = stream.gap
            stream = Stream(epoch: id.epoch, next: 0, bornAt: bornAt)
            if let gap, gap.toldEpoch == id.epoch { stream.gap = gap }
        }
        guard id.sequence >= stream.next, retained[id] == nil, !stream.held.contains(id.sequence) else {
            statistics.repeated += 1
            return .known
        }
        let before = stream.next
        if stream.next == 0 { stream.next = notice.floor }
        if notice.floor > stream.next { giveUp(&stream, of: id.origin, to: notice.floor, into: &deliveries) }
        guard id.sequence - stream.next < Self.originMax else {
            statistics.refused += 1
            settleGap(&stream, of: id.origin, holder: peer, hasMoved: stream.next != before, now: now)
            insert(stream, for: id.origin)
            return .known
        }
        stream.bornAt = max(stream.bornAt, bornAt)
        stream.held.insert(id.sequence, at: stream.held.partitioningIndex { $0 >= id.sequence })
        retain(Retained(event: notice.event, floor: notice.floor, bornAt: bornAt))
        advance(&stream, of: id.origin, into: &deliveries)
        settleGap(&stream, of: id.origin, holder: peer, hasMoved: stream.next != before, now: now)
        insert(stream, for: id.origin)
        return .new
    }

    /// The event as it goes out now; nil when it is too old or no longer here.
    package func notice(_ id: UserEventID, now: Instant) -> UserEventNotice? {
        guard let kept = retained[id] else { return nil }
        let age = now - kept.bornAt
        guard age < Self.retention else { return nil }
        return UserEventNotice(
            event: kept.event, ageMilliseconds: UInt32(clamping: age.nanoseconds / 1_000_000), floor: kept.floor)
    }

    /// Hands on what is here from `next` on without a gap.
    mutating func advance(_ stream: inout Stream, of origin: NodeID, into deliveries: inout [UserEvent]) {
        var taken = 0
        while taken < stream.held.count, stream.held[taken] == stream.next {
            deliver(UserEventID(origin: origin, epoch: stream.epoch, sequence: stream.next), into: &deliveries)
            stream.next += 1
            taken += 1
        }
        if taken > 0 { stream.held.removeFirst(taken) }
    }

    /// Gives up what is missing before `target`, and hands on what is here.
    mutating func giveUp(
        _ stream: inout Stream, of origin: NodeID, to target: UInt64, into deliveries: inout [UserEvent]
    ) {
        while let first = stream.held.first, first < target {
            noteMissed(first - stream.next)
            stream.next = first
            advance(&stream, of: origin, into: &deliveries)
        }
        if target > stream.next {
            noteMissed(target - stream.next)
            stream.next = target
        }
        advance(&stream, of: origin, into: &deliveries)
    }

    /// A sender that makes numbers up may let its count leap: the sum stays at its end instead of overflowing.
    private mutating func noteMissed(_ count: UInt64) {
        let (sum, isOver) = statistics.missed.addingReportingOverflow(count)
        statistics.missed = isOver ? .max : sum
    }

    private mutating func finish(_ stream: inout Stream, of origin: NodeID, into deliveries: inout [UserEvent]) {
        if let last = stream.held.last { giveUp(&stream, of: origin, to: last + 1, into: &deliveries) }
    }

    private mutating func deliver(_ id: UserEventID, into deliveries: inout [UserEvent]) {
        guard let kept = retained[id] else {
            noteMissed(1)
            return
        }
        guard kept.bornAt >= startedAt else {
            statistics.beforeStart += 1
            return
        }
        statistics.delivered += 1
        deliveries.append(kept.event)
    }

    // MARK: Bounds

    mutating func insert(_ stream: Stream, for origin: NodeID) {
        if streams[origin] == nil, streams.count >= Self.streamsMax { forgetQuietest() }
        streams[origin] = stream
        Self.include(origin, in: &active)
    }

    static func include(_ origin: NodeID, in list: inout [NodeID]) {
        let index = list.partitioningIndex { $0 >= origin }
        if index == list.count || list[index] != origin { list.insert(origin, at: index) }
    }

    static func exclude(_ origin: NodeID, from list: inout [NodeID]) {
        let index = list.partitioningIndex { $0 >= origin }
        if index < list.count, list[index] == origin { list.remove(at: index) }
    }

    private mutating func forgetQuietest() {
        let others = streams.filter { $0.key != selfID }
        guard let quietest = others.min(by: { ($0.value.bornAt, $0.key) < ($1.value.bornAt, $1.key) })?.key else {
            return
        }
        streams[quietest] = nil
        Self.exclude(quietest, from: &gaps)
        Self.exclude(quietest, from: &active)
    }

    private mutating func retain(_ kept: Retained) {
        retained[kept.event.id] = kept
        arrivals.append(kept.event.id)
        retainedBytes += Self.cost(kept)
        while retained.count > Self.retainedMax || retainedBytes > Self.retainedBytesMax { dropOldest() }
        statistics.held = UInt64(retained.count)
    }

    private static func cost(_ kept: Retained) -> Int { 128 + kept.event.name.utf8.count + kept.event.payload.count }

    private mutating func dropOldest() {
        let id = arrivals[arrivalsHead]
        arrivalsHead += 1
        if arrivalsHead > 1_024, arrivalsHead * 2 > arrivals.count {
            arrivals.removeFirst(arrivalsHead)
            arrivalsHead = 0
        }
        if let kept = retained.removeValue(forKey: id) { retainedBytes -= Self.cost(kept) }
    }

    /// Lets go of what is too old for everybody. What has come late may stay a while behind what came before it.
    package mutating func prune(now: Instant) {
        while arrivalsHead < arrivals.count {
            if let kept = retained[arrivals[arrivalsHead]], now - kept.bornAt < Self.retention { break }
            dropOldest()
        }
        statistics.held = UInt64(retained.count)
    }

    package func checkInvariants() {
        precondition(retained.count <= Self.retainedMax, "\(retained.count) user events are kept")
        precondition(retainedBytes <= Self.retainedBytesMax, "\(retainedBytes) bytes of user events are kept")
        precondition(streams.count <= Self.streamsMax, "numbers of \(streams.count) origins are kept")
        precondition(arrivals.count - arrivalsHead == retained.count, "not every user event has its place in the order")
        for origin in gaps {
            guard let stream = streams[origin], stream.gap != nil else {
                preconditionFailure("\(origin) is said to lack events")
            }
            precondition(
                stream.held.first.map { $0 > stream.next } ?? true, "\(stream.next) of \(origin) is not handed on")
        }
    }
}

extension RandomAccessCollection {
    /// The first index whose element and all after it satisfy `belongs`, in a collection that is so divided.
    func partitioningIndex(where belongs: (Element) -> Bool) -> Index {
        var low = startIndex
        var count = self.count
        while count > 0 {
            let half = count / 2
            let middle = index(low, offsetBy: half)
            if belongs(self[middle]) {
                count = half
            } else {
                low = index(after: middle)
                count -= half + 1
            }
        }
        return low
    }
}
