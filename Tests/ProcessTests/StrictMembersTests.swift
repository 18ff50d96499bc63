// SPDX-License-Identifier: Apache-2.0
// Owns the tests of operating the strict group on real daemons: members that come and go, handing over, a lost majority.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("Members of the strict group")
    struct StrictMembersTests {
        @Test("A client is added, learns and votes; a voter that is removed becomes a client, and stays one")
        func addAndRemove() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.strict(4, in: arena)
                try await cluster[0].putStrict("strict/a", "before")
                let added = try await cluster[3].gossipctl("strict", "add", "n4")
                #expect(added.status == 0 && added.output.contains("n4"), "\(added)")
                for daemon in cluster.daemons { try await daemon.knowsMembers(voters: ["n1", "n2", "n3", "n4"]) }
                let again = try await cluster[0].gossipctl("strict", "add", "n4")
                #expect(again.status == 4, "\(again)")
                let table = try await cluster[3].gossipctl("strict", "members")
                #expect(table.output.contains("4 of 4 voters reached, 3 needed"), "\(table)")

                let leader = try await cluster[0].knowsLeader()
                let gone = try #require(cluster.daemons.first { $0.name != leader })
                let rest = cluster.daemons.filter { $0.name != gone.name }
                let removed = try await rest[0].gossipctl("strict", "remove", gone.name)
                #expect(removed.status == 0, "\(removed)")
                for daemon in rest { try await daemon.knowsMembers(voters: rest.map(\.name)) }
                try await gone.hasStrictRole("client")
                try await gone.putStrict("strict/a", "after")
                let read = try await gone.gossipctl("kv", "get", "strict/a")
                #expect(read.status == 0 && read.output == "after", "\(read)")
                let back = try await rest[0].gossipctl("strict", "add", gone.name)
                #expect(back.status == 4, "\(back)")
                let recovery = try await gone.gossipctl("strict", "recover", "--yes-lose-writes")
                #expect(recovery.status == 4, "\(recovery)")
            }
        }

        @Test("A learner that does not answer has no vote and can be removed again")
        func learner() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.strict(4, in: arena)
                let learner = cluster[3]
                let (voters, rest) = (["n1", "n2", "n3"], cluster.daemons.prefix(3))
                learner.child.signal(SIGSTOP)
                defer { learner.child.signal(SIGCONT) }
                let added = try await cluster[0].gossipctl("strict", "add", "n4")
                #expect(added.status == 0, "\(added)")
                for daemon in rest { try await daemon.knowsMembers(voters: voters, learners: ["n4"]) }
                let table = try await cluster[0].gossipctl("strict", "members")
                #expect(table.output.contains("learner") && table.output.contains("of 3 voters"), "\(table)")
                let removed = try await cluster[1].gossipctl("strict", "remove", "n4")
                #expect(removed.status == 0, "\(removed)")
                for daemon in rest { try await daemon.knowsMembers(voters: voters) }
                learner.child.signal(SIGCONT)
                try await learner.hasStrictRole("client")
                try await learner.putStrict("strict/a", "from a client")
            }
        }

        @Test("Leadership is handed to the voter that is named, or to any; nobody else can be given it")
        func transfer() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.strict(4, in: arena)
                let first = try await cluster[3].knowsLeader()
                let second = try #require(["n1", "n2", "n3"].first { $0 != first })
                let handed = try await cluster[3].gossipctl("leader", "transfer", second)
                #expect(handed.status == 0, "\(handed)")
                for daemon in cluster.daemons {
                    try await eventually("\(daemon.name) follows \(second)", within: .seconds(10)) {
                        try await daemon.gossipctl("leader", "show").output.hasPrefix("\(second), term ").orNil
                    }
                }
                try await cluster[3].putStrict("strict/a", "under the second")
                let any = try await cluster[0].gossipctl("leader", "transfer")
                #expect(any.status == 0, "\(any)")
                try await eventually("\(second) follows another", within: .seconds(10)) {
                    let shown = try await cluster.daemon(named: second).gossipctl("leader", "show")
                    return (shown.status == 0 && !shown.output.hasPrefix("\(second),")).orNil
                }
                let client = try await cluster[0].gossipctl("leader", "transfer", "n4")
                #expect(client.status == 4, "\(client)")
                let nobody = try await cluster[0].gossipctl("leader", "transfer", "n9")
                #expect(nobody.status == 3 && nobody.errors.contains("n9"), "\(nobody)")
            }
        }

        @Test("A leader that leaves hands over first; when one is removed, the answer names the next")
        func leaderGoes() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.strict(5, voters: 5, in: arena)
                let first = try await cluster[0].knowsLeader()
                var rest = cluster.daemons.filter { $0.name != first }
                let left = try await cluster.daemon(named: first).gossipctl("leave")
                #expect(left.status == 0, "\(left)")
                let second = try await eventually("another leads", within: .seconds(10)) {
                    let leader = try await rest[0].client.strictGroup().leader?.name
                    return leader == first ? nil : leader
                }
                let told = try await cluster.daemon(named: second).gossipctl("events")
                #expect(told.output.contains("\(second) leads the strict group in term"), "\(told)")
                #expect(told.output.contains("the leader hands over"), "\(told)")

                let term = try await rest[0].client.strictGroup().term
                rest.removeAll { $0.name == second }
                let removed = try await rest[0].gossipctl("strict", "remove", second)
                #expect(removed.status == 0 && !removed.output.contains("term \(term), "), "\(removed)")
                let named = rest.contains { removed.output.contains("leader \($0.name), ") }
                #expect(named, "\(removed)")
            }
        }

        @Test("A dead voter is replaced by another node, and comes back as a client that may not found anything")
        func replace() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.strict(4, in: arena)
                try await cluster[3].putStrict("strict/a", "before")
                let leader = try await cluster[3].knowsLeader()
                let dead = try #require(cluster.daemons.first { $0.name != leader })
                dead.killHard()
                let rest = cluster.daemons.filter { $0.name != dead.name }
                // Two of three are left: without a further one the group would bear no loss.
                let added = try await rest[0].gossipctl("strict", "add", "n4")
                #expect(added.status == 0, "\(added)")
                for daemon in rest { try await daemon.knowsMembers(voters: ["n1", "n2", "n3", "n4"]) }
                let removed = try await rest[1].gossipctl("strict", "remove", dead.name)
                #expect(removed.status == 0, "\(removed)")
                for daemon in rest { try await daemon.knowsMembers(voters: rest.map(\.name)) }
                try await rest[2].putStrict("strict/a", "after")

                let back = try await DaemonProcess.start(dead.options, in: arena)
                try await back.hasStrictRole("client")
                let read = try await back.gossipctl("kv", "get", "strict/a")
                #expect(read.status == 0 && read.output == "after", "\(read)")
                let recovery = try await back.gossipctl("strict", "recover", "--yes-lose-writes")
                #expect(recovery.status == 4, "\(recovery)")
                try await rest[0].knowsMembers(voters: rest.map(\.name))
            }
        }

        @Test("Recovery is refused while a majority is there; when it is lost for good, what one voter holds goes on")
        func recover() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.strict(4, in: arena)
                for daemon in cluster.daemons.prefix(3) {
                    try await daemon.putStrict("strict/kept", "for long")
                }
                // Who goes on holds it: with an answer only a majority is sure to.
                try await eventually("all voters have applied it") {
                    var applied: Set<UInt64> = []
                    for daemon in cluster.daemons.prefix(3) {
                        applied.insert(try await daemon.client.strictGroup().applied)
                    }
                    return (applied.count == 1).orNil
                }
                let leader = try await cluster[0].knowsLeader()
                let survivor = try #require(cluster.daemons.first { $0.name != leader })
                let group = try await survivor.client.strictGroup().group
                let early = try await survivor.gossipctl("strict", "recover", "--yes-lose-writes")
                #expect(early.status == 4 && early.errors.contains(leader), "\(early)")
                for daemon in cluster.daemons.prefix(3) where daemon.name != survivor.name { daemon.killHard() }
                let unsure = try await survivor.gossipctl("strict", "recover")
                #expect(unsure.status != 0 && unsure.errors.contains("--yes-lose-writes"), "\(unsure)")
                #expect(try await survivor.client.strictGroup().group == group)

                _ = try await eventually("the survivor goes on", within: .seconds(20)) {
                    let recovered = try await survivor.gossipctl("strict", "recover", "--yes-lose-writes")
                    guard recovered.status == 0 || recovered.status == 4 else { throw Trouble("\(recovered)") }
                    return (recovered.status == 0).orNil
                }
                try await survivor.knowsMembers(voters: [survivor.name])
                let kept = try await survivor.gossipctl("--timeout", "10s", "kv", "get", "strict/kept")
                #expect(kept.status == 0 && kept.output == "for long", "\(kept)")
                #expect(try await survivor.client.strictGroup().group != group)
                // A client that knows the former group waits for some time before it believes in another; a member is told.
                let added = try await survivor.gossipctl("strict", "add", "n4")
                #expect(added.status == 0, "\(added)")
                for daemon in [survivor, cluster[3]] {
                    try await daemon.knowsMembers(voters: [survivor.name, "n4"].sorted())
                }
                try await cluster[3].putStrict("strict/new", "by the new one")
            }
        }
    }
}
