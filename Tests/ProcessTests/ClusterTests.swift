// SPDX-License-Identifier: Apache-2.0
// Owns the tests of five daemons in one cluster: how soon they see each other, and what they agree on.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("Five daemons")
    struct ClusterTests {
        @Test("They all see each other within a second of the last start")
        func form() async throws {
            try await Arena.with(inMemory: true) { arena in
                var cluster = try await Cluster.form(4, in: arena)
                let began = ContinuousClock.now
                try cluster.add("n5", in: arena)
                try await cluster.allSeeAll()
                let took = began.duration(to: .now)
                report("five daemons formed after the last start", took)
                #expect(took < .seconds(1))
            }
        }

        @Test("A written register is readable on all of them within 100 ms")
        func put() async throws {
            try await Arena.with(inMemory: true) { arena in
                let cluster = try await Cluster.form(5, in: arena)
                var times: [Duration] = []
                for round in 0..<100 {
                    let key = try ConfigurationKey("app/round-\(round)")
                    let value = Array("value \(round)".utf8)
                    let began = ContinuousClock.now
                    _ = try await cluster[round % 5].client.put(key, value: value)
                    for daemon in cluster.daemons {
                        try await eventually("\(daemon.name) has \(key)", every: .milliseconds(1)) {
                            (try await daemon.client.getRaw(key) == value).orNil
                        }
                    }
                    times.append(began.duration(to: .now))
                }
                times.sort()
                let late = times.count { $0 >= .milliseconds(100) }
                report("put readable on five daemons: median, 95th and worst of 100", times[50], times[95], times[99])
                print("measured: puts that took 100 ms or longer: \(late) of 100")
                // The slowest depend on what else the host does; Docs/performance.md has them from quiet ones.
                #expect(times[50] < .milliseconds(100))
            }
        }

        @Test("A value of 200 kB reaches all of them whole")
        func largeValue() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(5, in: arena)
                let key = try ConfigurationKey("app/large")
                var random = Randomness(seed: 200)
                let value = random.bytes(200_000)
                let began = ContinuousClock.now
                _ = try await cluster[2].client.put(key, value: value)
                for daemon in cluster.daemons {
                    let read = try await eventually("\(daemon.name) has the value") {
                        try await daemon.client.getRaw(key)
                    }
                    #expect(read == value, "\(daemon.name)")
                }
                report("200 kB on five daemons", began.duration(to: .now))
            }
        }

        @Test("Additions to one counter from all at once sum up on all")
        func counter() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(5, in: arena)
                let key = try ConfigurationKey("app/deploys")
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for (index, daemon) in cluster.daemons.enumerated() {
                        tasks.addTask {
                            for _ in 0..<20 { _ = try await daemon.client.addToCounter(key, Int64(index + 1)) }
                            _ = try await daemon.client.addToCounter(key, -1)
                        }
                    }
                    try await tasks.waitForAll()
                }
                // 20 * (1 + 2 + 3 + 4 + 5) - 5
                for daemon in cluster.daemons {
                    try await eventually("\(daemon.name) counts 295") {
                        (try await daemon.client.counter(key).value == 295).orNil
                    }
                }
                try await cluster.converge()
                for daemon in cluster.daemons {
                    #expect(try await daemon.client.counter(key).value == 295, "\(daemon.name)")
                }
            }
        }

        @Test(
            "An add to a set beats a remove on the other side of a cut, and both sides' writes live on",
            .enabled(if: PrivateNetwork.isAvailable, "needs unshare, nsenter and ip, and leave to use them"))
        func addWins() async throws {
            try await Arena.with { arena in
                let network = try await PrivateNetwork(in: arena)
                let cluster = try await Cluster.form(2, in: arena) { $0.prefix = network.prefix }
                let (a, b) = (cluster[0].client, cluster[1].client)
                let set = try ConfigurationKey("app/backends")
                let counter = try ConfigurationKey("app/count")
                let register = try ConfigurationKey("app/owner")
                _ = try await a.addToSet(set, ["kept", "dropped"])
                _ = try await a.addToCounter(counter, 10)
                try await cluster.converge()
                #expect(try await b.listSet(set).elements == ["dropped", "kept"])

                // Without a network neither side can know of the other's writes: they are concurrent.
                try await network.cut()
                _ = try await a.addToSet(set, ["kept"])
                _ = try await b.removeFromSet(set, ["kept", "dropped"])
                _ = try await a.addToCounter(counter, 1)
                _ = try await b.addToCounter(counter, 2)
                _ = try await a.put(register, value: Array("a".utf8))
                _ = try await b.put(register, value: Array("b".utf8))
                #expect(try await a.listSet(set).elements == ["dropped", "kept"])
                #expect(try await b.counter(counter).value == 12)
                try await network.heal()

                try await cluster.converge(within: .seconds(30))
                for client in [a, b] {
                    #expect(try await client.listSet(set).elements == ["kept"])
                    #expect(try await client.counter(counter).value == 13)
                    // The later stamp wins, on both.
                    #expect(try await client.getRaw(register) == Array("b".utf8))
                }
            }
        }

        @Test("Adds and removes of one element at the same moment end alike on all")
        func simultaneous() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(3, in: arena)
                let set = try ConfigurationKey("app/backends")
                for round in 0..<10 {
                    _ = try await cluster[0].client.addToSet(set, ["e\(round)"])
                    try await cluster.converge()
                    async let added = cluster[1].client.addToSet(set, ["e\(round)"])
                    async let removed = cluster[2].client.removeFromSet(set, ["e\(round)"])
                    _ = try await (added, removed)
                    try await cluster.converge()
                }
                let lists = try await [
                    cluster[0].client.listSet(set), cluster[1].client.listSet(set), cluster[2].client.listSet(set),
                ]
                #expect(Set(lists).count == 1, "\(lists)")
            }
        }
    }
}
