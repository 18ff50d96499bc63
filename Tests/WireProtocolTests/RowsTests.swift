// SPDX-License-Identifier: Apache-2.0
// Owns the behaviour of rows that travel as one message: never longer, nothing lost, nothing large out of little.

import ClusterTypes
import NodeKernel
import StoreCore
import Testing
import WireProtocol

@Suite("Rows that travel together")
struct RowsTests {
    static func packet(_ messages: [Message]) -> Packet {
        Packet(cluster: Raw.cluster, sender: Raw.sender, messages: messages)
    }

    static func singly(_ messages: [Message]) -> Int {
        messages.reduce(WireLayout.headerBytes) { $0 + PacketCodec.size(of: $1) }
    }

    /// A register with a key of `keyBytes` whose end is its number.
    static func row(_ number: Int, keyBytes: Int = 20, valueBytes: Int = 100) -> Row {
        let digits = String(number)
        return Row(
            id: RowID(
                key: String(repeating: "k", count: keyBytes - digits.utf8.count) + digits, part: .register),
            versions: [Dot(actor: number % 2 == 0 ? Golden.actorA : Golden.actorB, counter: UInt64(number + 1))],
            stamp: HybridTimestamp(rawValue: Golden.stamp.rawValue + UInt64(number) << 16),
            author: number % 2 == 0 ? Golden.actorA : Golden.actorB,
            content: .register(Array(repeating: 7, count: valueBytes)))
    }

    @Test(
        "Packets with rows survive, are of the size that is told and never longer", arguments: 0..<40 as Range<UInt64>)
    func roundTrip(seed: UInt64) throws {
        var generator = MessageGenerator(seed: 1_000 + seed)
        for _ in 0..<40 {
            var messages: [Message] = []
            for _ in 0..<1 + generator.rng.index(below: 3) {
                messages += generator.neighbours(max: 12)
                if generator.rng.chance(0.5) { messages.append(generator.message()) }
            }
            let packet = Self.packet(messages)
            let size = PacketCodec.size(of: packet)
            let bytes = try PacketCodec.encode(packet, limit: size)
            #expect(bytes.count == size)
            #expect(size <= Self.singly(messages))
            #expect(try PacketCodec.decode(bytes) == DecodedPacket(packet: packet, skipped: Skipped()))
        }
    }

    @Test("A row beside common ones takes fewer bytes than its key and value")
    func small() throws {
        let messages = (0..<400).map { Message.row(Self.row($0)) }
        let bytes = try PacketCodec.encode(Self.packet(messages), limit: Bounds.frameBytesMax)
        #expect(bytes.count < 400 * 120)
        #expect(bytes[WireLayout.headerBytes] == 23)
        #expect(try PacketCodec.decode(bytes).packet.messages == messages)
    }

    @Test("Rows with nothing in common travel on their own")
    func strangers() throws {
        var generator = MessageGenerator(seed: 4)
        let messages = ["a", "b"].map { key in
            Message.row(
                Row(
                    id: RowID(key: key, part: .register),
                    versions: (0..<4).map { _ in generator.dot() }.sorted(),
                    stamp: HybridTimestamp(rawValue: key == "a" ? 1 << 62 : 0), author: generator.actor(),
                    content: .register(nil)))
        }
        let bytes = try PacketCodec.encode(Self.packet(messages), limit: Bounds.frameBytesMax)
        #expect(bytes[WireLayout.headerBytes] == 7)
        #expect(bytes.count == Self.singly(messages))
        #expect(try PacketCodec.decode(bytes).packet.messages == messages)
    }

    @Test("Only neighbours travel together, and the order of messages stays")
    func order() throws {
        let ack = Golden.membership[1].message
        let messages = [Message.row(Self.row(1)), ack, .row(Self.row(2)), .row(Self.row(3)), ack, .row(Self.row(4))]
        let bytes = try PacketCodec.encode(Self.packet(messages), limit: 1_400)
        var kinds: [UInt8] = []
        var at = WireLayout.headerBytes
        while at < bytes.count {
            kinds.append(bytes[at])
            at += 3 + Int(bytes[at + 1]) << 8 + Int(bytes[at + 2])
        }
        #expect(kinds == [7, 2, 23, 2, 7])
        #expect(try PacketCodec.decode(bytes).packet.messages == messages)
    }

