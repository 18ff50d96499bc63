// SPDX-License-Identifier: Apache-2.0
// Owns the random messages that the codec's properties are tested with; the same seed gives the same messages.

import ClusterTypes
import NetworkCoordinates
import NodeKernel
import SWIMCore
import StoreCore
import WireProtocol

/// Makes valid messages of every kind, small and large, with numbers of every length.
struct MessageGenerator {
    var rng: SeededGenerator

    init(seed: UInt64) { rng = SeededGenerator(seed: seed) }

    mutating func packet(messagesMax: Int = 6) -> Packet {
        let count = rng.index(below: messagesMax + 1)
        var messages = (0..<count).map { _ in message() }
        if rng.chance(0.4) {
            messages.insert(contentsOf: neighbours(max: 5), at: rng.index(below: messages.count + 1))
        }
        return Packet(
            cluster: ClusterID(rawValue: rng.next()), sender: NodeID(using: &rng), messages: messages)
    }

    private mutating func userEvent() -> UserEventNotice {
        let sequence = number(1...UserEventID.sequenceMax)
        let letters = Array("abcXYZ019._-")
        let name = String((0..<1 + rng.index(below: 64)).map { _ in letters[rng.index(below: letters.count)] })
        let payload = (0..<rng.index(below: 1_001)).map { _ in UInt8(truncatingIfNeeded: rng.next()) }
        let id = UserEventID(
            origin: NodeID(using: &rng), epoch: number(0...Bounds.incarnationMax), sequence: sequence)
        return UserEventNotice(
            event: UserEvent(id: id, name: name, payload: payload), ageMilliseconds: uint32(),
            floor: number(1...sequence))
    }

    mutating func message() -> Message {
        switch rng.index(below: 36) {
        case 0: .ping(Ping(sequence: uint32(), target: rng.chance(0.1) ? .unknown : NodeID(using: &rng)))
        case 1: .ack(Ack(sequence: uint32(), wall: number(0...(1 << 48 - 1))))
        case 2:
            .indirectPing(
                IndirectPing(
                    sequence: uint32(), target: NodeID(using: &rng), targetAddress: address(),
                    deadlineMilliseconds: uint32()))
        case 3: .nack(Nack(sequence: uint32()))
        case 4: .update(update())
        case 5: .digest(Digest(members: rng.next(), store: hash(), floor: rng.chance(0.5) ? 0 : rng.next()))
        case 6: .row(row())
        case 7: .announcement((0..<rng.index(below: 40)).map { _ in dot() })
        case 8: .memberTable(table())
        case 9:
            .storeRequest(StoreRequest(context: context(), floorMark: number(0...UInt64.max), isReset: rng.chance(0.5)))
        case 10: .storeComplete(context())
        case 11: .storeBatchEnd
        case 12: .storeContinue
        case 13: .floorMark(rng.next())
        case 14: .confirmRequest(ConfirmRequest(id: uint32(), dots: (0..<rng.index(below: 65)).map { _ in dot() }))
        case 15: .confirmed(uint32())
        case 16:
            .collectRequest(
                CollectRequest(
                    cutoff: HybridTimestamp(rawValue: rng.next() >> 1), floorMark: number(0...UInt64.max),
                    deadHash: hash(),
                    folds: (0..<rng.index(below: 33)).map { _ in dot() }))
        case 17:
            .collectAnswer(
                CollectAnswer(
                    cutoff: HybridTimestamp(rawValue: rng.next() >> 1), agrees: rng.chance(0.5),
                    agreesToFolds: rng.chance(0.5),
                    epoch: UInt32(truncatingIfNeeded: rng.next())))
        case 18: .floor(floor())
        case 19: .rowRequest((0..<rng.index(below: 40)).map { _ in dot() })
        case 20: .coordinate(coordinate())
        case 21: .viewRequest(uint32())
        case 22:
            .viewAnswer(
                ViewAnswer(
                    id: uint32(), state: rng.chance(0.2) ? nil : MemberState.allCases[rng.index(below: 5)],
                    streamOnlyProbes: UInt8(rng.index(below: 256)), awareness: UInt8(rng.index(below: 256)),
                    roundTripMicroseconds: uint32(), wall: number(0...(1 << 48 - 1))))
        case 23: .padding(rng.index(below: 1_400))
        case 24: .userEvent(userEvent())
        case 25:
            .userEventMarks(
                UserEventMarks(
                    isRequest: rng.chance(0.5),
                    marks: (0..<rng.index(below: 9)).map { _ in
                        UserEventMark(
                            origin: NodeID(using: &rng), epoch: number(0...Bounds.incarnationMax),
                            next: number(0...UserEventID.sequenceMax + 1), ahead: rng.next())
                    }))
        case 26: .ringMark(rng.next())
        case 27: .keyRing(RingBytes((0..<rng.index(below: 4_097)).map { _ in UInt8(truncatingIfNeeded: rng.next()) }))
        case 28: .ranges(ranges())
        case 29: .strictMark(strictMark())
        case 30..<35: .strict(strictMessage())
        case _: .sentinel(rng.chance(0.5) ? .hold : .farewell)
        }
    }

