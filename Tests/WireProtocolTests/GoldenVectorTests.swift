// SPDX-License-Identifier: Apache-2.0
// Owns the bytes of every message kind, written by hand: whoever changes the format changes these on purpose.

import ClusterTypes
import NetworkCoordinates
import NodeKernel
import SWIMCore
import StoreCore
import Testing
import WireProtocol

/// A message and its bytes, field by field.
struct Golden: Sendable, CustomTestStringConvertible {
    let name: String
    /// One, or several that travel as one.
    let messages: [Message]
    let hex: String

    init(name: String, messages: [Message], hex: String) {
        self.name = name
        self.messages = messages
        self.hex = hex
    }

    init(name: String, message: Message, hex: String) { self.init(name: name, messages: [message], hex: hex) }

    var message: Message { messages[0] }

    var testDescription: String { name }

    static let v4 = Address(ipv4: 0xc000_0201, port: 7946)
    static let v6 = Address(high: 0x2001_0db8_0000_0000, low: 1, port: 7946)
    static let a = Raw.senderHex
    static let b = Raw.otherHex
    static let actorA = ActorID(node: Raw.sender, epoch: 1)
    static let actorB = ActorID(node: Raw.other, epoch: 3)
    static let stamp = HybridTimestamp(rawValue: 0x0191_0000_0000_0001)

