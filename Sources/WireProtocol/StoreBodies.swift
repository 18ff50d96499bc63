// SPDX-License-Identifier: Apache-2.0
// Owns the bodies of store messages, both ways: rows, announcements and causal contexts.

import ClusterTypes
import NodeKernel
import StoreCore

extension ByteSink {
    @inline(__always)
    mutating func put(_ digest: Digest) {
        put(digest.members)
        put(digest.store.high)
        put(digest.store.low)
        if digest.floor != 0 { put(digest.floor) }
    }

    mutating func put(_ row: Row) {
        put(row.id.part.type.rawValue | row.details.flags)
        put(counted: row.id.key)
        put(count: row.versions.count)
        for dot in row.versions { put(dot) }
        put(row.stamp.rawValue)
        put(row.author, among: row.versions)
        put(row.details)
        switch (row.id.part, row.content) {
        case (.register, .register(nil)):
            put(WireLayout.contentDeleted)
        case (.register, .register(.some(let value))):
            put(WireLayout.contentPresent)
            put(counted: value)
        case (.element(let element), .element(let entries)):
            put(counted: element)
            put(count: entries.count)
            for entry in entries {
                put(entry.actor, among: row.versions)
                put(varint: entry.added)
                put(varint: entry.removed)
            }
        case (.counter(let owner), .counter(let entry)):
            put(owner, among: row.versions)
            put(entry)
        case (.register, _), (.element, _), (.counter, _):
            refuse()
        }
    }

    /// An actor that the row's versions name is written as its place among them, from 1, the folded one as the place
    /// behind them; 0 is followed by the actor.
    private mutating func put(_ actor: ActorID, among versions: [Dot]) {
        if let place = versions.place(of: actor) { return put(count: place) }
        put(UInt8(0))
        put(actor)
    }

    @inline(__always)
    mutating func put(_ entry: CounterEntry) {
        put(varint: entry.generation)
        put(varint: entry.increments)
        put(varint: entry.decrements)
        put(varint: entry.resetIncrements)
        put(varint: entry.resetDecrements)
    }

    mutating func put(_ details: EventDetails) {
        if !details.user.isEmpty { put(counted: details.user) }
        if !details.reason.isEmpty { put(counted: details.reason) }
        if details.expiresAt != 0 { put(varint: details.expiresAt) }
        if let transaction = details.transaction {
            put(varint: transaction.first)
            put(varint: UInt64(transaction.count))
        }
        if details.index != 0 { put(varint: details.index) }
    }

    mutating func put(_ dots: [Dot]) {
        put(count: dots.count)
        for dot in dots { put(dot) }
    }

    mutating func put(_ context: CausalContext, cloudMax: Int = WireLayout.contextCloudMax) {
        let entries = context.entries(cloudMax: cloudMax)
        put(count: entries.count)
        for entry in entries {
            put(entry.actor)
            put(varint: entry.contiguous)
            put(count: entry.cloud.count)
            var previous = entry.contiguous
            for number in entry.cloud {
                put(varint: number &- previous)
                previous = number
            }
        }
    }
}

extension [Dot] {
    /// What stands for `actor` in a row with these versions; nil: nothing does.
    func place(of actor: ActorID) -> Int? {
        if let index = index(of: actor) { return index + 1 }
        return actor == .folded ? count + 1 : nil
    }

    /// Where `actor` is among dots sorted by actor; by bisection, as a row may name a thousand.
    private func index(of actor: ActorID) -> Int? {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle].actor < actor { low = middle + 1 } else { high = middle }
        }
        return low < count && self[low].actor == actor ? low : nil
    }
}

extension EventDetails {
    /// Which details follow in a row.
    var flags: UInt8 {
        var flags: UInt8 = 0
        if !user.isEmpty { flags |= WireLayout.rowFlagUser }
        if !reason.isEmpty { flags |= WireLayout.rowFlagReason }
        if expiresAt != 0 { flags |= WireLayout.rowFlagExpiry }
        if transaction != nil { flags |= WireLayout.rowFlagTransaction }
        if index != 0 { flags |= WireLayout.rowFlagIndex }
        return flags
    }
}

// Each returns nil when it meets a value that this version does not know.
extension ByteReader {
    @inline(__always)
    mutating func digest() throws(DecodeFailure) -> Digest {
        let members = try uint64()
        let high = try uint64()
        return Digest(members: members, store: Hash128(high: high, low: try uint64()))
    }

    @inline(__always)
    mutating func digestWithFloor() throws(DecodeFailure) -> Digest {
        var digest = try digest()
        digest.floor = try uint64()
        // Nothing collected has one form only.
        guard digest.floor != 0 else { throw .value }
        return digest
    }

    mutating func row() throws(DecodeFailure) -> Row? {
        let head = try uint8()
        guard let type = KeyType(rawValue: head & WireLayout.rowTypeMask) else { return nil }
        let key = try text(min: 1, max: Bounds.keyBytesMax)
        let versions = try versions()
        let stamp = try stamp()
        let author = try actor(among: versions)
        let details = head > WireLayout.rowTypeMask ? try details(flags: head) : .none
        let part: RowID.Part
        let content: RowContent
        switch type {
        case .register:
            part = .register
            switch try uint8() {
            case WireLayout.contentDeleted: content = .register(nil)
            case WireLayout.contentPresent: content = .register(try bytes(max: Bounds.valueBytesMax))
            case _: return nil
            }
        case .set:
            part = .element(try bytes(max: Bounds.elementBytesMax))
            content = .element(
                try elementEntries { reader throws(DecodeFailure) in try reader.actor(among: versions) })
        case .counter:
            part = .counter(try actor(among: versions))
            content = .counter(try counterEntry())
        }
        return Row(
            id: RowID(key: key, part: part), versions: versions, stamp: stamp, author: author, content: content,
            details: details)
    }

