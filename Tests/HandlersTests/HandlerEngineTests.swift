// SPDX-License-Identifier: Apache-2.0
// Owns the tests of handlers that run: batches, bounds, and commands that hang, flood, fail or are in the way of a stop.

import AdminModel
import Delivery
import Glibc
import Testing

@testable import Handlers

@Suite("Handlers", .serialized)
struct HandlerEngineTests {
    @Test("Events within the window are one run: the command reads them as JSON and sees nothing of the daemon's own")
    func batch() async throws {
        let folder = try Scratch()
        let bench = Bench(["/bin/sh", "-c", "cat > \(folder.path)/in.json; env > \(folder.path)/env"]) {
            $0.batchWindow = .milliseconds(300)
        }
        setenv("GOSSIPD_TEST_SECRET", "x", 1)
        defer { unsetenv("GOSSIPD_TEST_SECRET") }
        try await bench.run {
            bench.send(5)
            try await bench.waitFor(1)
        }
        let input = try AdminJSON.decode(HandlerInput.self, from: Array((folder.read("in.json") ?? "").utf8))
        #expect(input.events.map(\.name) == ["e0", "e1", "e2", "e3", "e4"] && input.dropped == 0)
        #expect(input.node.name == "n1" && input.handler == "x" && input.cluster == "test")
        let environment = folder.read("env") ?? ""
        for line in ["GOSSIPD_EVENT=user_event\n", "GOSSIPD_EVENTS=5\n", "GOSSIPD_NODE=n1\n", "GOSSIPD_HANDLER=x\n"] {
            #expect(environment.contains(line))
        }
        #expect(!environment.contains("SECRET"))
        #expect(bench.status.runs == 1 && bench.status.failed == 0 && bench.status.events == 5)
    }

    @Test("A thousand events at once: no more wait than the queue holds, the oldest go, and both sides are told")
    func overflow() async throws {
        let folder = try Scratch()
        let bench = Bench(["/bin/sh", "-c", "cat >> \(folder.path)/in; echo >> \(folder.path)/in"]) {
            $0.queue = 50
            $0.batchMax = 20
            $0.batchWindow = .milliseconds(200)
        }
        try await bench.run {
            let startedAt = ContinuousClock.now
            bench.send(1_000)
            // Whoever puts events in is the kernel's loop: it waits for nothing.
            #expect(startedAt.duration(to: .now) < .seconds(1))
            #expect(bench.status.queued <= 50)
            try await bench.waitFor(3)
        }
        let inputs = (folder.read("in") ?? "").split(separator: "\n").compactMap {
            try? AdminJSON.decode(HandlerInput.self, from: Array($0.utf8))
        }
        let names = inputs.flatMap { $0.events.compactMap(\.name) }
        #expect(names.last == "e999" && names.count + Int(bench.status.dropped) == 1_000)
        #expect(inputs.reduce(0) { $0 + $1.dropped } == Int(bench.status.dropped))
        let counts = bench.events().map { if case .overflow(_, let count) = $0 { count } else { 0 } }
        #expect(counts.reduce(0, +) == Int(bench.status.dropped))
        #expect(bench.status.dropped > 0)
    }

    @Test("A command that hangs is ended at its timeout with all that it started, and the next run goes on")
    func hang() async throws {
        let folder = try Scratch()
        let script = "echo waiting >&2; sleep 60 & echo $! > \(folder.path)/pid; trap '' TERM; wait; sleep 60"
        let bench = Bench(["/bin/sh", "-c", script]) { $0.timeout = .milliseconds(300) }
        let startedAt = ContinuousClock.now
        try await bench.run {
            bench.send()
            try await bench.waitFor(1)
            bench.send()
            try await bench.waitFor(2)
        }
        #expect(startedAt.duration(to: .now) < .seconds(15))
        #expect(bench.status.timedOut == 2 && bench.status.failed == 0 && bench.status.isFailing)
        guard case .timedOut(_, let reason, let output)? = bench.events().first else {
            Issue.record("\(bench.events())")
            return
        }
        #expect(reason.contains("/bin/sh took longer than 300ms") && output == "waiting")
        let child = pid_t((folder.read("pid") ?? "").dropLast()) ?? 0
        #expect(child > 0 && kill(child, 0) != 0, "what it had started lives on")
    }

