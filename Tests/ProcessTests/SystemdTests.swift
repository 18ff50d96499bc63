// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what systemd sees: notifications, the watchdog, a passed socket, the journal.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("Under systemd")
    struct SystemdTests {
        @Test("READY comes when the admin socket answers; then STATUS, RELOADING with READY, and STOPPING")
        func notifications() async throws {
            try await Arena.with { arena in
                let socket = try NotifySocket(arena.folder + "/notify")
                defer { socket.close() }
                var options = try DaemonOptions("n1")
                options.configuration = "log.level = \"info\"\n"
                options.environment = ["NOTIFY_SOCKET": socket.path]
                let daemon = try DaemonProcess(options, in: arena)
                let ready = try await socket.next("READY=1")
                // No waiting here: the socket must answer at this moment.
                #expect(try await daemon.client.status().node.name == "n1")
                #expect(ready.process == daemon.child.processID)
                #expect(ready.status == "1 alive; 0 keys")
                #expect(socket.seen.first == ready, "something came before READY: \(socket.seen)")

                options = try DaemonOptions("n2")
                options.join = [daemon.address]
                let other = try await DaemonProcess.start(options, in: arena)
                _ = try await socket.next("STATUS=2 alive; 0 keys")
                _ = try await daemon.client.put(try ConfigurationKey("app/a"), value: [1])
                _ = try await socket.next("STATUS=2 alive; 1 key")
                other.killHard()
                _ = try await socket.next("STATUS=1 alive, 1 failed; 1 key")

                daemon.child.signal(SIGHUP)
                let reloading = try await socket.next("RELOADING=1")
                #expect(reloading.lines.contains { $0.hasPrefix("MONOTONIC_USEC=") })
                let again = try await socket.next("READY=1")
                #expect(again != ready)
                // A bad file is no reason to stay in "reloading".
                try FileText.write("nonsense", to: daemon.configurationPath)
                daemon.child.signal(SIGHUP)
                _ = try await socket.next("RELOADING=1")
                let refused = try await socket.next("READY=1")
                let reason = "reload refused: \(daemon.configurationPath):1: "
                #expect(refused.status?.contains("; " + reason) == true, "\(refused.status ?? "")")
                let findings = try await daemon.client.doctor().findings
                #expect(findings.contains { $0.code == "reload_refused" && $0.severity == .error }, "\(findings)")
                // It stays until a reload is good.
                try FileText.write("log.level = \"info\"\n", to: daemon.configurationPath)
                daemon.child.signal(SIGHUP)
                _ = try await socket.next("RELOADING=1")
                #expect(try await socket.next("READY=1").status == "1 alive, 1 failed; 1 key")
                #expect(!(try await daemon.client.doctor().findings.contains { $0.code == "reload_refused" }))

                daemon.child.signal(SIGTERM)
                _ = try await socket.next("STOPPING=1")
                #expect(try await daemon.child.waitForEnd() == 0)
                #expect(!socket.seen.contains { $0.lines.contains("WATCHDOG=1") }, "there is no watchdog")
            }
        }

        @Test("The watchdog is fed at half its interval, not while the process stands still, and again after that")
        func watchdog() async throws {
            try await Arena.with { arena in
                let socket = try NotifySocket(arena.folder + "/notify")
                defer { socket.close() }
                var options = try DaemonOptions("fed")
                options.environment = ["NOTIFY_SOCKET": socket.path, "WATCHDOG_USEC": "1000000"]
                let daemon = try await DaemonProcess.start(options, in: arena)
                var times: [ContinuousClock.Instant] = []
                for _ in 0..<5 {
                    _ = try await socket.next("WATCHDOG=1")
                    times.append(.now)
                }
                let gaps = zip(times, times.dropFirst()).map { $0.duration(to: $1) }
                report("gaps between two feeds at WatchdogSec=1", gaps[0], gaps[1], gaps[2], gaps[3])
                #expect(gaps.allSatisfy { $0 < .seconds(1) })
                // The mean of them: one late reading makes the next gap shorter.
                #expect(times[0].duration(to: times[4]) / 4 > .milliseconds(400))

                daemon.child.signal(SIGSTOP)
                try await eventually("it stands still") {
                    FileText.read("/proc/\(daemon.child.processID)/stat").contains(") T ").orNil
                }
                socket.receive()
                let fed = socket.count("WATCHDOG=1")
                await #expect(throws: Trouble.self) {
                    try await socket.next("WATCHDOG=1", within: .milliseconds(1_200))
                }
                #expect(socket.count("WATCHDOG=1") == fed)
                daemon.child.signal(SIGCONT)
                _ = try await socket.next("WATCHDOG=1", within: .seconds(3))
            }
        }

        @Test(
            "It takes over a socket from systemd-socket-activate and leaves the file to its owner",
            .enabled(if: Programs.exist("systemd-socket-activate"), "needs systemd-socket-activate"))
        func activation() async throws {
            try await Arena.with { arena in
                let path = arena.folder + "/passed.sock"
                var options = try DaemonOptions("activated")
                options.prefix = [
                    "systemd-socket-activate", "--listen", path, "--fdname", "admin",
                ]
                let daemon = try DaemonProcess(options, in: arena)
                try await eventually("the socket is there") { (access(path, F_OK) == 0).orNil }
                // The first request starts the daemon and is answered by it.
                let outcome = try await arena.gossipctl(path, "--output", "json", "status")
                #expect(outcome.status == 0, "\(outcome.errors)")
                let status = try AdminJSON.decode(StatusDocument.self, from: outcome.output.utf8)
                #expect(status.node.name == "activated")
                // The passed socket wins over --socket.
                #expect(access(daemon.socket, F_OK) != 0)
                daemon.child.signal(SIGTERM)
                #expect(try await daemon.child.waitForEnd() == 0)
                #expect(access(path, F_OK) == 0)
            }
        }

        @Test(
            "Writes that wait in the passed socket's queue while it starts are carried out, every one",
            .enabled(if: Programs.exist("systemd-socket-activate"), "needs systemd-socket-activate"))
        func writesAtStart() async throws {
            try await Arena.with { arena in
                for round in 0..<5 {
                    let path = "\(arena.folder)/passed-\(round).sock"
                    var options = try DaemonOptions("starting-\(round)")
                    options.prefix = ["systemd-socket-activate", "--listen", path, "--fdname", "admin"]
                    let daemon = try DaemonProcess(options, in: arena)
                    try await eventually("the socket is there") { (access(path, F_OK) == 0).orNil }
                    try await withThrowingTaskGroup(of: Arena.Outcome.self) { tasks in
                        for number in 0..<8 {
                            tasks.addTask { try await arena.gossipctl(path, "kv", "put", "app/\(number)", "1") }
                        }
                        for try await outcome in tasks { #expect(outcome.status == 0, "\(outcome.errors)") }
                    }
                    #expect(try await daemon.terminate() == 0)
                }
            }
        }

        @Test(
            "A member's failure is in the journal with its MESSAGE_ID and fields",
            .enabled(if: PrivateJournal.isAvailable, "needs root, unshare, nsenter and systemd-journald"))
        func journal() async throws {
            try await Arena.with { arena in
                let journal = try await PrivateJournal(in: arena)
                var options = try DaemonOptions("n1")
                options.prefix = journal.prefix
                options.logFormat = "journal"
                let daemon = try DaemonProcess(options, in: arena)
                try await eventually("it answers") { try await daemon.client.status() }
                options = try DaemonOptions("n2")
                options.join = [daemon.address]
                let other = try await DaemonProcess.start(options, in: arena)
                try await daemon.shows("n2", .alive)
                other.killHard()
                try await daemon.shows("n2", .failed)
                #expect(try await daemon.terminate() == 0)
                #expect(daemon.child.errors.isEmpty, "\(daemon.child.errors)")

                let entries = try await journal.entries("SYSLOG_IDENTIFIER=gossipd")
                func entry(_ event: String) throws -> JSONValue {
                    try #require(entries.first { $0["GOSSIPD_EVENT"] == .string(event) }, "\(event) in \(entries)")
                }
                let failed = try entry("member_failed")
                #expect(failed["MESSAGE_ID"] == .string("6d408fe09c2346f184487a35e901e672"))
                #expect(failed["GOSSIPD_MEMBER"] == .string("n2"))
                #expect(failed["GOSSIPD_REASON"] == .string("refused"))
                #expect(failed["PRIORITY"] == .string("4"))
                #expect(failed["_PID"] == .string("\(daemon.child.processID)"))
                guard case .string(let message)? = failed["MESSAGE"] else { throw Trouble("no MESSAGE") }
                #expect(message.hasPrefix("member n2 failed: no ack from "), "\(message)")
                for event in ["started", "member_joined", "member_suspected", "stopping", "stopped"] {
                    #expect(try entry(event)["MESSAGE_ID"] != nil)
                }
            }
        }
    }
}
