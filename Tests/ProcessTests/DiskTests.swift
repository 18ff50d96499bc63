// SPDX-License-Identifier: Apache-2.0
// Owns the tests of disks that are full, broken or hold rubbish.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("A bad disk")
    struct DiskTests {
        private static func fail(_ client: AdminClient, _ key: String) async throws -> AdminFailure? {
            let key = try ConfigurationKey(key)
            do throws(AdminFailure) {
                _ = try await client.put(key, value: [UInt8](repeating: 120, count: 4_000))
                return nil
            } catch {
                return error
            }
        }

        @Test(
            "On a full disk writes are refused, the rest goes on, and with room all is as before and nothing is lost",
            .enabled(if: SmallDisk.isAvailable, "needs unshare, nsenter and mount, and leave to use them"))
        func full() async throws {
            try await Arena.with { arena in
                let disk = try await SmallDisk(at: arena.folder + "/n2", bytes: 8 << 20, in: arena)
                var cluster = try await Cluster.form(2, in: arena) { if $0.name == "n2" { $0.prefix = disk.prefix } }
                let (healthy, victim) = (cluster[0], cluster[1])
                var acknowledged: [String] = []
                for number in 0..<10 {
                    #expect(try await Self.fail(victim.client, "before/\(number)") == nil)
                    acknowledged.append("before/\(number)")
                }
                let watch = try WatchRecord(victim, "peer/", in: arena)
                try await disk.fill()

                // The log has some room in its file: it is not the first write that meets the end of it.
                var refusal: AdminFailure?
                for number in 0..<500 where refusal == nil {
                    refusal = try await Self.fail(victim.client, "during/\(number)")
                    if refusal == nil { acknowledged.append("during/\(number)") }
                }
                #expect(refusal?.code == .storageFull, "\(String(describing: refusal))")
                let line = try await victim.logged("the disk is full") { $0.event == "storage_full" }
                #expect(line.message.contains("full"), "\(line)")
                let outcome = try await victim.gossipctl("kv", "put", "during/refused", "x")
                #expect(outcome.status == 5)
                #expect(outcome.errors.hasPrefix("gossipctl: ") && outcome.errors.contains("full"), "\(outcome.errors)")
                #expect(try await victim.client.doctor().findings.contains { $0.code == "storage_full" })

                // Reads, membership and watches do not need the disk.
                #expect(try await victim.client.getRaw(try ConfigurationKey("before/3")).count == 4_000)
                _ = try await healthy.client.put(try ConfigurationKey("peer/one"), value: [49])
                let beats = watch.lines.count { $0.event == StreamEvent.heartbeat }
                try await eventually("the watch lives") {
                    (watch.lines.count { $0.event == StreamEvent.heartbeat } > beats).orNil
                }
                #expect(try await victim.state(of: "n1") == .alive)
                #expect(try await healthy.state(of: "n2") == .alive)

                try await disk.makeRoom()
                _ = try await victim.logged("there is room again") { $0.event == "storage_recovered" }
                try await eventually("writes go again", within: .seconds(5)) {
                    (try await Self.fail(victim.client, "after/room") == nil).orNil
                }
                acknowledged.append("after/room")
                // A watch tells only of what lasts: it has waited too.
                try await watch.shows("peer/one")
                #expect(watch.changes.map(\.key) == ["peer/one"])
                #expect(try await victim.client.doctor().findings.map(\.code) == ["healthy"])

                // What waited for room is on the disk now: the peer is not there to bring it.
                healthy.killHard()
                victim.killHard()
                cluster.daemons[1] = try await DaemonProcess.start(victim.options, in: arena)
                let keys = Set(try await cluster[1].client.list().entries.map(\.key))
                #expect(Set(acknowledged + ["peer/one"]).subtracting(keys).isEmpty)
            }
        }

        @Test(
            "A failed fsync ends the daemon with status 74; nothing after it was acknowledged, all before it is there",
            .enabled(if: BrokenSync.compiler != nil, "needs a C compiler"))
        func failedSync() async throws {
            try await Arena.with { arena in
                let disk = try await BrokenSync(in: arena)
                var options = try DaemonOptions("n1")
                options.environment = disk.environment
                let daemon = try await DaemonProcess.start(options, in: arena)
                let acknowledged = Shared<[String]>([])
                let isBroken = Shared(false)
                let late = Shared<[String]>([])
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for writer in 0..<4 {
                        tasks.addTask {
                            for number in 0..<100_000 {
                                let key = "sync/\(writer)/\(number)"
                                let beganBroken = isBroken.value
                                guard (try? await daemon.client.put(try ConfigurationKey(key), value: [1])) != nil
                                else { return }
                                acknowledged.change { $0.append(key) }
                                if beganBroken { late.change { $0.append(key) } }
                            }
                        }
                    }
                    try await Task.sleep(for: .milliseconds(300))
                    try disk.breakDown()
                    isBroken.change { $0 = true }
                    try await tasks.waitForAll()
                }
                #expect(try await daemon.child.waitForEnd() == 74)
                #expect(late.value == [])
                #expect(acknowledged.value.count > 10, "hardly anything was written")
                let line = try #require(daemon.log.first { $0.event == "storage_failed" })
                #expect(line.message.hasPrefix("storage failed, stopping at once: "), "\(line)")
                print(line.message)

                options.environment = [:]
                let again = try await DaemonProcess.start(options, in: arena)
                let keys = Set(try await again.client.list().entries.map(\.key))
                #expect(Set(acknowledged.value).subtracting(keys).isEmpty)
            }
        }

        enum Damage: String, CaseIterable, Sendable {
            case middle, truncated, garbage

            func apply(to bytes: [UInt8]) -> [UInt8] {
                var random = Randomness(seed: 4)
                switch self {
                case .middle:
                    var bytes = bytes
                    // Pages of 4096 bytes: a third of them, from the first quarter on.
                    let from = bytes.count / 4
                    let count = bytes.count / 3
                    bytes.replaceSubrange(from..<(from + count), with: random.bytes(count))
                    return bytes
                case .truncated: return Array(bytes.prefix(bytes.count / 2))
                case .garbage: return random.bytes(bytes.count)
                }
            }
        }

        @Test(
            "A damaged database is named and kept aside, and the node gets everything from a peer",
            arguments: Damage.allCases)
        func damaged(_ damage: Damage) async throws {
            try await Arena.with { arena in
                var cluster = try await Cluster.form(2, in: arena)
                for number in 0..<200 {
                    let key = try ConfigurationKey("app/\(number)")
                    _ = try await cluster[number % 2].client.put(key, value: [UInt8](repeating: 97, count: 200))
                }
                try await cluster.converge()
                let before = try await cluster[1].client.status()
                #expect(try await cluster[1].terminate() == 0)
                let file = cluster[1].dataDirectory + "/store.db"
                let good = FileText.bytes(file)
                #expect(good.count > 16_384, "the database is not in its file: \(good.count) bytes")
                let bad = damage.apply(to: good)
                try FileText.write(bad, to: file)

                var options = cluster[1].options
                options.join = [cluster[0].address]
                cluster.daemons[1] = try await DaemonProcess.start(options, in: arena)
                let line = try #require(cluster[1].log.first { $0.event == "store_set_aside" })
                print(line.message, line.reason ?? "-")
                let aside = try #require(
                    Folder.names(cluster[1].dataDirectory).first { name in
                        name.hasPrefix("store.db") && FileText.bytes(cluster[1].dataDirectory + "/" + name) == bad
                    })
                #expect(line.message.contains(aside), "\(line.message) does not name \(aside)")
                try await cluster.allSeeAll()
                try await cluster.converge()
                let after = try await cluster[1].client.status()
                #expect(after.store.keys == 200 && after.node == before.node)
                _ = try await cluster[1].client.put(try ConfigurationKey("app/new"), value: [1])
                _ = try await cluster[1].client.put(try ConfigurationKey("app/7"), value: [2])
                try await cluster.converge()
                for daemon in cluster.daemons {
                    #expect(try await daemon.client.getRaw(try ConfigurationKey("app/new")) == [1])
                    #expect(try await daemon.client.getRaw(try ConfigurationKey("app/7")) == [2])
                }
            }
        }
    }
}
