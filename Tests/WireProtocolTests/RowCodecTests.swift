// SPDX-License-Identifier: Apache-2.0
// Owns the behaviour of the codecs for disks and backups.

import ClusterTypes
import NodeKernel
import StoreCore
import Testing
import WireProtocol

@Suite("Rows, contexts and floors on their own")
struct RowCodecTests {
    @Test("A row has the bytes of a row message's body, and survives the way there and back")
    func rows() throws {
        var generator = MessageGenerator(seed: 11)
        for _ in 0..<500 {
            let row = generator.row()
            let bytes = RowCodec.encode(row)
            #expect(try RowCodec.decode(bytes) == row)
            guard bytes.count < 65_535 else { continue }
            let packet = Packet(cluster: Raw.cluster, sender: Raw.sender, messages: [.row(row)])
            let sent = try PacketCodec.encode(packet, limit: Bounds.frameBytesMax)
            #expect(Array(sent[(WireLayout.headerBytes + 3)...]) == bytes)
        }
    }

    @Test("A context keeps its whole cloud, a floor its folded actors")
    func contextsAndFloors() throws {
        var generator = MessageGenerator(seed: 12)
        for _ in 0..<200 {
            let context = generator.context()
            #expect(try ContextCodec.decode(ContextCodec.encode(context)) == context)
            let floor = generator.floor()
            #expect(try FloorCodec.decode(FloorCodec.encode(floor)) == floor)
        }
        var large = CausalContext()
        for number in 0..<UInt64(WireLayout.contextCloudMax + 5) {
            large.insert(Dot(actor: Golden.actorA, counter: 3 + number))
        }
        #expect(try ContextCodec.decode(ContextCodec.encode(large)) == large)
        #expect(try ContextCodec.decode(ContextCodec.encode(CausalContext())) == CausalContext())
        #expect(try FloorCodec.decode(FloorCodec.encode(.none)) == .none)
    }

    @Test("Bytes that are cut off, go on or name an unknown type are refused")
    func refused() throws {
        var generator = MessageGenerator(seed: 13)
        for _ in 0..<50 {
            let bytes = RowCodec.encode(generator.row())
            for length in 0..<min(bytes.count, 300) {
                #expect(throws: DecodeFailure.self) { try RowCodec.decode(Array(bytes[..<length])) }
            }
            #expect(throws: DecodeFailure.length) { try RowCodec.decode(bytes + [0]) }
            #expect(throws: DecodeFailure.value) { try RowCodec.decode([4] + bytes.dropFirst()) }
        }
        #expect(throws: DecodeFailure.truncated) { try ContextCodec.decode([]) }
        #expect(throws: DecodeFailure.length) { try ContextCodec.decode([0, 0]) }
        #expect(throws: DecodeFailure.truncated) { try FloorCodec.decode([0]) }
    }

    @Test("Damaged bytes decode or are refused", arguments: 300..<310 as Range<UInt64>)
    func damaged(seed: UInt64) {
        var generator = MessageGenerator(seed: seed)
        for _ in 0..<200 {
            var bytes = RowCodec.encode(generator.row())
            bytes[generator.rng.index(below: bytes.count)] ^= 1 << UInt8(generator.rng.index(below: 8))
            guard let row = try? RowCodec.decode(bytes) else { continue }
            #expect((try? RowCodec.decode(RowCodec.encode(row))) == row)
        }
    }
}
