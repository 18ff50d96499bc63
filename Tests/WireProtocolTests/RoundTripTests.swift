// SPDX-License-Identifier: Apache-2.0
// Owns the properties of encoding: nothing is lost, sizes are exact, limits hold.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing
import WireProtocol

@Suite("Encoding")
struct RoundTripTests {
    @Test("A packet survives the way there and back", arguments: 0..<40 as Range<UInt64>)
    func roundTrip(seed: UInt64) throws {
        var generator = MessageGenerator(seed: seed)
        for _ in 0..<50 {
            let packet = generator.packet()
            let bytes = try PacketCodec.encode(packet, limit: Bounds.frameBytesMax)
            #expect(try PacketCodec.decode(bytes) == DecodedPacket(packet: packet, skipped: Skipped()))
        }
    }

    @Test("The size of a message is the number of its bytes", arguments: 100..<140 as Range<UInt64>)
    func sizes(seed: UInt64) throws {
        var generator = MessageGenerator(seed: seed)
        for _ in 0..<150 {
            let message = generator.message()
            let packet = Packet(cluster: Raw.cluster, sender: Raw.sender, messages: [message])
            let bytes = try PacketCodec.encode(packet, limit: Bounds.frameBytesMax)
            #expect(PacketCodec.sizes.header + PacketCodec.sizes.message(message) == bytes.count)
            #expect(PacketCodec.size(of: packet) == bytes.count)
        }
    }

    @Test("A row takes no more bytes than the store estimates for it")
    func estimates() throws {
        var generator = MessageGenerator(seed: 5)
        for _ in 0..<2_000 {
            let row = generator.row()
            #expect(PacketCodec.size(of: .row(row)) <= row.estimatedBytes)
        }
        let largest = Row(
            id: RowID(key: "k", part: .counter(Golden.actorA)), versions: [], stamp: .zero, author: Golden.actorA,
            content: .counter(
                CounterEntry(
                    generation: Dot.counterMax, increments: .max, decrements: .max, resetIncrements: .max,
                    resetDecrements: .max)),
            details: EventDetails(
                user: String(repeating: "u", count: Bounds.userBytesMax),
                reason: String(repeating: "r", count: Bounds.reasonBytesMax), expiresAt: 1 << 49,
                transaction: EventDetails.Transaction(first: Dot.counterMax, count: .max)))
        #expect(PacketCodec.size(of: .row(largest)) <= largest.estimatedBytes)
    }

    @Test("A varint takes as many bytes as its number needs")
    func varintSizes() throws {
        for bits in 0..<64 {
            for value in [UInt64(1) << bits, UInt64(1) << bits - 1, ~0 >> UInt64(bits)] {
                let row = Row(
                    id: RowID(key: "k", part: .counter(Golden.actorA)), versions: [],
                    stamp: .zero, author: Golden.actorA,
                    content: .counter(
                        CounterEntry(increments: value, decrements: 0, resetIncrements: 0, resetDecrements: 0)))
                let packet = Packet(cluster: Raw.cluster, sender: Raw.sender, messages: [.row(row)])
                let bytes = try PacketCodec.encode(packet, limit: 1_400)
                #expect(bytes.count == PacketCodec.size(of: packet))
                #expect(try PacketCodec.decode(bytes).packet == packet)
            }
        }
    }