    mutating func coordinate() -> WireCoordinate {
        func length() -> Int16 { Int16(rng.index(below: 64_001) - 32_000) }
        let (x, y, z, adjustment) = (length(), length(), length(), length())
        return WireCoordinate(
            x: x, y: y, z: z, height: UInt16(rng.index(below: 64_001)), adjustment: adjustment,
            error: UInt8(rng.index(below: 256)))
    }

    mutating func hash() -> Hash128 {
        let high = rng.next()
        return Hash128(high: high, low: rng.next())
    }

    mutating func floor() -> CollectionFloor {
        CollectionFloor(
            cutoff: HybridTimestamp(rawValue: rng.next() >> 1),
            folded: (0..<rng.index(below: 30)).map { _ in actor() }.sorted().map {
                CollectionFloor.Folded(
                    Dot(actor: $0, counter: 1 + rng.next() % Dot.counterMax),
                    cutoff: HybridTimestamp(rawValue: rng.next() >> 1))
            })
    }

    /// Ends that share much with the ones before and little, the last one open or not.
    mutating func ranges() -> RangeMessage {
        let stem = text(min: 0, max: 12)
        var ends: [RowID?] = Set((0..<rng.index(below: 20)).map { _ in rangeEnd(stem) }).sorted()
        if rng.chance(0.8) { ends.append(nil) }
        return RangeMessage(
            ranges: ends.map { end in
                let hashes = (0..<rng.index(below: 12)).map { _ in rng.next() }
                let content: RangeMessage.Content =
                    switch rng.index(below: 4) {
                    case 0: .settled
                    case 1: .sum(rows: number(0...UInt64.max), hash: number(0...UInt64.max))
                    case 2: .rows(hashes.sorted())
                    case _: .wanted(hashes)
                    }
                return RangeMessage.Range(end: end, content: content)
            })
    }

    private mutating func rangeEnd(_ stem: String) -> RowID {
        let key = rng.chance(0.7) ? stem + text(min: 1, max: 4) : text(min: 1, max: Bounds.keyBytesMax)
        switch rng.index(below: 3) {
        case 0: return RowID(key: key, part: .register)
        case 1: return RowID(key: rng.chance(0.5) ? stem + "s" : key, part: .element(bytes(max: 20)))
        case _: return RowID(key: key, part: .counter(rng.chance(0.2) ? .folded : actor()))
        }
    }

    mutating func uint32() -> UInt32 { UInt32(truncatingIfNeeded: rng.next() >> UInt64(rng.index(below: 64))) }

    /// A number of any length in bits, at most `max`.
    mutating func number(_ range: ClosedRange<UInt64>) -> UInt64 {
        let value = rng.next() >> UInt64(rng.index(below: 64))
        return min(max(value, range.lowerBound), range.upperBound)
    }