    @Test("More actors than a list holds are written out, and more rows than a packet may leave out travel singly")
    func beyondBounds() throws {
        var generator = MessageGenerator(seed: 9)
        let actors = (0..<3 * WireLayout.rowsNamedMax).map { _ in generator.actor() }
        var messages: [Message] = []
        for number in 0..<actors.count * 2 {
            var row = Self.row(number, valueBytes: 2)
            row.author = actors[number % actors.count]
            row.versions = [Dot(actor: row.author, counter: UInt64(number + 1))]
            messages.append(.row(row))
        }
        #expect(
            try PacketCodec.decode(PacketCodec.encode(Self.packet(messages), limit: 100_000)).packet.messages
                == messages)

        // 1.4 MB written out: a frame would hold them all, but no receiver need take that much from it.
        let many = (0..<2_500).map { Message.row(Self.row($0, keyBytes: 512, valueBytes: 2)) }
        let bytes = try PacketCodec.encode(Self.packet(many), limit: Bounds.frameBytesMax)
        #expect(bytes.count == PacketCodec.size(of: Self.packet(many)))
        #expect(bytes.count > 200_000)
        #expect(try PacketCodec.decode(bytes).packet.messages == many)
    }

    @Test("A row that contradicts itself is not written among others")
    func refused() {
        var bad = Self.row(2)
        bad.content = .element([])
        #expect(throws: EncodeFailure.contentMismatch) {
            try PacketCodec.encode(Self.packet([.row(Self.row(1)), .row(bad), .row(Self.row(3))]), limit: 1_400)
        }
    }

    static let actorB = "\(Raw.otherHex) 00000003"
    /// A deleted register `k`, 1 of 2.
    static let first = "02 05 00 01 6b 00 \(actorB) 05 00 00"

    static let hostile: [HostileBytesTests.Refusal] = [
        .init("no rows", .value, 23, "00"),
        .init("one row", .value, 23, "01 05 00 01 6b 00 \(actorB) 05 00 00"),
        .init("2^40 rows in no bytes", .truncated, 23, "808080808020"),
        .init("a row of no type", .value, 23, "\(first) 04 01 00 01 02 00 00"),
        .init("the log's index 0", .value, 23, "\(first) 0d 01 00 01 02 00 00 00"),
        .init("a key that shares more than there is", .value, 23, "\(first) 05 02 00 01 02 00 00"),
        .init("a first key that shares", .value, 23, "02 05 01 00 00 \(actorB) 05 00 00 00"),
        .init("no key", .bounds, 23, "\(first) 05 00 00 01 02 00 00"),
        .init("a key that is not UTF-8", .utf8, 23, "\(first) 05 01 01 ff 01 02 00 00"),
        .init(
            "a key beyond its bound by what it shares", .bounds, 23,
            "02 05 00 8004 \(String(repeating: "6b", count: 512)) 00 \(actorB) 05 00 00 05 8004 01 6b 01 02 00 00"),
        .init("an actor behind the list", .value, 23, "\(first) 05 01 00 02 02 00 00"),
        .init("an event number 0 by difference", .value, 23, "\(first) 05 01 00 01 09 00 00"),
        .init("an event number below 0 by difference", .bounds, 23, "\(first) 05 01 00 01 0b 00 00"),
        .init(
            "an event beyond 2^62 by difference", .bounds, 23, "\(first) 05 01 00 01 808080808080808080 01 00 00"),
        .init("1 025 versions", .bounds, 23, "\(first) 01 01 00 8108 00 00 00"),
        .init("1 024 versions in no bytes", .truncated, 23, "\(first) 01 01 00 8008 00 00 00"),
        .init("an actor twice", .value, 23, "\(first) 01 01 00 02 01 02 01 02 00 01 00"),
        .init("an author behind the list", .value, 23, "\(first) 01 01 00 01 01 02 00 00 02 00"),
        .init("a repeated user that nobody named", .value, 23, "\(first) 15 01 00 01 02 00 00 00"),
        .init("a repeated reason that nobody named", .value, 23, "\(first) 25 01 00 01 02 00 00 00"),
        .init("a long user", .bounds, 23, "\(first) 15 01 00 01 02 00 41 \(String(repeating: "61", count: 65)) 00"),
        .init("a value beyond its bound", .bounds, 23, "\(first) 05 01 00 01 02 00 828020"),
        .init("a value that is not there", .truncated, 23, "\(first) 05 01 00 01 02 00 818020"),
        .init("an over-long difference", .varint, 23, "\(first) 05 01 00 01 8200 00 00"),
    ]

    @Test("What no honest node sends is refused by name", arguments: hostile)
    func refusals(_ refusal: HostileBytesTests.Refusal) {
        #expect(failure(refusal.bytes) == refusal.reason)
    }

    @Test("The first row of the refusals is good, with another behind it")
    func accepted() throws {
        let decoded = try PacketCodec.decode(Raw.packet(23, "\(Self.first) 05 01 00 01 02 00 00"))
        #expect(decoded.packet.messages.count == 2)
    }

    /// Rows that share a key of 512 bytes: 8 bytes each.
    static func sharing(rows: Int, behind others: [UInt8] = []) -> [UInt8] {
        let start = "05 00 8004 \(String(repeating: "6b", count: 512)) 00 \(actorB) 05 00 00"
        let body = "\(Raw.varint(rows)) \(start) " + String(repeating: "05 8004 00 01 02 00 00", count: rows - 1)
        return Raw.header() + others + Raw.message(23, hex(body))
    }

    @Test("Rows that share much cannot make a small packet large in memory, whatever the number of its messages")
    func expansion() {
        let last = WireLayout.rowsLeftOutMax / 532
        #expect(failure(Self.sharing(rows: last + 1)) == nil)
        #expect(failure(Self.sharing(rows: last + 2)) == .bounds)
        let others = Array(Self.sharing(rows: last)[WireLayout.headerBytes...])
        #expect(failure(Self.sharing(rows: 2, behind: others)) == nil)
        #expect(failure(Self.sharing(rows: 3, behind: others)) == .bounds)
    }

    @Test("Each row counts as a message of its packet")
    func tooMany() {
        func rows(_ count: Int) -> [UInt8] {
            Raw.message(
                23,
                hex(
                    "\(Raw.varint(count)) 05 00 01 6b 00 \(Self.actorB) 05 00 00"
                        + String(repeating: "05 01 00 01 02 00 00", count: count - 1)))
        }
        let half = Bounds.messagesPerPacketMax / 2
        #expect(failure(Raw.header() + rows(half) + rows(half)) == nil)
        #expect(failure(Raw.header() + rows(half) + rows(half + 1)) == .tooManyMessages)
        #expect(failure(Raw.header() + rows(half) + rows(half) + hex(CompatibilityTests.ackHex)) == .tooManyMessages)
    }

    @Test(
        "Damaged rows decode or are refused, and what decodes can be encoded again",
        arguments: 500..<530 as Range<UInt64>)
    func damaged(seed: UInt64) throws {
        var generator = MessageGenerator(seed: seed)
        for _ in 0..<20 {
            let bytes = try PacketCodec.encode(
                Self.packet(generator.neighbours(max: 12)), limit: Bounds.frameBytesMax)
            guard bytes.count > WireLayout.headerBytes else { continue }
            for _ in 0..<30 {
                var changed = bytes
                for _ in 0..<1 + generator.rng.index(below: 3) {
                    let at = WireLayout.headerBytes + generator.rng.index(below: bytes.count - WireLayout.headerBytes)
                    changed[at] = UInt8(
                        truncatingIfNeeded: generator.rng.next() >> UInt64(generator.rng.index(below: 8)))
                }
                guard case .success(let decoded) = outcome(changed) else { continue }
                let again = try PacketCodec.encode(decoded.packet, limit: 2 * Bounds.frameBytesMax)
                #expect(try PacketCodec.decode(again).packet == decoded.packet)
            }
        }
    }
}
