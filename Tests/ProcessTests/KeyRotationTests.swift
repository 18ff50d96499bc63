// SPDX-License-Identifier: Apache-2.0
// Owns the tests of changing keys with real daemons: by id, over gossip, with one of them down; and that no key is ever shown.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("Changing keys")
    struct KeyRotationTests {
        private static let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
        private static let keyID = "ee32d191"
        private static let foreign = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="

        private func sealed(_ count: Int, in arena: Arena) async throws -> Cluster {
            let file = arena.folder + "/keys"
            try FileText.write(Self.key + "\n", to: file, mode: 0o600)
            return try await Cluster.form(count, in: arena) { $0.configuration = "key_file = \"\(file)\"\n" }
        }

        private func state(_ id: String, on daemon: DaemonProcess) async throws -> SealKeysDocument.State? {
            try await daemon.client.sealKeys().keys.first { $0.id == id }?.state
        }

        private func shows(_ id: String, _ state: SealKeysDocument.State, on daemons: [DaemonProcess]) async throws {
            for daemon in daemons {
                try await eventually("\(daemon.name) shows \(id) as \(state)", within: .seconds(30)) {
                    (try await self.state(id, on: daemon) == state).orNil
                }
            }
        }

        /// Makes a key with `gossipctl key generate` and installs it; its text and id.
        private func install(on daemon: DaemonProcess, in arena: Arena) async throws -> (text: String, id: String) {
            let file = arena.folder + "/new.key"
            #expect(try await daemon.gossipctl("key", "generate", "--file", file).status == 0)
            let outcome = try await daemon.gossipctl("--output", "json", "key", "install", file)
            #expect(outcome.status == 0, "\(outcome.errors)")
            let result = try AdminJSON.decode(SealKeyResult.self, from: outcome.output.utf8)
            #expect(result.key.state == .installed)
            let text = FileText.read(file).filter { !$0.isNewline }
            #expect(text.utf8.count == 44)
            return (text, result.key.id)
        }

        /// Everything that a daemon tells anybody holds no piece of a key, in base64 or in digits.
        private func expectSilence(
            of daemons: [DaemonProcess], about keys: [String], in arena: Arena
        ) async throws {
            for daemon in daemons where daemon.child.isRunning {
                var told = daemon.child.errors + daemon.child.output
                for words in [
                    ["key", "list"], ["--output", "json", "key", "list"], ["doctor"], ["--output", "json", "doctor"],
                    ["status"],
                    ["events"], ["members"], ["member", "explain", daemon.name],
                ] {
                    let outcome = try await arena.run(
                        try Programs.gossipctl(), ["--socket", daemon.socket] + words)
                    told += outcome.output + outcome.errors
                }
                told += try await daemon.client.metrics()
                told += FileText.read("/proc/\(daemon.child.processID)/cmdline")
                #expect(told.utf8.count > 2_000)
                for key in keys {
                    let digits = try #require(ByteText.join(text: nil, base64: key)).map { Self.hex($0) }.joined()
                    #expect(!told.contains(key.prefix(10)) && !told.contains(digits.prefix(12)), "\(daemon.name)")
                    #expect(
                        !told.contains(key.dropLast(1).suffix(10)) && !told.contains(digits.suffix(12)),
                        "\(daemon.name)")
                }
            }
        }

        private static func hex(_ byte: UInt8) -> String {
            let digits = String(byte, radix: 16)
            return digits.utf8.count == 1 ? "0" + digits : digits
        }

        @Test(
            "Three daemons change their key while they work, one that was down comes back under the old one, no key is shown"
        )
        func rotation() async throws {
            try await Arena.with { arena in
                var cluster = try await sealed(3, in: arena)
                let away = cluster[2]
                away.killHard()
                let live = [cluster[0], cluster[1]]
                let new = try await install(on: live[0], in: arena)
                try await shows(new.id, .installed, on: live)
                #expect(try await live[1].gossipctl("key", "use", new.id).status == 0)
                try await shows(new.id, .active, on: live)
                let early = try await live[0].gossipctl("key", "retire", new.id)
                #expect(early.status == 4 && early.errors.contains("use another one first"), "\(early.errors)")
                #expect(try await live[0].gossipctl("key", "retire", Self.keyID).status == 0)
                try await shows(Self.keyID, .retiring, on: live)
                // Nobody doubts anybody, and writes go on.
                try await eventually("both seal with the new key") {
                    (try await live[0].client.sealKeys().keys.first { $0.id == new.id }?.membersUsing == 2).orNil
                }
                _ = try await live[0].client.put(try ConfigurationKey("a"), value: [1])
                try await eventually("the other one has it") {
                    try? await live[1].client.get(try ConfigurationKey("a"))
                }
                let ring = try await eventually("both confirm") {
                    let ring = try await live[0].client.sealKeys()
                    return (ring.membersConfirming == 2).then(ring)
                }
                #expect(ring.membersTotal >= 2)
                for daemon in live {
                    #expect(!daemon.log.contains { $0.event == "member_failed" && $0.member != "n3" })
                    #expect(daemon.log.contains { $0.event == "keys_changed" && $0.message.contains(new.id) })
                    var status = stat()
                    #expect(stat(daemon.dataDirectory + "/keys", &status) == 0 && status.st_mode & 0o777 == 0o600)
                }

                let back = try await DaemonProcess.start(away.options, in: arena)
                cluster.daemons[2] = back
                try await cluster.allSeeAll(within: .seconds(60))
                try await shows(new.id, .active, on: cluster.daemons)
                try await shows(Self.keyID, .retiring, on: cluster.daemons)
                try await expectSilence(of: cluster.daemons, about: [Self.key, new.text], in: arena)

                // Started again, it begins with what it has made durable.
                #expect(try await back.terminate() == 0)
                let again = try await DaemonProcess.start(away.options, in: arena)
                #expect(try await state(new.id, on: again) == .active)
                #expect(again.log.contains { $0.message.contains("the first key of the key file is \(Self.keyID)") })
                let findings = try await again.client.doctor().findings
                #expect(findings.contains { $0.code == "key_file_behind" }, "\(findings)")
            }
        }

        @Test("A node with another key is refused and learns nothing of the ring")
        func stranger() async throws {
            try await Arena.with { arena in
                let cluster = try await sealed(2, in: arena)
                let file = arena.folder + "/strange"
                try FileText.write(Self.foreign + "\n", to: file, mode: 0o600)
                var options = try DaemonOptions("stranger")
                options.configuration = "key_file = \"\(file)\"\n"
                options.join = [cluster[0].address]
                let outside = try await DaemonProcess.start(options, in: arena)
                _ = try await cluster[0].logged("a refusal") {
                    $0.event == "packet_rejected" && $0.reason == "unknown_key"
                }
                let new = try await install(on: cluster[0], in: arena)
                try await shows(new.id, .installed, on: cluster.daemons)
                #expect(try await outside.client.sealKeys().keys.count == 1)
                #expect(try await outside.client.status().members.alive == 1)
                try await expectSilence(
                    of: cluster.daemons + [outside], about: [Self.key, Self.foreign, new.text], in: arena)
            }
        }

        @Test("Without keys there is no ring to change; SIGHUP adds the keys of the file and takes none away")
        func reload() async throws {
            try await Arena.with { arena in
                var options = try DaemonOptions("one")
                options.configuration = ""
                let daemon = try await DaemonProcess.start(options, in: arena)
                #expect(try await daemon.gossipctl("key", "list").status == 4)
                let file = arena.folder + "/keys"
                func load(_ text: String) async throws {
                    try FileText.write(text, to: file, mode: 0o600)
                    let before = daemon.log.count { $0.event == "reloaded" }
                    daemon.child.signal(SIGHUP)
                    try await eventually("reloaded") { (daemon.log.count { $0.event == "reloaded" } > before).orNil }
                }
                try FileText.write("key_file = \"\(file)\"\n", to: daemon.configurationPath)
                try await load(Self.key)
                #expect(try await daemon.client.sealKeys().keys.map(\.id) == [Self.keyID])
                try await load(Self.foreign + "\n" + Self.key)
                let ids = try await daemon.client.sealKeys().keys.map(\.id)
                #expect(ids.count == 2)
                try await load(Self.key)
                #expect(try await daemon.client.sealKeys().keys.map(\.id).sorted() == ids.sorted())
            }
        }

        @Test("Credentials named keys and keys_NAME are one key file, in the order of their names, and none means none")
        func credentials() async throws {
            try await Arena.with { arena in
                let folder = arena.folder + "/credentials"
                mkdir(folder, 0o700)
                try FileText.write(Self.foreign, to: folder + "/keys_b", mode: 0o400)
                try FileText.write("# the first\n" + Self.key + "\n", to: folder + "/keys_a", mode: 0o400)
                try FileText.write("none", to: folder + "/keys", mode: 0o400)
                try FileText.write("not a key", to: folder + "/render", mode: 0o400)
                var options = try DaemonOptions("one")
                options.environment = ["CREDENTIALS_DIRECTORY": folder]
                options.host = "0.0.0.0"
                options.advertise = "127.0.0.1:\(options.port)"
                let daemon = try await DaemonProcess.start(options, in: arena)
                let keys = try await daemon.client.sealKeys().keys
                #expect(keys.count == 2 && keys.first?.id == Self.keyID && keys.first?.state == .active)

                try FileText.write("none", to: folder + "/keys_a", mode: 0o400)
                try FileText.write("AAECAwQFBgcI", to: folder + "/keys_b", mode: 0o400)
                options.port = try Ports.free()
                options.name = "two"
                let other = try DaemonProcess(options, in: arena)
                #expect(try await other.child.waitForEnd() == 78)
                #expect(other.child.errors.contains("keys_b") && !other.child.errors.contains("AAECAwQ"))
            }
        }

        @Test("A ring that others may read, or that is damaged, keeps the daemon from starting and is named")
        func file() async throws {
            try await Arena.with { arena in
                let cluster = try await sealed(1, in: arena)
                #expect(try await cluster[0].terminate() == 0)
                let ring = cluster[0].dataDirectory + "/keys"
                #expect(chmod(ring, 0o640) == 0)
                let exposed = try DaemonProcess(cluster[0].options, in: arena)
                #expect(try await exposed.child.waitForEnd() == 78)
                #expect(exposed.child.errors.contains(ring) && exposed.child.errors.contains("chmod 600"))
                try FileText.write("gossipd keys 1\nring 00\n", to: ring, mode: 0o600)
                let damaged = try DaemonProcess(cluster[0].options, in: arena)
                #expect(try await damaged.child.waitForEnd() == 74)
                #expect(damaged.child.errors.contains(ring) && damaged.child.errors.contains("move it away"))
            }
        }
    }
}

extension Bool {
    fileprivate func then<Value>(_ value: Value) -> Value? { self ? value : nil }
}
