// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what must never come back or get lost: old copies of a directory, deletions, returning nodes.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("Old copies and deletions")
    struct RepairTests {
        private static let quick = "[store]\ncollection_grace = \"2s\"\ncollection_interval = \"500ms\"\n"

        private static func rows(_ daemon: DaemonProcess, are count: Int, within limit: Duration) async throws {
            try await eventually("\(daemon.name) holds \(count) rows", within: limit, every: .milliseconds(50)) {
                (try await daemon.metric("gossipd_store_rows") == Double(count)).orNil
            }
        }

        @Test("A node set back to an old copy of its directory loses no write and swallows none")
        func oldCopy() async throws {
            try await Arena.with { arena in
                var cluster = try await Cluster.form(2, in: arena)
                var options = cluster[0].options
                options.join = [cluster[1].address]
                let copy = arena.folder + "/copy"
                let count = try ConfigurationKey("app/count")
                func write(_ phase: String) async throws {
                    for number in 0..<20 {
                        _ = try await cluster[0].client.put(try ConfigurationKey("\(phase)/\(number)"), value: [1])
                        _ = try await cluster[0].client.addToCounter(count, 1)
                        _ = try await cluster[0].client.addToSet(try ConfigurationKey("app/set"), ["\(phase)\(number)"])
                    }
                }
                try await write("one")
                #expect(try await cluster[0].terminate() == 0)
                #expect(try await arena.run("cp", ["-a", cluster[0].dataDirectory, copy]).status == 0)
                cluster.daemons[0] = try await DaemonProcess.start(options, in: arena)
                try await write("two")
                try await cluster.allSeeAll()
                try await cluster.converge()
                #expect(try await cluster[0].terminate() == 0)

                Folder.remove(cluster[0].dataDirectory)
                #expect(try await arena.run("cp", ["-a", copy, cluster[0].dataDirectory]).status == 0)
                cluster.daemons[0] = try await DaemonProcess.start(options, in: arena)
                try await write("three")
                try await cluster.allSeeAll()
                try await cluster.converge()
                for daemon in cluster.daemons {
                    let keys = Set(try await daemon.client.list().entries.map(\.key))
                    for phase in ["one", "two", "three"] {
                        let missing = (0..<20).filter { !keys.contains("\(phase)/\($0)") }
                        #expect(missing.isEmpty, "\(daemon.name) lacks \(missing) of \(phase)")
                    }
                    #expect(try await daemon.client.counter(count).value == 60, "\(daemon.name)")
                    #expect(try await daemon.client.listSet(try ConfigurationKey("app/set")).elements.count == 60)
                }
            }
        }

        @Test("Deleted keys leave all nodes and do not come back; a failed member holds that up and doctor names it")
        func collection() async throws {
            try await Arena.with { arena in
                var cluster = try await Cluster.form(3, in: arena) { $0.configuration = Self.quick }
                for number in 0..<20 {
                    _ = try await cluster[number % 3].client.put(try ConfigurationKey("app/\(number)"), value: [1])
                }
                try await cluster.converge()
                for number in 0..<10 { _ = try await cluster[0].client.delete(try ConfigurationKey("app/\(number)")) }
                for daemon in cluster.daemons {
                    try await Self.rows(daemon, are: 10, within: .seconds(20))
                    _ = try await daemon.logged("it collected") { $0.event == "collected" }
                }
                try await cluster.converge()

                // Nobody may forget what a failed member may not know of.
                cluster[2].killHard()
                for daemon in cluster.daemons.dropLast() { try await daemon.shows("n3", .failed) }
                _ = try await cluster[0].client.delete(try ConfigurationKey("app/10"))
                // Only the node that collects knows: the one with the lowest id of those that are alive.
                let active = cluster.daemons.dropLast()
                let finding = try await eventually("doctor names n3", within: .seconds(15)) {
                    var found: [DoctorDocument.Finding] = []
                    for daemon in active { found += try await daemon.client.doctor().findings }
                    return found.first { $0.code == "collection_waits" }
                }
                #expect(finding.summary.contains("n3"), "\(finding.summary)")
                #expect(try await cluster[0].metric("gossipd_store_rows") == 10)
                cluster.daemons[2] = try await DaemonProcess.start(cluster[2].options, in: arena)
                try await cluster.allSeeAll()
                for daemon in cluster.daemons { try await Self.rows(daemon, are: 9, within: .seconds(20)) }
                for daemon in cluster.daemons {
                    try await eventually("\(daemon.name) waits for nobody", within: .seconds(5)) {
                        (try await daemon.client.doctor().findings.allSatisfy { $0.code != "collection_waits" }).orNil
                    }
                }

                for index in 0..<3 {
                    var options = cluster[index].options
                    options.join = [cluster[(index + 1) % 3].address]
                    if index == 1 {
                        cluster[index].killHard()
                    } else {
                        #expect(try await cluster[index].terminate() == 0)
                    }
                    cluster.daemons[index] = try await DaemonProcess.start(options, in: arena)
                    try await cluster.allSeeAll(within: .seconds(30))
                }
                try await cluster.converge()
                let expected = (11..<20).map { "app/\($0)" }
                for daemon in cluster.daemons {
                    #expect(try await daemon.client.list().entries.map(\.key) == expected, "\(daemon.name)")
                    #expect(try await daemon.metric("gossipd_store_rows") == 9)
                }
            }
        }

        @Test("A forgotten node that comes back resets, brings nothing back, and its unsent write waits for a decision")
        func reset() async throws {
            try await Arena.with { arena in
                var cluster = try await Cluster.form(3, in: arena) { $0.configuration = Self.quick }
                for number in 0..<10 {
                    _ = try await cluster[0].client.put(try ConfigurationKey("app/\(number)"), value: [1])
                }
                try await cluster.converge()
                // Alone it takes a write that nobody else sees.
                for index in 0..<2 { cluster[index].killHard() }
                _ = try await cluster[2].client.put(try ConfigurationKey("app/unsent"), value: Array("mine".utf8))
                cluster[2].killHard()

                var options = cluster[0].options
                options.join = [cluster[1].address]
                cluster.daemons[1] = try await DaemonProcess.start(cluster[1].options, in: arena)
                cluster.daemons[0] = try await DaemonProcess.start(options, in: arena)
                for daemon in cluster.daemons.dropLast() {
                    try await daemon.shows(daemon.name == "n1" ? "n2" : "n1", .alive)
                }
                for number in 0..<5 { _ = try await cluster[0].client.delete(try ConfigurationKey("app/\(number)")) }
                if try await cluster[0].state(of: "n3") != nil {
                    try await cluster[0].shows("n3", .failed, within: .seconds(30))
                    #expect(try await cluster[0].gossipctl("forget", "n3").status == 0)
                }
                for daemon in cluster.daemons.dropLast() { try await Self.rows(daemon, are: 5, within: .seconds(30)) }

                cluster.daemons[2] = try await DaemonProcess.start(cluster[2].options, in: arena)
                let line = try await cluster[2].logged("it reset", within: .seconds(30)) { $0.event == "store_reset" }
                print(line.message)
                #expect(line.message.contains("1 writes") || line.message.contains("1 write "), "\(line.message)")
                try await cluster.allSeeAll(within: .seconds(30))
                try await cluster.converge()
                let expected = (5..<10).map { "app/\($0)" }
                for daemon in cluster.daemons {
                    #expect(try await daemon.client.list().entries.map(\.key) == expected, "\(daemon.name)")
                }
                #expect(try await cluster[2].client.doctor().findings.contains { $0.code == "queued_writes" })
                let queue = try await cluster[2].client.queuedWrites().writes
                #expect(queue.map(\.key) == ["app/unsent"] && queue.map(\.cause) == [.beforeFloor])
                let listed = try await cluster[2].gossipctl("kv", "import", "--queued", "--list")
                #expect(listed.output.contains("app/unsent") && listed.output.contains("mine"), "\(listed.output)")

                // The queue lasts as the store does.
                cluster[2].killHard()
                cluster.daemons[2] = try await DaemonProcess.start(cluster[2].options, in: arena)
                let number = try #require(queue.first?.number)
                let applied = try await cluster[2].gossipctl("kv", "import", "--queued", "--apply", "\(number)")
                #expect(applied.status == 0, "\(applied.errors)")
                try await cluster.allSeeAll(within: .seconds(30))
                for daemon in cluster.daemons {
                    try await eventually("\(daemon.name) has it") {
                        (try await daemon.client.getRaw(try ConfigurationKey("app/unsent")) == Array("mine".utf8)).orNil
                    }
                }
                #expect(try await cluster[2].client.queuedWrites().writes.isEmpty)
            }
        }

        @Test("kv verify says that equal stores are equal")
        func verifyEqual() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(3, in: arena)
                _ = try await cluster[0].client.put(try ConfigurationKey("app/x"), value: [1])
                try await cluster.converge()
                let outcome = try await cluster[0].gossipctl("kv", "verify")
                #expect(outcome.status == 0, "\(outcome.errors)")
                #expect(outcome.output.split(separator: "\n").count == 4 && !outcome.output.contains("unknown"))
            }
        }

        @Test(
            "kv verify names the keys in which stores differ",
            .enabled(if: PrivateNetwork.isAvailable, "needs unshare, nsenter and ip, and leave to use them"))
        func verifyDifferent() async throws {
            try await Arena.with { arena in
                let network = try await PrivateNetwork(in: arena)
                let cluster = try await Cluster.form(2, in: arena) {
                    $0.prefix = network.prefix
                    // No repair while we look.
                    $0.configuration = "[store]\nsync_interval_min = \"60s\"\n"
                }
                let file = arena.folder + "/keys"
                let lines = (0..<900).map { #"{"key":"app/\#(100 + $0)","type":"register","value":"x"}"# + "\n" }
                try FileText.write(lines.joined(), to: file)
                #expect(try await cluster[0].gossipctl("kv", "import", file).status == 0)
                try await cluster.converge()
                try await network.cut()
                _ = try await cluster[0].client.put(try ConfigurationKey("app/500"), value: [1])
                // Until gossip has given up telling of it.
                try await Task.sleep(for: .seconds(1))
                try await network.heal()
                let outcome = try await cluster[0].gossipctl("kv", "verify")
                #expect(outcome.status == 1, "\(outcome.output)\(outcome.errors)")
                #expect(outcome.errors.contains("the stores differ on n2"), "\(outcome.errors)")
                #expect(outcome.output.contains("different") && outcome.output.contains("app/"), "\(outcome.output)")
                // Not the whole store: a part of it with the key in it.
                let ranges = try await cluster[0].client.verify(timeout: .seconds(5)).peers.flatMap(\.ranges)
                #expect(ranges.contains { $0.first <= "app/500" && "app/500" < $0.end ?? "z" }, "\(ranges)")
                #expect(ranges.allSatisfy { $0.first > "app/2" && $0.end ?? "z" < "app/8" }, "\(ranges)")
            }
        }
    }
}
