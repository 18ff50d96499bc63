// SPDX-License-Identifier: Apache-2.0
// Owns the tests of how a daemon starts where it can, and of the status and sentence with which it refuses elsewhere.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("Starting")
    struct StartTests {
        /// Runs a daemon that must end by itself.
        private func refused(
            _ arena: Arena, _ arguments: [String], prefix: [String] = []
        ) async throws -> Arena.Outcome {
            let words = prefix + [try Programs.gossipd()] + arguments
            return try await arena.run(words[0], Array(words.dropFirst()))
        }

        /// Flags with which a daemon would start.
        private func good(_ arena: Arena, _ name: String) throws -> [String] {
            [
                "--name", name, "--bind", "127.0.0.1:\(try Ports.free())", "--data-dir", "\(arena.folder)/\(name)",
                "--socket", "\(arena.folder)/\(name).sock", "--log-format", "text",
            ]
        }

        @Test("A second daemon on one data directory ends with status 75 and names the first one's process")
        func sameDirectory() async throws {
            try await Arena.with { arena in
                let first = try await DaemonProcess.start(try DaemonOptions("first"), in: arena)
                let second = try await refused(arena, try good(arena, "second") + ["--data-dir", first.dataDirectory])
                #expect(second.status == 75)
                #expect(second.errors.contains("in use by process \(first.child.processID):"), "\(second.errors)")
                #expect(try await first.client.status().node.name == "first")
            }
        }

        @Test("An address in use ends it with status 75 and is named")
        func sameAddress() async throws {
            try await Arena.with { arena in
                let first = try await DaemonProcess.start(try DaemonOptions("first"), in: arena)
                let second = try await refused(arena, try good(arena, "second") + ["--bind", first.address])
                #expect(second.status == 75)
                #expect(second.errors.contains(first.address), "\(second.errors)")
            }
        }

        @Test("An admin socket in use ends it with status 75, and the first daemon keeps its socket")
        func sameSocket() async throws {
            try await Arena.with { arena in
                let first = try await DaemonProcess.start(try DaemonOptions("first"), in: arena)
                let second = try await refused(arena, try good(arena, "second") + ["--socket", first.socket])
                #expect(second.status == 75)
                #expect(second.errors.contains("process \(first.child.processID) already answers"), "\(second.errors)")
                #expect(try await first.client.status().node.name == "first")
            }
        }

        @Test("What a killed daemon left behind does not hinder the next one")
        func leftovers() async throws {
            try await Arena.with { arena in
                let first = try await DaemonProcess.start(try DaemonOptions("again"), in: arena)
                first.killHard()
                #expect(access(first.socket, F_OK) == 0)
                let second = try await DaemonProcess.start(first.options, in: arena)
                #expect(try await second.client.status().members.alive == 1)
            }
        }

        @Test(
            "Wrong flags end it with status 64 and one sentence",
            arguments: [["--no-such-flag"], ["--name"], ["--bind"], ["surplus"], ["check-config"]])
        func usage(arguments: [String]) async throws {
            try await Arena.with { arena in
                let outcome = try await refused(arena, arguments)
                #expect(outcome.status == 64)
                let sentence = /gossipd: [^\n]+: see gossipd .*--help\n/
                #expect(outcome.errors.wholeMatch(of: sentence) != nil, "\(outcome.errors)")
            }
        }

        @Test(
            "A flag with a bad value ends it with status 78 and is named",
            arguments: [
                ("--bind", "nonsense"), ("--bind", "127.0.0.1:0"), ("--bind", "127.0.0.1:70000"),
                ("--join", "no-port"), ("--log-level", "loud"), ("--log-format", "xml"), ("--name", "a b"),
                ("--advertise", "0.0.0.0:7946"),
            ])
        func badFlag(flag: String, value: String) async throws {
            try await Arena.with { arena in
                let outcome = try await refused(arena, try good(arena, "bad") + [flag, value])
                #expect(outcome.status == 78)
                #expect(outcome.errors.hasPrefix("\(flag): "), "\(outcome.errors)")
            }
        }

        @Test(
            "A bad configuration file ends it with status 78 and file, line, key and reason, as check-config does",
            arguments: [
                (
                    "cluster = \"c\"\n\n[membership]\nprobe_intervall = \"1s\"\n", 4, "membership.probe_intervall",
                    "membership.probe_interval"
                ),
                ("joim = []\n", 1, "joim", "join"),
                ("# a comment\nleave_timeout = \"fast\"\n", 2, "leave_timeout", "fast"),
                ("[log]\nlevel = 3\n", 2, "log.level", "not an integer"),
                ("[tags]\nrole = \"web\"\nrole = \"db\"\n", 3, "role", ""),
            ])
        func badFile(text: String, line: Int, key: String, hint: String) async throws {
            try await Arena.with { arena in
                let file = arena.folder + "/bad.toml"
                try FileText.write(text, to: file)
                let started = try await refused(arena, try good(arena, "bad") + ["--config", file])
                let checked = try await refused(arena, ["check-config", file])
                for outcome in [started, checked] {
                    #expect(outcome.status == 78)
                    #expect(outcome.errors.hasPrefix("\(file):\(line): "), "\(outcome.errors)")
                    #expect(outcome.errors.contains(key) && outcome.errors.contains(hint), "\(outcome.errors)")
                }
            }
        }

        @Test("A file that is not there ends it with status 78, and check-config calls a good file good")
        func files() async throws {
            try await Arena.with { arena in
                let missing = try await refused(arena, ["--config", arena.folder + "/none.toml"])
                #expect(missing.status == 78)
                #expect(missing.errors.contains("/none.toml"), "\(missing.errors)")
                let file = arena.folder + "/good.toml"
                try FileText.write("cluster = \"test\"\n", to: file)
                let good = try await refused(arena, ["check-config", file])
                #expect(good.status == 0)
                #expect(good.output.contains("good"), "\(good.output)")
            }
        }

        @Test(
            "Without insecure = true it does not bind an address other than loopback: status 78",
            arguments: ["0.0.0.0:7946", "192.0.2.1:7946", "[::]:7946"])
        func insecure(address: String) async throws {
            try await Arena.with { arena in
                let flags = try good(arena, "open") + ["--bind", address, "--advertise", "192.0.2.1:7946"]
                let outcome = try await refused(arena, flags)
                #expect(outcome.status == 78)
                #expect(outcome.errors.contains("insecure"), "\(outcome.errors)")
            }
        }

        @Test("A data directory that is a file ends it with status 78 and is named")
        func directoryIsFile() async throws {
            try await Arena.with { arena in
                let file = arena.folder + "/file"
                try FileText.write("x", to: file)
                let outcome = try await refused(arena, try good(arena, "bad") + ["--data-dir", file])
                #expect(outcome.status == 78)
                #expect(outcome.errors.contains(file), "\(outcome.errors)")
            }
        }

        @Test("A data directory that cannot be made ends it with status 74 and is named")
        func directoryCannotBe() async throws {
            try await Arena.with { arena in
                let outcome = try await refused(arena, try good(arena, "bad") + ["--data-dir", "/proc/gossipd"])
                #expect(outcome.status == 74)
                #expect(outcome.errors.contains("/proc/gossipd"), "\(outcome.errors)")
            }
        }

        @Test(
            "A data directory that it may not write ends it with status 77 and is named",
            .enabled(if: Unprivileged.canRun, "as root it needs setpriv and programs that nobody can run"))
        func directoryDenied() async throws {
            try await Arena.with { arena in
                let prefix = try Unprivileged.prefix(in: arena)
                let locked = arena.folder + "/locked"
                guard mkdir(locked, 0o555) == 0 else { throw Trouble.system("mkdir") }
                let flags = try good(arena, "bad") + ["--data-dir", locked + "/data"]
                let outcome = try await refused(arena, flags, prefix: prefix)
                #expect(outcome.status == 77)
                #expect(outcome.errors.contains(locked), "\(outcome.errors)")
            }
        }

        @Test("It listens at --bind and tells its peers the address of --advertise")
        func advertise() async throws {
            try await Arena.with { arena in
                let first = try await DaemonProcess.start(try DaemonOptions("first"), in: arena)
                var options = try DaemonOptions("second")
                options.host = "127.0.0.2"
                options.advertise = "127.0.0.3:\(options.port)"
                options.join = [first.address]
                let second = try await DaemonProcess.start(options, in: arena)
                try await eventually("the first one has the advertised address") {
                    let members = try await first.client.members().members
                    return (members.first { $0.name == "second" }?.address == options.advertise).orNil
                }
                #expect(try await second.client.status().node.address == options.advertise)
                try await second.shows("first", .alive)
                // Nobody listens at the advertised address, so its own probes are all that reaches anybody.
                let outcome = try await arena.run(
                    try Programs.gossipctl(), ["--socket", first.socket, "--timeout", "5s", "ping", "second"])
                #expect(outcome.status == 5, "\(outcome)")
            }
        }

        @Test("An IPv6 cluster works", .enabled(if: Loopback.hasIPv6, "this host has no ::1"))
        func ipv6() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(3, in: arena) { $0.host = "::1" }
                let key = try ConfigurationKey("app/six")
                _ = try await cluster[1].client.put(key, value: [6])
                for daemon in cluster.daemons {
                    try await eventually("\(daemon.name) has the key") {
                        (try await daemon.client.getRaw(key) == [6]).orNil
                    }
                }
                let address = try #require(try await cluster[0].client.status().node.address)
                #expect(address == "[::1]:\(cluster[0].options.port)")
                cluster[2].killHard()
                try await cluster[0].shows("n3", .failed)
            }
        }

        @Test("Another cluster's daemon is not let in, and both sides say why")
        func otherCluster() async throws {
            try await Arena.with { arena in
                var options = try DaemonOptions("here")
                options.configuration = "cluster = \"here\"\n"
                let here = try await DaemonProcess.start(options, in: arena)
                options = try DaemonOptions("there")
                options.configuration = "cluster = \"there\"\n"
                options.join = [here.address]
                let there = try await DaemonProcess.start(options, in: arena)
                let refused = try await there.logged("the join failed") { $0.event == "join_failed" }
                #expect(refused.reason == "other_cluster", "\(refused)")
                _ = try await here.logged("the packet was refused") {
                    $0.event == "packet_rejected" && $0.reason == "other_cluster"
                }
                #expect(try await here.client.members().members.count == 1)
                #expect(try await there.client.members().members.count == 1)
            }
        }
    }
}

enum Loopback {
    static let hasIPv6: Bool = {
        let descriptor = socket(AF_INET6, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_addr = in6addr_loopback
        return withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size)) == 0
            }
        }
    }()
}
