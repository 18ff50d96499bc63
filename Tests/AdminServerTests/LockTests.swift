// SPDX-License-Identifier: Apache-2.0
// Owns the tests of `gossipctl lock`, with the real program and real commands.

import AdminClient
import AdminModel
import AdminServerFixture
import Glibc
import Testing

@Suite struct LockTests {
    private static func run(
        _ fixture: ServerFixture, _ arguments: [String], _ command: String
    ) async throws -> Outcome {
        try await fixture.gossipctl(["lock", "run", "deploy"] + arguments + ["--", "sh", "-c", command])
    }

    /// Waits for a line of the lock of that many leases.
    private static func line(of count: Int, _ fixture: ServerFixture) async throws {
        for _ in 0..<3000 {
            if fixture.node.peek({ $0.strict.locks["deploy"]?.line.count ?? 0 }) == count { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw AdminFailure(.timedOut, "the line never had \(count) leases")
    }

    @Test func `the command runs under the lock, is told its token, and the lock is given back`() async throws {
        try await StrictTests.withStrict { fixture in
            let outcome = try await Self.run(
                fixture, [], "echo $GOSSIPD_LOCK_NAME $GOSSIPD_LOCK_TOKEN; exit 7")
            #expect(outcome == Outcome(7, "deploy 2\n", ""))
            #expect(fixture.node.peek { $0.strict.locks.isEmpty && $0.strict.leases.isEmpty })
        }
    }

    @Test func `who comes second waits, and goes on with a higher token`() async throws {
        try await StrictTests.withStrict { fixture in
            let other = try await fixture.client.grantLease(.seconds(60)).lease
            let token = try await fixture.client.acquireLock(
                try ConfigurationKey("deploy"), lease: other, mayWait: false
            ).token
            async let waiting = Self.run(fixture, [], "echo $GOSSIPD_LOCK_TOKEN")
            try await Self.line(of: 2, fixture)
            _ = try await fixture.client.revokeLease(other)
            let outcome = try await waiting
            #expect(outcome.status == 0)
            let later = try #require(UInt64(outcome.output.filter(\.isNumber)))
            #expect(later > token ?? .max)
        }
    }

    @Test(arguments: [("0s", "held by another"), ("300ms", "was not given back in time")])
    func `who does not want to wait so long exits with 5 and leaves no place in line`(
        wait: String, words: String
    ) async throws {
        try await StrictTests.withStrict { fixture in
            let other = try await fixture.client.grantLease(.seconds(60)).lease
            _ = try await fixture.client.acquireLock(try ConfigurationKey("deploy"), lease: other, mayWait: false)
            let outcome = try await Self.run(fixture, ["--wait", wait], "echo ran")
            #expect(outcome.status == 5 && outcome.output.isEmpty && outcome.error.contains(words), "\(outcome)")
            #expect(fixture.node.peek { $0.strict.locks["deploy"]?.line.count } == 1)
        }
    }

    @Test func `the lease is renewed while the command runs`() async throws {
        try await StrictTests.withStrict { fixture in
            let outcome = try await Self.run(fixture, ["--ttl", "1s"], "sleep 1.5")
            #expect(outcome == Outcome(0, "", ""))
            #expect(fixture.node.peek { $0.strict.renewals } >= 3)
        }
    }

    @Test func `the lease is renewed while the answer to the request for the lock takes longer than the lease lives`()
        async throws
    {
        try await StrictTests.withStrict { fixture in
            fixture.node.peek { $0.strict.renewalsBeforeLocks = 4 }
            let outcome = try await Self.run(fixture, ["--ttl", "1s"], "echo $GOSSIPD_LOCK_TOKEN")
            #expect(outcome == Outcome(0, "2\n", ""))
            #expect(fixture.node.peek { $0.strict.renewals } >= 4)
        }
    }

    @Test func `the place in line is kept while the answer to where it is takes longer than the lease lives`()
        async throws
    {
        try await StrictTests.withStrict { fixture in
            let other = try await fixture.client.grantLease(.seconds(60)).lease
            _ = try await fixture.client.acquireLock(try ConfigurationKey("deploy"), lease: other, mayWait: false)
            async let waiting = Self.run(fixture, ["--ttl", "1s"], "echo ran")
            try await Self.line(of: 2, fixture)
            fixture.node.peek { $0.strict.renewalsBeforeLocks = $0.strict.renewals + 4 }
            _ = try await fixture.client.revokeLease(other)
            #expect(try await waiting == Outcome(0, "ran\n", ""))
        }
    }

    @Test func `when the group ends the lease the command gets SIGTERM, and the exit status is 75`() async throws {
        try await StrictTests.withStrict { fixture in
            async let running = Self.run(
                fixture, ["--ttl", "1s"], "trap 'echo told; exit 3' TERM; echo began; while :; do sleep 0.05; done")
            try await Self.line(of: 1, fixture)
            fixture.node.peek { state in
                for lease in state.strict.leases.keys { FakeNode.end(lease, &state.strict) }
            }
            let outcome = try await running
            #expect(outcome.status == 75 && outcome.output.hasSuffix("told\n"), "\(outcome)")
            #expect(outcome.error.contains("\"deploy\" is lost: the group has ended its lease"), "\(outcome)")
        }
    }

    @Test func `when nothing can be renewed for the lease's time the command is ended, by force if need be`()
        async throws
    {
        try await StrictTests.withStrict { fixture in
            async let running = Self.run(
                fixture, ["--ttl", "1s", "--grace", "200ms"], "trap '' TERM; while :; do sleep 0.05; done")
            try await Self.line(of: 1, fixture)
            fixture.node.peek { $0.strict.failure = AdminFailure(.unavailable, "no leader has answered in time") }
            let outcome = try await running
            #expect(outcome.status == 75, "\(outcome)")
            #expect(
                outcome.error.contains("could not be renewed for 1 s (no leader has answered in time)"), "\(outcome)")
        }
    }

    @Test func `a signal is passed on to the command, and the lock is given back after it`() async throws {
        try await StrictTests.withStrict { fixture in
            // Its parent is the gossipctl that holds the lock.
            let outcome = try await Self.run(
                fixture, [], "trap 'echo got; exit 9' INT; kill -INT $PPID; while :; do sleep 0.05; done")
            #expect(outcome == Outcome(9, "got\n", ""))
            #expect(fixture.node.peek { $0.strict.locks.isEmpty })
        }
    }

    @Test func `a command that a signal ends is told as a shell tells it`() async throws {
        try await StrictTests.withStrict { fixture in
            #expect(try await Self.run(fixture, [], "kill -KILL $$").status == 128 + SIGKILL)
            let missing = try await fixture.gossipctl(["lock", "run", "deploy", "--", "/nonexistent/command"])
            #expect(missing.status == 127 && missing.error.contains("cannot run"), "\(missing)")
            #expect(fixture.node.peek { $0.strict.locks.isEmpty && $0.strict.leases.isEmpty })
        }
    }

    @Test func `locks are listed page by page`() async throws {
        try await StrictTests.withStrict { fixture in
            let lease = try await fixture.client.grantLease(.seconds(60)).lease
            for name in ["a", "b", "c"] {
                _ = try await fixture.client.acquireLock(try ConfigurationKey(name), lease: lease, mayWait: false)
            }
            let outcome = try await fixture.gossipctl(["lock", "list"])
            #expect(
                outcome.output == """
                    LOCK  TOKEN  LEASE  WAITING
                    a         2      1        0
                    b         3      1        0
                    c         4      1        0

                    """)
        }
    }

    @Test(arguments: [
        (["lock", "run", "l"], "ive a command behind --"), (["lock", "run", "a//b", "--", "true"], "empty segment"),
        (["lock", "run", "l", "--ttl", "10ms", "--", "true"], "1s to 24h"),
    ])
    func `what cannot be asked for is refused`(arguments: [String], words: String) async throws {
        try await StrictTests.withStrict { fixture in
            let outcome = try await fixture.gossipctl(arguments)
            #expect(outcome.status == 64 && outcome.error.contains(words), "\(outcome)")
        }
    }
}
