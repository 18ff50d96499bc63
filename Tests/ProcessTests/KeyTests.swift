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
                try FileText.write("\(Self.other)\n", to: stranger, mode: 0o600)
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
