// SPDX-License-Identifier: Apache-2.0
// Owns a real admin server on a socket in a temporary folder, for the length of one test.

import AdminClient
import AdminModel
import AdminServer
import AdminServerFixture
import Glibc
import Logging
import NIOPosix

/// A running server with its node, and a client of it.
struct ServerFixture: Sendable {
    let node: FakeNode
    let server: AdminServer
    let client: AdminClient
    let socketPath: String

    /// Starts a server, runs `body`, stops the server and removes the folder.
    static func run<Result: Sendable>(
        policy: AccessPolicy? = nil, denied: @escaping @Sendable (AdminFailure) -> Void = { _ in },
        change: (inout AdminServerSettings) -> Void = { _ in },
        _ body: @Sendable (ServerFixture) async throws -> Result
    ) async throws -> Result {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        return try await serve(
            FakeNode(), folder.path + "/admin.sock", policy: policy, denied: denied, change: change, body)
    }

    /// As above, for a node and a path that outlive the server.
    static func serve<Result: Sendable>(
        _ node: FakeNode, _ path: String, policy: AccessPolicy? = nil,
        denied: @escaping @Sendable (AdminFailure) -> Void = { _ in },
        change: (inout AdminServerSettings) -> Void = { _ in },
        _ body: @Sendable (ServerFixture) async throws -> Result
    ) async throws -> Result {
        var settings = AdminServerSettings(socketPath: path)
        change(&settings)
        let group = MultiThreadedEventLoopGroup.singleton
        let server = AdminServer(
            settings: settings, node: node, group: group,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            policy: policy, denied: denied)
        try await server.start()
        let fixture = ServerFixture(
            node: node, server: server, client: AdminClient(socketPath: settings.socketPath, timeout: .seconds(20)),
            socketPath: settings.socketPath)
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await server.run() }
            do {
                let result = try await body(fixture)
                await server.stop()
                try await tasks.waitForAll()
                return result
            } catch {
                await server.stop()
                throw error
            }
        }
    }
}

extension ServerFixture {
    /// Asks the server again and again until its counters satisfy `condition`; fails after 2000 round trips.
    func eventually(_ condition: (AdminServerCounters) -> Bool) async throws {
        for _ in 0..<2000 {
            if condition(server.counters) { return }
            _ = try await client.status()
        }
        throw AdminFailure(.timedOut, "the counters never became what was expected: \(server.counters)")
    }
}

struct TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/gossipd-test-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw AdminFailure(.internalError, "no temporary folder") }
        path = String(cString: made)
    }

    func remove() {
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                unlink(path + "/" + name)
            }
            closedir(directory)
        }
        rmdir(path)
    }
}

/// On a busy host a client may take longer than the server's second to write what it began.
let patientDrain: Duration = .seconds(20)
