// SPDX-License-Identifier: Apache-2.0
// Owns the tests of watching with a command, of resuming, of verify and doctor, with the real gossipctl.

import AdminClient
import AdminModel
import AdminServer
import AdminServerFixture
import Glibc
import Synchronization
import Testing

@Suite struct WatchCommandTests {
    private static let script = #"printf '%s %s %s<%s>\n' "$GOSSIPD_EVENT" "$GOSSIPD_KEY" "$GOSSIPD_VALUE" "$(cat)""#

    @Test func `a command runs for each change, in order, until one fails`() async throws {
        try await ServerFixture.run { fixture in
            let script = Self.script + #"; [ "$GOSSIPD_KEY" != app/stop ] || exit 3"#
            async let watching = fixture.gossipctl(["kv", "watch", "app/", "--", "sh", "-c", script])
            try await fixture.eventually { $0.streamsOpen == 1 }
            for (name, value) in [
                ("app/a", "1; $(x)"), ("other", "2"), ("app/b", "3"), ("app/stop", "4"), ("app/c", "5"),
            ] {
                _ = try await fixture.node.put(try ConfigurationKey(name), value: Array(value.utf8))
            }
            let outcome = try await watching
            #expect(outcome.status == 1)
            #expect(outcome.output == "put app/a 1; $(x)<1; $(x)>\nput app/b 3<3>\nput app/stop 4<4>\n")
            #expect(
                outcome.error.contains(#""sh" exited with status 3 for put of "app/stop": stopped"#), "\(outcome.error)"
            )
        }
    }

    @Test func `a command that fails can be passed over, one that is missing is told`() async throws {
        try await ServerFixture.run { fixture in
            let script = #"echo "$GOSSIPD_KEY"; [ "$GOSSIPD_KEY" != app/end ] || { kill $PPID; exit; }; exit 1"#
            async let watching = fixture.gossipctl([
                "kv", "watch", "app/", "--on-failure", "continue", "--", "sh", "-c", script,
            ])
            try await fixture.eventually { $0.streamsOpen == 1 }
            for name in ["app/a", "app/b", "app/end"] {
                _ = try await fixture.node.put(try ConfigurationKey(name), value: [0x31])
            }
            let outcome = try await watching
            #expect(outcome.output == "app/a\napp/b\napp/end\n")
            #expect(outcome.error.split(separator: "\n").count == 2)

            async let missing = fixture.gossipctl(["kv", "watch", "--", "/nonexistent/program"])
            try await fixture.eventually { $0.streamsOpened == 2 && $0.streamsOpen == 1 }
            _ = try await fixture.node.put(try ConfigurationKey("x"), value: [0x31])
            let second = try await missing
            #expect(second.status == 1)
            #expect(second.error.contains("cannot run \"/nonexistent/program\": No such file"), "\(second.error)")
        }
    }

    @Test func `a value that the command does not read does no harm, however large`() async throws {
        try await ServerFixture.run { fixture in
            async let watching = fixture.gossipctl([
                "kv", "watch", "--", "sh", "-c", "echo ${GOSSIPD_VALUE-unset}; kill $PPID",
            ])
            try await fixture.eventually { $0.streamsOpen == 1 }
            _ = try await fixture.node.put(
                try ConfigurationKey("large"), value: [UInt8](repeating: 0x61, count: 512 * 1024))
            #expect(try await watching.output == "unset\n")
        }
    }

