// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the past: who changed what and why, keys as they were, and how much of it is kept.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("The past")
    struct HistoryTests {
        private static func text(_ content: KeyContent?) -> String? {
            guard case .register(let value) = content else { return nil }
            return String(decoding: value, as: UTF8.self)
        }

        @Test(
            "Each change shows its author, user, reason, old and new on every node; the past is read and written back")
        func history() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(2, in: arena)
                let key = try ConfigurationKey("app/x")
                for (index, value, reason) in [(0, "one", "begin"), (1, "two", "go on"), (0, "three", "")] {
                    var options = KeyWriteOptions()
                    options.message = reason
                    _ = try await cluster[index].client.put(key, value: Array(value.utf8), options)
                    try await cluster.converge()
                    // Their times differ.
                    try await Task.sleep(for: .milliseconds(20))
                }
                _ = try await cluster[1].client.delete(key)
                try await cluster.converge()
                for daemon in cluster.daemons {
                    // History is read from the disk, which a change that shows already may be on its way to.
                    let entries = try await eventually("\(daemon.name) knows four changes") {
                        let entries = try await daemon.client.history(key, limit: 10).entries
                        return entries.count == 4 ? entries : nil
                    }
                    #expect(entries.map(\.event) == ["delete", "put", "put", "put"])
                    #expect(entries.map(\.author.name) == ["n2", "n1", "n2", "n1"])
                    #expect(entries.map(\.reason) == [nil, nil, "go on", "begin"])
                    #expect(entries.map { Self.text($0.old) } == ["three", "two", "one", nil])
                    #expect(entries.map { Self.text($0.new) } == [nil, "three", "two", "one"])
                    #expect(Set(entries.map(\.user)).count == 1 && entries.first?.user?.isEmpty == false)
                    let revisions = entries.map(\.revision)
                    #expect(revisions == revisions.sorted(by: >) && Set(revisions).count == 4)
                    for entry in entries.dropFirst() {
                        for point in [PastPoint.revision(entry.revision), .time(entry.appliedAt)] {
                            let found = try await daemon.client.get(key, at: point).content
                            #expect(Self.text(found) == Self.text(entry.new), "\(daemon.name) at \(point)")
                        }
                    }
                }

                let (n1, first) = (cluster[0], try await cluster[0].client.history(key, limit: 10).entries.reversed())
                let (from, to) = (first.map(\.revision)[0], first.map(\.revision)[2])
                let old = try await n1.gossipctl("kv", "get", "app/x", "--revision", "\(from)")
                #expect(old.status == 0 && old.output == "one")
                let timed = try await n1.gossipctl("kv", "get", "app/x", "--at", first.map(\.appliedAt)[1].description)
                #expect(timed.status == 0 && timed.output == "two")
                let difference = try await n1.gossipctl("kv", "diff", "app/", "--from", "\(from)", "--to", "\(to)")
                #expect(difference.status == 0)
                #expect(difference.output.contains("-one\n+three\n"), "\(difference.output)")
                let reverted = try await n1.gossipctl("kv", "revert", "app/x", "--to", "\(from)", "--message", "undo")
                #expect(reverted.status == 0, "\(reverted.errors)")
                try await cluster.converge()
                for daemon in cluster.daemons {
                    #expect(try await daemon.client.getRaw(key) == Array("one".utf8))
                    try await eventually("\(daemon.name) knows why") {
                        (try await daemon.client.history(key, limit: 1).entries.map(\.reason) == ["undo"]).orNil
                    }
                }
                let future = try await n1.gossipctl("kv", "get", "app/x", "--revision", "999999")
                #expect(future.status == 64 && future.errors.contains("newest revision is"), "\(future.errors)")
                #expect(!future.errors.contains("999999"), "what was asked for is told as the newest: \(future.errors)")
            }
        }

        @Test("A key keeps as many changes as configured, and the revision never goes back over crashes and stops")
        func bounds() async throws {
            try await Arena.with { arena in
                var options = try DaemonOptions("n1")
                options.configuration = "[store]\nwatch_history = 100\nhistory_max_per_key = 5\n"
                var daemon = try await DaemonProcess.start(options, in: arena)
                let key = try ConfigurationKey("app/x")
                for number in 0..<30 { _ = try await daemon.client.put(key, value: Array("\(number)".utf8)) }
                for number in 0..<120 {
                    _ = try await daemon.client.put(try ConfigurationKey("fill/\(number)"), value: [1])
                }
                let client = daemon.client
                try await eventually("only five changes are kept") {
                    (try await client.history(key, limit: 100).entries.count == 5).orNil
                }
                #expect(try await client.history(key, limit: 100).entries.first.map { Self.text($0.new) } == "29")
                let gone = try await daemon.gossipctl("kv", "get", "app/x", "--revision", "1")
                #expect(gone.status == 1 || gone.status == 3, "\(gone.status): \(gone.errors)")
                #expect(gone.errors.contains("history"), "\(gone.errors)")

                var revision = try await daemon.client.status().store.revision
                #expect(revision == 150)
                for round in 0..<4 {
                    if round % 2 == 0 { daemon.killHard() } else { #expect(try await daemon.terminate() == 0) }
                    daemon = try await DaemonProcess.start(options, in: arena)
                    let now = try await daemon.client.status().store.revision
                    #expect(now >= revision, "after restart \(round)")
                    _ = try await daemon.client.put(key, value: [1])
                    revision = try await daemon.client.status().store.revision
                    #expect(revision > now)
                }
            }
        }
    }
}
