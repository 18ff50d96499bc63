// SPDX-License-Identifier: Apache-2.0
// Owns the benchmarks of the configuration store with 100 000 keys.

import ClusterTypes
import StoreCore

/// A store as a fleet leaves it: keys of 24 bytes, values of 100, written by many nodes in turn.
enum StoreFixture {
    static let keys = 100_000
    static let writers = 30

    /// 24 bytes, and in no order of their numbers.
    static func key(_ number: Int) -> String {
        let scrambled = UInt32(truncatingIfNeeded: number) &* 2_654_435_761
        return "app/svc-\(Hex.string(UInt8(truncatingIfNeeded: scrambled)))/limit-\(Hex.string(scrambled).dropFirst(1))"
    }

    static func value(_ number: Int) -> [UInt8] { [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 100) }

    static func actor(_ writer: Int) -> ActorID { ActorID(node: Fixture.id(writer), epoch: 1) }

    /// The store of writer 0, which holds what all writers wrote, and that of writer 1.
    static func build() throws -> (store: Store, peer: Store) {
        var stores = (0..<writers).map { Store(actor: actor($0)) }
        for number in 0..<keys {
            let mutation = try stores[number % writers].put(value(number), for: key(number), wall: Fixture.wall)
            for index in [0, 1] where index != number % writers {
                for row in mutation.rows {
                    guard case .applied = stores[index].merge(row, wall: Fixture.wall) else {
                        throw WrongResult(description: "a row was not taken in")
                    }
                }
            }
        }
        try WrongResult.unless(
            stores[0].liveKeyCount == keys && stores[0].root == stores[1].root, "the two stores differ")
        return (stores[0], stores[1])
    }
}

enum StoreBenchmarks {
    static var all: [Benchmark] {
        [
            benchmark(
                "store/put", "Write a register anew in a store of 100 000 keys (memory only; no disk).", putRound),
            benchmark("store/merge", "Take in a peer's newer row in a store of 100 000 keys.", mergeRound),
            benchmark("store/merge-known", "Take in a row that the store of 100 000 keys has already.", knownRound),
            benchmark("store/read", "Read a register of 100 bytes from a store of 100 000 keys.", readRound),
            benchmark(
                "store/list", "List a page of 100 keys from a store of 100 000; one operation is the page.", listRound),
            benchmark(
                "store/rows-missing",
                "Find the one row that a peer lacks among 100 000 keys of 30 writers, from the peer's causal context.",
                missingRound),
        ]
    }

    private static let operations = 10_000

    /// What the rounds of one benchmark share.
    private struct State {
        var store: Store
        var peer: Store
        var rng = SeededGenerator(seed: 3)
        let keys = (0..<StoreFixture.keys).map(StoreFixture.key)

        mutating func randomKeys() -> [String] {
            (0..<operations).map { _ in keys[rng.index(below: keys.count)] }
        }
    }

    private static func benchmark(
        _ name: String, _ meaning: String, _ round: @escaping (inout State) throws -> Double
    ) -> Benchmark {
        Benchmark(name: name, unit: .nanosecondsPerOperation, meaning: meaning) {
            let (store, peer) = try StoreFixture.build()
            var state = State(store: store, peer: peer)
            return { try round(&state) }
        }
    }

    private static func putRound(_ state: inout State) throws -> Double {
        let keys = state.randomKeys()
        let value = StoreFixture.value(7)
        let before = state.store.nextCounter
        let sample = try Measure.nanoseconds(operations) {
            for key in keys { _ = try state.store.put(value, for: key, wall: Fixture.wall) }
        }
        try WrongResult.unless(state.store.nextCounter == before + UInt64(operations), "not every write was an event")
        return sample
    }

    private static func peerRows(_ state: inout State) throws -> [Row] {
        let keys = state.randomKeys()
        let value = StoreFixture.value(9)
        return try keys.flatMap { try state.peer.put(value, for: $0, wall: Fixture.wall).rows }
    }

    private static func mergeRound(_ state: inout State) throws -> Double {
        let rows = try peerRows(&state)
        var applied = 0
        let sample = Measure.nanoseconds(rows.count) {
            for row in rows {
                if case .applied = state.store.merge(row, wall: Fixture.wall) { applied += 1 }
            }
        }
        try WrongResult.unless(applied == rows.count, "\(applied) of \(rows.count) rows were news")
        return sample
    }

    private static func knownRound(_ state: inout State) throws -> Double {
        let rows = state.randomKeys().compactMap { state.store.row(RowID(key: $0, part: .register)) }
        var known = 0
        let sample = Measure.nanoseconds(rows.count) {
            for row in rows {
                if case .known = state.store.merge(row, wall: Fixture.wall) { known += 1 }
            }
        }
        try WrongResult.unless(known == operations, "\(known) of \(operations) rows were known")
        return sample
    }

    private static func readRound(_ state: inout State) throws -> Double {
        let keys = state.randomKeys()
        var bytes = 0
        let sample = Measure.nanoseconds(operations) {
            for key in keys {
                if case .register(let value)? = state.store.read(key)?.content { bytes += value.count }
            }
        }
        try WrongResult.unless(bytes == operations * 100, "\(bytes) bytes were read")
        return sample
    }

    private static func listRound(_ state: inout State) throws -> Double {
        let pages = operations / 100
        let keys = state.randomKeys().prefix(pages)
        var entries = 0
        let sample = Measure.nanoseconds(pages) {
            for key in keys { entries += state.store.list(prefix: "app/", after: key, limit: 100).entries.count }
        }
        try WrongResult.unless(entries > pages * 90, "\(entries) entries in \(pages) pages")
        return sample
    }

    private static func missingRound(_ state: inout State) throws -> Double {
        let context = state.store.context
        _ = try state.store.put(StoreFixture.value(1), for: state.randomKeys()[0], wall: Fixture.wall)
        var rows = 0
        let sample = Measure.nanoseconds(operations) {
            for _ in 0..<operations { rows += state.store.rowsMissing(from: context).rows.count }
        }
        try WrongResult.unless(rows == operations, "\(rows) rows were found missing")
        return sample
    }
}
