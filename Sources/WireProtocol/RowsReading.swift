// SPDX-License-Identifier: Apache-2.0
// Owns reading neighbouring rows out of one message: nothing it leaves out can take much memory.

import ClusterTypes
import NodeKernel
import StoreCore

/// What the messages of one packet may still become, so that a small packet cannot take much memory.
struct PacketBudget {
    /// Messages of the packet, the rows of a group each counted.
    private var messages: Int
    /// Bytes that rows have left out, because they were written before.
    private var leftOut = 0

    init(frames: Int) { messages = frames }

    /// A frame, counted before, turns out to hold so many rows.
    fileprivate mutating func unfold(rows: Int) throws(DecodeFailure) {
        messages += rows - 1
        guard messages <= Bounds.messagesPerPacketMax else { throw .tooManyMessages }
    }

    @inline(__always)
    fileprivate mutating func leaveOut(_ bytes: Int) throws(DecodeFailure) {
        leftOut += bytes
        guard leftOut <= WireLayout.rowsLeftOutMax else { throw .bounds }
    }
}

/// What the rows of one message have in common so far, as its reader knows it.
private struct FormerRows {
    struct Named {
        var actor: ActorID
        var counter: UInt64
    }

    var named: [Named] = []
    /// The key of the row before, in the first `keyBytes` of the buffer.
    let key: UnsafeMutableRawBufferPointer
    var keyBytes = 0
    var stamp: UInt64 = 0
    var user = ""
    var reason = ""

    mutating func add(_ actor: ActorID, counter: UInt64) {
        if named.count < WireLayout.rowsNamedMax { named.append(Named(actor: actor, counter: counter)) }
    }
}

extension ByteReader {
    mutating func rows(
        into messages: inout [Message], _ budget: inout PacketBudget
    ) throws(DecodeFailure) {
        let count = try count(elementBytesMin: WireLayout.rowsElementBytesMin)
        guard count >= 2 else { throw .value }
        try budget.unfold(rows: count)
        let wanted = messages.count + count
        // Doubled at least, so that many small groups do not move all messages each time.
        if messages.capacity < wanted { messages.reserveCapacity(max(wanted, 2 * messages.capacity)) }
        let outcome: Result<Void, DecodeFailure> = withUnsafeTemporaryAllocation(
            byteCount: Bounds.keyBytesMax, alignment: 1
        ) { key in
            Result { () throws(DecodeFailure) in
                var former = FormerRows(key: key)
                for _ in 0..<count { messages.append(.row(try row(after: &former, &budget))) }
            }
        }
        try outcome.get()
    }

    @inline(__always)
    private mutating func row(
        after former: inout FormerRows, _ budget: inout PacketBudget
    ) throws(DecodeFailure) -> Row {
        let head = try uint8()
        guard let type = KeyType(rawValue: head & WireLayout.rowsTypeMask) else { throw .value }
        let key = try key(after: &former, &budget)
        let isPlain = head & WireLayout.rowsFlagPlain != 0
        let versions = isPlain ? [try dot(after: &former, &budget)] : try versions(after: &former, &budget)
        former.stamp &+= try difference()
        let stamp = HybridTimestamp(rawValue: former.stamp)
        guard stamp <= HybridClock.stampMax else { throw .bounds }
        let author = isPlain ? versions[0].actor : try actor(among: versions, after: &former, &budget)
        let details = head > WireLayout.rowTypeMask ? try details(flags: head, after: &former, &budget) : .none
        let part: RowID.Part
        let content: RowContent
        switch type {
        case .register:
            part = .register
            content = .register(try value())
        case .set:
            part = .element(try bytes(max: Bounds.elementBytesMax))
            content = .element(
                try elementEntries { reader throws(DecodeFailure) in
                    try reader.actor(among: versions, after: &former, &budget)
                })
        case .counter:
            part = .counter(try actor(among: versions, after: &former, &budget))
            content = .counter(try counterEntry())
        }
        return Row(
            id: RowID(key: key, part: part), versions: versions, stamp: stamp, author: author, content: content,
            details: details)
    }

    @inline(__always)
    private mutating func difference() throws(DecodeFailure) -> UInt64 {
        let folded = try varint()
        return folded >> 1 ^ (0 &- (folded & 1))
    }

