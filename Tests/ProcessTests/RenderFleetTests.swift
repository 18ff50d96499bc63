// SPDX-License-Identifier: Apache-2.0
// Owns the tests of delivery over several real daemons: members in files, results of the fleet, reserved keys.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("Delivery in a fleet")
    struct RenderFleetTests {
        /// Three members with the same two descriptions each: one over members, one of a key.
        private static func fleet(in arena: Arena) async throws -> (Cluster, [String]) {
            var folders: [String] = []
            let cluster = try await Cluster.form(3, in: arena) { options in
                let folder = "\(arena.folder)/host-\(options.name)"
                for path in [folder, folder + "/render.d"] {
                    guard mkdir(path, 0o755) == 0 else { throw Trouble.system(path) }
                }
                folders.append(folder)
                try FileText.write(
                    "destination = \"\(folder)/peers\"\ntemplate_text = \"{{#all}}{{name}} {{/all}}\"\nsize_min_percent = 0\n"
                        + "[members]\nall = { state = [\"alive\"] }\n", to: folder + "/render.d/peers.toml")
                try FileText.write(
                    "destination = \"\(folder)/a\"\nkey = \"app/a\"\n", to: folder + "/render.d/a.toml")
                options.configuration = "[render]\ndirectory = \"\(folder)/render.d\"\nhelper = \"\"\n"
            }
            return (cluster, folders)
        }

        @Test("A file over members follows them on every node, and the fleet shows whose file is where")
        func membersAndFleet() async throws {
            try await Arena.with { arena in
                let (cluster, folders) = try await Self.fleet(in: arena)
                _ = try await cluster[0].client.put(try ConfigurationKey("app/a"), value: Array("one".utf8))
                for folder in folders {
                    try await eventually("\(folder) has all peers", within: .seconds(30)) {
                        (FileText.read(folder + "/peers") == "n1 n2 n3 ").orNil
                    }
                    try await eventually("\(folder) has the key", within: .seconds(30)) {
                        (FileText.read(folder + "/a") == "one").orNil
                    }
                }
                try await eventually("everybody has told everybody", within: .seconds(30)) { () async throws -> Void? in
                    for daemon in cluster.daemons {
                        let hosts = try await daemon.client.renderFleet().hosts
                        let versions = hosts.flatMap { $0.files.map { "\($0.status.name)\($0.status.version ?? "")" } }
                        guard hosts.count == 3, versions.count == 6, Set(versions).count == 2 else { return nil }
                        guard hosts.allSatisfy({ $0.files.allSatisfy { $0.status.state == .ok } }) else { return nil }
                    }
                    return ()
                }
                cluster[2].killHard()
                for folder in folders.dropLast() {
                    try await eventually("\(folder) lacks n3", within: .seconds(30)) {
                        (FileText.read(folder + "/peers") == "n1 n2 ").orNil
                    }
                }
                _ = try await cluster[1].client.put(try ConfigurationKey("app/a"), value: Array("two".utf8))
                try await eventually("n3 is behind", within: .seconds(30)) {
                    let hosts = try await cluster[0].client.renderFleet().hosts
                    let behind = hosts.filter { $0.files.contains(where: \.isBehind) }.map(\.member.name)
                    return (behind == ["n3"]).orNil
                }
                let table = try await cluster[0].gossipctl("render", "status", "--fleet")
                #expect(table.status == 0 && table.output.contains("older than most: n3\n"), "\(table.output)")
            }
        }

        @Test("Reserved keys are not written, not exported, not pruned, and go with a member that is forgotten")
        func reserved() async throws {
            try await Arena.with { arena in
                let (cluster, _) = try await Self.fleet(in: arena)
                _ = try await cluster[0].client.put(try ConfigurationKey("app/a"), value: Array("one".utf8))
                let prefix = try KeyPrefix(".gossipd/")
                let keys = try await eventually("three reports", within: .seconds(30)) {
                    let entries = try await cluster[0].client.list(prefix).entries
                    return entries.count == 3 ? entries.map(\.key) : nil
                }
                #expect(try await cluster[0].client.list().entries.map(\.key) == ["app/a"])
                let export = try await cluster[0].gossipctl("kv", "export")
                #expect(!export.output.contains(".gossipd/"))
                let file = arena.folder + "/export"
                try FileText.write(export.output, to: file)
                let pruned = try await cluster[0].gossipctl("kv", "import", file, "--prune")
                #expect(pruned.status == 0, "\(pruned.errors)")
                #expect(try await cluster[0].client.list(prefix).entries.map(\.key) == keys)
                let put = try await cluster[0].gossipctl("kv", "put", keys[0], "x")
                #expect(put.status == 64 && put.errors.contains("belongs to gossipd"))
                let id = try #require(try await cluster[0].client.members().members.first { $0.name == "n3" }).id
                #expect(try await cluster[2].terminate() == 0)
                try await cluster[0].shows("n3", .left)
                _ = try await cluster[0].client.forget("n3")
                let left = try await cluster[0].client.list(prefix).entries.map(\.key)
                #expect(left == keys.filter { !$0.hasSuffix(id) })
            }
        }
    }
}