    @Test("A packet is refused by every limit below its size, and nothing is written beyond the buffer")
    func limits() throws {
        var generator = MessageGenerator(seed: 7)
        for _ in 0..<20 {
            let packet = generator.packet(messagesMax: 3)
            let size = PacketCodec.size(of: packet)
            guard size < 3_000 else { continue }
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size + 8, alignment: 1)
            defer { buffer.deallocate() }
            for limit in 0..<size {
                buffer.initializeMemory(as: UInt8.self, repeating: 0xee)
                let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<limit])
                #expect(throws: EncodeFailure.limit) { try PacketCodec.encode(packet, into: part) }
                #expect(throws: EncodeFailure.limit) { try PacketCodec.encode(packet, limit: limit) }
                #expect(buffer[limit...].allSatisfy { $0 == 0xee })
            }
            let whole = UnsafeMutableRawBufferPointer(rebasing: buffer[..<size])
            #expect(try PacketCodec.encode(packet, into: whole) == size)
        }
    }

    @Test("Too many messages and a row that contradicts itself are not written")
    func refused() {
        let many = Packet(
            cluster: Raw.cluster, sender: Raw.sender,
            messages: Array(repeating: .ack(Ack(sequence: 1)), count: Bounds.messagesPerPacketMax + 1))
        #expect(throws: EncodeFailure.tooManyMessages) {
            try PacketCodec.encode(many, limit: Bounds.frameBytesMax)
        }
        let row = Row(
            id: RowID(key: "k", part: .register), versions: [Dot(actor: Golden.actorA, counter: 1)], stamp: .zero,
            author: Golden.actorA, content: .element([]))
        #expect(throws: EncodeFailure.contentMismatch) {
            try PacketCodec.encode(
                Packet(cluster: Raw.cluster, sender: Raw.sender, messages: [.row(row)]), limit: 1_400)
        }
    }

    @Test(
        "The largest alive update fits the smallest packet, beside a ping and a digest", arguments: [0, UInt64.max])
    func largestAlive(floor: UInt64) throws {
        let digest = Message.digest(Digest(members: 1, store: Hash128(high: 2, low: 3), floor: floor))
        let packet = Packet(
            cluster: Raw.cluster, sender: Raw.sender,
            messages: [Golden.membership[0].message, digest, .update(Self.largestAliveUpdate)])
        let bytes = try PacketCodec.encode(packet, limit: Bounds.packetBytesMin)
        #expect(try PacketCodec.decode(bytes).packet == packet)
    }

    /// As many tags as allowed, as many values of two length bytes as they leave room for.
    static var largestAliveUpdate: MemberUpdate {
        var tags: [SWIMCore.Tag] = []
        var room = Bounds.tagBytesMax - Bounds.tagsMax
        for index in 0..<Bounds.tagsMax {
            let name = String(UnicodeScalar(UInt8(48 + index)))
            let bytes = index == Bounds.tagsMax - 1 ? room : min(room, 128)
            room -= bytes
            tags.append(SWIMCore.Tag(name: name, value: String(repeating: "v", count: bytes)))
        }
        let info = MemberInfo(
            name: String(repeating: "n", count: Bounds.nameBytesMax), address: Golden.v6, tags: tags,
            protocolVersion: 0x10)
        return MemberUpdate(subject: Raw.other, incarnation: Bounds.incarnationMax, claim: .alive(info))
    }

    @Test("The largest value fits one frame of a stream with the most actors that a row may name")
    func largestRow() throws {
        var generator = MessageGenerator(seed: 3)
        let versions = (0..<Bounds.rowActorsMax).map { _ in
            Dot(actor: generator.actor(), counter: Dot.counterMax)
        }.sorted()
        let row = Row(
            id: RowID(key: String(repeating: "k", count: Bounds.keyBytesMax), part: .register), versions: versions,
            stamp: Golden.stamp, author: Golden.actorA,
            content: .register(Array(repeating: 1, count: Bounds.valueBytesMax)),
            details: EventDetails(reason: String(repeating: "r", count: Bounds.reasonBytesMax)))
        let packet = Packet(cluster: Raw.cluster, sender: Raw.sender, messages: [.row(row)])
        let bytes = try PacketCodec.encode(packet, limit: Bounds.frameBytesMax)
        #expect(try PacketCodec.decode(bytes).packet == packet)
    }

    @Test("The details of a row cost nothing while there are none, and a wall clock beyond 48 bits is held at the last")
    func smallest() throws {
        var row = MessageGenerator.rowOf(valueBytes: 2)
        let plain = PacketCodec.size(of: .row(row))
        row.details.user = "a"
        #expect(PacketCodec.size(of: .row(row)) == plain + 2)
        let packet = Packet(
            cluster: Raw.cluster, sender: Raw.sender, messages: [.ack(Ack(sequence: 1, wall: .max))])
        let bytes = try PacketCodec.encode(packet, limit: 100)
        #expect(try PacketCodec.decode(bytes).packet.messages == [.ack(Ack(sequence: 1, wall: 1 << 48 - 1))])
    }

    @Test("More ranges than a message may have are not written")
    func manyRanges() {
        let ranges = Array(
            repeating: RangeMessage.Range(end: nil, content: .settled), count: WireLayout.rangesMax + 1)
        #expect(throws: EncodeFailure.contentMismatch) {
            try PacketCodec.encode(
                Packet(cluster: Raw.cluster, sender: Raw.sender, messages: [.ranges(RangeMessage(ranges: ranges))]),
                limit: Bounds.frameBytesMax)
        }
    }

    @Test("Of a dot cloud too large for a frame the lowest dots are sent")
    func largeCloud() throws {
        var context = CausalContext()
        let count = UInt64(WireLayout.contextCloudMax)
        context.insert(Dot(actor: Golden.actorA, counter: 1))
        for number in 3..<(count + 103) { context.insert(Dot(actor: Golden.actorA, counter: number)) }
        let packet = Packet(
            cluster: Raw.cluster, sender: Raw.sender, messages: [.storeRequest(StoreRequest(context: context))])
        let bytes = try PacketCodec.encode(packet, limit: Bounds.frameBytesMax)
        #expect(bytes.count == PacketCodec.size(of: packet))
        guard case .storeRequest(let request)? = try PacketCodec.decode(bytes).packet.messages.first else {
            Issue.record("not a store request")
            return
        }
        let received = request.context
        #expect(received.entries == context.entries(cloudMax: WireLayout.contextCloudMax))
        #expect(received.cloudCount == count)
        #expect(received.contains(Dot(actor: Golden.actorA, counter: 3)))
        #expect(context.isSuperset(of: received))
    }
}
