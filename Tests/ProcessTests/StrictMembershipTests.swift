// SPDX-License-Identifier: Apache-2.0
// Owns the tests of who belongs to the strict group on real daemons: the removed are told, lost logs and needless recoveries refused.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("Members of the strict group")
    struct StrictMembershipTests {
        private static let voters = "[strict]\nprefixes = [\"strict/\"]\nvoters = [\"n1\", \"n2\", \"n3\"]\n"

        private static func group(in arena: Arena, clients: Int = 1) async throws -> Cluster {
            let cluster = try await Cluster.form(3 + clients, in: arena) { $0.configuration = voters }
            for daemon in cluster.daemons { try await leader(as: daemon) }
            return cluster
        }

        @discardableResult
        private static func leader(as daemon: DaemonProcess) async throws -> String {
            try await eventually("\(daemon.name) knows a leader", within: .seconds(30)) {
                try await daemon.client.strictGroup().leader?.name
            }
        }

        private static func isRemoved(_ daemon: DaemonProcess) async throws {
            try await eventually("\(daemon.name) knows that it was removed", within: .seconds(20)) {
                let group = try await daemon.client.strictGroup()
                return (group.isRemoved && group.role == "client").orNil
            }
        }

        @Test("A voter that is removed, living or dead, is told, is a client, and does not recover a group of its own")
        func removed() async throws {
            try await Arena.with { arena in
                var cluster = try await Self.group(in: arena, clients: 2)
                let client = cluster[3]
                let leader = try await Self.leader(as: client)
                let gone = try #require((0..<3).filter { cluster[$0].name != leader }.first)
                let added = try await client.gossipctl("strict", "add", "n5")
                #expect(added.status == 0, "\(added)")
                try await eventually("n5 votes", within: .seconds(20)) {
                    (try await cluster[4].client.strictGroup().role == "follower").orNil
                }
                _ = try await client.client.orderStrict(.remove(cluster[gone].name))
                try await Self.isRemoved(cluster[gone])
                let key = try ConfigurationKey("strict/a")
                _ = try await cluster[gone].client.put(key, value: [1])
                let recover = try await cluster[gone].gossipctl("strict", "recover", "--yes-lose-writes")
                #expect(recover.status == 4 && recover.errors.contains("was removed from the group"), "\(recover)")
                #expect(cluster[gone].log.contains { $0.event == "strict_removed" })
                let findings = try await cluster[gone].client.doctor().findings
                #expect(findings.contains { $0.code == "strict_removed" && !$0.advice.contains("recover") })

                // Another one, which is dead when it is removed.
                let second = try #require((0..<3).filter { $0 != gone && cluster[$0].name != leader }.first)
                cluster[second].killHard()
                _ = try await client.client.orderStrict(.remove(cluster[second].name))
                cluster.daemons[second] = try await DaemonProcess.start(cluster[second].options, in: arena)
                try await Self.isRemoved(cluster[second])
                #expect(try await cluster[second].client.get(key).content == .register([1]))
            }
        }

        @Test("A voter does not start under its old id when its log is gone, and does when it is back")
        func amnesia() async throws {
            try await Arena.with { arena in
                var cluster = try await Self.group(in: arena)
                let leader = try await Self.leader(as: cluster[3])
                let place = try #require((0..<3).first { cluster[$0].name != leader })
                let voter = cluster[place]
                voter.killHard()
                let aside = arena.folder + "/aside"
                #expect(mkdir(aside, 0o700) == 0)
                for name in ["strict", "strict-log"] {
                    #expect(rename(voter.dataDirectory + "/" + name, aside + "/" + name) == 0)
                }
                for _ in 0..<2 {
                    let again = try DaemonProcess(voter.options, in: arena)
                    #expect(try await again.child.waitForEnd() == 78)
                    #expect(again.child.errors.contains("its log is gone from"), "\(again.child.errors)")
                }
                for name in ["strict", "strict-log"] {
                    #expect(rename(aside + "/" + name, voter.dataDirectory + "/" + name) == 0)
                }
                cluster.daemons[place] = try await DaemonProcess.start(voter.options, in: arena)
                try await eventually("it follows again", within: .seconds(20)) {
                    (try await cluster[place].client.strictGroup().role == "follower").orNil
                }
            }
        }

        @Test("Recovery is refused beside a leader; without a majority clients say so, and the last voter may go on")
        func recovery() async throws {
            try await Arena.with { arena in
                let cluster = try await Self.group(in: arena)
                let leader = try await Self.leader(as: cluster[3])
                for daemon in cluster.daemons.prefix(3) {
                    let refused = try await daemon.gossipctl("strict", "recover", "--yes-lose-writes")
                    #expect(refused.status == 4 && refused.errors.contains("leads"), "\(refused)")
                }
                for daemon in cluster.daemons.prefix(3) where daemon.name != leader { daemon.killHard() }
                let last = try #require(cluster.daemons.first { $0.name == leader })
                try await eventually("the client says that nobody leads", within: .seconds(30)) {
                    guard try await cluster[3].client.strictGroup().leader == nil else { return nil as Void? }
                    let findings = try await cluster[3].client.doctor().findings
                    return findings.contains { $0.code == "strict_no_leader" && $0.summary.contains("majority") }.orNil
                }
                #expect(try await cluster[3].metric("gossipd_strict_has_leader") == 0)
                #expect(cluster[3].log.contains { $0.event == "strict_leader_lost" })
                let done = try await last.gossipctl("strict", "recover", "--yes-lose-writes")
                #expect(done.status == 0, "\(done)")
                try await eventually("it leads alone", within: .seconds(20)) {
                    (try await last.client.strictGroup().role == "leader").orNil
                }
            }
        }
    }
}
