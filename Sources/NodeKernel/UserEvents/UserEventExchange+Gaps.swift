// SPDX-License-Identifier: Apache-2.0
// Owns how what is missing of an origin's events is noticed, asked for, given and, at last, given up.

import ClusterTypes

extension UserEventExchange {
    /// Requests of one turn at most; more gaps wait for the next one.
    private static let asksMax = 64
    /// Events sent in answer to one request at most.
    private static let answersMax = 64

    /// "Send me what I lack of this origin", and whom to tell it.
    package struct Ask: Hashable, Sendable {
        package var mark: UserEventMark
        /// Who has shown that it has more.
        package var holder: NodeID
        /// From 0. Others than the holder may know more: the origin, anybody.
        package var attempt: Int
    }

    /// A gap begins, goes on or is over.
    mutating func settleGap(
        _ stream: inout Stream, of origin: NodeID, holder: NodeID, hasMoved: Bool, now: Instant
    ) {
        let isTold = stream.gap.map { gap in
            gap.toldEpoch > stream.epoch || gap.toldEpoch == stream.epoch && gap.told >= stream.next
        }
        guard !stream.held.isEmpty || isTold == true else {
            stream.gap = nil
            Self.exclude(origin, from: &gaps)
            return
        }
        var gap =
            stream.gap
            ?? Gap(
                since: now, askAt: now + Self.askDelay, holder: holder, toldEpoch: stream.epoch,
                told: stream.held.last ?? 0)
        if hasMoved, stream.gap != nil {
            gap.since = now
            gap.askAt = now + Self.askDelay
            gap.attempts = 0
        }
        gap.holder = holder
        stream.gap = gap
        Self.include(origin, in: &gaps)
    }

    /// What a neighbour has: notes what this node lacks of it.
    package mutating func hear(_ marks: UserEventMarks, from peer: NodeID, now: Instant) {
        for mark in marks.marks where mark.origin != selfID {
            // Of an origin that nothing is known of nothing is known to be recent.
            var stream =
                streams[mark.origin] ?? Stream(epoch: mark.epoch, next: 0, bornAt: now - Self.retention)
            guard lacks(stream, mark) else { continue }
            if stream.gap == nil {
                stream.gap = Gap(
                    since: now, askAt: now + Self.askDelay, holder: peer, toldEpoch: mark.epoch, told: mark.last)
            } else if let gap = stream.gap, (gap.toldEpoch, gap.told) < (mark.epoch, mark.last) {
                stream.gap?.toldEpoch = mark.epoch
                stream.gap?.told = mark.last
            }
            settleGap(&stream, of: mark.origin, holder: peer, hasMoved: false, now: now)
            insert(stream, for: mark.origin)
        }
    }

    private func lacks(_ stream: Stream, _ mark: UserEventMark) -> Bool {
        guard mark.last > 0, mark.epoch >= stream.epoch else { return false }
        if mark.epoch > stream.epoch || mark.next > max(stream.next, 1) { return true }
        var bits = mark.ahead
        while bits != 0 {
            let sequence = mark.next &+ 1 &+ UInt64(bits.trailingZeroBitCount)
            if sequence >= stream.next, !stream.held.contains(sequence) { return true }
            bits &= bits - 1
        }
        return false
    }

    /// Gives up what has been waited for long enough, and says what is to be asked for now.
    package mutating func due(now: Instant, into deliveries: inout [UserEvent]) -> [Ask] {
        var asks: [Ask] = []
        for origin in gaps {
            guard var stream = streams[origin], let gap = stream.gap else { continue }
            if now >= end(of: gap, stream) {
                giveUp(&stream, of: origin, into: &deliveries)
                settleGap(&stream, of: origin, holder: gap.holder, hasMoved: true, now: now)
                insert(stream, for: origin)
            } else if now >= gap.askAt, asks.count < Self.asksMax {
                asks.append(Ask(mark: mark(of: origin, stream), holder: gap.holder, attempt: gap.attempts))
                let wait = Self.askDelay * (1 << min(gap.attempts + 1, 16))
                stream.gap?.attempts += 1
                stream.gap?.askAt = now + min(wait, Self.askIntervalMax)
                streams[origin] = stream
                statistics.asked += 1
            }
        }
        return asks
    }

    /// What holds nothing up is waited for as long as somebody may have it.
    private func end(of gap: Gap, _ stream: Stream) -> Instant {
        gap.since + (stream.held.isEmpty ? Self.retention : Self.gapWait)
    }

    private mutating func giveUp(_ stream: inout Stream, of origin: NodeID, into deliveries: inout [UserEvent]) {
        guard let first = stream.held.first else {
            // A mere word of a neighbour moves nothing: the origin's next event tells from where on it can be had.
            stream.gap?.toldEpoch = stream.epoch
            stream.gap?.told = 0
            return
        }
        giveUp(&stream, of: origin, to: first, into: &deliveries)
    }

    /// When `due` is to be called; nil while nothing is missing.
    package var nextDue: Instant? {
        var earliest: Instant?
        for origin in gaps {
            guard let stream = streams[origin], let gap = stream.gap else { continue }
            let at = min(gap.askAt, end(of: gap, stream))
            earliest = min(earliest ?? at, at)
        }
        return earliest
    }

    private func mark(of origin: NodeID, _ stream: Stream) -> UserEventMark {
        var ahead: UInt64 = 0
        for sequence in stream.held {
            guard sequence > stream.next, sequence - stream.next <= 64 else { break }
            ahead |= 1 << (sequence - stream.next - 1)
        }
        return UserEventMark(origin: origin, epoch: stream.epoch, next: stream.next, ahead: ahead)
    }

    /// What this node has of the origins that sent something lately, of a few of them in turn; nil when nobody did.
    package mutating func marks(now: Instant) -> UserEventMarks? {
        guard !active.isEmpty else { return nil }
        prune(now: now)
        var marks: [UserEventMark] = []
        for _ in 0..<min(active.count, 64) where marks.count < Self.marksMax {
            if activeTurn >= active.count { activeTurn = 0 }
            let origin = active[activeTurn]
            if let stream = streams[origin], now - stream.bornAt < Self.retention {
                marks.append(mark(of: origin, stream))
                activeTurn += 1
            } else {
                active.remove(at: activeTurn)
            }
        }
        return marks.isEmpty ? nil : UserEventMarks(isRequest: false, marks: marks)
    }

    /// What this node can give to whoever has no more than `marks` say.
    package mutating func answer(_ marks: UserEventMarks, now: Instant) -> [UserEventNotice] {
        var notices: [UserEventNotice] = []
        for mark in marks.marks {
            guard let stream = streams[mark.origin], mark.epoch <= stream.epoch else { continue }
            let last = stream.held.last ?? (stream.next == 0 ? 0 : stream.next - 1)
            let isCurrent = mark.epoch == stream.epoch
            var sequence = max(isCurrent ? mark.next : 1, last >= Self.originMax ? last - Self.originMax + 1 : 1)
            while sequence <= last, notices.count < Self.answersMax {
                let offset = sequence > mark.next ? sequence - mark.next - 1 : 64
                let isHeld = isCurrent && mark.next > 0 && offset < 64 && mark.ahead >> offset & 1 == 1
                let id = UserEventID(origin: mark.origin, epoch: stream.epoch, sequence: sequence)
                if !isHeld, let notice = notice(id, now: now) { notices.append(notice) }
                sequence += 1
            }
        }
        statistics.answered += UInt64(notices.count)
        return notices
    }
}
