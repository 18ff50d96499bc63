// SPDX-License-Identifier: Apache-2.0
// Owns the tests of watches: over crashes and restarts, from the past, of slow readers, with a command.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("A watch")
    struct WatchTests {
        /// Writes one key after the other until told to stop; a daemon that is gone is asked again.
        private static func write(
            _ name: String, to client: AdminClient, while goesOn: @Sendable () -> Bool
        ) async -> Set<String> {
            var acknowledged: Set<String> = []
            var number = 0
            while goesOn() {
                let key = "w/\(name)/\(number)"
                number += 1
                do {
                    _ = try await client.put(try ConfigurationKey(key), value: Array("\(number)".utf8))
                    acknowledged.insert(key)
                } catch {
                    try? await Task.sleep(for: .milliseconds(20))
                }
            }
            return acknowledged
        }

        @Test("It goes on over kill -9 and restarts under concurrent writes: no change is left out or shown twice")
        func resume() async throws {
            try await Arena.with { arena in
                var cluster = try await Cluster.form(2, in: arena)
                var options = cluster[0].options
                options.join = [cluster[1].address]
                let watch = try WatchRecord(cluster[0], "w/", in: arena)
                let isOver = Shared(false)
                let clients = cluster.daemons.map(\.client)
                let written = try await withThrowingTaskGroup(of: Set<String>.self) { tasks in
                    for (name, client) in zip(["own", "peer"], clients) {
                        tasks.addTask { await Self.write(name, to: client) { !isOver.value } }
                    }
                    for round in 0..<6 {
                        try await Task.sleep(for: .milliseconds(250))
                        if round % 3 == 2 {
                            #expect(try await cluster[0].terminate() == 0)
                        } else {
                            cluster[0].killHard()
                        }
                        cluster.daemons[0] = try await DaemonProcess.start(options, in: arena)
                    }
                    isOver.change { $0 = true }
                    var all: Set<String> = []
                    for try await part in tasks { all.formUnion(part) }
                    return all
                }
                try await cluster.allSeeAll()
                try await cluster.converge()
                _ = try await clients[0].put(try ConfigurationKey("w/end"), value: [1])
                try await watch.shows("w/end")

                let changes = watch.changes
                #expect(changes.allSatisfy { $0.event == "put" }, "\(Set(changes.map(\.event)))")
                let shown = changes.compactMap(\.key)
                #expect(Set(shown).count == shown.count, "\(shown.count - Set(shown).count) changes were shown twice")
                #expect(written.count > 50)
                let missing = written.subtracting(shown)
                #expect(
                    missing.isEmpty, "\(missing.count) of \(written.count) are missing: \(missing.sorted().prefix(5))")
                let there = Set(try await clients[0].list(try KeyPrefix("w/")).entries.map(\.key))
                let phantoms = Set(shown).subtracting(there)
                #expect(phantoms.isEmpty, "\(phantoms.count) were shown and then lost: \(phantoms.sorted().prefix(5))")
                #expect(Set(changes.map(\.cursor)).count == changes.count, "a cursor was given out twice")
            }
        }

        @Test("It resumes in order from a cursor that is older than what the daemon keeps in memory")
        func older() async throws {
            try await Arena.with { arena in
                var daemon = try await DaemonProcess.start(try DaemonOptions("n1"), in: arena)
                var first: String?
                try await daemon.client.watch(
                    heartbeat: .seconds(1), onOpen: { first = $0 }, onEvent: { _, _ in false })
                let cursor = try #require(first)
                // More than 4 MiB.
                for number in 0..<25 {
                    let value = [UInt8](repeating: 97, count: 250_000)
                    _ = try await daemon.client.put(try ConfigurationKey("big/\(number)"), value: value)
                }
                for round in 0..<2 {
                    let watch = try WatchRecord(daemon, "big/", since: cursor, in: arena)
                    try await watch.shows("big/24")
                    #expect(watch.changes.map(\.key) == (0..<25).map { "big/\($0)" }, "round \(round)")
                    watch.child.end()
                    // Then from the file alone.
                    daemon.killHard()
                    daemon = try await DaemonProcess.start(daemon.options, in: arena)
                }
                let all = try WatchRecord(daemon, "big/", since: "start", in: arena)
                try await all.shows("big/24")
                #expect(all.changes.map(\.key) == (0..<25).map { "big/\($0)" }, "start is where the file begins")
            }
        }

        @Test("From a cursor before the history that is kept it says resync and goes on from there")
        func resync() async throws {
            try await Arena.with { arena in
                var options = try DaemonOptions("n1")
                options.configuration = "[store]\nwatch_history = 100\nhistory_max_per_key = 1\n"
                let daemon = try await DaemonProcess.start(options, in: arena)
                let key = try ConfigurationKey("app/x")
                var first: String?
                try await daemon.client.watch(
                    heartbeat: .seconds(1), onOpen: { first = $0 }, onEvent: { _, _ in false })
                for number in 0..<400 { _ = try await daemon.client.put(key, value: Array("\(number)".utf8)) }
                daemon.killHard()
                let again = try await DaemonProcess.start(options, in: arena)
                let watch = try WatchRecord(again, "app/", since: try #require(first), in: arena)
                try await eventually("it says resync") { (watch.changes.first?.event == StreamEvent.resync).orNil }
                _ = try await again.client.put(key, value: Array("after".utf8))
                try await eventually("it goes on") { (watch.changes.last?.value == "after").orNil }
                #expect(watch.changes.map(\.event) == ["resync", "put"])

                // The cursor of the resync is good.
                let next = try WatchRecord(again, "app/", since: try #require(watch.changes.first?.cursor), in: arena)
                try await eventually("it resumes") { (next.changes.map(\.value) == ["after"]).orNil }
            }
        }

        @Test("From start, and from a cursor that memory no longer reaches, it shows all that the disk holds, at once")
        func fromTheDisk() async throws {
            try await Arena.with { arena in
                var daemon = try await DaemonProcess.start(try DaemonOptions("n1"), in: arena)
                _ = try await daemon.client.put(try ConfigurationKey("w/first"), value: [0x31])
                daemon.killHard()
                daemon = try await DaemonProcess.start(daemon.options, in: arena)
                let start = try WatchRecord(daemon, "w/", in: arena)
                try await start.shows("w/first")
                let cursor = try #require(start.changes.first?.cursor)

                // More than memory holds, which in turn is more than may wait for a reader.
                let file = arena.folder + "/keys"
                let lines = (1...6_000).map { #"{"key":"w/\#($0)","type":"register","value":"x"}"# + "\n" }
                try FileText.write(lines.joined(), to: file)
                #expect(try await daemon.gossipctl("kv", "import", file).status == 0)
                let resumed = try WatchRecord(daemon, "w/", since: cursor, in: arena)
                try await resumed.shows("w/6000")
                #expect(resumed.changes.count == 6_000)
                #expect(resumed.changes.allSatisfy { $0.event == "put" }, "\(Set(resumed.changes.map(\.event)))")
            }
        }

        @Test("A silent one shows heartbeats; one that does not read is cut off with a reason and can resume")
        func pace() async throws {
            try await Arena.with { arena in
                let daemon = try await DaemonProcess.start(try DaemonOptions("n1"), in: arena)
                let silent = try WatchRecord(daemon, "silent/", in: arena)
                var seen: [String] = []
                var last: WatchEvent?
                try await daemon.client.watch(try KeyPrefix("app/"), heartbeat: .seconds(60)) {
                    _ throws(AdminFailure) in
                    _ = try await daemon.client.put(try ConfigurationKey("app/0"), value: [1])
                } onEvent: { event, _ throws(AdminFailure) in
                    if seen.isEmpty {
                        // Reads nothing while 20 MB come.
                        for number in 1..<50 {
                            let value = [UInt8](repeating: 97, count: 400_000)
                            _ = try await daemon.client.put(try ConfigurationKey("app/\(number)"), value: value)
                        }
                    }
                    last = event
                    if let key = event.key { seen.append(key) }
                    return event.event != StreamEvent.closed
                }
                let ending = try #require(last)
                #expect(ending.event == StreamEvent.closed && ending.reason == StreamEnding.slowReader.rawValue)
                #expect(seen.count < 50)
                try await daemon.client.watch(try KeyPrefix("app/"), since: ending.cursor) {
                    event, _ throws(AdminFailure) in
                    if let key = event.key { seen.append(key) }
                    return seen.count < 50
                }
                #expect(seen == (0..<50).map { "app/\($0)" })
                let beats = silent.lines.count { $0.event == StreamEvent.heartbeat }
                try await eventually("two heartbeats more", within: .seconds(5)) {
                    (silent.lines.count { $0.event == StreamEvent.heartbeat } >= beats + 2).orNil
                }
            }
        }

        @Test("A command gets each change in its environment, one after the other")
        func command() async throws {
            try await Arena.with { arena in
                let daemon = try await DaemonProcess.start(try DaemonOptions("n1"), in: arena)
                let script = #"echo "$GOSSIPD_EVENT $GOSSIPD_KEY $GOSSIPD_VALUE $GOSSIPD_AUTHOR $(cat)""#
                let watch = try arena.start(
                    try Programs.gossipctl(),
                    [
                        "--socket", daemon.socket, "kv", "watch", "app/", "--since", "start", "--", "sh", "-c", script,
                    ])
                _ = try await daemon.client.put(try ConfigurationKey("app/x"), value: Array("one two".utf8))
                _ = try await daemon.client.put(try ConfigurationKey("other/x"), value: [49])
                _ = try await daemon.client.addToSet(try ConfigurationKey("app/s"), ["e"])
                _ = try await daemon.client.addToCounter(try ConfigurationKey("app/n"), 7)
                _ = try await daemon.client.delete(try ConfigurationKey("app/x"))
                try await eventually("four commands ran") { (watch.output.split(separator: "\n").count >= 4).orNil }
                #expect(
                    watch.output
                        == "put app/x one two n1 one two\nadd app/s e n1 e\nincrement app/n 7 n1 7\ndelete app/x  n1 \n"
                )
            }
        }
    }
}
