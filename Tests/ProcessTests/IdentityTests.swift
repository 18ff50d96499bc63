// SPDX-License-Identifier: Apache-2.0
// Owns the tests of who a daemon is: a copy of it does not serve, an evicted one stops, a stolen name is not believed.

import AdminClient
import AdminModel
import Glibc
import Persistence
import Testing

extension ProcessTests {
    @Suite("Identity")
    struct IdentityTests {
        @Test("Of two daemons with one data directory's identity the later one ends with 78 and says why")
        func clone() async throws {
            try await Arena.with { arena in
                var cluster = try await Cluster.form(3, in: arena)
                let first = cluster[2]
                // As a disk is cloned: from a host at rest.
                _ = try await first.terminate()
                #expect(try await arena.run("cp", ["-a", first.dataDirectory, "\(arena.folder)/copy"]).status == 0)
                cluster.daemons[2] = try await DaemonProcess.start(first.options, in: arena)
                try await cluster.allSeeAll()
                var options = try DaemonOptions("copy")
                options.join = [cluster[0].address]
                let copy = try DaemonProcess(options, in: arena)
                #expect(try await copy.child.waitForEnd() == 78)
                let line = try #require(copy.log.first { $0.event == "start_failed" })
                #expect(line.message.contains(cluster[2].address) && line.message.contains("cloned"), "\(line.message)")
                _ = try await cluster[2].logged("the older one tells of it") { $0.event == "identity_in_use" }
                try await cluster.allSeeAll()
            }
        }

        @Test("forget --force takes a living member out of the cluster: it leaves and stops; started again, it is back")
        func eviction() async throws {
            try await Arena.with { arena in
                var cluster = try await Cluster.form(3, in: arena)
                let evictee = cluster[2]
                let refused = try await cluster[0].gossipctl("forget", evictee.name)
                #expect(refused.status == 4, "\(refused)")
                let forced = try await cluster[0].gossipctl("forget", "--force", evictee.name)
                #expect(forced.status == 0, "\(forced)")
                #expect(try await evictee.child.waitForEnd() == 0)
                #expect(evictee.log.contains { $0.event == "evicted" && $0.message.contains(cluster[0].name) })
                for daemon in [cluster[0], cluster[1]] {
                    _ = try await eventually("\(daemon.name) knows two members") {
                        try await daemon.client.members().members.count == 2 ? true : nil
                    }
                }
                cluster.daemons[2] = try await DaemonProcess.start(evictee.options, in: arena)
                try await cluster.allSeeAll()
            }
        }

        @Test("A daemon that claims another's id under a key of its own is believed by nobody")
        func forgery() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(3, in: arena)
                let victim = cluster[2]
                let identity = FileText.read(victim.dataDirectory + "/identity")
                // The same id, far ahead, without the victim's signing seed: the daemon mints another.
                let node = try #require(identity.split(separator: "\n").first { $0.hasPrefix("node ") })
                let folder = "\(arena.folder)/thief"
                #expect(mkdir(folder, 0o700) == 0)
                try FileText.write(
                    SealedText.seal(
                        kind: "identity", version: 1,
                        lines: [String(node), "boot_epoch 1", "incarnation_fence 900000"]),
                    to: folder + "/identity", mode: 0o600)
                var options = try DaemonOptions("thief")
                options.join = [cluster[0].address]
                let thief = try DaemonProcess(options, in: arena)
                let told = try await cluster[0].logged("the forgery is told") { $0.event == "member_forged" }
                #expect(told.member == victim.name && told.reason == "other_key", "\(told)")
                _ = try? await thief.child.waitForEnd(within: .seconds(5))
                for daemon in cluster.daemons {
                    let rows = try await daemon.client.members().members
                    let row = try #require(rows.first { $0.name == victim.name })
                    #expect(row.address == victim.address && rows.count == 3, "\(daemon.name) says \(rows)")
                }
                #expect(try await cluster[0].metric("gossipd_claims_forged_total") ?? 0 > 0)
            }
        }
    }
}
