// SPDX-License-Identifier: Apache-2.0
// Owns the proof of durability: daemons killed at random points under write load lose nothing they acknowledged.

import AdminClient
import AdminModel
import Glibc
import Synchronization
import Testing

extension ProcessTests {
    @Suite("A crash")
    struct CrashTests {
        /// What the daemon has acknowledged, by whoever wrote it.
        private final class Ledger: Sendable {
            private struct State {
                var values: [String: String] = [:]
                var elements: Set<String> = []
                var counted: Int64 = 0
                var count = 0
                /// Increments whose answer never came: they may count or not.
                var uncertain: Int64 = 0
            }
            private let state = Mutex(State())

            func wrote(_ key: String, _ value: String) {
                state.withLock {
                    $0.values[key] = value
                    $0.count += 1
                }
            }
            func added(_ element: String) {
                state.withLock {
                    $0.elements.insert(element)
                    $0.count += 1
                }
            }
            func counted(_ isCertain: Bool) {
                state.withLock {
                    if isCertain { $0.counted += 1 } else { $0.uncertain += 1 }
                    if isCertain { $0.count += 1 }
                }
            }

            var values: [String: String] { state.withLock { $0.values } }
            var elements: Set<String> { state.withLock { $0.elements } }
            var counter: ClosedRange<Int64> { state.withLock { $0.counted...($0.counted + $0.uncertain) } }
            /// Acknowledged writes of all kinds.
            var count: Int { state.withLock { $0.count } }
        }

        private static let rounds = 100
        private static let writers = 4

        /// Writes until the daemon is gone; each writer has keys of its own and overwrites some of them.
        private static func write(to daemon: DaemonProcess, round: Int, writer: Int, into ledger: Ledger) async {
            let client = AdminClient(socketPath: daemon.socket, timeout: .seconds(5))
            for number in 0..<10_000 {
                do {
                    switch (number + round) % 8 {
                    case 6:
                        let element = "\(round).\(writer).\(number)"
                        _ = try await client.addToSet(try ConfigurationKey("crash/set"), [element])
                        ledger.added(element)
                    case 7:
                        do {
                            _ = try await client.addToCounter(try ConfigurationKey("crash/count"), 1)
                            ledger.counted(true)
                        } catch {
                            ledger.counted(false)
                            throw error
                        }
                    case _:
                        let key = "crash/\(writer)/\(number % 64)"
                        let value = "\(round).\(number)"
                        // Until the answer comes the former value is as good.
                        _ = try await client.put(try ConfigurationKey(key), value: Array(value.utf8))
                        ledger.wrote(key, value)
                    }
                } catch {
                    return
                }
            }
        }

        /// `round.number`, which only grows for each key.
        private static func order(_ value: String) -> (Int, Int) {
            let parts = value.split(separator: ".").compactMap { Int($0) }
            return parts.count == 2 ? (parts[0], parts[1]) : (-1, -1)
        }

        /// Every acknowledged write shows, or one that was under way when the daemon died.
        private static func check(_ daemon: DaemonProcess, _ ledger: Ledger, _ round: Int) async throws {
            var shown: [String: String] = [:]
            for entry in try await daemon.client.list(try KeyPrefix("crash/")).entries {
                if case .register(let value) = entry.content {
                    shown[entry.key] = String(decoding: value, as: UTF8.self)
                }
            }
            for (key, value) in ledger.values {
                let found = shown[key] ?? "nothing"
                #expect(
                    order(found) >= order(value), "round \(round): \(key) was acknowledged as \(value), shows \(found)")
            }
            if !ledger.elements.isEmpty {
                let elements = try await daemon.client.listSet(try ConfigurationKey("crash/set")).elements
                let lost = ledger.elements.subtracting(elements)
                #expect(lost.isEmpty, "round \(round): \(lost.count) acknowledged elements are gone")
            }
            let counter = ledger.counter
            if counter.lowerBound > 0 {
                let value = try await daemon.client.counter(try ConfigurationKey("crash/count")).value
                #expect(counter.contains(value), "round \(round): \(counter) were counted, \(value) shows")
            }
        }

        @Test("A hundred times kill -9 under write load: every acknowledged write is there, and all stores end equal")
        func killUnderLoad() async throws {
            try await Arena.with { arena in
                var cluster = try await Cluster.form(3, in: arena)
                var options = cluster[1].options
                options.join = [cluster[0].address]
                var random = Randomness(seed: 20_261_121)
                let ledger = Ledger()
                for round in 1...Self.rounds {
                    let victim = cluster[1]
                    let pause = Duration.milliseconds(Int.random(in: 5...120, using: &random))
                    await withDiscardingTaskGroup { tasks in
                        for writer in 0..<Self.writers {
                            tasks.addTask { await Self.write(to: victim, round: round, writer: writer, into: ledger) }
                        }
                        tasks.addTask {
                            try? await Task.sleep(for: pause)
                            victim.killHard()
                        }
                    }
                    cluster.daemons[1] = try await DaemonProcess.start(options, in: arena)
                    try await Self.check(cluster[1], ledger, round)
                }
                print("measured: acknowledged writes over \(Self.rounds) kills: \(ledger.count)")
                #expect(ledger.count > 5 * Self.rounds, "hardly anything was written")
                try await cluster.allSeeAll(within: .seconds(30))
                try await cluster.converge(within: .seconds(30))
                for daemon in cluster.daemons { try await Self.check(daemon, ledger, Self.rounds) }
            }
        }

        @Test("All nodes killed at once come back with everything and with equal stores")
        func killAll() async throws {
            try await Arena.with { arena in
                var cluster = try await Cluster.form(3, in: arena)
                for number in 0..<50 {
                    _ = try await cluster[number % 3].client.put(
                        try ConfigurationKey("app/\(number)"), value: Array("\(number)".utf8))
                }
                _ = try await cluster[0].client.delete(try ConfigurationKey("app/7"))
                try await cluster.converge()
                let root = try await cluster[0].client.status().store.root
                for daemon in cluster.daemons { daemon.killHard() }
                for index in 0..<3 {
                    cluster.daemons[index] = try await DaemonProcess.start(cluster[index].options, in: arena)
                    #expect(try await cluster[index].client.status().store.root == root)
                }
                try await cluster.allSeeAll()
                for daemon in cluster.daemons {
                    #expect(try await daemon.client.list(try KeyPrefix("app/")).entries.count == 49)
                }
            }
        }
    }
}