    @Test func `a watch with a command goes on over a restart, without a gap and without a repeat`() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let node = FakeNode()
        let path = folder.path + "/admin.sock"
        let script = #"echo "$GOSSIPD_KEY"; [ "$GOSSIPD_KEY" != d ] || kill $PPID"#
        async let watching = Outcome.run(["--socket", path, "kv", "watch", "--", "sh", "-c", script])
        for (before, after) in [(["a"], ["b"]), (["c"], ["d"])] {
            try await ServerFixture.serve(node, path) { fixture in
                try await fixture.patiently { $0.streamsOpen == 1 }
                for name in before { _ = try await node.put(try ConfigurationKey(name), value: [0x31]) }
            }
            // While nobody serves.
            for name in after { _ = try await node.put(try ConfigurationKey(name), value: [0x31]) }
        }
        try await ServerFixture.serve(node, path) { fixture in
            try await fixture.patiently { $0.streamsOpened == 1 && $0.streamsOpen == 0 }
        }
        let outcome = try await watching
        #expect(outcome.output == "a\nb\nc\nd\n")
        let notices = outcome.error.split(separator: "\n")
        #expect(
            !notices.isEmpty && notices.allSatisfy { $0.hasPrefix("gossipctl: reconnecting, because ") }, "\(notices)")
    }

    @Test func `heartbeats come as often as asked`() async throws {
        try await ServerFixture.run { fixture in
            var seen: [String] = []
            try await fixture.client.watch(heartbeat: .seconds(1)) { event, _ throws(AdminFailure) in
                seen.append(event.event)
                return false
            }
            #expect(seen == ["heartbeat"])
        }
    }

    @Test func `the past of a subscription is read page by page before what is new`() async throws {
        let pages = Mutex([[1, 2], [], [3]][...])
        let closed = Mutex(0)
        let subscription = Subscription<Int>(
            startCursor: "0",
            catchUp: PullStream { () throws(AdminFailure) in
                pages.withLock { $0.popFirst() }
            } close: {
                closed.withLock { $0 += 1 }
            })
        subscription.offer(4)
        var seen: [Int] = []
        while seen.count < 4, case .event(let number) = await subscription.next() { seen.append(number) }
        #expect(seen == [1, 2, 3, 4])
        #expect(closed.withLock { $0 } == 1)
    }

    @Test func `a past that fails ends the subscription`() async throws {
        let subscription = Subscription<Int>(
            startCursor: "0",
            catchUp: PullStream { () throws(AdminFailure) in throw AdminFailure(.internalError, "broken") })
        if await subscription.next() != nil { Issue.record("there is nothing to deliver") }
        #expect(subscription.ending == .cut(.shutdown))
    }

    @Test(
        arguments: [
            ([VerifyDocument.Result.equal], Int32(0)), ([.equal, .different, .unknown], 1), ([.unknown, .equal], 5),
            ([], 0),
        ] as [([VerifyDocument.Result], Int32)])
    func `verify exits with 1 when a store differs, 5 when one is not known`(
        results: [VerifyDocument.Result], status: Int32
    ) async throws {
        try await ServerFixture.run { fixture in
            fixture.node.peek { state in
                state.verification.peers = results.map { result in
                    .init(
                        member: fixture.node.me, result: result,
                        ranges: result == .different ? [.init(first: "app/a", end: nil)] : [],
                        reason: result == .unknown ? "no answer" : nil)
                }
            }
            let outcome = try await fixture.gossipctl(["kv", "verify"])
            #expect(outcome.status == status)
            #expect(outcome.output.hasPrefix("root 00ff, 3 rows\n"))
            #expect(outcome.output.contains("app/a to the last key") == results.contains(.different))
        }
    }

    @Test(arguments: [(DoctorDocument.Severity.ok, Int32(0)), (.warning, 0), (.error, 1)])
    func `doctor exits with 1 when there is an error`(severity: DoctorDocument.Severity, status: Int32) async throws {
        try await ServerFixture.run { fixture in
            fixture.node.peek { $0.findings = [.init(severity, code: "x", summary: "so it is", advice: "do it")] }
            let outcome = try await fixture.gossipctl(["doctor"])
            #expect(outcome.status == status)
            #expect(outcome.output.contains("so it is (x)\n         -> do it\n"))
            #expect(try await fixture.client.doctor().findings.map(\.severity) == [severity])
        }
    }
}

extension ServerFixture {
    /// As `eventually`, for what takes as long as another process does.
    func patiently(_ condition: (AdminServerCounters) -> Bool) async throws {
        for _ in 0..<100 where !condition(server.counters) { try? await eventually(condition) }
        try await eventually(condition)
    }
}