    static let membership: [Golden] = [
        Golden(
            name: "ping", message: .ping(Ping(sequence: 0x0102_0304, target: Raw.other)),
            hex: "01 0014 01020304 \(b)"),
        Golden(
            name: "ack", message: .ack(Ack(sequence: 0x0102_0304, wall: 0x0191_0000_0001)),
            hex: "02 000a 01020304 019100000001"),
        Golden(
            name: "indirect ping over IPv4",
            message: .indirectPing(
                IndirectPing(sequence: 0x0102_0304, target: Raw.other, targetAddress: v4, deadlineMilliseconds: 500)),
            hex: "03 001f 01020304 \(b) 000001f4 04 c0000201 1f0a"),
        Golden(
            name: "indirect ping over IPv6",
            message: .indirectPing(
                IndirectPing(sequence: 0x0102_0304, target: Raw.other, targetAddress: v6, deadlineMilliseconds: 500)),
            hex: "03 002b 01020304 \(b) 000001f4 06 20010db8000000000000000000000001 1f0a"),
        Golden(name: "nack", message: .nack(Nack(sequence: 0x0102_0304)), hex: "04 0004 01020304"),
        Golden(name: "view request", message: .viewRequest(0x0102_0304), hex: "1a 0004 01020304"),
        Golden(
            name: "view answer",
            message: .viewAnswer(
                ViewAnswer(
                    id: 0x0102_0304, state: .suspect, streamOnlyProbes: 3, awareness: 1, roundTripMicroseconds: 300,
                    wall: 0x0191_0000_0001)),
            hex: "1b 0011 01020304 01 03 01 0000012c 019100000001"),
        Golden(
            name: "view answer of a node that does not know the asker",
            message: .viewAnswer(
                ViewAnswer(
                    id: 1, state: nil, streamOnlyProbes: 0, awareness: 0, roundTripMicroseconds: 0,
                    wall: 0x0191_0000_0001)),
            hex: "1b 0011 00000001 ff 00 00 00000000 019100000001"),
        Golden(name: "padding", message: .padding(3), hex: "1c 0005 0003 000000"),
        Golden(
            name: "key ring",
            message: .keyRing(
                RingBytes(
                    [1, 0xee, 0x32, 0xd1, 0x91, 0, 0, 1, 0xa0, 0, 0, 0, 1, 1, 0xee, 0x32, 0xd1, 0x91, 0x80]
                        + [0, 0, 1, 0xa0, 0, 0, 0, 1] + Array(0...31))),
            hex: "22 003c 3b 01 ee32d191 000001a000000001 01 ee32d191 80 000001a000000001"
                + "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
        Golden(name: "ring mark", message: .ringMark(0x0102_0304_0506_0708), hex: "23 0008 0102030405060708"),
        Golden(
            name: "coordinate",
            message: .coordinate(WireCoordinate(x: 300, y: -1, z: 0, height: 12, adjustment: -5, error: 34)),
            hex: "19 000b 012c ffff 0000 000c fffb 22"),
        Golden(
            name: "update: alive",
            message: .update(
                MemberUpdate(
                    subject: Raw.other, incarnation: 300,
                    claim: .alive(
                        MemberInfo(
                            name: "web-1", address: v4, tags: [Tag(name: "role", value: "web")], protocolVersion: 0x10))
                )),
            hex: "05 002b \(b) ac02 00 05 7765622d31 04 c0000201 1f0a 10 01 04 726f6c65 03 776562"),
        Golden(
            name: "update: suspect",
            message: .update(MemberUpdate(subject: Raw.other, incarnation: 7, claim: .suspect(by: Raw.sender))),
            hex: "05 0022 \(b) 07 01 \(a)"),
        Golden(
            name: "update: failed",
            message: .update(MemberUpdate(subject: Raw.other, incarnation: 7, claim: .failed(by: Raw.sender))),
            hex: "05 0022 \(b) 07 02 \(a)"),
        Golden(
            name: "update: left",
            message: .update(MemberUpdate(subject: Raw.other, incarnation: 7, claim: .left(nil))),
            hex: "05 0012 \(b) 07 03"),
        Golden(
            name: "update: forgotten",
            message: .update(MemberUpdate(subject: Raw.other, incarnation: 7, claim: .forgotten(by: Raw.sender))),
            hex: "05 0022 \(b) 07 04 \(a)"),
        Golden(
            name: "member table",
            message: .memberTable(
                MemberTablePart(
                    role: .reply, isLast: true,
                    entries: [
                        MemberTableEntry(
                            id: Raw.sender, incarnation: 7, state: .failed, ageSeconds: 300,
                            info: MemberInfo(name: "db-1", address: v4, tags: [], protocolVersion: 0x10))
                    ])),
            hex: "10 0027 01 01 01 0022 \(a) 07 02 ac02 04 64622d31 04 c0000201 1f0a 10 00"),
    ]

    static let store: [Golden] = [
        Golden(
            name: "digest",
            message: .digest(
                Digest(
                    members: 0xd1d2_d3d4_d5d6_d7d8,
                    store: Hash128(high: 0xe1e2_e3e4_e5e6_e7e8, low: 0xf1f2_f3f4_f5f6_f7f8))),
            hex: "06 0018 d1d2d3d4d5d6d7d8 e1e2e3e4e5e6e7e8 f1f2f3f4f5f6f7f8"),
        Golden(
            name: "digest with a floor",
            message: .digest(
                Digest(
                    members: 0xd1d2_d3d4_d5d6_d7d8,
                    store: Hash128(high: 0xe1e2_e3e4_e5e6_e7e8, low: 0xf1f2_f3f4_f5f6_f7f8), floor: 300)),
            hex: "0f 0020 d1d2d3d4d5d6d7d8 e1e2e3e4e5e6e7e8 f1f2f3f4f5f6f7f8 000000000000012c"),
        Golden(
            name: "row: register",
            message: .row(
                Row(
                    id: RowID(key: "app/port", part: .register), versions: [Dot(actor: actorB, counter: 5)],
                    stamp: stamp, author: actorB, content: .register([0x38, 0x30]))),
            hex: "07 002d 01 08 6170702f706f7274 01 \(b) 00000003 05 0191000000000001 01 01 02 3830"),
        Golden(
            name: "row: deleted register of an author outside the versions",
            message: .row(
                Row(
                    id: RowID(key: "app/port", part: .register), versions: [Dot(actor: actorB, counter: 5)],
                    stamp: stamp, author: actorA, content: .register(nil))),
            hex: """
                07 003e 01 08 6170702f706f7274 01 \(b) 00000003 05 0191000000000001
                00 \(a) 00000001 00
                """),
        Golden(
            name: "row: set element",
            message: .row(
                Row(
                    id: RowID(key: "hosts", part: .element(Array("web-1".utf8))),
                    versions: [Dot(actor: actorA, counter: 9), Dot(actor: actorB, counter: 200)],
                    stamp: stamp, author: actorB,
                    content: .element([
                        ElementEntry(actor: actorA, added: 9, removed: 0),
                        ElementEntry(actor: actorB, added: 200, removed: 5),
                    ]))),
            hex: """
                07 004a 02 05 686f737473 02 \(a) 00000001 09 \(b) 00000003 c801 0191000000000001 02
                05 7765622d31 02 01 09 00 02 c801 05
                """),
        Golden(
            name: "row: counter",
            message: .row(
                Row(
                    id: RowID(key: "hits", part: .counter(actorB)), versions: [Dot(actor: actorB, counter: 5)],
                    stamp: stamp, author: actorB,
                    content: .counter(
                        CounterEntry(
                            generation: 5, increments: 300, decrements: 1, resetIncrements: 2, resetDecrements: 0)))),
            hex: "07 002c 03 04 68697473 01 \(b) 00000003 05 0191000000000001 01 01 05 ac02 01 02 00"),
        Golden(
            name: "row: register with all details",
            message: .row(
                Row(
                    id: RowID(key: "app/port", part: .register), versions: [Dot(actor: actorB, counter: 5)],
                    stamp: stamp, author: actorB, content: .register([0x38, 0x30]),
                    details: EventDetails(
                        user: "root", reason: "why", expiresAt: 300,
                        transaction: EventDetails.Transaction(first: 4, count: 2)))),
            hex: """
                07 003a f1 08 6170702f706f7274 01 \(b) 00000003 05 0191000000000001 01
                04 726f6f74 03 776879 ac02 04 02 01 02 3830
                """),
        Golden(
            name: "row: counter of folded actors",
            message: .row(
                Row(
                    id: RowID(key: "hits", part: .counter(.folded)), versions: [], stamp: stamp, author: actorB,
                    content: .counter(
                        CounterEntry(increments: 300, decrements: 1, resetIncrements: 0, resetDecrements: 0)))),
            hex: "07 002b 03 04 68697473 00 0191000000000001 00 \(b) 00000003 01 00 ac02 01 00 00"),
        Golden(
            name: "announcement",
            message: .announcement([Dot(actor: actorB, counter: 5), Dot(actor: actorA, counter: 200)]),
            hex: "08 002c 02 \(b) 00000003 05 \(a) 00000001 c801"),
        Golden(
            name: "store request",
            message: .storeRequest(
                StoreRequest(
                    context: CausalContext(entries: [
                        CausalContext.Entry(actor: actorA, contiguous: 300, cloud: [302, 310]),
                        CausalContext.Entry(actor: actorB, contiguous: 0, cloud: [5]),
                    ]) ?? CausalContext(), floorMark: 300, isReset: true)),
            hex: "11 0034 02 \(a) 00000001 ac02 02 02 08 \(b) 00000003 00 01 05 01 ac02"),
        Golden(name: "store complete", message: .storeComplete(CausalContext()), hex: "12 0001 00"),
        Golden(name: "store batch end", message: .storeBatchEnd, hex: "13 0000"),
        Golden(name: "store continue", message: .storeContinue, hex: "14 0000"),
        Golden(
            name: "row request", message: .rowRequest([Dot(actor: actorB, counter: 5)]),
            hex: "15 0016 01 \(b) 00000003 05"),
        Golden(name: "sentinel, hold", message: .sentinel(.hold), hex: "18 0001 00"),
        Golden(name: "sentinel, farewell", message: .sentinel(.farewell), hex: "18 0001 01"),
        Golden(
            name: "ranges",
            message: .ranges(
                RangeMessage(ranges: [
                    RangeMessage.Range(end: RowID(key: "app/a", part: .register), content: .settled),
                    RangeMessage.Range(
                        end: RowID(key: "app/hosts", part: .element(Array("web-1".utf8))),
                        content: .sum(rows: 300, hash: 0xf1f2_f3f4_f5f6_f7f8)
                    ),
                    RangeMessage.Range(
                        end: RowID(key: "app/hosts", part: .element(Array("web-2".utf8))), content: .rows([1, 300])),
                    RangeMessage.Range(end: RowID(key: "hits", part: .counter(actorB)), content: .wanted([9])),
                    RangeMessage.Range(end: nil, content: .settled),
                ])),
            hex: """
                16 005e 05 04 00 05 6170702f61
                09 04 05 686f737473 00 05 7765622d31 ac02 f1f2f3f4f5f6f7f8
                0a 09 00 04 01 32 02 0000000000000001 000000000000012c
                0f 00 04 68697473 \(b) 00000003 01 0000000000000009
                00
                """),
    ]

    static let agreement: [Golden] = [
        Golden(name: "floor mark", message: .floorMark(300), hex: "09 0008 000000000000012c"),
        Golden(
            name: "confirm request",
            message: .confirmRequest(ConfirmRequest(id: 0x0102_0304, dots: [Dot(actor: actorB, counter: 5)])),
            hex: "0a 001a 01020304 01 \(b) 00000003 05"),
        Golden(name: "confirmed", message: .confirmed(0x0102_0304), hex: "0b 0004 01020304"),
        Golden(
            name: "collect request",
            message: .collectRequest(
                CollectRequest(
                    cutoff: stamp, floorMark: 300,
                    deadHash: Hash128(high: 0xe1e2_e3e4_e5e6_e7e8, low: 0xf1f2_f3f4_f5f6_f7f8),
                    folds: [Dot(actor: actorA, counter: 200)])),
            hex: "0c 0031 0191000000000001 ac02 e1e2e3e4e5e6e7e8 f1f2f3f4f5f6f7f8 01 \(a) 00000001 c801"),
        Golden(
            name: "collect answer: agrees to the cutoff alone",
            message: .collectAnswer(CollectAnswer(cutoff: stamp, agrees: true, agreesToFolds: false, epoch: 5)),
            hex: "0d 000d 0191000000000001 01 00000005"),
        Golden(
            name: "collect answer: agrees to all",
            message: .collectAnswer(CollectAnswer(cutoff: stamp, agrees: true, agreesToFolds: true, epoch: 5)),
            hex: "0d 000d 0191000000000001 03 00000005"),
        Golden(
            name: "floor",
            message: .floor(
                CollectionFloor(
                    cutoff: stamp, folded: [CollectionFloor.Folded(Dot(actor: actorA, counter: 300), cutoff: stamp)])),
            hex: "0e 0027 0191000000000001 01 \(a) 00000001 ac02 0191000000000001"),
    ]

    static let userEvents: [Golden] = [
        Golden(
            name: "user event",
            message: .userEvent(
                UserEventNotice(
                    event: UserEvent(
                        id: UserEventID(origin: Raw.other, epoch: 300, sequence: 7), name: "deploy",
                        payload: Array("v2".utf8)),
                    ageMilliseconds: 250, floor: 5)),
            hex: "20 0022 \(b) ac02 07 02 000000fa 06 6465706c6f79 02 7632"),
        Golden(
            name: "user event marks",
            message: .userEventMarks(
                UserEventMarks(
                    isRequest: true, marks: [UserEventMark(origin: Raw.other, epoch: 300, next: 7, ahead: 0b101)])),
            hex: "21 0016 01 01 \(b) ac02 07 05"),
    ]

    static let grouped: [Golden] = [
        Golden(
            name: "rows",
            messages: [
                .row(
                    Row(
                        id: RowID(key: "app/port", part: .register), versions: [Dot(actor: actorB, counter: 5)],
                        stamp: stamp, author: actorB, content: .register([0x38, 0x30]),
                        details: EventDetails(user: "root"))),
                .row(
                    Row(
                        id: RowID(key: "app/ports", part: .register), versions: [Dot(actor: actorB, counter: 7)],
                        stamp: HybridTimestamp(rawValue: stamp.rawValue + 0x10000), author: actorB,
                        content: .register(nil), details: EventDetails(user: "root"))),
                .row(
                    Row(
                        id: RowID(key: "hosts", part: .element(Array("web-1".utf8))),
                        versions: [Dot(actor: actorA, counter: 9), Dot(actor: actorB, counter: 200)],
                        stamp: stamp, author: actorB,
                        content: .element([
                            ElementEntry(actor: actorA, added: 9, removed: 0),
                            ElementEntry(actor: actorB, added: 200, removed: 5),
                        ]))),
                .row(
                    Row(
                        id: RowID(key: "hits", part: .counter(.folded)), versions: [], stamp: stamp, author: actorB,
                        content: .counter(
                            CounterEntry(increments: 300, decrements: 1, resetIncrements: 0, resetDecrements: 0)))),
            ],
            hex: """
                17 0083 04
                15 00 08 6170702f706f7274 00 \(b) 00000003 05 828080808080809103 04 726f6f74 03 3830
                15 08 01 73 01 04 808008 00 00
                02 00 05 686f737473 02 00 \(a) 00000001 09 01 8203 ffff07 02
                05 7765622d31 02 01 09 00 02 c801 05
                03 01 03 697473 00 00 00 01 01 00 ac02 01 00 00
                """)
    ]

    static let all = membership + store + agreement + grouped + userEvents + strictKeys
    static let headerHex = "6773 10 00 a1a2a3a4a5a6a7a8 \(a)"
}

@Suite("Golden byte vectors")
struct GoldenVectorTests {
    @Test("A message has exactly these bytes, both ways", arguments: Golden.all)
    func matches(_ golden: Golden) throws {
        let packet = Packet(cluster: Raw.cluster, sender: Raw.sender, messages: golden.messages)
        let bytes = hex(Golden.headerHex) + hex(golden.hex)

        #expect(text(try PacketCodec.encode(packet, limit: 1_400)) == text(bytes))
        #expect(try PacketCodec.decode(bytes) == DecodedPacket(packet: packet, skipped: Skipped()))
    }

