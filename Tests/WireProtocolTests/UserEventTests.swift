// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what is refused in messages about user events, and of how large they get.

import ClusterTypes
import NodeKernel
import Testing
import WireProtocol

@Suite("User events on the wire")
struct UserEventTests {
    private static let id = UserEventID(
        origin: Raw.other, epoch: Bounds.incarnationMax, sequence: UserEventID.sequenceMax)

    @Test("The longest event leaves 87 bytes of the smallest datagram")
    func longest() throws {
        let event = UserEvent(
            id: Self.id, name: String(repeating: "n", count: Bounds.userEventNameBytesMax),
            payload: [UInt8](repeating: 1, count: Bounds.userEventPayloadBytesMax))
        let packet = Packet(
            cluster: ClusterID(rawValue: 1), sender: Raw.sender,
            messages: [.userEvent(UserEventNotice(event: event, ageMilliseconds: .max, floor: 1))])
        #expect(PacketCodec.size(of: packet) == 1_145)
        #expect(Bounds.datagramBytesMin - PacketCodec.size(of: packet) == 87)
        #expect(try PacketCodec.decode(PacketCodec.encode(packet, limit: Bounds.datagramBytesMin)).packet == packet)
    }

    @Test(
        "What no node sends is refused",
        arguments: [
            // Event 0; a floor before event 1; a space in the name; no name.
            (UInt8(0x20), "\(Raw.otherHex) 01 00 00 00000000 01 61 00", DecodeFailure.value),
            (0x20, "\(Raw.otherHex) 01 07 07 00000000 01 61 00", .value),
            (0x20, "\(Raw.otherHex) 01 07 00 00000000 01 20 00", .value),
            (0x20, "\(Raw.otherHex) 01 07 00 00000000 00 00", .bounds),
            // An event beyond the last one; a mark beyond what follows it.
            (0x20, "\(Raw.otherHex) 01 8080808080808080 40 00 00000000 01 61 00", .bounds),
            (0x21, "00 01 \(Raw.otherHex) 01 8180808080808080 40 00", .bounds),
            // Nine marks; an unknown origin.
            (0x21, "00 09", .bounds),
            (0x21, "00 01 00000000000000000000000000000000 01 01 00", .value),
        ])
    func refused(kind: UInt8, body: String, expected: DecodeFailure) {
        #expect(failure(Raw.packet(kind, body)) == expected)
    }
}
