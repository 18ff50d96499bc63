// SPDX-License-Identifier: Apache-2.0
// Owns writing neighbouring rows as one message, each as what it adds to the ones before.

import ClusterTypes
import NodeKernel
import StoreCore

/// A sink of packets: it can take back what was written last.
protocol PacketSink: ByteSink {
    /// How many bytes were written so far; when a write has failed, too few.
    var count: Int { get }
    var hasFailed: Bool { get }
    /// Forgets what was written since `count` was this; at that time nothing had failed.
    mutating func rewind(to count: Int)
}

extension PacketSink {
    /// All messages in order; neighbouring rows as one `rows` message where that is shorter.
    mutating func put(_ messages: [Message]) {
        messages.withUnsafeBufferPointer { messages in
            // Used up by what rows take on their own at most, and so never by less than what the groups leave out.
            var room = WireLayout.rowsLeftOutMax
            var index = 0
            while index < messages.count {
                if index + 1 < messages.count, messages[index].isRow, messages[index + 1].isRow, !hasFailed {
                    index = putRows(messages, from: index, &room)
                } else {
                    put(messages[index])
                    index += 1
                }
            }
        }
    }

    /// Writes the rows from `first` on, one at least, and returns the index of the message behind them.
    private mutating func putRows(
        _ messages: UnsafeBufferPointer<Message>, from first: Int, _ room: inout Int
    ) -> Int {
        var end = first
        var alone = 0
        while end < messages.count, let bounds = messages[end].rowBounds, bounds.most <= room {
            room -= bounds.most
            alone += bounds.least
            end += 1
        }
        let start = count
        if end - first > 1 {
            put(MessageKind.rows.rawValue)
            let mark = openFrame()
            put(count: end - first)
            var former = FormerRows()
            for index in first..<end { put(messages[index], after: &former) }
            closeFrame(mark)
            if !hasFailed, count - start < alone { return end }
            rewind(to: start)
        }
        end = max(end, first + 1)
        for index in first..<end { put(messages[index]) }
        return end
    }
}

extension Message {
    /// For a row, between how many bytes and how many it takes as a message of its own: near enough, and quicker than to
    /// count them.
    fileprivate var rowBounds: (least: Int, most: Int)? {
        guard case .row(let row) = self else { return nil }
        let content =
            switch row.content {
            case .register(let value): value.map { 2 + $0.count } ?? 1
            case .element(let entries): 1 + 3 * entries.count
            case .counter: 6
            }
        let part = if case .element(let element) = row.id.part { 1 + element.count } else { 0 }
        // Frame, head, length of the key, number of versions, stamp, author.
        let fields = 3 + 1 + 1 + 1 + 8 + 1
        let versions = row.versions.count * (WireLayout.actorBytes + 1)
        return (fields + row.id.key.utf8.count + versions + part + content, row.estimatedBytes)
    }

    fileprivate var isRow: Bool {
        switch self {
        case .row: true
        case .ping, .ack, .indirectPing, .nack, .update, .digest, .announcement, .floorMark, .confirmRequest,
            .confirmed, .collectRequest, .collectAnswer, .floor, .memberTable, .storeRequest, .storeComplete,
            .storeBatchEnd, .storeContinue, .rowRequest, .ranges, .coordinate,
            .viewRequest, .viewAnswer, .ringMark, .keyRing, .padding, .userEvent, .userEventMarks, .sentinel,
            .strict, .strictMark:
            false
        }
    }
}

/// What the rows of one message have in common so far, as its writer knows it.
private struct FormerRows {
    struct Named {
        var actor: ActorID
        var counter: UInt64
    }

    /// The actors that a place stands for, in the order in which they were named, and the last event of each.
    var named: [Named] = []
    var key = ""
    var stamp: UInt64 = 0
    var user = ""
    var reason = ""
    /// Where the last actor was found: the next row is often of the same.
    private var lastPlace = 0

    mutating func place(of actor: ActorID) -> Int? {
        if lastPlace < named.count, named[lastPlace].actor == actor { return lastPlace }
        guard let place = named.firstIndex(where: { $0.actor == actor }) else { return nil }
        lastPlace = place
        return place
    }

    mutating func add(_ actor: ActorID, counter: UInt64) {
        if named.count < WireLayout.rowsNamedMax { named.append(Named(actor: actor, counter: counter)) }
    }
}