    @Test("Every message kind has a golden vector")
    func complete() {
        let kinds = Set(Golden.all.map { hex($0.hex)[0] })
        #expect(kinds == Set(1...28).union(32...37))
    }

    @Test("A packet is the header and its messages in order, and the idle ones are small")
    func packets() throws {
        let ping = Golden.membership[0]
        let ack = Golden.membership[1]
        let digest = Golden.store[0]
        let probe = Packet(cluster: Raw.cluster, sender: Raw.sender, messages: [ping.message, digest.message])
        let answer = Packet(cluster: Raw.cluster, sender: Raw.sender, messages: [ack.message, digest.message])

        #expect(try PacketCodec.encode(probe, limit: 78) == hex(Golden.headerHex + ping.hex + digest.hex))
        #expect(try PacketCodec.encode(answer, limit: 68) == hex(Golden.headerHex + ack.hex + digest.hex))
    }

    @Test("A body of 65 535 bytes or more has the long form of its length")
    func longLength() throws {
        for (valueBytes, expected) in [(65_489, "07 fffe 01"), (65_490, "07 ffff 0000ffff 01")] {
            let row = MessageGenerator.rowOf(valueBytes: valueBytes)
            let packet = Packet(
                cluster: Raw.cluster, sender: Raw.sender, messages: [.row(row), .ack(Ack(sequence: 1))])
            let bytes = try PacketCodec.encode(packet, limit: Bounds.frameBytesMax)
            let start = hex(expected)

            #expect(Array(bytes[28..<28 + start.count]) == start)
            #expect(try PacketCodec.decode(bytes).packet == packet)
            #expect(PacketCodec.size(of: packet) == bytes.count)
        }
    }

    @Test("A frame of a stream is the packet behind its length")
    func streamFrame() throws {
        let packet = Packet(cluster: Raw.cluster, sender: Raw.sender, messages: [Golden.membership[1].message])
        #expect(try StreamFrame.encode(packet) == hex("00000029" + Golden.headerHex + Golden.membership[1].hex))
    }
}
