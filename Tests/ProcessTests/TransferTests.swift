// SPDX-License-Identifier: Apache-2.0
// Owns the tests of import, export, backup and restore.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("Import and backup")
    struct TransferTests {
        private static func lines(_ value: String, _ count: Int = 500) -> String {
            (0..<count).map { #"{"key":"bulk/\#($0)","type":"register","value":"\#(value)"}"# + "\n" }.joined()
        }

        /// What an export says of content alone, without who wrote it.
        private static func contents(_ export: String) throws -> [[String: JSONValue]] {
            try export.split(separator: "\n").map { line in
                guard case .object(let fields) = try AdminJSON.decode(JSONValue.self, from: line.utf8) else {
                    throw Trouble("not an object: \(line)")
                }
                return fields.filter {
                    ["key", "type", "value", "value_base64", "elements", "counter"].contains($0.key)
                }
            }
        }

        @Test("An import of 500 keys shows whole or not at all, to every reader on every node at every moment")
        func atomicity() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(3, in: arena)
                let prefix = try KeyPrefix("bulk/")
                let isOver = Shared(false)
                let lists = Shared(0)
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for daemon in cluster.daemons.dropFirst() {
                        tasks.addTask {
                            var client = daemon.client
                            client.timeout = .seconds(20)
                            while !isOver.value {
                                let entries = try await client.list(prefix).entries
                                lists.change { $0 += 1 }
                                let contents = Set(entries.map(\.content))
                                #expect(entries.isEmpty || entries.count == 500, "\(entries.count) keys show")
                                #expect(contents.count <= 1, "old and new show together on \(daemon.name)")
                            }
                        }
                    }
                    for value in ["first", "second", "third"] {
                        let file = arena.folder + "/" + value
                        try FileText.write(Self.lines(value), to: file)
                        let outcome = try await cluster[0].gossipctl("kv", "import", file, "--message", value)
                        #expect(outcome.status == 0, "\(outcome.errors)")
                        for daemon in cluster.daemons {
                            try await eventually("\(daemon.name) has \(value)") {
                                (try await daemon.client.getRaw(try ConfigurationKey("bulk/499")) == Array(value.utf8))
                                    .orNil
                            }
                        }
                    }
                    isOver.change { $0 = true }
                    try await tasks.waitForAll()
                }
                try await cluster.converge()
                print("measured: lists during three imports of 500 keys: \(lists.value)")
                #expect(lists.value > 10)
            }
        }

        @Test("A dry run changes nothing, a bad line spoils all of it, and what is exported is imported as it was")
        func roundTrip() async throws {
            try await Arena.with { arena in
                let one = try await DaemonProcess.start(try DaemonOptions("one"), in: arena)
                let other = try await DaemonProcess.start(try DaemonOptions("other"), in: arena)
                _ = try await one.client.put(try ConfigurationKey("app/text"), value: Array("grüße\n".utf8))
                _ = try await one.client.put(try ConfigurationKey("app/bytes"), value: [0, 255, 10])
                _ = try await one.client.addToSet(try ConfigurationKey("app/set"), ["a", "b"])
                _ = try await one.client.removeFromSet(try ConfigurationKey("app/set"), ["a"])
                _ = try await one.client.addToCounter(try ConfigurationKey("app/count"), -7)
                let exported = try await one.gossipctl("kv", "export", "app/")
                #expect(exported.status == 0)
                let file = arena.folder + "/export"
                try FileText.write(exported.output, to: file)

                let dry = try await other.gossipctl("kv", "import", file, "--dry-run")
                #expect(dry.status == 0 && dry.output.contains("4 added, 0 changed"), "\(dry.output)\(dry.errors)")
                #expect(try await other.client.status().store.keys == 0)
                let bad = arena.folder + "/bad"
                try FileText.write(
                    exported.output + "{\"key\":\"app//\",\"type\":\"register\",\"value\":\"\"}\n", to: bad)
                let refused = try await other.gossipctl("kv", "import", bad)
                #expect(refused.status == 64 && refused.errors.contains("line 5"), "\(refused.errors)")
                #expect(try await other.client.status().store.keys == 0)

                let outcome = try await other.gossipctl("kv", "import", file)
                #expect(outcome.status == 0, "\(outcome.errors)")
                let back = try await other.gossipctl("kv", "export")
                #expect(try Self.contents(back.output) == Self.contents(exported.output))
                let again = try await other.gossipctl("kv", "import", file)
                #expect(again.output == "0 added, 0 changed, 0 removed, 4 unchanged\n")

                let queue = try await other.gossipctl("kv", "import", "--queued", "--list")
                #expect(queue.status == 0 && queue.output == "no write waits for a decision\n")
                let none = try await other.gossipctl("kv", "import", "--queued", "--apply", "1")
                #expect(none.status == 3, "\(none.errors)")
            }
        }

        private static func backUpUnderWrites(
            _ source: DaemonProcess, to file: String
        ) async throws -> Arena.Outcome {
            let isOver = Shared(false)
            return try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask {
                    // Pairs: the second is never without the first.
                    var number = 0
                    while !isOver.value {
                        for half in ["a", "b"] {
                            _ = try await source.client.put(try ConfigurationKey("\(half)/\(number)"), value: [1])
                        }
                        number += 1
                    }
                }
                try await Task.sleep(for: .milliseconds(200))
                let made = try await source.gossipctl("backup", file)
                isOver.change { $0 = true }
                try await tasks.waitForAll()
                return made
            }
        }

        @Test("A backup under writes is whole, damage to it is found, and it restores into a new cluster")
        func backup() async throws {
            try await Arena.with { arena in
                let source = try await DaemonProcess.start(try DaemonOptions("source"), in: arena)
                for number in 0..<300 {
                    _ = try await source.client.put(try ConfigurationKey("app/\(number)"), value: [1, 2, 3])
                }
                _ = try await source.client.addToSet(try ConfigurationKey("app/set"), ["a", "b"])
                _ = try await source.client.addToCounter(try ConfigurationKey("app/count"), 12)
                let file = arena.folder + "/backup"
                let made = try await Self.backUpUnderWrites(source, to: file)
                #expect(made.status == 0, "\(made.errors)")
                let verified = try await source.gossipctl("--output", "json", "backup", "verify", file)
                #expect(verified.status == 0, "\(verified.errors)")
                let report = try AdminJSON.decode(JSONValue.self, from: verified.output.utf8)

                let bytes = FileText.bytes(file)
                var flipped = bytes
                flipped[bytes.count / 2] ^= 1
                for (name, damaged) in [("cut", Array(bytes.dropLast())), ("flipped", flipped), ("empty", [])] {
                    let path = arena.folder + "/" + name
                    try FileText.write(damaged, to: path)
                    let outcome = try await source.gossipctl("backup", "verify", path)
                    #expect(outcome.status == 1 && outcome.errors.contains(path), "\(name): \(outcome.errors)")
                    let fresh = try await source.gossipctl("restore", path)
                    #expect(fresh.status != 0, "\(name) was restored")
                }

                var options = try DaemonOptions("target")
                options.configuration = "cluster = \"other\"\n"
                let target = try await DaemonProcess.start(options, in: arena)
                for name in ["cut", "flipped", "empty"] {
                    let outcome = try await target.gossipctl("restore", arena.folder + "/" + name)
                    #expect(outcome.status != 0, "\(name) was restored")
                    #expect(try await target.client.status().store.keys == 0)
                }
                let restored = try await target.gossipctl("restore", file)
                #expect(restored.status == 0, "\(restored.errors)")
                let status = try await target.client.status()
                #expect(report["root"] == .string(status.store.root))
                #expect(status.node.id != (try await source.client.status().node.id))
                guard case .number(let revision) = report["revision"] else { throw Trouble("no revision") }
                #expect(Double(status.store.revision) > revision)
                #expect(try await target.client.listSet(try ConfigurationKey("app/set")).elements == ["a", "b"])
                #expect(try await target.client.counter(try ConfigurationKey("app/count")).value == 12)
                let keys = Set(try await target.client.list().entries.map(\.key))
                #expect((0..<300).allSatisfy { keys.contains("app/\($0)") })
                for key in keys where key.hasPrefix("b/") { #expect(keys.contains("a/" + key.dropFirst(2))) }

                let twice = try await target.gossipctl("restore", file)
                #expect(twice.status == 4, "\(twice.errors)")
                _ = try await target.client.addToCounter(try ConfigurationKey("app/count"), 1)
                target.killHard()
                let again = try await DaemonProcess.start(options, in: arena)
                #expect(try await again.client.counter(try ConfigurationKey("app/count")).value == 13)
                #expect(Set(try await again.client.list().entries.map(\.key)) == keys)
            }
        }
    }
}