    mutating func address() -> Address {
        rng.chance(0.5)
            ? Address(ipv4: uint32(), port: UInt16(truncatingIfNeeded: rng.next()))
            : Address(high: rng.next() | 1, low: rng.next(), port: UInt16(truncatingIfNeeded: rng.next()))
    }

    mutating func bytes(max: Int) -> [UInt8] {
        let count = rng.index(below: max + 1)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: rng.next()) }
    }

    /// Text of at most `max` bytes, with characters of one to four bytes.
    mutating func text(min: Int, max: Int) -> String {
        let wanted = min + rng.index(below: max - min + 1)
        var text = ""
        while text.utf8.count < wanted {
            let room = wanted - text.utf8.count
            let next = ["a", "z", "-", "7", "ä", "中", "🦉"][rng.index(below: 7)]
            text += next.utf8.count <= room ? next : "x"
        }
        return text
    }

    mutating func info() -> MemberInfo {
        var tags: [Tag] = []
        var room = Bounds.tagBytesMax
        for index in 0..<rng.index(below: rng.chance(0.1) ? Bounds.tagsMax + 1 : 6) {
            let name = "\(index)." + text(min: 0, max: 8)
            let value = text(min: 0, max: rng.chance(0.05) ? 300 : 12)
            room -= name.utf8.count + value.utf8.count
            if room < 0 { break }
            tags.append(Tag(name: name, value: value))
        }
        return MemberInfo(
            name: text(min: 1, max: Bounds.nameBytesMax), address: address(), tags: tags,
            protocolVersion: UInt8(truncatingIfNeeded: rng.next()), proof: rng.chance(0.5) ? proof() : nil)
    }

    mutating func proof() -> AuthorProof? {
        let bytes = (0..<AuthorProof.byteCount).map { _ in UInt8(truncatingIfNeeded: rng.next()) }
        return AuthorKey(bytes: Array(bytes.prefix(AuthorKey.byteCount))).flatMap {
            AuthorProof(key: $0, signature: Array(bytes.dropFirst(AuthorKey.byteCount)))
        }
    }

    mutating func update() -> MemberUpdate {
        let claim: MemberClaim =
            switch rng.index(below: 5) {
            case 0: .alive(info())
            case 1: .suspect(by: NodeID(using: &rng))
            case 2: .failed(by: NodeID(using: &rng))
            case 3: .left(rng.chance(0.5) ? proof() : nil)
            case _: .forgotten(by: NodeID(using: &rng))
            }
        return MemberUpdate(
            subject: NodeID(using: &rng), incarnation: number(0...Bounds.incarnationMax), claim: claim)
    }

    mutating func table() -> MemberTablePart {
        var entries: [MemberTableEntry] = []
        for _ in 0..<rng.index(below: 30) {
            entries.append(
                MemberTableEntry(
                    id: NodeID(using: &rng), incarnation: number(0...Bounds.incarnationMax),
                    state: MemberState.allCases[rng.index(below: 5)], ageSeconds: uint32(), info: info()))
        }
        return MemberTablePart(role: rng.chance(0.5) ? .request : .reply, isLast: rng.chance(0.5), entries: entries)
    }

    mutating func actor() -> ActorID { ActorID(node: NodeID(using: &rng), epoch: uint32()) }
    mutating func dot() -> Dot { Dot(actor: actor(), counter: number(1...Dot.counterMax)) }

    mutating func row() -> Row {
        // Rows whose actors are all folded have no versions.
        let versions = (0..<rng.index(below: 6)).map { _ in dot() }.sorted()
        let key = text(min: 1, max: rng.chance(0.1) ? Bounds.keyBytesMax : 24)
        let part: RowID.Part
        let content: RowContent
        switch rng.index(below: 3) {
        case 0:
            part = .register
            content = .register(rng.chance(0.3) ? nil : bytes(max: rng.chance(0.02) ? 80_000 : 200))
        case 1:
            part = .element(bytes(max: rng.chance(0.1) ? Bounds.elementBytesMax : 30))
            let strangers = (0..<rng.index(below: 3)).map { $0 == 0 ? .folded : actor() }
            content = .element(
                (versions.map(\.actor) + strangers).sorted().map {
                    ElementEntry(actor: $0, added: number(0...Dot.counterMax), removed: number(0...Dot.counterMax))
                })
        case _:
            part = .counter(rng.chance(0.5) ? versions.first?.actor ?? .folded : actor())
            content = .counter(
                CounterEntry(
                    generation: number(0...Dot.counterMax), increments: number(0...UInt64.max),
                    decrements: number(0...UInt64.max),
                    resetIncrements: number(0...UInt64.max), resetDecrements: number(0...UInt64.max)))
        }
        return Row(
            id: RowID(key: key, part: part), versions: versions, stamp: HybridTimestamp(rawValue: rng.next() >> 1),
            author: rng.chance(0.8) && !versions.isEmpty ? versions[rng.index(below: versions.count)].actor : actor(),
            content: content, details: rng.chance(0.5) ? .none : details())
    }

    mutating func details() -> EventDetails {
        var details = EventDetails.none
        if rng.chance(0.5) { details.user = text(min: 0, max: Bounds.userBytesMax) }
        if rng.chance(0.5) { details.reason = text(min: 0, max: Bounds.reasonBytesMax) }
        if rng.chance(0.5) { details.expiresAt = number(0...(1 << 49)) }
        if rng.chance(0.5) {
            details.transaction = EventDetails.Transaction(first: number(1...(1 << 60)), count: max(1, uint32()))
        }
        if rng.chance(0.2) { details.index = number(1...Dot.counterMax) }
        return details
    }

    mutating func context() -> CausalContext {
        let actors = (0..<rng.index(below: 20)).map { _ in actor() }.sorted()
        let entries = actors.map { actor in
            var entry = CausalContext.Entry(actor: actor, contiguous: number(0...(1 << 60)), cloud: [])
            var last = entry.contiguous + 1
            for _ in 0..<rng.index(below: 6) {
                last += number(1...(1 << 40))
                entry.cloud.append(last)
            }
            if entry.contiguous == 0, entry.cloud.isEmpty { entry.contiguous = 1 }
            return entry
        }
        return CausalContext(entries: entries) ?? CausalContext()
    }
}

