// SPDX-License-Identifier: Apache-2.0
// Owns the proof that no bytes can trap the decoder, and the name of each refusal.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing
import WireProtocol

@Suite("Hostile bytes")
struct HostileBytesTests {
    static let b = Raw.otherHex
    static let actorB = "\(b) 00000003"
    /// A register row's bytes up to its author, with one version.
    static let rowStart = "01 01 6b 01 \(actorB) 05 0000000000000000"

    static let samples: [[UInt8]] = {
        let goldens = Golden.all.map { hex(Golden.headerHex + $0.hex) }
        return goldens + [hex(Golden.headerHex + Golden.all.map(\.hex).joined())]
    }()

    @Test("A packet cut off anywhere but between messages is refused", arguments: samples)
    func truncation(bytes: [UInt8]) {
        var boundaries: Set<Int> = [WireLayout.headerBytes, bytes.count]
        var at = WireLayout.headerBytes
        while at < bytes.count {
            at += 3 + Int(bytes[at + 1]) << 8 + Int(bytes[at + 2])
            boundaries.insert(at)
        }
        for length in 0...bytes.count {
            #expect(failure(Array(bytes[..<length])) == (boundaries.contains(length) ? nil : .short))
        }
    }

    @Test("A body cut off inside its fields is refused", arguments: Golden.all)
    func shortBody(_ golden: Golden) {
        let message = hex(golden.hex)
        let body = Array(message[3...])
        for length in 0..<body.count {
            let bytes = Raw.header() + Raw.message(message[0], Array(body[..<length]))
            #expect(failure(bytes) == .truncated, "body of \(length) bytes")
        }
    }

    @Test("Any single flipped bit decodes or is refused, and what decodes can be encoded again", arguments: samples)
    func bitFlips(bytes: [UInt8]) throws {
        for index in bytes.indices {
            for bit in 0..<8 {
                var flipped = bytes
                flipped[index] ^= 1 << UInt8(bit)
                guard case .success(let decoded) = outcome(flipped) else { continue }
                let again = try PacketCodec.encode(decoded.packet, limit: Bounds.frameBytesMax)
                #expect(try PacketCodec.decode(again).packet == decoded.packet)
            }
        }
    }

    @Test("Random bytes decode or are refused", arguments: 0..<20 as Range<UInt64>)
    func randomBytes(seed: UInt64) {
        var generator = MessageGenerator(seed: seed)
        for _ in 0..<500 {
            #expect(failure(generator.bytes(max: 300)) != nil)
            // The same behind a header, so that they reach the bodies.
            var messages: [UInt8] = []
            for _ in 0..<4 {
                let kind = UInt8(1 + generator.rng.index(below: 23))
                messages += Raw.message(kind, generator.bytes(max: 120))
            }
            _ = outcome(Raw.header() + messages)
        }
    }

    @Test("Valid packets with random bytes changed decode or are refused", arguments: 200..<230 as Range<UInt64>)
    func mutations(seed: UInt64) throws {
        var generator = MessageGenerator(seed: seed)
        for _ in 0..<20 {
            let bytes = try PacketCodec.encode(generator.packet(), limit: Bounds.frameBytesMax)
            for _ in 0..<20 {
                var changed = bytes
                for _ in 0..<1 + generator.rng.index(below: 4) {
                    changed[generator.rng.index(below: changed.count)] = UInt8(truncatingIfNeeded: generator.rng.next())
                }
                guard case .success(let decoded) = outcome(changed) else { continue }
                let again = try PacketCodec.encode(decoded.packet, limit: 2 * Bounds.frameBytesMax)
                #expect(try PacketCodec.decode(again).packet == decoded.packet)
            }
        }
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let what: String
        let bytes: [UInt8]
        let reason: DecodeFailure
        var testDescription: String { what }

        init(_ what: String, _ reason: DecodeFailure, _ bytes: [UInt8]) {
            self.what = what
            self.bytes = bytes
            self.reason = reason
        }

        init(_ what: String, _ reason: DecodeFailure, _ kind: UInt8, _ body: String) {
            self.init(what, reason, Raw.packet(kind, body))
        }
    }

