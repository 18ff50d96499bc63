// SPDX-License-Identifier: Apache-2.0
// Owns the tests of gossipctl against real daemons: exit statuses, roles, the JSON contract, live streams.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("gossipctl")
    struct GossipctlTests {
        @Test("Each way to fail has its exit status and one sentence on standard error")
        func statuses() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(2, in: arena)
                let (a, b) = (cluster[0], cluster[1])
                let closed = try Ports.free()
                func expect(_ status: Int32, _ arguments: String..., says: String = "") async throws {
                    let outcome = try await arena.run(try Programs.gossipctl(), ["--socket", a.socket] + arguments)
                    let lines = outcome.errors.split(separator: "\n")
                    #expect(outcome.status == status, "\(arguments): \(outcome)")
                    #expect(outcome.errors.contains(says), "\(arguments): \(outcome.errors)")
                    if status != 0 { #expect(lines.count == 1, "\(arguments): \(outcome.errors)") }
                    if status == 0 { #expect(lines.isEmpty, "\(arguments): \(outcome.errors)") }
                }
                try await expect(0, "kv", "put", "app/url", "postgres://db-1")
                try await expect(0, "ping", "n2")
                let own = try await arena.gossipctl(a.socket, "ping", "n1")
                #expect(own.output == "n1 is this node: nothing was sent\n", "\(own)")
                try await expect(1, "join", b.address, "127.0.0.1:\(closed)", says: "1 of 2 addresses")
                try await expect(3, "kv", "get", "app/none", says: "app/none")
                try await expect(3, "kv", "delete", "app/none", says: "app/none")
                try await expect(3, "member", "explain", "nobody", says: "nobody")
                try await expect(3, "set", "list", "app/none", says: "app/none")
                try await expect(4, "forget", "n2", says: "n2")
                try await expect(4, "counter", "add", "app/url", says: "register")
                try await expect(5, "join", "127.0.0.1:\(closed)", says: "127.0.0.1:\(closed)")
                try await expect(64, "kv", "get", "app//url")
                try await expect(64, "kv", "get")
                try await expect(64, "no-such-command")
                try await expect(64, "--timeout", "soon", "status")

                b.child.signal(SIGSTOP)
                try await expect(5, "--timeout", "5s", "ping", "n2", says: "n2")
                b.child.signal(SIGCONT)
                // The answer to a daemon that stands still is the client's own deadline.
                a.child.signal(SIGSTOP)
                try await expect(5, "--timeout", "300ms", "status", says: "did not answer within")
                a.child.signal(SIGCONT)

                let nowhere = try await arena.gossipctl(arena.folder + "/nowhere.sock", "status")
                #expect(nowhere.status == 69, "\(nowhere)")
                #expect(nowhere.errors.contains("nowhere.sock"), "\(nowhere.errors)")
                a.killHard()
                try await expect(69, "members", says: a.socket)
            }
        }

        @Test(
            "Who has no role is denied with status 77 and told whom to ask; who may read may not change",
            .enabled(if: Unprivileged.canBeDenied, "needs root, setpriv, and programs that nobody can run"))
        func roles() async throws {
            try await Arena.with { arena in
                let prefix = try Unprivileged.prefix(in: arena)
                var options = try DaemonOptions("closed")
                options.configuration = "[admin]\nmode = \"0666\"\n"
                let closed = try await DaemonProcess.start(options, in: arena)
                options = try DaemonOptions("open")
                options.configuration = "[admin]\nmode = \"0666\"\nread_users = [\"65534\"]\n"
                let open = try await DaemonProcess.start(options, in: arena)
                options = try DaemonOptions("shut")
                options.configuration = "[admin]\nmode = \"0600\"\n"
                let shut = try await DaemonProcess.start(options, in: arena)
                func asNobody(_ daemon: DaemonProcess, _ arguments: String...) async throws -> Arena.Outcome {
                    let words = prefix + [try Programs.gossipctl(), "--socket", daemon.socket] + arguments
                    return try await arena.run(words[0], Array(words.dropFirst()))
                }
                for outcome in [
                    try await asNobody(closed, "members"), try await asNobody(closed, "kv", "put", "a", "1"),
                    try await asNobody(open, "kv", "put", "a", "1"), try await asNobody(open, "leave"),
                    try await asNobody(shut, "members"),
                ] {
                    #expect(outcome.status == 77, "\(outcome)")
                    #expect(outcome.errors.contains("gossipd") || outcome.errors.contains("root"), "\(outcome.errors)")
                    #expect(outcome.output.isEmpty)
                }
                let members = try await asNobody(open, "members")
                #expect(members.status == 0, "\(members)")
                #expect(members.output.contains("open"))
                #expect(try await closed.metric("gossipd_admin_requests_total", "outcome=\"denied\"") ?? 0 >= 2)
                #expect(try await open.client.list().entries.isEmpty)
            }
        }

        @Test("--output json has the fields of the contract, and plain kv get prints the bytes alone")
        func shapes() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(2, in: arena) {
                    $0.configuration = "[tags]\nrole = \"web\"\n"
                }
                func json(_ arguments: String...) async throws -> JSONValue {
                    let words = ["--socket", cluster[0].socket, "--output", "json"] + arguments
                    let outcome = try await arena.run(try Programs.gossipctl(), words)
                    #expect(outcome.status == 0, "\(arguments): \(outcome.errors)")
                    #expect(outcome.output.count { $0 == "\n" } == 1, "one document: \(outcome.output)")
                    return try AdminJSON.decode(JSONValue.self, from: outcome.output.utf8)
                }
                let members = try await json("members")
                let row = try #require(members["members"]?.elements.first)
                row.has("id", "name", "address", "state", "incarnation", "tags", "rtt_ms", "since", "self")
                #expect(row["state"] == .string("alive"))
                #expect(row["tags"] == .object(["role": .string("web")]))

                let status = try await json("status")
                status.has("node", "cluster", "version", "uptime_seconds", "members", "store", "strict")
                status["node"]?.has("id", "name", "address")
                status["members"]?.has("alive", "suspect", "failed", "left")
                status["store"]?.has("root", "keys", "bytes")
                #expect(status["strict"] == .null)
                #expect(status["members"]?["alive"] == .number(2))

                let put = try await json("kv", "put", "app/url", "postgres://db-1")
                put.has("key", "version", "nodes_holding", "nodes_total")
                let get = try await json("kv", "get", "app/url")
                get.has("key", "type", "class", "value", "version", "written_at", "author")
                get["author"]?.has("id", "name")
                #expect(get["value"] == .string("postgres://db-1"))
                #expect(get["author"]?["name"] == .string("n1"))
                #expect(get["version"] == put["version"])

                // Bytes that are no text.
                let file = arena.folder + "/binary"
                try FileText.write([0, 255, 10, 13], to: file)
                #expect(try await cluster[0].gossipctl("kv", "put", "app/bin", "@" + file).status == 0)
                let binary = try await json("kv", "get", "app/bin")
                #expect(binary["value_base64"] == .string("AP8KDQ=="))
                let raw = try arena.start(
                    try Programs.gossipctl(), ["--socket", cluster[0].socket, "kv", "get", "app/bin"])
                #expect(try await raw.waitForEnd() == 0)
                #expect(FileText.bytes(raw.outputPath) == [0, 255, 10, 13])

                _ = try await json("set", "add", "app/set", "b", "a")
                let set = try await json("set", "list", "app/set")
                set.has("key", "elements")
                #expect(set["elements"] == .array([.string("a"), .string("b")]))
                _ = try await json("counter", "add", "app/count", "-5")
                let counter = try await json("counter", "get", "app/count")
                #expect(counter == .object(["key": .string("app/count"), "value": .number(-5)]))
                let list = try await json("kv", "list", "app/")
                #expect(
                    list["entries"]?.elements.compactMap { $0["key"] } == [
                        .string("app/bin"), .string("app/count"), .string("app/set"), .string("app/url"),
                    ])
            }
        }

        @Test("kv watch tells each change of its prefix as it happens, one JSON object a line")
        func watch() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(2, in: arena)
                let watcher = try arena.start(
                    try Programs.gossipctl(),
                    ["--socket", cluster[1].socket, "--output", "json", "kv", "watch", "app/"])
                try await eventually("the watch is open") {
                    (try await cluster[1].metric("gossipd_admin_streams_open") == 1).orNil
                }
                // Written on one node, watched on the other.
                for arguments in [
                    ["kv", "put", "app/a", "1"], ["kv", "put", "other/a", "1"], ["set", "add", "app/s", "x"],
                    ["set", "remove", "app/s", "x"], ["counter", "add", "app/c", "3"], ["kv", "delete", "app/a"],
                ] {
                    let outcome = try await arena.run(
                        try Programs.gossipctl(), ["--socket", cluster[0].socket] + arguments)
                    #expect(outcome.status == 0, "\(arguments): \(outcome.errors)")
                    // One after the other, so that the order is the same on both.
                    try await cluster.converge()
                }
                let lines = try await eventually("all changes are told") {
                    let lines = Self.lines(watcher).filter { $0["event"] != .string("heartbeat") }
                    return lines.count >= 5 ? lines : nil
                }
                #expect(watcher.isRunning)
                #expect(
                    lines.map { $0["event"] } == ["put", "add", "remove", "increment", "delete"].map(JSONValue.string))
                for line in lines { line.has("cursor", "event", "key", "time", "author") }
                #expect(lines[0]["value"] == .string("1"))
                #expect(lines[1]["element"] == .string("x"))
                #expect(lines[3]["counter"] == .number(3))

                // From a cursor the rest comes again.
                guard case .string(let cursor)? = lines[2]["cursor"] else { throw Trouble("no cursor") }
                let resumed = try arena.start(
                    try Programs.gossipctl(),
                    ["--socket", cluster[1].socket, "--output", "json", "kv", "watch", "app/", "--since", cursor])
                let rest = try await eventually("the rest is told") {
                    let lines = Self.lines(resumed).filter { $0["event"] != .string("heartbeat") }
                    return lines.count >= 2 ? lines : nil
                }
                #expect(rest == Array(lines[3...]))
            }
        }

        @Test("events --follow tells a member's join, suspicion, failure and return as they happen")
        func events() async throws {
            try await Arena.with { arena in
                var cluster = try await Cluster.form(2, in: arena)
                let follower = try arena.start(
                    try Programs.gossipctl(),
                    ["--socket", cluster[0].socket, "--output", "json", "events", "--follow"])
                try await eventually("the stream is open") {
                    (try await cluster[0].metric("gossipd_admin_streams_open") == 1).orNil
                }
                try cluster.add("n3", in: arena)
                try await cluster.allSeeAll()
                let victim = cluster.daemons.removeLast()
                victim.killHard()
                func told(_ event: String) async throws -> JSONValue {
                    try await eventually("\(event) of n3 is told") {
                        Self.lines(follower).first {
                            $0["event"] == .string(event) && $0["member"]?["name"] == .string("n3")
                        }
                    }
                }
                for event in ["member_joined", "member_suspected", "member_failed"] {
                    let line = try await told(event)
                    line.has("cursor", "time", "event", "member", "message")
                    line["member"]?.has("id", "name", "address")
                    if event != "member_joined" { line.has("reason", "evidence") }
                }
                let again = try await DaemonProcess.start(victim.options, in: arena)
                _ = try await told("member_alive")
                #expect(again.child.isRunning && follower.isRunning)

                // For people: the same as text, without --follow it ends.
                let text = try await cluster[0].gossipctl("events", "--since", "start")
                #expect(text.status == 0)
                #expect(text.output.contains("member n3 failed: "), "\(text.output)")

                // Forgetting an operator's way: only what failed or left.
                again.killHard()
                try await cluster[0].shows("n3", .failed)
                #expect(try await cluster[0].gossipctl("forget", "n3").status == 0)
                for daemon in cluster.daemons {
                    try await eventually("\(daemon.name) has forgotten n3") {
                        (try await daemon.state(of: "n3") == nil).orNil
                    }
                }
            }
        }

        private static func lines(_ child: ChildProcess) -> [JSONValue] {
            let text = child.output
            // A line that is being written has no end yet.
            guard let end = text.lastIndex(of: "\n") else { return [] }
            return text[..<end].split(separator: "\n").compactMap {
                try? AdminJSON.decode(JSONValue.self, from: $0.utf8)
            }
        }
    }
}
