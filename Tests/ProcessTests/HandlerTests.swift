// SPDX-License-Identifier: Apache-2.0
// Owns the tests of handlers with real daemons: what runs on which event, floods, stops, reloads, check-config.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("Handlers")
    struct HandlerTests {
        /// One host's handlers and what they write.
        private struct Host {
            let folder: String

            init(_ name: String, in arena: Arena) throws {
                folder = "\(arena.folder)/handlers-\(name)"
                for path in [folder, folder + "/handlers.d"] {
                    guard mkdir(path, 0o755) == 0 else { throw Trouble.system(path) }
                }
            }

            var configuration: String { "[handlers]\ndirectory = \"\(folder)/handlers.d\"\n" }

            func describe(_ name: String, _ events: String, _ script: String, _ rest: String = "") throws {
                let words = ["/bin/sh", "-c", script].map(\.debugDescription).joined(separator: ", ")
                try FileText.write(
                    "events = [\(events)]\ncommand = [\(words)]\nbatch_window = \"50ms\"\n\(rest)\n",
                    to: "\(folder)/handlers.d/\(name).toml")
            }

            func text(_ name: String) -> String {
                let path = "\(folder)/\(name)"
                return access(path, F_OK) == 0 ? FileText.read(path) : ""
            }

            /// What a handler got whose script is `record(name)`.
            func events(_ name: String) -> [ClusterEvent] {
                text(name).split(separator: "\n").compactMap { line in
                    try? AdminJSON.decode(Input.self, from: Array(line.utf8))
                }.flatMap(\.events)
            }

            func record(_ name: String) -> String { "cat >> \(folder)/\(name); echo >> \(folder)/\(name)" }

            private struct Input: Decodable { var events: [ClusterEvent] }
        }

        private static func form(
            _ count: Int, _ host: Host, in arena: Arena
        ) async throws -> Cluster {
            try await Cluster.form(count, in: arena) { options in
                if options.name == "n1" { options.configuration = host.configuration }
            }
        }

        @Test("A handler runs on the events, names and tags that it names, and status and metrics count it")
        func chosen() async throws {
            try await Arena.with { arena in
                let host = try Host("1", in: arena)
                try host.describe("deploy", "\"user_event:deploy\"", host.record("deploy"))
                try host.describe("gone", "\"member_failed\"", host.record("gone"), "members = [\"n3\"]")
                try host.describe("web", "\"user_event\"", host.record("web"), "tags = { role = \"web\" }")
                let cluster = try await Self.form(3, host, in: arena)
                _ = try await cluster[1].client.changeTags(set: ["role": "web"])
                try await eventually("n1 knows the tag") {
                    try await cluster[0].client.members().members.contains { $0.tags["role"] == "web" }.orNil
                }
                _ = try await cluster[0].client.sendEvent("other", payload: [])
                _ = try await cluster[2].client.sendEvent("deploy", payload: Array("v1".utf8))
                _ = try await cluster[1].client.sendEvent("deploy", payload: Array("v2".utf8))
                try await eventually("both deploys came") { (host.events("deploy").count == 2).orNil }
                #expect(Set(host.events("deploy").map(\.payload)) == ["v1", "v2"])
                try await eventually("the event of the tagged one came") { (host.events("web").count == 1).orNil }
                #expect(host.events("web").first?.sender?.name == "n2")
                cluster[2].killHard()
                try await eventually("the failure came") { (host.events("gone").count == 1).orNil }
                #expect(host.events("gone").first?.member?.name == "n3")
                let status = try await eventually("the runs are counted") {
                    let status = try await cluster[0].gossipctl("status")
                    return status.output.contains("handler  gone: 1 run\n") ? status : nil
                }
                #expect(status.output.contains("handler  deploy: "))
                let runs = try await cluster[0].metric(
                    "gossipd_handler_runs_total", "handler=\"gone\"", "outcome=\"done\"")
                #expect(runs == 1)
            }
        }

        @Test("A thousand events and a handler that hangs hold up neither probes nor other handlers")
        func flood() async throws {
            try await Arena.with { arena in
                let host = try Host("1", in: arena)
                try host.describe("hangs", "\"user_event\"", "sleep 60", "queue = 20\nbatch_max = 1\ntimeout = \"2s\"")
                try host.describe("counts", "\"user_event\"", host.record("counts"), "batch_max = 1000\nqueue = 2000")
                let cluster = try await Self.form(3, host, in: arena)
                for number in 0..<1_000 {
                    _ = try await cluster[1].client.sendEvent("n\(number)", payload: [])
                }
                try await eventually("all came in order", within: .seconds(30)) {
                    (host.events("counts").count == 1_000).orNil
                }
                #expect(host.events("counts").map(\.name) == (0..<1_000).map { "n\($0)" })
                let queued = try await cluster[0].metric("gossipd_handler_queue_length", "handler=\"hangs\"")
                #expect(queued.map { $0 <= 20 } == true, "\(queued ?? -1)")
                _ = try await cluster[0].logged("it overflowed") { $0.event == "handler_overflow" }
                _ = try await cluster[0].logged("it was ended") { $0.event == "handler_timed_out" }
                for daemon in cluster.daemons {
                    #expect(!daemon.log.contains { $0.event == "member_suspected" }, "\(daemon.name)")
                    #expect(!daemon.log.contains { $0.event == "loop_stalled" }, "\(daemon.name)")
                }
            }
        }

        @Test("A daemon that is stopped ends a handler that runs, and stops in time")
        func stop() async throws {
            try await Arena.with { arena in
                let host = try Host("1", in: arena)
                try host.describe("hangs", "\"user_event\"", "echo $$ > \(host.folder)/pid; sleep 60")
                let cluster = try await Self.form(1, host, in: arena)
                _ = try await cluster[0].client.sendEvent("x", payload: [])
                try await eventually("it runs") { (!host.text("pid").isEmpty).orNil }
                let startedAt = ContinuousClock.now
                #expect(try await cluster[0].terminate() == 0)
                #expect(startedAt.duration(to: .now) < .seconds(9), "systemd would have killed it after 10 s")
                let process = pid_t(host.text("pid").dropLast()) ?? 0
                #expect(process > 0 && kill(process, 0) != 0)
                #expect(cluster[0].log.contains { $0.event == "handler_failed" && $0.message.contains("daemon stops") })
            }
        }

        @Test("A reload takes new handlers; a broken one is named in the journal and by check-config")
        func reload() async throws {
            try await Arena.with { arena in
                let host = try Host("1", in: arena)
                let cluster = try await Self.form(1, host, in: arena)
                let daemon = cluster[0]
                try host.describe("fails", "\"user_event\"", "echo one; echo two >&2; exit 7")
                try host.describe("bad", "\"member_faild\"", "true", "timeout = 5")
                daemon.child.signal(SIGHUP)
                let invalid = try await daemon.logged("the bad one is named") { $0.event == "handler_invalid" }
                #expect(invalid.message.contains("handlers.d/bad.toml:"))
                try await eventually("the new one is known") {
                    (try await daemon.client.status().handlers?.map(\.name) == ["fails"]).orNil
                }
                _ = try await daemon.client.sendEvent("x", payload: [])
                let failed = try await daemon.logged("it failed") { $0.event == "handler_failed" }
                #expect(failed.message == "handler fails failed: /bin/sh ended with status 7; it wrote: two")
                let check = try await arena.run(
                    try Programs.gossipd(), ["check-config", daemon.configurationPath])
                #expect(check.status == 78)
                #expect(check.errors.contains("handlers.d/bad.toml:1: events[0]: "), "\(check.errors)")
                #expect(check.errors.contains("handlers.d/bad.toml:4: timeout: "), "\(check.errors)")
            }
        }
    }
}