    static let packets: [Refusal] = [
        Refusal("nothing", .short, []),
        Refusal("half a header", .short, Array(Raw.header()[..<27])),
        Refusal("another magic", .magic, [0x67, 0x74] + Raw.header()[2...]),
        Refusal("an HTTP request", .magic, Array("GET /v1/members HTTP/1.1\r\nHost: x\r\n\r\n".utf8)),
        Refusal("major version 0", .version, Raw.header(version: 0x00)),
        Refusal("major version 2", .version, Raw.header(version: 0x20)),
        Refusal(
            "the unknown node as sender", .value,
            Array(Raw.header()[..<12]) + Array(repeating: 0, count: 16)),
        Refusal("one byte after the header", .short, Raw.header() + [1]),
        Refusal("a message longer than the packet", .short, Raw.header() + hex("02 0005 00000001")),
        Refusal("a long length cut off", .short, Raw.header() + hex("07 ffff 0000")),
        Refusal("a long length beyond the packet", .short, Raw.header() + hex("07 ffff ffffffff")),
        Refusal("a long length that fits the short form", .length, Raw.header() + hex("02 ffff 00000004 00000001")),
        Refusal(
            "more bytes than a frame", .length,
            Raw.header() + Array(repeating: 0, count: Bounds.frameBytesMax - WireLayout.headerBytes + 1)),
        Refusal(
            "too many messages", .tooManyMessages,
            Raw.header() + Array(repeating: 0, count: 3 * (Bounds.messagesPerPacketMax + 1))),
    ]

    static let membership: [Refusal] = [
        Refusal("an over-long incarnation", .varint, 5, "\(b) 8700 03"),
        Refusal("an incarnation of more than 64 bits", .varint, 5, "\(b) ffffffffffffffffff02 03"),
        Refusal("an incarnation without end", .varint, 5, "\(b) ffffffffffffffffffffffffff 03"),
        Refusal("an incarnation beyond 2^62", .bounds, 5, "\(b) 818080808080808040 03"),
        Refusal("the unknown node as subject", .value, 5, "0000000000000000 0000000000000000 07 03"),
        Refusal("no name", .bounds, 5, "\(b) 07 00 00 04 c0000201 1f0a 10 00"),
        Refusal(
            "a long name", .bounds, 5, "\(b) 07 00 41 \(String(repeating: "61", count: 65)) 04 c0000201 1f0a 10 00"),
        Refusal("a name that is not UTF-8", .utf8, 5, "\(b) 07 00 02 c328 04 c0000201 1f0a 10 00"),
        Refusal("a name with half a surrogate pair", .utf8, 5, "\(b) 07 00 03 eda080 04 c0000201 1f0a 10 00"),
        Refusal("IPv4 dressed as IPv6", .value, 5, "\(b) 07 00 01 61 06 00000000000000000000ffffc0000201 1f0a 10 00"),
        Refusal("a tag twice", .value, 5, "\(b) 07 00 01 61 04 c0000201 1f0a 10 02 01 74 00 01 74 01 78"),
        Refusal("a tag without a name", .bounds, 5, "\(b) 07 00 01 61 04 c0000201 1f0a 10 01 00 01 78"),
        Refusal(
            "a tag's long name", .bounds, 5,
            "\(b) 07 00 01 61 04 c0000201 1f0a 10 01 41 \(String(repeating: "61", count: 65)) 00"),
        Refusal("65 tags", .bounds, 5, "\(b) 07 00 01 61 04 c0000201 1f0a 10 41"),
        Refusal(
            "tags of too many bytes", .bounds, 5,
            "\(b) 07 00 01 61 04 c0000201 1f0a 10 02 01 74 f503 \(String(repeating: "61", count: 501))"
                + "01 75 f503 \(String(repeating: "61", count: 501))"),
        Refusal("more tags than bytes", .truncated, 5, "\(b) 07 00 01 61 04 c0000201 1f0a 10 02 01 74 00"),
        Refusal("more members than allowed", .bounds, 16, "00 00 ffffffff0f"),
        Refusal("an age of more than 32 bits", .bounds, 16, "00 00 01 0018 \(b) 07 03 8080808010 0000"),
        Refusal("20 000 members in no bytes", .truncated, 16, "00 00 a09c01"),
        Refusal("a member longer than its table", .truncated, 16, "00 00 01 00ff \(b) 07 03 0000"),
    ]