    @inline(__always)
    private mutating func key(
        after former: inout FormerRows, _ budget: inout PacketBudget
    ) throws(DecodeFailure) -> String {
        let claimed = try varint()
        guard claimed <= UInt64(former.keyBytes) else { throw .value }
        let shared = Int(claimed)
        try budget.leaveOut(shared)
        let rest = try counted(max: Bounds.keyBytesMax - shared)
        former.keyBytes = shared + rest.count
        guard former.keyBytes > 0 else { throw .bounds }
        if !rest.isEmpty { UnsafeMutableRawBufferPointer(rebasing: former.key[shared...]).copyMemory(from: rest) }
        return try ByteReader.text(UnsafeRawBufferPointer(rebasing: former.key[..<former.keyBytes]))
    }

    @inline(__always)
    private mutating func dot(
        after former: inout FormerRows, _ budget: inout PacketBudget
    ) throws(DecodeFailure) -> Dot {
        guard let place = try place(&former) else {
            let dot = try dot()
            former.add(dot.actor, counter: dot.counter)
            return dot
        }
        try budget.leaveOut(WireLayout.actorBytes)
        let counter = former.named[place].counter &+ (try difference())
        guard counter > 0 else { throw .value }
        guard counter <= Dot.counterMax else { throw .bounds }
        former.named[place].counter = counter
        return Dot(actor: former.named[place].actor, counter: counter)
    }

    /// Where an actor is among those that are named; nil: it follows.
    @inline(__always)
    private mutating func place(_ former: inout FormerRows) throws(DecodeFailure) -> Int? {
        let place = try varint()
        if place == 0 { return nil }
        guard place <= UInt64(former.named.count) else { throw .value }
        return Int(place) - 1
    }

    private mutating func versions(
        after former: inout FormerRows, _ budget: inout PacketBudget
    ) throws(DecodeFailure) -> [Dot] {
        let count = try count(max: UInt64(Bounds.rowActorsMax), elementBytesMin: 2)
        var versions: [Dot] = []
        versions.reserveCapacity(count)
        for _ in 0..<count {
            let dot = try dot(after: &former, &budget)
            if let last = versions.last, !(last.actor < dot.actor) { throw .value }
            versions.append(dot)
        }
        return versions
    }

    private mutating func actor(
        among versions: [Dot], after former: inout FormerRows, _ budget: inout PacketBudget
    ) throws(DecodeFailure) -> ActorID {
        if let actor = try place(among: versions) { return actor }
        if let place = try place(&former) {
            try budget.leaveOut(WireLayout.actorBytes)
            return former.named[place].actor
        }
        let actor = try actor()
        former.add(actor, counter: 0)
        return actor
    }

    private mutating func details(
        flags: UInt8, after former: inout FormerRows, _ budget: inout PacketBudget
    ) throws(DecodeFailure) -> EventDetails {
        if flags & WireLayout.rowFlagUser != 0 {
            try text(max: Bounds.userBytesMax, after: &former.user, &budget)
        }
        if flags & WireLayout.rowFlagReason != 0 {
            try text(max: Bounds.reasonBytesMax, after: &former.reason, &budget)
        }
        var details = try details(flags: flags & ~(WireLayout.rowFlagUser | WireLayout.rowFlagReason))
        if flags & WireLayout.rowFlagUser != 0 { details.user = former.user }
        if flags & WireLayout.rowFlagReason != 0 { details.reason = former.reason }
        return details
    }

    /// Empty text stands for the last one, which there must be.
    private mutating func text(
        max: Int, after former: inout String, _ budget: inout PacketBudget
    ) throws(DecodeFailure) {
        let text = try text(min: 0, max: max)
        if !text.isEmpty {
            former = text
        } else if former.isEmpty {
            throw .value
        } else {
            try budget.leaveOut(former.utf8.count)
        }
    }

    /// 0: deleted; else one more than the value has bytes.
    @inline(__always)
    private mutating func value() throws(DecodeFailure) -> [UInt8]? {
        let claimed = try varint()
        if claimed == 0 { return nil }
        guard claimed <= UInt64(Bounds.valueBytesMax) + 1 else { throw .bounds }
        guard claimed - 1 <= UInt64(remaining) else { throw .truncated }
        return try bytes(count: Int(claimed) - 1)
    }
}
