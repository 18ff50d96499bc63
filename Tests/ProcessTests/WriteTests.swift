// SPDX-License-Identifier: Apache-2.0
// Owns the tests of writes with conditions, ids, waiting and an end.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("A write")
    struct WriteTests {
        @Test("Of several clients that compare and set, each counts once, and only one creates")
        func conditions() async throws {
            try await Arena.with { arena in
                let daemon = try await DaemonProcess.start(try DaemonOptions("n1"), in: arena)
                let key = try ConfigurationKey("app/number")
                let created = await withTaskGroup(of: Bool.self) { tasks in
                    for _ in 0..<8 {
                        tasks.addTask {
                            var options = KeyWriteOptions()
                            options.condition = .absent
                            return (try? await daemon.client.put(key, value: Array("0".utf8), options)) != nil
                        }
                    }
                    return await tasks.reduce(into: 0) { $0 += $1 ? 1 : 0 }
                }
                #expect(created == 1)
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for _ in 0..<4 {
                        tasks.addTask {
                            var done = 0
                            while done < 10 {
                                let found = try await daemon.client.get(key)
                                guard case .register(let value) = found.content else { return }
                                let next = (Int(String(decoding: value, as: UTF8.self)) ?? -1_000) + 1
                                var options = KeyWriteOptions()
                                options.condition = .version(found.version)
                                do throws(AdminFailure) {
                                    _ = try await daemon.client.put(key, value: Array("\(next)".utf8), options)
                                    done += 1
                                } catch {
                                    guard error.code == .conditionFailed else { throw error }
                                }
                            }
                        }
                    }
                    try await tasks.waitForAll()
                }
                #expect(try await daemon.client.getRaw(key) == Array("40".utf8))
                let late = try await daemon.gossipctl("kv", "put", "app/number", "x", "--if-absent")
                #expect(late.status == 4, "\(late.errors)")
                let gone = try await daemon.gossipctl("kv", "delete", "app/number", "--if-version", "0-0")
                #expect(gone.status == 4, "\(gone.errors)")
                #expect(try await daemon.client.getRaw(key) == Array("40".utf8))
            }
        }

        @Test("Sent twice under one id it counts once, also over kill -9 and an orderly restart")
        func idempotency() async throws {
            try await Arena.with { arena in
                let options = try DaemonOptions("n1")
                var daemon = try await DaemonProcess.start(options, in: arena)
                let key = try ConfigurationKey("app/count")
                var once = KeyWriteOptions()
                once.requestID = "deploy-17"
                let first = try await daemon.client.addToCounter(key, 5, once)
                for round in 0..<3 {
                    let again = try await daemon.client.addToCounter(key, 5, once)
                    #expect(again.version == first.version, "round \(round)")
                    #expect(try await daemon.client.counter(key).value == 5, "round \(round)")
                    if round == 0 { daemon.killHard() } else { #expect(try await daemon.terminate() == 0) }
                    daemon = try await DaemonProcess.start(options, in: arena)
                }
                let other = try await daemon.gossipctl(
                    "counter", "add", "app/count", "6", "--request-id", "deploy-17")
                #expect(other.status == 4 && other.errors.contains("deploy-17"), "\(other.errors)")
                #expect(try await daemon.client.counter(key).value == 5)
            }
        }

        @Test("Waiting for more nodes than answer ends with status 5 and names those that are missing")
        func wait() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.form(3, in: arena)
                let all = try await cluster[0].gossipctl("kv", "put", "app/x", "1", "--wait", "all")
                #expect(all.status == 0 && all.output.hasSuffix("on 3 of 3 nodes\n"), "\(all.output)\(all.errors)")
                cluster[2].child.signal(SIGSTOP)
                let missing = try await cluster[0].gossipctl(
                    "kv", "put", "app/x", "2", "--wait", "all", "--wait-timeout", "1s")
                #expect(missing.status == 5)
                #expect(missing.errors.contains("missing: n3"), "\(missing.errors)")
                let most = try await cluster[0].gossipctl("kv", "put", "app/x", "3", "--wait", "majority")
                #expect(most.status == 0, "\(most.errors)")
                cluster[1].child.signal(SIGSTOP)
                let alone = try await cluster[0].gossipctl(
                    "kv", "put", "app/x", "4", "--wait", "majority", "--wait-timeout", "1s")
                #expect(alone.status == 5, "\(alone.output)\(alone.errors)")
                #expect(alone.errors.contains("n2") && alone.errors.contains("n3"), "\(alone.errors)")

                // Members that failed have not gone: the majority is of all three.
                for name in ["n2", "n3"] { try await cluster[0].shows(name, .failed, within: .seconds(40)) }
                let failed = try await cluster[0].gossipctl(
                    "kv", "put", "app/x", "5", "--wait", "majority", "--wait-timeout", "1s")
                #expect(failed.status == 5, "\(failed.output)\(failed.errors)")
                for daemon in [cluster[1], cluster[2]] { daemon.child.signal(SIGCONT) }
                try await cluster.allSeeAll(within: .seconds(30))
                let healed = try await cluster[0].gossipctl("kv", "put", "app/x", "6", "--wait", "all")
                #expect(healed.status == 0, "\(healed.errors)")
            }
        }

        @Test("With a time to live it ends on every node, also on one that was down when it did")
        func expiry() async throws {
            try await Arena.with { arena in
                var cluster = try await Cluster.form(3, in: arena)
                let key = try ConfigurationKey("app/lease")
                var options = KeyWriteOptions()
                options.ttlMilliseconds = 1_500
                _ = try await cluster[0].client.put(key, value: [49], options)
                try await cluster.converge()
                for daemon in cluster.daemons { #expect(try await daemon.client.getRaw(key) == [49], "\(daemon.name)") }
                cluster[2].killHard()
                for daemon in cluster.daemons.dropLast() {
                    try await eventually("it ends on \(daemon.name)", within: .seconds(5)) {
                        (try await daemon.client.list().entries.isEmpty).orNil
                    }
                }
                cluster.daemons[2] = try await DaemonProcess.start(cluster[2].options, in: arena)
                #expect(try await cluster[2].client.list().entries.isEmpty)
                cluster[0].killHard()
                var back = cluster[0].options
                back.join = [cluster[1].address]
                cluster.daemons[0] = try await DaemonProcess.start(back, in: arena)
                #expect(try await cluster[0].client.list().entries.isEmpty)
                try await cluster.allSeeAll()
                try await cluster.converge()
                for daemon in cluster.daemons { #expect(try await daemon.client.list().entries.isEmpty) }
            }
        }
    }
}