    static let store: [Refusal] = [
        Refusal("no key", .bounds, 7, "01 00 00 0000000000000000 00 \(actorB) 00"),
        Refusal("a long key", .bounds, 7, "01 8104 \(String(repeating: "6b", count: 513))"),
        Refusal("a key that is not UTF-8", .utf8, 7, "01 01 ff 00 0000000000000000 00 \(actorB) 00"),
        Refusal("more actors than a row may name", .bounds, 7, "01 01 6b 8108"),
        Refusal("1 024 versions in no bytes", .truncated, 7, "01 01 6b 8008 \(actorB) 05"),
        Refusal("an actor twice", .value, 7, "01 01 6b 02 \(actorB) 05 \(actorB) 06 0000000000000000 01 00"),
        Refusal("event number 0", .value, 7, "01 01 6b 01 \(actorB) 00 0000000000000000 01 00"),
        Refusal(
            "an event beyond 2^62", .bounds, 7, "01 01 6b 01 \(actorB) 818080808080808040 0000000000000000 01 00"),
        Refusal("an author beyond the versions and the folded one", .value, 7, "\(rowStart) 03 00"),
        Refusal("an author of no node", .value, 7, "\(rowStart) 00 \(String(repeating: "00", count: 20)) 00"),
        Refusal("a value beyond its bound", .bounds, 7, "\(rowStart) 01 01 818020"),
        Refusal("a value that is not there", .truncated, 7, "\(rowStart) 01 01 808020"),
        Refusal("a long element", .bounds, 7, "02 01 6b 01 \(actorB) 05 0000000000000000 01 8120"),
        Refusal(
            "an element's actor twice", .value, 7,
            "02 01 6b 01 \(actorB) 05 0000000000000000 01 01 65 02 01 05 00 01 05 00"),
        Refusal("2^56 dots in no bytes", .truncated, 8, "808080808080808001"),
        Refusal("dots that are not there", .truncated, 8, "02 \(actorB) 05"),
        Refusal("2^63 context entries in no bytes", .truncated, 17, "80808080808080808001"),
        Refusal("a context entry without events", .value, 17, "01 \(actorB) 00 00"),
        Refusal("a context's actor twice", .value, 17, "02 \(actorB) 05 00 \(actorB) 06 00"),
        Refusal("a cloud that continues the vector", .value, 17, "01 \(actorB) 05 01 01"),
        Refusal("a cloud that stands still", .value, 17, "01 \(actorB) 05 02 02 00"),
        Refusal("a cloud beyond 2^62", .bounds, 17, "01 \(actorB) 05 01 808080808080808040"),
        Refusal("2^40 cloud events in no bytes", .truncated, 18, "01 \(actorB) 05 808080808020"),
    ]

    /// A row with the details whose flags are `head`, up to them.
    static func detailed(_ head: String) -> String { "\(head) 01 6b 01 \(actorB) 05 0000000000000000 01" }

    static let details: [Refusal] = [
        Refusal("a user that is announced and empty", .bounds, 7, "\(detailed("11")) 00 00"),
        Refusal("a long user", .bounds, 7, "\(detailed("11")) 41 \(String(repeating: "61", count: 65)) 00"),
        Refusal("a user that is not UTF-8", .utf8, 7, "\(detailed("11")) 01 ff 00"),
        Refusal("a reason that is announced and empty", .bounds, 7, "\(detailed("21")) 00 00"),
        Refusal("a long reason", .bounds, 7, "\(detailed("21")) 8104 \(String(repeating: "61", count: 513)) 00"),
        Refusal("an expiry that is announced and 0", .value, 7, "\(detailed("41")) 00 00"),
        Refusal("an expiry beyond 2^49", .bounds, 7, "\(detailed("41")) 81808080808080 01 00"),
        Refusal("a transaction from event 0", .value, 7, "\(detailed("81")) 00 01 00"),
        Refusal("a transaction of no events", .value, 7, "\(detailed("81")) 01 00 00"),
        Refusal("a transaction of 2^32 events", .bounds, 7, "\(detailed("81")) 01 8080808010 00"),
        Refusal("a transaction beyond 2^62", .bounds, 7, "\(detailed("81")) 808080808080808040 02 00"),
        Refusal("a generation beyond 2^62", .bounds, 7, "\(detailed("03")) 01 818080808080808040 00 00 00 00"),
        Refusal("no floor in the digest that has one", .value, 15, String(repeating: "00", count: 32)),
    ]

