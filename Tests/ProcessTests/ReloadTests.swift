// SPDX-License-Identifier: Apache-2.0
// Owns the tests of SIGHUP.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("Reloading on SIGHUP")
    struct ReloadTests {
        @Test("Log level, tags and the nodes to join take effect at once; the rest waits for a restart and is named")
        func reload() async throws {
            try await Arena.with { arena in
                let peer = try await DaemonProcess.start(try DaemonOptions("peer"), in: arena)
                var options = try DaemonOptions("reloaded")
                options.configuration = "log.level = \"notice\"\n[tags]\nrole = \"web\"\nzone = \"a\"\n"
                let daemon = try await DaemonProcess.start(options, in: arena)
                #expect(try await daemon.client.status().members.alive == 1)
                #expect(!daemon.log.contains { $0.level == "info" })

                try FileText.write(
                    """
                    join = ["\(peer.address)"]
                    leave_timeout = "2s"
                    [log]
                    level = "info"
                    [tags]
                    role = "db"
                    """, to: daemon.configurationPath)
                daemon.child.signal(SIGHUP)
                let line = try await daemon.logged("reloaded") { $0.event == "reloaded" }
                for change in ["log.level changed from", "join changed from", "tags changed from"] {
                    #expect(line.message.contains(change), "\(line.message)")
                }
                let waits = try await daemon.logged("leave_timeout waits") { $0.event == "restart_required" }
                #expect(waits.key == "leave_timeout", "\(waits)")
                // The seed is joined, and the peer sees the new tags: those of the file and no other.
                try await peer.shows("reloaded", .alive)
                try await eventually("the peer sees the tags") {
                    let members = try await peer.client.members().members
                    return (members.first { $0.name == "reloaded" }?.tags == ["role": "db"]).orNil
                }
                // A line of the new level.
                _ = try await peer.client.changeTags(set: ["later": "1"])
                _ = try await daemon.logged("the peer's tags changed") {
                    $0.event == "member_updated" && $0.member == "peer" && $0.level == "info"
                }
            }
        }

        @Test("A bad file is refused with its place and reason, and the daemon goes on as it was")
        func badFile() async throws {
            try await Arena.with { arena in
                var options = try DaemonOptions("steady")
                options.configuration = "[tags]\nrole = \"web\"\n"
                let daemon = try await DaemonProcess.start(options, in: arena)
                try FileText.write("[tags]\nrole = \"db\"\n[log]\nlevle = \"debug\"\n", to: daemon.configurationPath)
                daemon.child.signal(SIGHUP)
                let line = try await daemon.logged("the reload failed") { $0.event == "reload_failed" }
                #expect(line.level == "error")
                #expect(
                    line.message.contains("\(daemon.configurationPath):4: log.levle:")
                        && line.message.contains("log.level"), "\(line.message)")
                #expect(try await daemon.client.members().members.first?.tags == ["role": "web"])

                // A corrected file is taken after that.
                try FileText.write("[tags]\nrole = \"db\"\n", to: daemon.configurationPath)
                daemon.child.signal(SIGHUP)
                _ = try await daemon.logged("reloaded") { $0.event == "reloaded" }
                #expect(try await daemon.client.members().members.first?.tags == ["role": "db"])
            }
        }

        @Test("A reload that changes no setting tells which keys and how many descriptions were read")
        func whatWasLoaded() async throws {
            try await Arena.with { arena in
                let key = arena.folder + "/keys"
                let render = arena.folder + "/render.d"
                try FileText.write("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", to: key, mode: 0o600)
                #expect(mkdir(render, 0o755) == 0)
                var options = try DaemonOptions("told")
                options.configuration = "key_file = \"\(key)\"\n[render]\ndirectory = \"\(render)\"\nhelper = \"\"\n"
                let daemon = try await DaemonProcess.start(options, in: arena)
                try FileText.write(
                    "destination = \"\(arena.folder)/a\"\ntemplate_text = \"x\"\n", to: render + "/a.toml")
                daemon.child.signal(SIGHUP)
                let line = try await daemon.logged("reloaded") { $0.event == "reloaded" }
                #expect(
                    line.message == "configuration loaded again: no setting has changed; keys read: ee32d191 from"
                        + " the files; 1 description of files read", "\(line.message)")
            }
        }

        @Test("Without a configuration file SIGHUP changes nothing and ends nothing")
        func noFile() async throws {
            try await Arena.with { arena in
                let daemon = try await DaemonProcess.start(try DaemonOptions("bare"), in: arena)
                daemon.child.signal(SIGHUP)
                let line = try await daemon.logged("reloaded") { $0.event == "reloaded" }
                #expect(line.message.hasSuffix("nothing has changed"), "\(line.message)")
                #expect(try await daemon.client.status().members.alive == 1)
            }
        }
    }
}