extension ByteSink {
    /// A difference of two numbers, modulo 2^64: 0, -1, 1, -2... as 0, 1, 2, 3...
    @inline(__always)
    fileprivate mutating func put(difference: UInt64) {
        let signed = Int64(bitPattern: difference)
        put(varint: UInt64(bitPattern: signed << 1 ^ signed >> 63))
    }

    fileprivate mutating func put(_ message: borrowing Message, after former: inout FormerRows) {
        switch message {
        case .row(let row): put(row, after: &former)
        case .ping, .ack, .indirectPing, .nack, .update, .digest, .announcement, .floorMark, .confirmRequest,
            .confirmed, .collectRequest, .collectAnswer, .floor, .memberTable, .storeRequest, .storeComplete,
            .storeBatchEnd, .storeContinue, .rowRequest, .ranges, .coordinate,
            .viewRequest, .viewAnswer, .ringMark, .keyRing, .padding, .userEvent, .userEventMarks, .sentinel,
            .strict, .strictMark:
            refuse()
        }
    }

    @inline(__always)
    private mutating func put(_ row: Row, after former: inout FormerRows) {
        let isPlain = row.versions.count == 1 && row.versions[0].actor == row.author
        let flags = row.details.flags
        put(row.id.part.type.rawValue | flags | (isPlain ? WireLayout.rowsFlagPlain : 0))
        let shared = former.key.utf8.sharedPrefix(with: row.id.key)
        put(count: shared)
        put(count: row.id.key.utf8.count - shared)
        put(utf8: row.id.key, from: shared)
        former.key = row.id.key
        if !isPlain { put(count: row.versions.count) }
        for dot in row.versions { put(dot, after: &former) }
        put(difference: row.stamp.rawValue &- former.stamp)
        former.stamp = row.stamp.rawValue
        if !isPlain { put(row.author, among: row.versions, after: &former) }
        if flags != 0 { put(row.details, after: &former) }
        putContent(of: row, after: &former)
    }

    private mutating func put(_ dot: Dot, after former: inout FormerRows) {
        if let place = former.place(of: dot.actor) {
            put(count: place + 1)
            put(difference: dot.counter &- former.named[place].counter)
            former.named[place].counter = dot.counter
        } else {
            put(UInt8(0))
            put(dot)
            former.add(dot.actor, counter: dot.counter)
        }
    }

    /// As in a row, but that an actor whom the versions do not name is a place or follows.
    private mutating func put(_ actor: ActorID, among versions: [Dot], after former: inout FormerRows) {
        if let place = versions.place(of: actor) { return put(count: place) }
        put(UInt8(0))
        if let place = former.place(of: actor) {
            put(count: place + 1)
        } else {
            put(UInt8(0))
            put(actor)
            former.add(actor, counter: 0)
        }
    }

    private mutating func put(_ details: EventDetails, after former: inout FormerRows) {
        var details = details
        if !details.user.isEmpty { put(details.user, after: &former.user) }
        if !details.reason.isEmpty { put(details.reason, after: &former.reason) }
        details.user = ""
        details.reason = ""
        put(details)
    }

    /// Empty text stands for the last one.
    private mutating func put(_ text: String, after former: inout String) {
        if former.utf8.elementsEqual(text.utf8) { return put(UInt8(0)) }
        put(counted: text)
        former = text
    }

    @inline(__always)
    private mutating func putContent(of row: Row, after former: inout FormerRows) {
        switch (row.id.part, row.content) {
        case (.register, .register(nil)):
            put(UInt8(0))
        case (.register, .register(.some(let value))):
            put(count: value.count + 1)
            put(raw: value)
        case (.element(let element), .element(let entries)):
            put(counted: element)
            put(count: entries.count)
            for entry in entries {
                put(entry.actor, among: row.versions, after: &former)
                put(varint: entry.added)
                put(varint: entry.removed)
            }
        case (.counter(let owner), .counter(let entry)):
            put(owner, among: row.versions, after: &former)
            put(entry)
        case (.register, _), (.element, _), (.counter, _):
            refuse()
        }
    }
}

extension String.UTF8View {
    /// How many bytes both begin with.
    fileprivate func sharedPrefix(with other: String) -> Int {
        let fast = withContiguousStorageIfAvailable { mine in
            other.utf8.withContiguousStorageIfAvailable { theirs in
                let most = Swift.min(mine.count, theirs.count)
                var shared = 0
                while shared < most, mine[shared] == theirs[shared] { shared += 1 }
                return shared
            }
        }
        if let fast = fast ?? nil { return fast }
        return zip(self, other.utf8).prefix { $0 == $1 }.count
    }
}
