// SPDX-License-Identifier: Apache-2.0
// Owns the tests of delivery with real daemons: keys and members to files, what is refused, kills, the fleet.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("Delivery")
    struct RenderTests {
        /// One host's folder of descriptions, and where its files go.
        private struct Host {
            let folder: String
            var descriptions: String { folder + "/render.d" }

            init(_ name: String, in arena: Arena) throws {
                folder = "\(arena.folder)/host-\(name)"
                for path in [folder, folder + "/render.d", folder + "/out"] {
                    guard mkdir(path, 0o755) == 0 else { throw Trouble.system(path) }
                }
            }

            func describe(_ name: String, _ text: String) throws {
                let whole = text.contains("destination") ? text : "destination = \"\(out(name))\"\n" + text
                try FileText.write(whole, to: "\(descriptions)/\(name).toml")
            }

            func out(_ name: String) -> String { "\(folder)/out/\(name)" }
            func text(_ name: String) -> String? { access(out(name), F_OK) == 0 ? FileText.read(out(name)) : nil }

            /// For the daemon's configuration file.
            var configuration: String { "[render]\ndirectory = \"\(descriptions)\"\nhelper = \"\"\n" }

            /// A program that appends a line to `out/FILE`.
            func counting(_ file: String) -> String {
                "[\"/bin/sh\", \"-c\", \"echo done >> \(out(file))\"]"
            }

            func lines(_ file: String) -> Int { text(file).map { $0.split(separator: "\n").count } ?? 0 }
        }

        private static func daemon(_ host: Host, _ name: String = "n1", in arena: Arena) async throws -> DaemonProcess {
            var options = try DaemonOptions(name)
            options.configuration = host.configuration
            return try await DaemonProcess.start(options, in: arena)
        }

        private static func put(_ daemon: DaemonProcess, _ key: String, _ value: String) async throws {
            _ = try await daemon.client.put(try ConfigurationKey(key), value: Array(value.utf8))
        }

        private static func file(_ daemon: DaemonProcess, _ name: String) async throws -> RenderFileStatus? {
            try await daemon.client.renderStatus().files.first { $0.name == name }
        }

        private static func reaches(
            _ state: RenderFileStatus.State, _ name: String, on daemon: DaemonProcess
        ) async throws -> RenderFileStatus {
            try await eventually("\(name) is \(state)") {
                guard let file = try await file(daemon, name), file.state == state else { return nil }
                return file
            }
        }

        private static func reads(_ text: String, _ name: String, on host: Host) async throws {
            try await eventually("\(name) reads \(text.debugDescription)") { (host.text(name) == text).orNil }
        }

        @Test("Keys become files, and a missing key or a broken template keeps what is there and says why")
        func keysToFiles() async throws {
            try await Arena.with { arena in
                let host = try Host("1", in: arena)
                try host.describe("plain", "key = \"app/plain\"\nmode = \"0640\"\n")
                try host.describe(
                    "page", "template_text = \"url={{url}} n={{n}}\\n\"\n[keys]\nurl = \"app/url\"\nn = \"app/n\"\n")
                let daemon = try await Self.daemon(host, in: arena)
                let missing = try await Self.reaches(.failed, "plain", on: daemon)
                #expect(missing.error?.contains("\"app/plain\"") == true)
                #expect(host.text("plain") == nil)
                try await Self.put(daemon, "app/plain", "as it is")
                try await Self.put(daemon, "app/url", "http://a")
                _ = try await daemon.client.addToCounter(try ConfigurationKey("app/n"), 7)
                try await Self.reads("as it is", "plain", on: host)
                try await Self.reads("url=http://a n=7\n", "page", on: host)
                let applied = try await Self.reaches(.ok, "page", on: daemon)
                #expect(applied.version != nil && applied.appliedAt != nil)
                // The template breaks: its file stays, the other one goes on.
                try host.describe("page", "template_text = \"{{#url}}\"\n[keys]\nurl = \"app/url\"\n")
                daemon.child.signal(SIGHUP)
                let broken = try await Self.reaches(.failed, "page", on: daemon)
                #expect(broken.version == applied.version)
                #expect(host.text("page") == "url=http://a n=7\n")
                try await Self.put(daemon, "app/plain", "goes on")
                try await Self.reads("goes on", "plain", on: host)
                _ = try await daemon.logged("it has failed") { $0.event == "render_failed" }
                let doctor = try await daemon.gossipctl("doctor")
                #expect(doctor.status == 1 && doctor.output.contains("render_failed"))
                #expect(try await daemon.metric("gossipd_render_files", "state=\"failed\"") == 1)
            }
        }

        @Test("An empty key and a failing check are refused; corrected keys are delivered")
        func refused() async throws {
            try await Arena.with { arena in
                let host = try Host("1", in: arena)
                try host.describe("empty", "key = \"app/empty\"\n")
                try host.describe(
                    "checked", "key = \"app/checked\"\ncheck = [\"grep\", \"-q\", \"good\", \"{file}\"]\n")
                let daemon = try await Self.daemon(host, in: arena)
                try await Self.put(daemon, "app/empty", "full")
                try await Self.put(daemon, "app/checked", "good 1")
                try await Self.reads("full", "empty", on: host)
                try await Self.reads("good 1", "checked", on: host)
                try await Self.put(daemon, "app/empty", " \n")
                try await Self.put(daemon, "app/checked", "very bad")
                _ = try await Self.reaches(.refused, "empty", on: daemon)
                _ = try await Self.reaches(.refused, "checked", on: daemon)
                #expect(host.text("empty") == "full" && host.text("checked") == "good 1")
                let apply = try await daemon.gossipctl("render", "apply", "--once", "checked")
                #expect(apply.status == 1 && apply.errors.contains("checked: "))
                try await Self.put(daemon, "app/checked", "good 2")
                try await Self.reads("good 2", "checked", on: host)
                _ = try await daemon.logged("it has recovered") { $0.event == "render_recovered" }
            }
        }

        @Test("An import of 50 keys is exactly one reload of the files that share it")
        func oneReload() async throws {
            try await Arena.with { arena in
                let host = try Host("1", in: arena)
                for name in ["a", "b", "c"] {
                    try host.describe(
                        name,
                        "template_text = \"{{#all}}{{name}}={{value}}\\n{{/all}}\"\nreload_command = \(host.counting("reloads"))\n"
                            + "[prefixes]\nall = \"app/\"\n")
                }
                let daemon = try await Self.daemon(host, in: arena)
                try await Self.put(daemon, "app/0", "x")
                try await Self.reads("0=x\n", "c", on: host)
                try await eventually("the first reload") { (host.lines("reloads") > 0).orNil }
                let before = host.lines("reloads")
                let file = arena.folder + "/import"
                try FileText.write(
                    (10..<60).map { "{\"key\":\"app/\($0)\",\"type\":\"register\",\"value\":\"v\"}\n" }.joined(),
                    to: file)
                #expect(try await daemon.gossipctl("kv", "import", file).status == 0)
                try await eventually("all keys are in the file") {
                    (host.text("b")?.split(separator: "\n").count == 51).orNil
                }
                _ = try await Self.reaches(.ok, "a", on: daemon)
                // Longer than any wait of the schedule after a change.
                try await Task.sleep(for: .seconds(1))
                #expect(host.lines("reloads") == before + 1)
            }
        }

        @Test("While a check hangs, other files are delivered, plans answered, and its own file is pending")
        func hangingCheck() async throws {
            try await Arena.with { arena in
                let host = try Host("1", in: arena)
                let script = "grep -q good $1 || while [ -e $1 -a ! -e \(host.out("go")) ]; do sleep 0.1; done"
                try host.describe(
                    "slow",
                    "key = \"app/slow\"\ncheck_timeout = \"5m\"\n"
                        + "check = [\"/bin/sh\", \"-c\", \"\(script)\", \"x\", \"{file}\"]\n")
                try host.describe("fast", "key = \"app/fast\"\nreload_command = \(host.counting("reloads"))\n")
                let daemon = try await Self.daemon(host, in: arena)
                try await Self.put(daemon, "app/slow", "good")
                try await Self.put(daemon, "app/fast", "one")
                try await Self.reads("good", "slow", on: host)
                try await Self.reads("one", "fast", on: host)
                let before = try await Self.reaches(.ok, "slow", on: daemon)
                try await Self.put(daemon, "app/slow", "hang")
                // Beside its destination there is a file once its check is under way.
                try await eventually("the check is under way") {
                    let names = try await arena.run("/bin/ls", ["-A", host.folder + "/out"]).output
                    return names.contains(".slow.gossipd-").orNil
                }
                try await Self.put(daemon, "app/fast", "two")
                try await Self.reads("two", "fast", on: host)
                _ = try await Self.reaches(.ok, "fast", on: daemon)
                let plan = try await daemon.gossipctl("render", "plan")
                #expect(plan.status == 0 && plan.output.contains("+hang"), "\(plan.output)")
                let slow = try #require(try await Self.file(daemon, "slow"))
                #expect(slow.state == .pending && slow.version == before.version)
                #expect(try await daemon.gossipctl("render", "apply", "--once", "fast").status == 0)
                #expect(host.text("slow") == "good")
                try FileText.write("", to: host.out("go"))
                try await Self.reads("hang", "slow", on: host)
                _ = try await Self.reaches(.ok, "slow", on: daemon)
            }
        }

        @Test("A plan shows a difference and changes nothing; status 0 for what fails, 3 for an unknown name")
        func plan() async throws {
            try await Arena.with { arena in
                let host = try Host("1", in: arena)
                // So long a wait that only the plan sees the second value.
                try host.describe("a", "key = \"app/a\"\nwait_min = \"60s\"\nwait_max = \"120s\"\n")
                let daemon = try await Self.daemon(host, in: arena)
                try await Self.put(daemon, "app/a", "one\n")
                #expect(try await daemon.gossipctl("render", "apply", "--once").status == 0)
                #expect(host.text("a") == "one\n")
                try await Self.put(daemon, "app/a", "two\n")
                let plan = try await daemon.gossipctl("render", "plan")
                #expect(plan.status == 0)
                let out = host.out("a")
                #expect(plan.output.contains("--- \(out)\n+++ \(out)\n@@ -1 +1 @@\n-one\n+two\n"), "\(plan.output)")
                #expect(host.text("a") == "one\n")
                #expect(try await daemon.gossipctl("render", "plan", "nope").status == 3)
                #expect(try await daemon.gossipctl("render", "apply", "--once", "a").status == 0)
                #expect(host.text("a") == "two\n")
            }
        }

        @Test("check-config names every problem of a description with file, line and key, and exits with 78")
        func checkConfig() async throws {
            try await Arena.with { arena in
                let host = try Host("1", in: arena)
                let file = arena.folder + "/gossipd.toml"
                try FileText.write(host.configuration, to: file)
                try host.describe("good", "key = \"app/a\"\n")
                #expect(try await arena.run(try Programs.gossipd(), ["check-config", file]).status == 0)
                try host.describe("bad", "key = \"app/a\"\nmode = \"9\"\nnosuch = 1\n")
                let outcome = try await arena.run(try Programs.gossipd(), ["check-config", file])
                #expect(outcome.status == 78)
                #expect(outcome.errors.contains("\(host.descriptions)/bad.toml:3: mode: "), "\(outcome.errors)")
                #expect(outcome.errors.contains("\(host.descriptions)/bad.toml:4: nosuch: "), "\(outcome.errors)")
                try host.describe("bad", "template_text = \"\"\"a\n{{#app}}\n\"\"\"\nkeys = { app = \"app/a\" }\n")
                let template = try await arena.run(try Programs.gossipd(), ["check-config", file])
                #expect(template.status == 78)
                #expect(
                    template.errors.contains(
                        "\(host.descriptions)/bad.toml: template_text: line 2, column 1: the section app is never closed"
                    ),
                    "\(template.errors)")
                try host.describe("bad", "template_text = \"{{app}}\"\nkeys = { app = \"app/a\" }\n")
                let good = try await arena.run(try Programs.gossipd(), ["check-config", file])
                #expect(good.status == 0 && good.output.contains("2 descriptions with 1 template, good"), "\(good)")
            }
        }

        @Test("A daemon killed again and again never leaves a part of a file, and the last value arrives")
        func killed() async throws {
            try await Arena.with { arena in
                let host = try Host("1", in: arena)
                try host.describe(
                    "a",
                    "key = \"app/a\"\nwait_min = \"0ms\"\nsize_min_percent = 0\nreload_command = \(host.counting("reloads"))\n"
                )
                var options = try DaemonOptions("n1")
                options.configuration = host.configuration
                func text(_ round: Int) -> String { String(repeating: "\(round),", count: 40_000) + "end" }
                for round in 0..<8 {
                    let daemon = try await DaemonProcess.start(options, in: arena)
                    try await Self.put(daemon, "app/a", text(round))
                    try await Task.sleep(for: .milliseconds(round * 7))
                    daemon.killHard()
                    let now = host.text("a")
                    #expect(now == nil || (0...round).contains { now == text($0) }, "round \(round)")
                }
                let daemon = try await DaemonProcess.start(options, in: arena)
                try await Self.reads(text(7), "a", on: host)
                _ = try await Self.reaches(.ok, "a", on: daemon)
                try await eventually("it was reloaded") { (host.lines("reloads") > 0).orNil }
                #expect(try await daemon.terminate() == 0)
            }
        }
    }
}
