// SPDX-License-Identifier: Apache-2.0
// Owns the inputs to begin with that only our own encoders can make; Tests/Fuzz/seeds.py makes the others.

import BackupFormat
import ClusterTypes
import NodeKernel
import Sealing
import StoreCore
import StrictGroup

extension FuzzTarget {
    /// Empty for a target whose seeds need none of our code.
    package func seeds() throws -> [[UInt8]] {
        switch self {
        case .backup: try FuzzSeeds.backups()
        case .ring: FuzzSeeds.rings()
        case .sealed: FuzzSeeds.sealed()
        case .strict: StrictFuzzSeeds.kept()
        case .packet: try StrictFuzzSeeds.packets()
        case .stream:
            try StrictFuzzSeeds.packets().map { [0x10] + StrictLogBytes.number(UInt64($0.count), 4) + $0 }
        case .group: try FuzzSeeds.group()
        case .voter: try FuzzSeeds.voter()
        case .calls: CallsFuzzSeeds.bodies()
        case .kernel, .config, .http: []
        }
    }
}

private enum FuzzSeeds {
    private static func step(_ kind: UInt8, _ body: [UInt8] = []) -> [UInt8] {
        StrictLogBytes.number(UInt64(body.count), 2) + [kind] + body
    }

    /// Each message by itself and behind time that passes, and between the order to go on alone and its end.
    static func voter() throws -> [[UInt8]] {
        let frames = try StrictFuzzSeeds.packets().map { step(1, $0) }
        let (moment, long, order) = (step(0x02), step(0xfe), step(KernelFuzz.recovery))
        func joined(_ steps: [[UInt8]]) -> [UInt8] { Array(steps.joined()) }
        var all = frames
        for first in 0..<3 {
            let some = stride(from: first, to: frames.count, by: 3).map { frames[$0] }
            all += [joined([order, long] + some), joined(some + [order, long])]
        }
        for frame in frames { all += [joined([long, frame, long]), joined([order, moment, frame, long, frame])] }
        return all
    }

    /// Each message by itself, each behind time that passes and the peer as a learner, and many together.
    static func group() throws -> [[UInt8]] {
        let packets = try StrictFuzzSeeds.packets()
        let frames = packets.map { step(1, $0) }
        let time = step(0xfe)
        let joined = step(1, try StrictFuzzSeeds.packet(.strict(.forward(id: 1, .operate(.add(StrictFuzzSeeds.peer))))))
        var all = frames + frames.map { joined + time + $0 + time }
        for first in 0..<5 {
            all.append(stride(from: first, to: frames.count, by: 5).flatMap { frames[$0] + (first == 0 ? time : []) })
        }
        return all
    }

    static func backups() throws -> [[UInt8]] {
        let node = NodeID(high: 1, low: 2)
        let author = ActorID(node: node, epoch: 3)
        var context = CausalContext()
        for counter in [1, 2, 5] { context.insert(Dot(actor: author, counter: UInt64(counter))) }
        let contents: [(RowID.Part, RowContent)] = [
            (.register, .register(Array("80".utf8))), (.register, .register(nil)),
            (.element(Array("web-1".utf8)), .element([ElementEntry(actor: author, added: 2, removed: 1)])),
            (
                .counter(author),
                .counter(
                    CounterEntry(
                        generation: 1, increments: 5, decrements: 2, resetIncrements: 1, resetDecrements: 0))
            ),
        ]
        let rows = contents.enumerated().map { index, content in
            Row(
                id: RowID(key: "key/\(index)", part: content.0), versions: [Dot(actor: author, counter: 1)],
                stamp: HybridTimestamp(rawValue: 100), author: author, content: content.1)
        }
        var all: [[UInt8]] = []
        for count in 0...rows.count {
            var writer = BackupWriter()
            var bytes: [UInt8] = []
            let header = BackupHeader(
                createdAt: WallTime(milliseconds: 1_795_000_000_000), node: "fuzz-1", storeID: "0af3", revision: 7)
            let floor = CollectionFloor(
                cutoff: HybridTimestamp(rawValue: 99),
                folded: [
                    CollectionFloor.Folded(Dot(actor: author, counter: 7), cutoff: HybridTimestamp(rawValue: 98))
                ])
            try writer.begin(header, context: context, floor: floor) { bytes += $0 }
            for row in rows.prefix(count) { try writer.add(row) { bytes += $0 } }
            _ = try writer.finish { bytes += $0 }
            all += [[0xff] + bytes, [0x02] + bytes]
        }
        return all
    }

    static func rings() -> [[UInt8]] {
        var ring = KeyRing(keys: Array(RingFuzz.keys.prefix(2)))
        var all = [[0] + ring.encoded()]
        try? ring.install(RingFuzz.keys[2], at: 10)
        try? ring.use(RingFuzz.keys[2].id, at: 20)
        try? ring.retire(RingFuzz.keys[0].id, at: 30)
        all.append([0] + ring.encoded())
        _ = ring.expire(at: 100, grace: .milliseconds(1))
        all.append([0] + ring.encoded())
        let text = "# two keys\n\(RingFuzz.keys[0].secretText)\n\n  \(RingFuzz.keys[1].secretText) \r\n"
        all.append([1] + Array(text.utf8))
        // Two rings change apart, and one of them forgets.
        all.append([2, 0x00, 3, 1, 0x10, 4, 2, 0x12, 4, 3, 0x13, 0, 4, 0x06, 1, 0, 0x15, 0, 90, 0x26, 0, 0])
        return all
    }

    static func sealed() -> [[UInt8]] {
        let content = [UInt8](0..<40)
        var all: [[UInt8]] = [[1, 0, 40, 0] + content, [1, 0, 30, 1] + content]
        for place in [0, 9, 20, 60, 80, 100] as [UInt8] { all.append([3 | 0x20, 0, place, 4] + content) }
        all.append([3 | 0xfc, 0, 0, 0] + content)
        if let (_, first) = SealedStream.initiate(
            under: SealedFuzz.keys[0], cluster: SealedFuzz.cluster, version: SealedFuzz.version,
            ephemeral: [UInt8](repeating: 7, count: 32))
        {
            all += [[2 | 0x10] + first, [2 | 0xfc] + first + [0, 16] + [UInt8](repeating: 0, count: 16)]
        }
        var sealer = DatagramSealer(cluster: SealedFuzz.cluster, version: SealedFuzz.version)
        var rng = SeededGenerator(seed: 9)
        var sealed = [UInt8](repeating: 0, count: 128 + SealedLayout.overheadBytes)
        let size = [UInt8](repeating: 1, count: 128).withUnsafeBytes { plain in
            sealed.withUnsafeMutableBytes { sealer.seal(plain, under: SealedFuzz.keys[0], into: $0, using: &rng) }
        }
        if let size { all.append([0] + sealed.prefix(size)) }
        return all
    }
}
