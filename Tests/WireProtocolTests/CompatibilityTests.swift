// SPDX-License-Identifier: Apache-2.0
// Owns the promise that two minor versions live in one cluster: what is unknown is passed over and counted.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing
import WireProtocol

@Suite("Two versions in one cluster")
struct CompatibilityTests {
    static let ackHex = "02 000a 00000001 000000000000"
    static let ack = Message.ack(Ack(sequence: 1))

    @Test("Every minor version of this major version is accepted", arguments: 0..<16 as Range<UInt8>)
    func minorVersions(minor: UInt8) throws {
        let bytes = Raw.header(version: 0x10 | minor) + hex(Self.ackHex)
        #expect(try PacketCodec.decode(bytes).packet.messages == [Self.ack])
    }

    @Test("Every other major version is refused", arguments: (0..<16 as Range<UInt8>).filter { $0 != 1 })
    func majorVersions(major: UInt8) {
        #expect(failure(Raw.header(version: major << 4) + hex(Self.ackHex)) == .version)
    }

    @Test("Unknown flags are ignored")
    func flags() throws {
        let bytes = Raw.header(flags: 0xff) + hex(Self.ackHex)
        #expect(try PacketCodec.decode(bytes).packet.messages == [Self.ack])
    }

    @Test("A message of an unknown kind is passed over and counted")
    func unknownKinds() throws {
        let known = Set(1...28 as ClosedRange<UInt8>).union(32...37)
        for kind in (0...255 as ClosedRange<UInt8>) where !known.contains(kind) {
            let bytes = Raw.header() + Raw.message(kind, [1, 2, 3]) + hex(Self.ackHex) + Raw.message(kind, [])
            let decoded = try PacketCodec.decode(bytes)
            #expect(decoded.packet.messages == [Self.ack])
            #expect(decoded.skipped.unknownKinds == 2)
            #expect(decoded.skipped.unknownValues == 0)
        }
    }

    @Test("Fields that a later version adds at the end of a body are ignored", arguments: Golden.all)
    func addedFields(_ golden: Golden) throws {
        let message = hex(golden.hex)
        for added in [[0], [0xff, 0xff, 0xff], Array(repeating: 7, count: 100)] as [[UInt8]] {
            let bytes = Raw.header() + Raw.message(message[0], Array(message[3...]) + added) + hex(Self.ackHex)
            let decoded = try PacketCodec.decode(bytes)
            #expect(decoded.packet.messages == golden.messages + [Self.ack])
            #expect(decoded.skipped.isEmpty)
        }
    }

    static let unknownValues: [(String, UInt8, String)] = [
        ("claim", 5, "\(Raw.otherHex) 07 06 \(Raw.senderHex)"),
        ("address family in an update", 5, "\(Raw.otherHex) 07 00 01 61 09 0102030405060708"),
        ("address family in an indirect ping", 3, "01020304 \(Raw.otherHex) 000001f4 00"),
        ("key type", 7, "04 01 6b 00"),
        ("key type behind details", 7, "14 01 6b 00"),
        ("key type of a range's end", 22, "01 10 00 01 6b"),
        ("register content", 7, "01 01 6b 01 \(Raw.otherHex) 00000003 05 0000000000000000 01 02"),
        ("table role", 16, "02 01 00"),
        ("state in a view answer", 27, "01020304 05 00 00 00000000 000000000000"),
    ]

    @Test("A known message with an unknown value is passed over and counted", arguments: unknownValues)
    func unknownValue(name: String, kind: UInt8, body: String) throws {
        let bytes = Raw.packet(kind, body) + hex(Self.ackHex)
        let decoded = try PacketCodec.decode(bytes)
        #expect(decoded.packet.messages == [Self.ack])
        #expect(decoded.skipped.unknownKinds == 0)
        #expect(decoded.skipped.unknownValues == 1)
    }

    @Test("A row of a member table with an unknown state is passed over alone, and rows may grow")
    func tableRows() throws {
        let known = "\(Raw.otherHex) 07 01 09 01 62 04 c0000201 1f0a 10 00"
        let body = "01 81 03 0014 \(Raw.senderHex) 07 06 aabb  001e \(known)  0021 \(known) 010203"
        let decoded = try PacketCodec.decode(Raw.packet(16, body))
        let entry = MemberTableEntry(
            id: Raw.other, incarnation: 7, state: .suspect, ageSeconds: 9,
            info: MemberInfo(name: "b", address: Golden.v4, tags: [], protocolVersion: 0x10))
        #expect(
            decoded.packet.messages == [
                .memberTable(MemberTablePart(role: .reply, isLast: true, entries: [entry, entry]))
            ])
        #expect(decoded.skipped.unknownValues == 1)
    }

    @Test("Tags may arrive in any order")
    func tagOrder() throws {
        let body = "\(Raw.otherHex) 07 00 01 61 04 c0000201 1f0a 10 02 01 7a 00 01 61 00"
        guard case .update(let update)? = try PacketCodec.decode(Raw.packet(5, body)).packet.messages.first,
            case .alive(let info) = update.claim
        else {
            Issue.record("not an alive update")
            return
        }
        #expect(info.tags.map(\.name) == ["a", "z"])
    }

    @Test("A packet without messages is a packet")
    func empty() throws {
        let decoded = try PacketCodec.decode(Raw.header())
        #expect(decoded.packet == Packet(cluster: Raw.cluster, sender: Raw.sender, messages: []))
    }
}