    @Test("A command that floods its output is read to its end, and only the last lines are kept")
    func flood() async throws {
        let bench = Bench(["/bin/sh", "-c", "seq 1 300000; seq 1 300000 >&2; exit 3"])
        try await bench.run {
            bench.send()
            try await bench.waitFor(1)
        }
        guard case .failed(_, let reason, let output)? = bench.events().first else {
            Issue.record("\(bench.events())")
            return
        }
        #expect(reason == "/bin/sh ended with status 3")
        #expect(output.split(separator: "\n").count == 10 && output.hasSuffix("\n300000"))
    }

    @Test("A command that fails, or is not there, is told; the first run that does well is told too")
    func failure() async throws {
        let folder = try Scratch()
        let bench = Bench(["/bin/sh", "-c", "test -e \(folder.path)/ok"])
        try await bench.run {
            bench.send()
            try await bench.waitFor(1)
            try folder.write("ok", "")
            bench.send()
            try await bench.waitFor(2)
        }
        #expect(bench.events().contains(.failed(handler: "x", reason: "/bin/sh ended with status 1", output: "")))
        #expect(bench.events().last == .recovered(handler: "x"))
        let missing = Bench(["/nowhere/at/all"])
        try await missing.run {
            missing.send()
            try await missing.waitFor(1)
        }
        guard case .failed(_, let reason, _)? = missing.events().first else {
            Issue.record("\(missing.events())")
            return
        }
        #expect(reason.contains("cannot start /nowhere/at/all"))
    }

    @Test("A stop ends what runs within seconds, and what waits does not run")
    func stop() async throws {
        let folder = try Scratch()
        let bench = Bench(["/bin/sh", "-c", "echo $$ > \(folder.path)/pid; sleep 60"])
        let startedAt = ContinuousClock.now
        try await bench.run {
            bench.send()
            while (folder.read("pid") ?? "").isEmpty { try await Task.sleep(for: .milliseconds(10)) }
            bench.send(3)
        }
        #expect(startedAt.duration(to: .now) < .seconds(15))
        let process = pid_t((folder.read("pid") ?? "").dropLast()) ?? 0
        #expect(process > 0 && kill(process, 0) != 0)
        #expect(bench.status.runs == 1 && bench.status.queued == 0)
    }

    @Test("As many runs at one time as concurrency says, and no more")
    func concurrency() async throws {
        let folder = try Scratch()
        let script = "mkdir \(folder.path)/$$; ls \(folder.path) | wc -l; sleep 0.2; rmdir \(folder.path)/$$; exit 1"
        let bench = Bench(["/bin/sh", "-c", script]) {
            $0.concurrency = 3
            $0.batchMax = 1
            $0.batchWindow = .zero
        }
        try await bench.run {
            bench.send(9)
            try await bench.waitFor(9)
        }
        let seen = bench.events().compactMap { event -> Int? in
            guard case .failed(_, _, let output) = event else { return nil }
            return Int(output.filter(\.isNumber))
        }
        #expect(seen.count == 9 && seen.max() ?? 0 <= 3 && seen.max() ?? 0 >= 2, "\(seen)")
    }

    @Test("A reload keeps what waits, and a handler that is gone runs no more")
    func reload() {
        let inbox = HandlerInbox()
        let spec = HandlerSpec(name: "x", events: [EventPattern(kind: "user_event")], command: ["/bin/true"])
        inbox.replace([spec])
        for number in 0..<10 {
            inbox.note(
                ClusterEvent(cursor: "\(number)", time: .start, event: "user_event", message: ""), tags: [:])
        }
        var smaller = spec
        smaller.queue = 4
        inbox.replace([smaller])
        #expect(inbox.status().first?.queued == 4 && inbox.status().first?.dropped == 6)
        inbox.replace([])
        #expect(inbox.status().isEmpty)
        #expect(inbox.take(now: .now + .seconds(60)).jobs.isEmpty)
    }
}
