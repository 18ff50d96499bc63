// SPDX-License-Identifier: Apache-2.0
// Owns the benchmarks of the byte codec.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import WireProtocol

enum CodecBenchmarks {
    static var all: [Benchmark] {
        [
            encode(
                "codec/encode-ping",
                "Encode the datagram of a probe, a ping and a digest, into a buffer that is reused."
            ) {
                ping
            },
            decode("codec/decode-ping", "Decode the datagram of a probe, a ping and a digest, into messages.") { ping },
            encode("codec/encode-gossip", "Encode 300 bytes of gossip: two member updates and a row of the store.") {
                try gossip()
            },
            decode("codec/decode-gossip", "Decode 300 bytes of gossip: two member updates and a row of the store.") {
                try gossip()
            },
        ]
    }

    private static let operations = 200_000

    private static let ping = Packet(
        cluster: ClusterID(name: "bench"), sender: Fixture.id(1),
        messages: [
            .ping(Ping(sequence: 7, target: Fixture.id(2))),
            .digest(Digest(members: 0x0123_4567_89ab_cdef, store: .zero)),
        ])

    /// The row's value makes the packet 300 bytes long.
    private static func gossip() throws -> Packet {
        let author = ActorID(node: Fixture.id(3), epoch: 1)
        func packet(value: Int) -> Packet {
            let row = Row(
                id: RowID(key: "app/db/url", part: .register), versions: [Dot(actor: author, counter: 42)],
                stamp: HybridTimestamp(wall: Fixture.wall), author: author,
                content: .register([UInt8](repeating: 0x61, count: value)))
            return Packet(
                cluster: ClusterID(name: "bench"), sender: Fixture.id(1),
                messages: [
                    .update(
                        MemberUpdate(subject: Fixture.id(4), incarnation: 9, claim: .alive(Fixture.info(4)))),
                    .update(
                        MemberUpdate(subject: Fixture.id(5), incarnation: 3, claim: .suspect(by: Fixture.id(1)))),
                    .row(row),
                ])
        }
        let result = packet(value: max(0, 300 - PacketCodec.size(of: packet(value: 0))))
        let size = PacketCodec.size(of: result)
        try WrongResult.unless((299...302).contains(size), "the packet has \(size) bytes")
        return result
    }

    private static func encode(
        _ name: String, _ meaning: String, _ packet: @escaping () throws -> Packet
    ) -> Benchmark {
        Benchmark(name: name, unit: .nanosecondsPerOperation, meaning: meaning) {
            let packet = try packet()
            let size = PacketCodec.size(of: packet)
            var bytes = [UInt8](repeating: 0, count: 1_400)
            return {
                var written = 0
                let sample = try bytes.withUnsafeMutableBytes { buffer in
                    try Measure.nanoseconds(operations) {
                        for _ in 0..<operations { written += try PacketCodec.encode(packet, into: buffer) }
                    }
                }
                try WrongResult.unless(written == size * operations, "\(written) bytes were encoded")
                return sample
            }
        }
    }

    private static func decode(
        _ name: String, _ meaning: String, _ packet: @escaping () throws -> Packet
    ) -> Benchmark {
        Benchmark(name: name, unit: .nanosecondsPerOperation, meaning: meaning) {
            let packet = try packet()
            let bytes = try PacketCodec.encode(packet, limit: 1_400)
            return {
                var messages = 0
                let sample = try bytes.withUnsafeBytes { buffer in
                    try Measure.nanoseconds(operations) {
                        for _ in 0..<operations { messages += try PacketCodec.decode(buffer).packet.messages.count }
                    }
                }
                try WrongResult.unless(
                    messages == packet.messages.count * operations, "\(messages) messages were decoded")
                return sample
            }
        }
    }
}