extension MessageGenerator {
    /// Rows that have much in common with each other, or little.
    mutating func neighbours(max: Int) -> [Message] {
        let stem = text(min: 0, max: 30)
        let actors = (0..<4).map { _ in actor() }.sorted()
        var stamp = rng.next() >> 1
        var counter = number(1...(1 << 40))
        return (0..<rng.index(below: max + 1)).map { _ in
            var row = row()
            stamp =
                rng.chance(0.8) ? min(stamp + number(0...(1 << 40)), HybridClock.stampMax.rawValue) : rng.next() >> 1
            row.stamp = HybridTimestamp(rawValue: stamp)
            if rng.chance(0.8) { row.id.key = stem + text(min: 1, max: 5) }
            if rng.chance(0.7), case .register = row.id.part {
                counter = rng.chance(0.8) ? counter + number(0...300) : number(1...Dot.counterMax - 10_000)
                row.author = actors[rng.index(below: 4)]
                row.versions = [Dot(actor: row.author, counter: counter)]
            } else if rng.chance(0.7), row.versions.count <= 4, case .counter = row.id.part {
                row.versions = actors.map { Dot(actor: $0, counter: counter) }
                row.author = rng.chance(0.5) ? actors[2] : .folded
                row.id.part = .counter(actors[rng.index(below: 4)])
            }
            if rng.chance(0.6) { row.details = EventDetails(user: "root", reason: rng.chance(0.5) ? stem : "") }
            return .row(row)
        }
    }

    /// A register of that many bytes.
    static func rowOf(valueBytes: Int) -> Row {
        Row(
            id: RowID(key: "app/port", part: .register), versions: [Dot(actor: Golden.actorB, counter: 5)],
            stamp: Golden.stamp, author: Golden.actorB, content: .register(Array(repeating: 7, count: valueBytes)))
    }
}
