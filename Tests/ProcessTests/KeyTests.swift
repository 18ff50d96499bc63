// SPDX-License-Identifier: Apache-2.0
// Owns the tests of keys with real daemons: the file and who may read it, a cluster that is sealed while it runs.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("Keys")
    struct KeyTests {
        private static let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
        private static let foreign = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
        private static let other = "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA="

        private func refusal(_ arena: Arena, _ text: String) async throws -> Arena.Outcome {
            let file = arena.folder + "/gossipd.toml"
            try FileText.write(
                text + "\ndata_dir = \"\(arena.folder)/data\"\nadmin.socket = \"\(arena.folder)/s.sock\"\n", to: file)
            return try await arena.run(try Programs.gossipd(), ["--config", file, "--log-format", "text"])
        }

        @Test(
            "A key file that others may read, that is missing or that holds no key ends it with status 78 and is named",
            arguments: [
                (0o644, key, "chmod 600"), (0o640, key, "chmod 600"), (0o604, key, "chmod 600"),
                (0o600, "# none\n", "holds no key"), (0o600, key + "\nAAECAwQ\n", "line 2: not a key"),
                (0o600, key + "\n" + key, "line 2: key ee32d191 stands there twice"), (0, "", "cannot be examined"),
            ] as [(mode_t, String, String)])
        func file(mode: mode_t, text: String, words: String) async throws {
            try await Arena.with { arena in
                let file = arena.folder + "/keys"
                if mode != 0 {
                    try FileText.write(text, to: file)
                    #expect(chmod(file, mode) == 0)
                }
                let configuration = "bind = \"192.0.2.1:7946\"\nkey_file = \"\(file)\""
                let outcome = try await refusal(arena, configuration)
                #expect(outcome.status == 78)
                #expect(outcome.errors.contains(file) && outcome.errors.contains(words), "\(outcome.errors)")
                #expect(!outcome.errors.contains("AAECAwQ"))
                let check = try await arena.run(
                    try Programs.gossipd(), ["check-config", arena.folder + "/gossipd.toml"])
                #expect(check.status == 78)
                #expect(check.errors.contains(words) && !check.errors.contains("AAECAwQ"), "\(check.errors)")
            }
        }

        @Test(
            "check-config sees keys.d as the unit passes it, however the file is named: which file is bad, what is ignored"
        )
        func folder() async throws {
            try await Arena.with { arena in
                for (file, folder) in [("gossipd.toml", "keys.d"), ("b.toml", "b.keys.d")] {
                    let path = arena.folder + "/" + file
                    try FileText.write("bind = \"192.0.2.1:7946\"\n", to: path)
                    func check(_ shell: String) async throws -> Arena.Outcome {
                        let program = try Programs.gossipd()
                        return try await arena.run(
                            "/bin/sh", ["-c", "cd \(arena.folder); mkdir -p \(folder); \(shell)", program])
                    }
                    let none = try await check("$0 check-config \(file)")
                    #expect(none.status == 78 && none.errors.contains("keys.d"), "\(none.errors)")
                    let begin = "umask 077; echo \(Self.key) >\(folder)/main; "
                    for name in [file, "./" + file, path] {
                        #expect(try await check(begin + "$0 check-config \(name)").status == 0, "\(name)")
                    }
                    let bad = try await check(begin + "echo nonsense >\(folder)/zz; $0 check-config \(file)")
                    #expect(bad.status == 78)
                    #expect(bad.errors.contains("\(folder)/zz: line 1: not a key"), "\(bad.errors)")
                    let twice = try await check(begin + "cp \(folder)/main \(folder)/zz; $0 check-config \(file)")
                    #expect(twice.status == 78)
                    #expect(
                        twice.errors.contains("\(folder)/zz: key ee32d191 stands in \(folder)/main too"),
                        "\(twice.errors)")
                    let warned = try await check(
                        "rm \(folder)/zz; " + begin
                            + "for n in main~ .main.swp main.bak; do echo nonsense >\(folder)/$n; done;"
                            + " chmod 644 \(folder)/main; $0 check-config \(file)")
                    #expect(warned.status == 0, "\(warned.errors)")
                    for words in ["\(folder)/main~: looks like", "main.bak: looks like", "main: others than root may"] {
                        #expect(warned.errors.contains(words), "\(warned.errors)")
                    }
                    #expect(!(warned.errors + bad.errors).contains("nonsense"))
                }
            }
        }

        @Test("The daemon names the credential that is bad, and passes over what an editor has left beside it")
        func credentials() async throws {
            try await Arena.with { arena in
                let folder = arena.folder + "/credentials"
                func run(_ name: String, _ text: String) async throws -> Arena.Outcome {
                    let shell =
                        "mkdir -p \(folder); echo \(Self.key) >\(folder)/keys_main; echo \(text) >\(folder)/\(name);"
                        + " export CREDENTIALS_DIRECTORY=\(folder); exec $0 --bind 203.0.113.9:7946 --data-dir \(arena.folder)/data"
                        + " --socket \(arena.folder)/s.sock --log-format text"
                    return try await arena.run("/bin/sh", ["-c", shell, try Programs.gossipd()])
                }
                let bad = try await run("keys_zz", "nonsense")
                #expect(bad.status == 78)
                #expect(bad.errors.contains("/keys_zz: line 1: not a key"), "\(bad.errors)")
                #expect(unlink(folder + "/keys_zz") == 0)
                // The address is none of this host's: it comes as far as that.
                let left = try await run("keys_zz~", "nonsense")
                #expect(left.status == 75, "\(left.errors)")
            }
        }

        @Test(
            "A file that the service's user cannot read is refused by root's check and by the daemon, with what to run",
            .enabled(if: geteuid() == 0, "only root can judge for somebody else"))
        func reader() async throws {
            try await Arena.with { arena in
                let file = arena.folder + "/keys"
                let data = arena.folder + "/data"
                let configuration = arena.folder + "/gossipd.toml"
                try FileText.write(Self.key, to: file, mode: 0o600)
                try FileText.write(
                    "bind = \"203.0.113.9:7946\"\nkey_file = \"\(file)\"\ndata_dir = \"\(data)\"\n", to: configuration)
                #expect(mkdir(data, 0o700) == 0 && chown(data, 65_534, 65_534) == 0)
                #expect(chmod(arena.folder, 0o755) == 0)
                let program = try Programs.gossipd()
                for (owner, isGood) in [(uid_t(0), false), (65_534, true), (1, false)] {
                    #expect(chown(file, owner, 0) == 0)
                    let check = try await arena.run(program, ["check-config", configuration])
                    #expect(check.status == (isGood ? 0 : 78), "\(check.errors)")
                    let run = try await arena.run(
                        "/usr/bin/setpriv",
                        [
                            "--reuid=65534", "--regid=65534", "--clear-groups", program, "--config", configuration,
                            "--log-format", "text",
                        ])
                    #expect((run.status == 78) == !isGood, "\(run.errors)")
                    for errors in [check.errors, run.errors] where !isGood {
                        #expect(errors.contains("run chown nobody \(file)"), "\(errors)")
                    }
                }
            }
        }

        @Test("With a key it binds an address other than loopback without insecure = true")
        func bind() async throws {
            try await Arena.with { arena in
                let file = arena.folder + "/keys"
                try FileText.write(Self.key, to: file, mode: 0o600)
                var options = try DaemonOptions("bound")
                options.configuration = "key_file = \"\(file)\"\n"
                options.host = "0.0.0.0"
                options.advertise = "127.0.0.1:\(options.port)"
                let daemon = try await DaemonProcess.start(options, in: arena)
                #expect(try await daemon.client.status().warnings ?? [] == [])
            }
        }

        @Test("Sealing is switched on by two reloads, and the journal then names who has another key")
        func switchOn() async throws {
            try await Arena.with { arena in
                let file = arena.folder + "/keys"
                try FileText.write("\(Self.key)\n\(Self.other)\n", to: file, mode: 0o600)
                let cluster = try await Cluster.form(2, in: arena) { $0.configuration = "" }
                for step in ["key_file = \"\(file)\"\ninsecure = true\n", "key_file = \"\(file)\"\n"] {
                    for daemon in cluster.daemons {
                        try FileText.write(step, to: daemon.configurationPath)
                        daemon.child.signal(SIGHUP)
                    }
                    // Both write after the other one was reloaded, and read what the other one wrote.
                    for (daemon, peer) in [(cluster[0], cluster[1]), (cluster[1], cluster[0])] {
                        _ = try await daemon.logged("reloaded") {
                            $0.event == "reloaded"
                                && $0.message.contains(
                                    step.contains("insecure") ? "key_file" : "insecure")
                        }
                        _ = try await daemon.client.changeTags(set: ["from": "\(daemon.name)-\(step.count)"])
                        try await eventually("\(peer.name) sees it") {
                            let members = try await peer.client.members().members
                            return
                                (members.first { $0.name == daemon.name }?.tags["from"]
                                == "\(daemon.name)-\(step.count)").orNil
                        }
                    }
                }
                let stranger = arena.folder + "/strange"
                try FileText.write("\(Self.foreign)\n", to: stranger, mode: 0o600)
                try FileText.write("\(Self.key)\n", to: file, mode: 0o600)
                cluster[0].child.signal(SIGHUP)
                var options = try DaemonOptions("stranger")
                options.configuration = "key_file = \"\(stranger)\"\n"
                options.join = [cluster[0].address]
                let outside = try await DaemonProcess.start(options, in: arena)
                let line = try await cluster[0].logged("a refusal") {
                    $0.event == "packet_rejected" && $0.reason == "unknown_key"
                }
                #expect(line.message.contains("127.0.0.1"), "\(line.message)")
                #expect(try await outside.client.status().members.alive == 1)
                for daemon in cluster.daemons {
                    #expect(!daemon.log.contains { $0.event == "member_failed" || $0.event == "member_suspected" })
                    #expect(!daemon.log.contains { $0.message.contains("AAECAw") || $0.message.contains("//79") })
                }
            }
        }
    }
}
