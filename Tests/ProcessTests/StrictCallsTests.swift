// SPDX-License-Identifier: Apache-2.0
// Owns the tests of many calls over one connection on real daemons: a leader that is killed, a daemon that is stopped.

import AdminClient
import AdminModel
import Glibc
import Testing

extension ProcessTests {
    @Suite("Many calls over one connection")
    struct StrictCallsTests {
        private static func put(_ id: Int, _ client: String) -> String {
            #"{"id":\#(id),"put":"strict/\#(client)/\#(id)","value":"\#(id)"}"# + "\n"
        }

        /// Sends ten lines at a time, with some hundred under way at most, until all are sent or nobody takes more.
        private static func send(_ count: Int, _ client: String, to stream: CallsStream) {
            for first in stride(from: 1, through: count, by: 10) {
                while first - stream.answers.count > 300, !stream.isOver { usleep(1_000) }
                guard stream.sendLines((first..<(first + 10)).map { put($0, client) }.joined()) else { return }
                usleep(2_000)
            }
            _ = stream.finish()
        }

        /// Each id has one answer at most; what was acknowledged is there, what was not done is not.
        private static func check(_ answers: [KeyCallAnswer], _ client: String, on daemon: DaemonProcess) async throws
            -> Int
        {
            let ids = answers.compactMap(\.id)
            #expect(Set(ids).count == ids.count, "\(client)")
            let list = try await daemon.client.list(try KeyPrefix("strict/\(client)/"))
            var there: [String: KeyDocument] = [:]
            for entry in list.entries { there[entry.key] = entry }
            var acknowledged = 0
            for answer in answers {
                guard let id = answer.id else { continue }
                let entry = there["strict/\(client)/\(id)"]
                if let version = answer.version {
                    acknowledged += 1
                    #expect(
                        entry?.version == version && entry?.content == .register(Array("\(id)".utf8)), "\(client) \(id)"
                    )
                } else if answer.error?.outcome == .notDone {
                    #expect(entry == nil, "\(client) \(id) was said not to be done")
                } else {
                    #expect(answer.error?.outcome == .unknown, "\(client) \(id): \(answer)")
                }
            }
            return acknowledged
        }

        @Test("When the leader is killed each call under way has one answer, and what was acknowledged is there")
        func leaderKilled() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.strict(3, in: arena)
                try await cluster[0].putStrict("strict/before", "x")
                let leader = try cluster.daemon(named: try await cluster[0].knowsLeader())
                let survivors = cluster.daemons.filter { $0.name != leader.name }
                let count = 2_000
                let streams = try (survivors + [leader]).map { try CallsStream($0) }
                await withTaskGroup(of: Void.self) { tasks in
                    for (number, stream) in streams.enumerated() {
                        tasks.addTask { await Thread.run { stream.read() } }
                        tasks.addTask { await Thread.run { Self.send(count, "c\(number)", to: stream) } }
                    }
                    while streams.contains(where: { $0.answers.count < 200 && !$0.isOver }) {
                        try? await Task.sleep(for: .milliseconds(1))
                    }
                    leader.killHard()
                }
                for number in survivors.indices {
                    let answers = streams[number].answers
                    #expect(streams[number].isWhole && answers.compactMap(\.id).sorted() == Array(1...UInt64(count)))
                    let acknowledged = try await Self.check(answers, "c\(number)", on: survivors[number])
                    // Most came before the kill or after the election.
                    #expect(acknowledged > 300, "\(acknowledged)")
                }
                #expect(!streams[2].isWhole)
                #expect(try await Self.check(streams[2].answers, "c2", on: survivors[0]) >= 200)
                for survivor in survivors {
                    try await eventually("\(survivor.name) has no stream open") {
                        (try await survivor.metric("gossipd_admin_streams_open") == 0).orNil
                    }
                }
            }
        }

        @Test("A daemon that is stopped answers what is under way, says that it ends, and takes no long time")
        func stopped() async throws {
            try await Arena.with { arena in
                let cluster = try await Cluster.strict(3, in: arena)
                let daemon = cluster[2]
                try await daemon.putStrict("strict/before", "x")
                let (busy, silent) = (try CallsStream(daemon), try CallsStream(daemon))
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for stream in [busy, silent] { tasks.addTask { await Thread.run { stream.read() } } }
                    tasks.addTask { await Thread.run { Self.send(200_000, "busy", to: busy) } }
                    while busy.answers.count < 500, !busy.isOver { try await Task.sleep(for: .milliseconds(1)) }
                    let stopping = ContinuousClock.now
                    #expect(try await daemon.terminate() == 0)
                    report("a stop with calls under way", stopping.duration(to: .now))
                    #expect(stopping.duration(to: .now) < .seconds(8))
                }
                for stream in [busy, silent] {
                    #expect(stream.answers.last?.closed == "shutdown", "\(String(describing: stream.answers.last))")
                    #expect(stream.answers.dropLast().allSatisfy { $0.closed == nil } && stream.isWhole)
                }
                let answers = busy.answers.filter { $0.closed == nil }
                #expect(try await Self.check(answers, "busy", on: cluster[0]) >= 500)
                // What has no answer was not begun.
                let list = try await cluster[0].client.list(try KeyPrefix("strict/busy/"))
                let unknown = answers.count { $0.error?.outcome == .unknown }
                #expect(list.entries.count <= answers.count(where: { $0.version != nil }) + unknown)
            }
        }
    }
}

/// A thread of its own for what blocks, so that it holds up no task.
private enum Thread {
    static func run(_ work: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { continuation in
            let box = Box {
                work()
                continuation.resume()
            }
            var thread = pthread_t()
            let code = pthread_create(
                &thread, nil,
                { pointer in
                    guard let pointer else { return nil }
                    Unmanaged<Box>.fromOpaque(pointer).takeRetainedValue().work()
                    return nil
                }, Unmanaged.passRetained(box).toOpaque())
            precondition(code == 0, "no thread: \(code)")
            pthread_detach(thread)
        }
    }

    private final class Box: Sendable {
        let work: @Sendable () -> Void
        init(_ work: @escaping @Sendable () -> Void) { self.work = work }
    }
}
