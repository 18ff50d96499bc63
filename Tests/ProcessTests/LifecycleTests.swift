// SPDX-License-Identifier: Apache-2.0
// Owns the tests of members that die, return, leave and stop.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("The life of a daemon")
    struct LifecycleTests {
        /// What a survivor's log may say; the first form is by its own probes, the second by hearsay.
        static var failedShape: Regex<Substring> {
            /^member n4 failed: (?:no ack from \d+ probes? over (?:udp|relays|stream)(?:, (?:udp|relays|stream))*(?: and (?:udp|relays|stream))?(?: \((?:connection refused|it accepts connections and does not answer|nothing reaches the host)\))?(?:, looked at because [a-z ]+)? since \d\d:\d\d:\d\d(?:, first reported by n\d)?|reported by n\d at \d\d:\d\d:\d\d)(?:, confirmed by n\d(?:, n\d)*)? after \d+(?:\.\d+)? m?s$/
        }

        @Test("After kill -9 every survivor reports it failed within 5 s and says why; it returns as the same node")
        func killAndReturn() async throws {
            try await Arena.with { arena in
                var cluster = try await Cluster.form(5, in: arena)
                let victim = cluster[3]
                let survivors = cluster.daemons.filter { $0.name != "n4" }
                let before = try await victim.client.status()
                // Peers are remembered on disk shortly after they are known.
                try await eventually("the victim remembers peers") {
                    (!FileText.bytes(victim.dataDirectory + "/peers").isEmpty).orNil
                }

                let began = ContinuousClock.now
                victim.killHard()
                var lines: [LogLine] = []
                var times: [Duration] = []
                for daemon in survivors {
                    lines.append(
                        try await daemon.logged("n4 failed") { $0.event == "member_failed" && $0.member == "n4" })
                    times.append(began.duration(to: .now))
                }
                report("kill -9 reported by each of four survivors", times[0], times[1], times[2], times[3])
                #expect(times[3] < .seconds(5))
                for line in lines {
                    #expect(line.message.wholeMatch(of: Self.failedShape) != nil, "\(line.message)")
                    #expect(line.level == "warning")
                    #expect(["refused", "no_ack", "reported"].contains(line.reason), "\(line)")
                }
                let told = lines.map(\.message)
                print(told.joined(separator: "\n"))
                #expect(told.contains { $0.contains("no ack from") && $0.contains("udp") && $0.contains("stream") })

                let explained = try await survivors[0].client.explain("n4")
                #expect(explained.member.state == .failed)
                #expect(explained.timeline.contains { $0.event == "member_suspected" })
                #expect(explained.timeline.last?.event == "member_failed")
                #expect(explained.timeline.last?.evidence?.afterMilliseconds ?? 0 > 0)

                // The same directory, and nobody tells it whom to join.
                var options = victim.options
                options.join = []
                let returned = ContinuousClock.now
                cluster.daemons[3] = try await DaemonProcess.start(options, in: arena)
                try await cluster.allSeeAll()
                report("the return seen by all five after its start", returned.duration(to: .now))
                let after = try await cluster[3].client.status()
                #expect(after.node == before.node)
                for daemon in survivors {
                    _ = try await daemon.logged("n4 is alive again") {
                        $0.event == "member_alive" && $0.member == "n4"
                    }
                    let rows = try await daemon.client.members().members.filter { $0.name == "n4" }
                    #expect(rows.map(\.id) == [before.node.id])
                }
            }
        }

        @Test(
            "A host that is silent without refusing is suspected, confirmed by others, failed, and returns when it wakes"
        )
        func freeze() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(5, in: arena)
                let frozen = cluster[3]
                let survivors = cluster.daemons.filter { $0.name != "n4" }
                let began = ContinuousClock.now
                frozen.child.signal(SIGSTOP)
                var told: [String] = []
                for daemon in survivors {
                    let line = try await daemon.logged("n4 failed", within: .seconds(30)) {
                        $0.event == "member_failed" && $0.member == "n4"
                    }
                    told.append(line.message)
                    #expect(line.message.wholeMatch(of: Self.failedShape) != nil, "\(line.message)")
                    #expect(line.reason != "refused", "\(line)")
                }
                report("a silent host reported by all four survivors", began.duration(to: .now))
                print(told.joined(separator: "\n"))
                #expect(told.contains { $0.contains("no ack from") && $0.contains("udp") && $0.contains("stream") })
                #expect(told.contains { $0.contains(", confirmed by n") })
                frozen.child.signal(SIGCONT)
                try await cluster.allSeeAll()
                _ = try await frozen.logged("it refuted its failure") { $0.event == "self_refuted" }
            }
        }

        @Test("Two that are killed at once are both reported, and writes of the others go on meanwhile")
        func killTwo() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(4, in: arena)
                cluster[1].killHard()
                cluster[2].killHard()
                let key = try ConfigurationKey("app/meanwhile")
                _ = try await cluster[0].client.put(key, value: [1])
                try await eventually("the other survivor has it", within: .seconds(2)) {
                    (try await cluster[3].client.getRaw(key) == [1]).orNil
                }
                for survivor in [cluster[0], cluster[3]] {
                    try await survivor.shows("n2", .failed)
                    try await survivor.shows("n3", .failed)
                }
            }
        }

        @Test("After gossipctl leave the others show it as left, not failed, and the daemon ends with status 0")
        func leave() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(3, in: arena)
                let outcome = try await cluster[2].gossipctl("leave")
                #expect(outcome.status == 0, "\(outcome.errors)")
                #expect(outcome.output.hasPrefix("left the cluster: 2 of 2 peers confirmed"), "\(outcome.output)")
                for other in cluster.daemons.dropLast() {
                    try await other.shows("n3", .left)
                    #expect(!other.log.contains { $0.event == "member_failed" })
                }
                #expect(try await cluster[2].child.waitForEnd() == 0)
            }
        }

        @Test("On SIGTERM it leaves the cluster, removes its socket and ends with status 0")
        func terminate() async throws {
            try await Arena.with { arena in
                var cluster = try await Cluster.form(3, in: arena)
                let began = ContinuousClock.now
                #expect(try await cluster[1].terminate() == 0)
                report("stop on SIGTERM", began.duration(to: .now))
                #expect(began.duration(to: .now) < .seconds(5))
                #expect(cluster[1].log.last?.event == "stopped")
                #expect(access(cluster[1].socket, F_OK) != 0)
                for other in [cluster[0], cluster[2]] {
                    try await other.shows("n2", .left)
                    #expect(!other.log.contains { $0.event == "member_failed" })
                }
                // What has left may come back.
                var options = cluster[1].options
                options.join = []
                cluster.daemons[1] = try await DaemonProcess.start(options, in: arena)
                try await cluster.allSeeAll()
            }
        }

        @Test("On SIGUSR2, before a restart, it stops without leaving and is the same member afterwards")
        func restart() async throws {
            try await Arena.with { arena in
                var cluster = try await Cluster.form(3, in: arena)
                cluster[1].child.signal(SIGUSR2)
                #expect(try await cluster[1].child.waitForEnd() == 0)
                let stopping = try #require(cluster[1].log.first { $0.event == "stopping" })
                #expect(stopping.reason == "restart", "\(stopping)")
                #expect(!cluster[1].log.contains { $0.event == "leaving" })
                var options = cluster[1].options
                options.join = []
                cluster.daemons[1] = try await DaemonProcess.start(options, in: arena)
                try await cluster.allSeeAll()
                for other in [cluster[0], cluster[2]] {
                    #expect(!other.log.contains { $0.event == "member_left" }, "\(other.name)")
                }
            }
        }

        @Test(
            "A daemon that has just started, and waits for others before it delivers, stops at once",
            arguments: [SIGTERM, SIGUSR2])
        func stopEarly(signal: Int32) async throws {
            try await Arena.with { arena in
                var options = try DaemonOptions("early")
                // Nobody is there: it would wait for long.
                options.join = ["127.0.0.1:\(try Ports.free())"]
                let daemon = try await DaemonProcess.start(options, in: arena)
                let began = ContinuousClock.now
                daemon.child.signal(signal)
                #expect(try await daemon.child.waitForEnd() == 0)
                report("stop while it waits for others", began.duration(to: .now))
                #expect(began.duration(to: .now) < .seconds(3))
            }
        }

        @Test("SIGTERM ends a daemon without peers, and one that a client watches")
        func terminateAlone() async throws {
            try await Arena.with { arena in
                let daemon = try await DaemonProcess.start(try DaemonOptions("alone"), in: arena)
                let follower = try arena.start(
                    try Programs.gossipctl(), ["--socket", daemon.socket, "--output", "json", "events", "--follow"])
                try await eventually("the stream is open") {
                    (try await daemon.metric("gossipd_admin_streams_open") == 1).orNil
                }
                #expect(try await daemon.terminate() == 0)
                #expect(try await follower.waitForEnd() == 5)
                #expect(follower.errors.contains("the daemon is stopping"), "\(follower.errors)")
            }
        }

        @Test("A daemon that stood still for a while is suspected at most, and goes on as a member")
        func stall() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(3, in: arena)
                cluster[2].child.signal(SIGSTOP)
                // Long enough for a probe of it to fail, shorter than any suspicion.
                try await eventually("somebody suspects it") {
                    (try await cluster[0].state(of: "n3") == .suspect).orNil
                }
                cluster[2].child.signal(SIGCONT)
                try await cluster.allSeeAll()
                for daemon in cluster.daemons {
                    #expect(!daemon.log.contains { $0.event == "member_failed" }, "\(daemon.name)")
                }
            }
        }
    }
}