    /// What a flag announces is there: nothing empty, no 0.
    mutating func details(flags: UInt8) throws(DecodeFailure) -> EventDetails {
        var details = EventDetails.none
        if flags & WireLayout.rowFlagUser != 0 { details.user = try text(min: 1, max: Bounds.userBytesMax) }
        if flags & WireLayout.rowFlagReason != 0 { details.reason = try text(min: 1, max: Bounds.reasonBytesMax) }
        if flags & WireLayout.rowFlagExpiry != 0 {
            details.expiresAt = try varint()
            guard details.expiresAt > 0 else { throw .value }
            guard details.expiresAt <= WireLayout.expiryMax else { throw .bounds }
        }
        if flags & WireLayout.rowFlagTransaction != 0 {
            let first = try eventNumber(from: 1)
            let claimed = try varint()
            guard claimed > 0 else { throw .value }
            guard let count = UInt32(exactly: claimed), first + claimed - 1 <= Dot.counterMax else { throw .bounds }
            details.transaction = EventDetails.Transaction(first: first, count: count)
        }
        if flags & WireLayout.rowFlagIndex != 0 { details.index = try eventNumber(from: 1) }
        return details
    }

    private mutating func versions() throws(DecodeFailure) -> [Dot] {
        let count = try count(max: UInt64(Bounds.rowActorsMax), elementBytesMin: WireLayout.actorBytes + 1)
        var versions: [Dot] = []
        versions.reserveCapacity(count)
        for _ in 0..<count {
            let dot = try dot()
            if let last = versions.last, !(last.actor < dot.actor) { throw .value }
            versions.append(dot)
        }
        return versions
    }

    private mutating func actor(among versions: [Dot]) throws(DecodeFailure) -> ActorID {
        if let actor = try place(among: versions) { return actor }
        return try actor()
    }

    /// The actor whom a place in a row with these versions stands for; nil: it follows.
    @inline(__always)
    mutating func place(among versions: [Dot]) throws(DecodeFailure) -> ActorID? {
        let place = try varint()
        if place == 0 { return nil }
        guard place <= UInt64(versions.count) + 1 else { throw .value }
        return place <= versions.count ? versions[Int(place) - 1].actor : .folded
    }

    mutating func counterEntry() throws(DecodeFailure) -> CounterEntry {
        let generation = try eventNumber(from: 0)
        let increments = try varint()
        let decrements = try varint()
        let resetIncrements = try varint()
        return CounterEntry(
            generation: generation, increments: increments, decrements: decrements,
            resetIncrements: resetIncrements, resetDecrements: try varint())
    }

    /// `actor` reads the actor of an entry.
    @inline(__always)
    mutating func elementEntries(
        _ actor: (inout ByteReader) throws(DecodeFailure) -> ActorID
    ) throws(DecodeFailure) -> [ElementEntry] {
        let count = try count(max: UInt64(Bounds.rowActorsMax), elementBytesMin: 3)
        var entries: [ElementEntry] = []
        entries.reserveCapacity(count)
        for _ in 0..<count {
            let actor = try actor(&self)
            if let last = entries.last, !(last.actor < actor) { throw .value }
            let added = try eventNumber(from: 0)
            entries.append(ElementEntry(actor: actor, added: added, removed: try eventNumber(from: 0)))
        }
        return entries
    }

    mutating func dots(max: Int = .max) throws(DecodeFailure) -> [Dot] {
        let count = try count(max: UInt64(max), elementBytesMin: WireLayout.actorBytes + 1)
        var dots: [Dot] = []
        dots.reserveCapacity(count)
        for _ in 0..<count { dots.append(try dot()) }
        return dots
    }

    mutating func context() throws(DecodeFailure) -> CausalContext {
        let count = try count(elementBytesMin: WireLayout.actorBytes + 2)
        var entries: [CausalContext.Entry] = []
        entries.reserveCapacity(count)
        for _ in 0..<count {
            let entry = try contextEntry()
            if let last = entries.last, !(last.actor < entry.actor) { throw .value }
            entries.append(entry)
        }
        guard let context = CausalContext(entries: entries) else { throw .value }
        return context
    }

    private mutating func contextEntry() throws(DecodeFailure) -> CausalContext.Entry {
        let actor = try actor()
        let contiguous = try eventNumber(from: 0)
        let count = try count(elementBytesMin: 1)
        guard contiguous > 0 || count > 0 else { throw .value }
        var cloud: [UInt64] = []
        cloud.reserveCapacity(count)
        var previous = contiguous
        for index in 0..<count {
            // The event after `contiguous` would belong to it; after that each number grows by at least one.
            let step = try eventNumber(from: index == 0 ? 2 : 1)
            previous += step
            guard previous <= Dot.counterMax else { throw .bounds }
            cloud.append(previous)
        }
        return CausalContext.Entry(actor: actor, contiguous: contiguous, cloud: cloud)
    }
}