    static let agreement: [Refusal] = [
        Refusal("65 events to confirm", .bounds, 10, "00000001 41"),
        Refusal("2 events to confirm in no bytes", .truncated, 10, "00000001 02 \(actorB) 05"),
        Refusal(
            "33 actors to fold", .bounds, 12, "0000000000000000 00 \(String(repeating: "00", count: 16)) 21"),
        Refusal("4 097 folded actors", .bounds, 14, "0000000000000000 8120"),
        Refusal("4 096 folded actors in no bytes", .truncated, 14, "0000000000000000 8020"),
        Refusal(
            "a folded actor twice", .value, 14,
            "0000000000000000 02 \(actorB) 01 0000000000000001 \(actorB) 01 0000000000000001"),
        Refusal("the unknown node folded", .value, 14, "0000000000000000 01 \(String(repeating: "00", count: 29))"),
        Refusal("2^56 requested events in no bytes", .truncated, 21, "808080808080808001"),
    ]

    static let ranges: [Refusal] = [
        Refusal("65 537 ranges", .bounds, 22, "818004"),
        Refusal("2 ranges in one byte", .truncated, 22, "02 00"),
        Refusal("a range behind the last row", .value, 22, "02 00 00"),
        Refusal("an end twice", .value, 22, "02 04 00 01 6b 04 01 00"),
        Refusal("an end before the former", .value, 22, "02 04 00 01 6b 04 00 01 6a"),
        Refusal("an end without a key", .bounds, 22, "01 04 00 00"),
        Refusal("a key that is not UTF-8", .utf8, 22, "01 04 00 01 ff"),
        Refusal("more shared than the former end has", .value, 22, "02 04 00 01 6b 04 02 01 61"),
        Refusal(
            "a key beyond its bound by what it shares", .bounds, 22,
            "02 04 00 8004 \(String(repeating: "6b", count: 512)) 04 8004 01 61"),
        Refusal(
            "an element beyond its bound by what it shares", .bounds, 22,
            "02 08 00 01 6b 00 8020 \(String(repeating: "65", count: 4096)) 08 01 00 8020 01 61"),
        Refusal(
            "the unknown node in an epoch as an end", .value, 22,
            "01 0c 00 01 6b \(String(repeating: "00", count: 16)) 00000001"),
        Refusal("hashes out of order", .value, 22, "01 02 02 0000000000000002 0000000000000001"),
        Refusal("2^40 hashes in no bytes", .truncated, 22, "01 02 808080808020"),
        Refusal("2^40 wanted hashes in no bytes", .truncated, 22, "01 03 808080808020"),
    ]

    @Test("Ends that share much cannot make a small message large in memory")
    func expandedEnds() {
        let element = String(repeating: "00", count: 4094)
        let last = WireLayout.rangeEndBytesMax / 4_097
        var body = "08 00 01 6b 00 8020 \(element) 0000"
        for number in 1...last {
            body += "08 01 00 fe1f 02 \(Hex.string(UInt8(number >> 8)))\(Hex.string(UInt8(number & 255)))"
        }
        // 4 096 bytes and a key of one byte each: with one range fewer than `last` the message is allowed.
        #expect(failure(Raw.longPacket(22, "\(Raw.varint(last)) " + body)) == nil)
        #expect(failure(Raw.longPacket(22, "\(Raw.varint(last + 1)) " + body)) == .bounds)
    }

    @Test(
        "What no honest node sends is refused by name",
        arguments: packets + membership + store + details + agreement + ranges)
    func refusals(_ refusal: Refusal) {
        #expect(failure(refusal.bytes) == refusal.reason)
    }

    @Test("Every refusal has a case above and a name of its own")
    func complete() {
        let seen = Set((Self.packets + Self.membership + Self.store).map(\.reason))
        #expect(seen == Set(DecodeFailure.allCases))
        #expect(Set(DecodeFailure.allCases.map(\.name)).count == DecodeFailure.allCases.count)
    }

    @Test("The largest allowed numbers decode")
    func largestNumbers() {
        #expect(failure(Raw.packet(5, "\(Self.b) 808080808080808040 03")) == nil)
        #expect(
            failure(Raw.packet(7, "01 01 6b 01 \(Self.actorB) 808080808080808040 800000000000ffff 01 00")) == nil)
        #expect(
            failure(Raw.packet(7, "01 01 6b 01 \(Self.actorB) 808080808080808040 8000000000010000 01 00")) == .bounds)
        #expect(
            failure(
                Raw.packet(
                    7,
                    "03 01 6b 01 \(Self.actorB) 05 0000000000000000 01 01 808080808080808040 \(String(repeating: "ffffffffffffffffff01", count: 4))"
                )) == nil)
    }
}
