// SPDX-License-Identifier: Apache-2.0
// Owns what the tests of handlers share: a folder of their own, scripts in it, events.

import AdminModel
import Delivery
import Glibc
import Synchronization

@testable import Handlers

extension Timestamp {
    static let start = Timestamp(milliseconds: 1_700_000_000_000)
}

/// A folder that goes with the test.
final class Scratch: Sendable {
    let path: String

    init() throws {
        let made = try CommandRunner.run(["mktemp", "-d", "/tmp/gossipd-handlers.XXXXXX"], timeout: .seconds(20))
        path = String(String(decoding: made.output, as: UTF8.self).dropLast())
        chmod(path, 0o755)
    }

    deinit { _ = try? CommandRunner.run(["rm", "-rf", path], timeout: .seconds(20)) }

    func write(_ name: String, _ text: String) throws {
        let result = try CommandRunner.run(["tee", "\(path)/\(name)"], input: Array(text.utf8), timeout: .seconds(20))
        precondition(result.status == 0, "\(path)/\(name) was not written")
    }

    func read(_ name: String) -> String? {
        guard let result = try? CommandRunner.run(["cat", "\(path)/\(name)"], timeout: .seconds(20)), result.status == 0
        else { return nil }
        return String(decoding: result.output, as: UTF8.self)
    }
}

/// An engine with one handler, and what it has told.
final class Bench: Sendable {
    let inbox = HandlerInbox()
    let engine: HandlerEngine
    let events: @Sendable () -> [HandlerEvent]

    init(_ command: [String], _ configure: (inout HandlerSpec) -> Void = { _ in }) {
        var spec = HandlerSpec(name: "x", events: [EventPattern(kind: "user_event")], command: command)
        spec.batchWindow = .milliseconds(20)
        configure(&spec)
        var listing = HandlerListing()
        listing.specs = [spec]
        let box = Box()
        engine = HandlerEngine(
            HandlerParts(
                inbox: inbox, node: MemberIdentity(id: "01", name: "n1"), cluster: "test", socket: "/run/x.sock",
                list: { [listing] in listing }, tell: { box.add($0) }))
        events = { box.all }
    }

    private final class Box: Sendable {
        private let list = Mutex<[HandlerEvent]>([])
        func add(_ event: HandlerEvent) { list.withLock { $0.append(event) } }
        var all: [HandlerEvent] { list.withLock { $0 } }
    }

    func send(_ count: Int = 1) {
        for number in 0..<count {
            var event = ClusterEvent(cursor: "\(number)", time: .start, event: "user_event", message: "m")
            event.name = "e\(number)"
            inbox.note(event, tags: [:])
        }
    }

    var status: HandlerStatus { inbox.status()[0] }

    /// Runs the engine while `body` does, then stops it.
    func run(_ body: @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.engine.run() }
            while inbox.status().isEmpty { try await Task.sleep(for: .milliseconds(1)) }
            do {
                try await body()
            } catch {
                _ = engine.stop()
                throw error
            }
            _ = engine.stop()
            try await group.waitForAll()
        }
    }

    func waitFor(_ runs: UInt64, within limit: Duration = .seconds(20)) async throws {
        let end = ContinuousClock.now + limit
        while status.runs < runs {
            guard ContinuousClock.now < end else { throw Late(status: status) }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    struct Late: Error { var status: HandlerStatus }
}
