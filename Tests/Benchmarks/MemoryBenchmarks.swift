// SPDX-License-Identifier: Apache-2.0
// Owns the benchmarks of memory: what one member and one key cost.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import WireProtocol

enum MemoryBenchmarks {
    static var all: [Benchmark] {
        [
            Benchmark(
                name: "memory/member", unit: .bytesEach,
                meaning:
                    "Resident memory of each of 10 000 members, with a name, an address and one tag, once the news of "
                    + "them has been spread.",
                prepare: {
                    var kept: [Membership] = []
                    return { try memberRound(&kept) }
                }, warmUps: 1, rounds: 3),
            Benchmark(
                name: "memory/key", unit: .bytesEach,
                meaning:
                    "Resident memory of each of 100 000 registers with keys of 24 bytes and values of 100, those 124 "
                    + "bytes included.",
                prepare: {
                    var kept: [Store] = []
                    return { try keyRound(&kept) }
                }, warmUps: 1, rounds: 3),
        ]
    }

    private static let members = 10_000
    private static let keys = 100_000

    /// Everything stays in `kept`, so that each round's memory is new.
    private static func memberRound(_ kept: inout [Membership]) throws -> Double {
        let before = try Measure.residentBytes()
        kept.append(try table())
        return Double(try Measure.residentBytes() - before) / Double(members)
    }

    private static func table() throws -> Membership {
        var (machine, rng) = try Fixture.membership { PacketCodec.size(of: .update($0)) }
        var actions: [SWIMAction] = []
        machine.merge(
            Fixture.entries(1, members), from: Fixture.id(1), clock: Fixture.clock(milliseconds: 10), using: &rng,
            into: &actions)
        var taken: [MemberUpdate] = []
        while machine.takeUpdates(budget: 60_000, into: &taken) > 0 { taken.removeAll(keepingCapacity: true) }
        try WrongResult.unless(machine.table.count == members + 1, "\(machine.table.count) members")
        return machine
    }

    private static func keyRound(_ kept: inout [Store]) throws -> Double {
        let before = try Measure.residentBytes()
        kept.append(try store())
        return Double(try Measure.residentBytes() - before) / Double(keys)
    }

    private static func store() throws -> Store {
        var store = Store(actor: ActorID(node: Fixture.id(0), epoch: 1))
        for number in 0..<keys {
            _ = try store.put(StoreFixture.value(number), for: StoreFixture.key(number), wall: Fixture.wall)
        }
        try WrongResult.unless(store.liveKeyCount == keys, "\(store.liveKeyCount) keys")
        return store
    }
}
