// SPDX-License-Identifier: Apache-2.0
// Owns the tests of user events with real daemons: from one member's command line to every member's stream.

import AdminClient
import AdminModel
import Testing

extension ProcessTests {
    @Suite("User events")
    struct UserEventTests {
        private static func told(_ daemon: DaemonProcess) async throws -> [ClusterEvent] {
            let outcome = try await daemon.gossipctl("--output", "json", "events")
            return outcome.output.split(separator: "\n").compactMap {
                try? AdminJSON.decode(ClusterEvent.self, from: $0.utf8)
            }.filter { $0.event == "user_event" }
        }

        @Test(
            "An event reaches every member once and in order, with payload and sender; a restart tells no old ones")
        func everywhere() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(3, in: arena)
                let sender = cluster[0]
                let first = try await sender.gossipctl("event", "send", "deploy", "v1")
                #expect(first.status == 0 && first.output.hasPrefix("sent deploy with 2 bytes"), "\(first)")
                for number in 2...20 {
                    _ = try await sender.client.sendEvent("deploy", payload: Array("v\(number)".utf8))
                }
                _ = try await sender.client.sendEvent("blob", payload: [0xff, 0x00])
                for daemon in cluster.daemons {
                    let events = try await eventually("\(daemon.name) has all") {
                        let events = try await Self.told(daemon)
                        return events.count >= 21 ? events : nil
                    }
                    #expect(events.map(\.payload) == (1...20).map { "v\($0)" } + [nil], "\(daemon.name)")
                    #expect(events.last?.payloadBase64 == "/wA=")
                    #expect(events.allSatisfy { $0.sender?.name == sender.name })
                    #expect(try await daemon.metric("gossipd_user_events_total", "outcome=\"delivered\"") == 21)
                }
                #expect(sender.log.contains { $0.event == "user_event" && $0.member == sender.name })
                #expect(!sender.log.contains { $0.message.contains("v1") }, "payloads are not in the log")
                cluster[1].killHard()
                let restarted = try await DaemonProcess.start(cluster[1].options, in: arena)
                try await restarted.shows(sender.name, .alive)
                _ = try await sender.client.sendEvent("after", payload: [])
                try await eventually("the restarted one has the new event") {
                    try await Self.told(restarted).contains { $0.name == "after" }.orNil
                }
                #expect(try await Self.told(restarted).map(\.name) == ["after"])
            }
        }

        @Test("What is too long or has no proper name is refused before and by the daemon")
        func refused() async throws {
            try await Arena.with { arena in
                let daemon = try await DaemonProcess.start(try DaemonOptions("n1"), in: arena)
                let long = String(repeating: "x", count: AdminLimits.eventPayloadBytesMax + 1)
                #expect(try await daemon.gossipctl("event", "send", "deploy", long).status == 64)
                #expect(try await daemon.gossipctl("event", "send", "no spaces").status == 64)
                let fits = String(repeating: "x", count: AdminLimits.eventPayloadBytesMax)
                #expect(try await daemon.gossipctl("event", "send", "deploy", fits).status == 0)
                await #expect(throws: AdminFailure.self) {
                    try await daemon.client.sendEvent("deploy", payload: Array(long.utf8))
                }
            }
        }
    }
}
