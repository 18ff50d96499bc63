// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the operator's view on real daemons: doctor both ways, rtt without a ping, why a member failed.

import AdminClient
import AdminModel
import Testing

extension ProcessTests {
    @Suite("The operator's view")
    struct OperatorViewTests {
        private func json(_ arena: Arena, _ daemon: DaemonProcess, _ arguments: String...) async throws -> JSONValue {
            let words = ["--socket", daemon.socket, "--output", "json"] + arguments
            let outcome = try await arena.run(try Programs.gossipctl(), words)
            guard outcome.status == 0 else { throw Trouble("\(arguments): \(outcome)") }
            return try AdminJSON.decode(JSONValue.self, from: outcome.output.utf8)
        }

        @Test("doctor hears both ways, rtt tells distances, explain says why a killed member failed and what it is now")
        func threeNodes() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(3, in: arena)
                let first = cluster[0]

                let began = ContinuousClock.now
                let doctor = try await eventually("doctor finds nothing") {
                    let document = try await first.client.doctor()
                    return document.findings.map(\.code) == ["healthy"] ? document : nil
                }
                report("doctor among three", began.duration(to: .now))
                #expect(doctor.peers?.map(\.member.name) == ["n2", "n3"] && doctor.peersLeft == 0)
                for peer in doctor.peers ?? [] {
                    #expect([peer.datagram, peer.largeDatagram, peer.stream].allSatisfy { $0 == "answered" })
                    #expect(peer.holdsUsFor == "alive")
                    #expect((peer.clockOffsetMilliseconds ?? 9_999).magnitude < 1_000)
                }

                // Places are told on the first acks and moved by the probes that follow.
                let known = try await eventually("a round trip between two others is known", within: .seconds(60)) {
                    let trips = try await first.client.roundTrips(from: "n2", to: "n3")
                    return trips.roundTrips.first?.estimateMilliseconds != nil ? trips : nil
                }
                #expect(known.roundTrips.first?.rttMilliseconds == nil, "nobody here has measured it")
                let own = try await json(arena, first, "rtt")
                own.has("from", "round_trips")
                for row in own["round_trips"]?.elements ?? [] {
                    row.has("member", "state", "rtt_ms", "rtt_estimate_ms", "rtt_estimate_error_ms")
                }
                #expect(own["round_trips"]?.elements.count == 2)
                #expect(try await first.gossipctl("rtt", "n2", "nobody").status == 3)
                #expect(try await first.gossipctl("rtt", "n2", "n2").status == 64)

                cluster[2].killHard()
                try await first.shows("n3", .failed)
                let why = try await first.client.explain("n3")
                #expect(why.cause?.event == "member_failed")
                #expect(why.cause?.evidence?.reportedBy != nil)
                #expect(why.summary.contains("member n3 failed: ") && why.summary.contains("now: failed since"))
                let told = Set(why.timeline.map(\.event))
                #expect(told.isSuperset(of: ["member_joined", "member_suspected", "member_failed"]))
                // Whoever says so, there is more than the verdict: a probe of our own, or another's word.
                let findings: Set = ["probe_failed", "member_accused", "member_called_failed"]
                #expect(!told.isDisjoint(with: findings) || why.cause?.evidence?.probes ?? 0 > 0, "\(told)")
                #expect(why.timeline.allSatisfy { $0.evidence?.incarnation != nil })
                let text = try await first.gossipctl("member", "explain", "n3")
                #expect(text.status == 0)
                print(text.output)
                print(try await first.gossipctl("rtt").output)
            }
        }
    }
}
