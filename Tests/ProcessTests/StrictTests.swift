// SPDX-License-Identifier: Apache-2.0
// Owns the tests of strict keys on real daemons: formation, any node, conditions, transactions, locks, failures, restores.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("Strict keys")
    struct StrictTests {
        /// Waits until `doctor` names the voter that is missing.
        private static func names(_ voter: String, _ daemon: DaemonProcess) async throws {
            try await eventually("\(daemon.name) names \(voter)", within: .seconds(20)) {
                let findings = try await daemon.client.doctor().findings
                return findings.contains { $0.code == "strict_voters_missing" && $0.summary.contains(voter) }.orNil
            }
        }

        @Test("The group forms once, takes requests on any node, and every node has a copy")
        func anyNode() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.strict(3, in: arena)
                var groups: Set<String?> = []
                for daemon in cluster.daemons { groups.insert(try await daemon.client.strictGroup().group) }
                #expect(groups.count == 1 && groups.first != nil)
                let key = try ConfigurationKey("strict/a")
                var version = ""
                for daemon in cluster.daemons {
                    var options = KeyWriteOptions()
                    options.condition = version.isEmpty ? .absent : .version(version)
                    let written = try await daemon.client.put(key, value: Array(daemon.name.utf8), options)
                    #expect(written.keyClass == .strict && UInt64(written.version) ?? 0 > UInt64(version) ?? 0)
                    version = written.version
                    for reader in cluster.daemons {
                        let read = try await reader.client.get(key)
                        #expect(read.content == .register(Array(daemon.name.utf8)) && read.version == version)
                    }
                }
                let late = try await cluster[1].gossipctl("kv", "put", "strict/a", "x", "--if-version", "1")
                #expect(late.status == 4 && late.errors.contains("it is at version \(version)"), "\(late)")
                for daemon in cluster.daemons {
                    // How old it is is known when the leader has told its time.
                    let local = try await eventually("\(daemon.name) has a copy") {
                        let local = try? await daemon.client.get(key, at: nil, .local)
                        return local?.version == version && local?.stalenessMilliseconds != nil ? local : nil
                    }
                    #expect(local.keyClass == .strict && local.stalenessMilliseconds ?? .max < 60_000)
                    let history = try await daemon.client.history(key, limit: 10)
                    #expect(history.entries.map(\.version).first == version)
                }
                try await cluster.converge()
            }
        }

        @Test("A transaction changes several keys in one moment, whichever node is asked")
        func transaction() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.strict(3, in: arena)
                var request = StrictTransactionRequest(
                    then: [.put("strict/from", "0"), .put("strict/to", "1")], otherwise: [.get("strict/to")])
                var compare = StrictTransactionRequest.Compare(key: "strict/to")
                compare.exists = false
                request.compare = [compare]
                let answers = try await withThrowingTaskGroup(of: StrictTransactionResult.self) { tasks in
                    for daemon in cluster.daemons {
                        let request = request
                        tasks.addTask { try await daemon.client.transact(request) }
                    }
                    return try await tasks.reduce(into: []) { $0.append($1) }
                }
                #expect(answers.count(where: \.succeeded) == 1)
                let version = try #require(answers.first(where: \.succeeded)?.version)
                for answer in answers where !answer.succeeded { #expect(answer.results.first?.version == version) }
                let list = try await cluster[2].client.list(try KeyPrefix("strict/"))
                #expect(list.entries.map(\.version) == [version, version])
            }
        }

        @Test("A burst of large answers ends no stream between the voters, and each is had")
        func largeAnswers() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.strict(3, in: arena)
                let leader = try await cluster[0].knowsLeader()
                let value = [UInt8](repeating: UInt8(ascii: "v"), count: 500_000)
                for name in ["a", "b"] {
                    _ = try await cluster[0].client.put(try ConfigurationKey("strict/\(name)"), value: value)
                }
                let request = StrictTransactionRequest(then: [.get("strict/a"), .get("strict/b")])
                // More than a stream may hold, to one voter.
                let asked = try #require(cluster.daemons.first { $0.name != leader })
                let bytes = try await withThrowingTaskGroup(of: Int.self) { tasks in
                    for _ in 0..<60 {
                        tasks.addTask {
                            let answer = try await asked.client.transact(request)
                            return answer.results.reduce(0) { $0 + ($1.value?.utf8.count ?? 0) }
                        }
                    }
                    return try await tasks.reduce(into: []) { $0.append($1) }
                }
                #expect(bytes == Array(repeating: 1_000_000, count: 60))
                for daemon in cluster.daemons {
                    let ended = try await daemon.metric("gossipd_transport_drops_total", "reason=\"stream_limit\"")
                    #expect(ended == 0, "\(daemon.name)")
                }
            }
        }

        @Test("One process of all holds a lock at a time, under tokens that grow")
        func lock() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.strict(3, in: arena)
                let file = "\(arena.folder)/order"
                // Whoever comes in between would show between the two lines.
                let script = "echo \"in $GOSSIPD_LOCK_TOKEN\" >> \(file); sleep 0.05; echo out >> \(file)"
                try await withThrowingTaskGroup(of: Arena.Outcome.self) { tasks in
                    for daemon in cluster.daemons + cluster.daemons {
                        tasks.addTask {
                            try await daemon.gossipctl("lock", "run", "deploy", "--", "sh", "-c", script)
                        }
                    }
                    for try await outcome in tasks { #expect(outcome.status == 0, "\(outcome)") }
                }
                let lines = FileText.read(file).split(separator: "\n")
                #expect(lines.count == 12)
                let tokens = stride(from: 0, to: lines.count, by: 2).compactMap { UInt64(lines[$0].dropFirst(3)) }
                #expect(tokens.count == 6 && zip(tokens, tokens.dropFirst()).allSatisfy { $0 < $1 }, "\(lines)")
                #expect(stride(from: 1, to: lines.count, by: 2).allSatisfy { lines[$0] == "out" }, "\(lines)")
                let locks = try await cluster[0].client.locks()
                #expect(locks.locks.isEmpty)
            }
        }

        @Test("When the leader is killed the others go on with all that was acknowledged, and say who is missing")
        func leaderKilled() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.strict(3, in: arena)
                let key = try ConfigurationKey("strict/a")
                try await cluster[0].putStrict("strict/a", "before")
                let leader = try await cluster[0].knowsLeader()
                var killed = cluster[0]
                var survivors: [DaemonProcess] = []
                for daemon in cluster.daemons {
                    if daemon.name == leader { killed = daemon } else { survivors.append(daemon) }
                }
                let reader = try #require(survivors.first)
                let writer = try #require(survivors.last)
                killed.killHard()
                let kept = try await reader.gossipctl("--timeout", "15s", "kv", "get", "strict/a")
                #expect(kept.status == 0 && kept.output == "before", "\(kept)")
                try await writer.putStrict("strict/a", "after")
                try await Self.names(leader, reader)
                let back = try await DaemonProcess.start(killed.options, in: arena)
                try await back.knowsLeader()
                #expect(try await back.client.getRaw(key) == Array("after".utf8))
            }
        }

        @Test("Without a majority writes fail in bounded time and name who is missing; local reads go on")
        func majorityLost() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.strict(3, in: arena)
                let key = try ConfigurationKey("strict/a")
                try await cluster[0].putStrict("strict/a", "kept")
                _ = try await eventually("the copy is there") {
                    try? await cluster[0].client.get(key, at: nil, .local)
                }
                for daemon in [cluster[1], cluster[2]] { daemon.killHard() }
                let start = ContinuousClock.now
                let outcome = try await cluster[0].gossipctl("--timeout", "8s", "kv", "put", "strict/a", "lost")
                #expect(outcome.status == 5 && start.duration(to: .now) < .seconds(9), "\(outcome)")
                let named = try await eventually("both are named", within: .seconds(20)) {
                    let outcome = try await cluster[0].gossipctl("--timeout", "2s", "kv", "put", "strict/b", "lost")
                    return outcome.errors.contains("n2") && outcome.errors.contains("n3") ? outcome : nil
                }
                #expect(named.status == 5)
                let local = try await cluster[0].gossipctl("kv", "get", "strict/a", "--consistency", "local")
                #expect(local.status == 0 && local.output == "kept", "\(local)")
                let leader = try await cluster[0].gossipctl("leader", "show")
                #expect(leader.status == 5, "\(leader)")
            }
        }

        @Test("A backup's strict keys come back through the log, and those that are there stay")
        func restore() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.strict(3, in: arena)
                for name in ["a", "b"] { try await cluster[0].putStrict("strict/\(name)", name) }
                _ = try await eventually("the copies are there") {
                    (try await cluster[0].client.list(try KeyPrefix("strict/"), .local).entries.count == 2).orNil
                }
                let backup = "\(arena.folder)/backup"
                #expect(try await cluster[0].gossipctl("backup", backup).status == 0)
                _ = try await cluster[1].client.delete(try ConfigurationKey("strict/a"))
                try await cluster[1].putStrict("strict/b", "newer")
                let outcome = try await cluster[2].gossipctl("restore", backup, "--strict", "only")
                #expect(outcome.output == "wrote 1 strict key through the log, 1 were there already\n", "\(outcome)")
                #expect(try await cluster[1].client.getRaw(try ConfigurationKey("strict/a")) == Array("a".utf8))
                #expect(try await cluster[1].client.getRaw(try ConfigurationKey("strict/b")) == Array("newer".utf8))
            }
        }
    }
}
