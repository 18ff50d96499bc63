// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the socket's life: its file, what was there before, adoption, who is in the way.

import AdminClient
import AdminModel
import AdminServer
import Glibc
import Logging
import NIOPosix
import Testing

@Suite struct SocketTests {
    private func server(_ settings: AdminServerSettings, adopt: Int32? = nil) -> AdminServer {
        AdminServer(
            settings: settings, node: FakeNode(), group: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, listenDescriptor: adopt)
    }

    /// A listening socket of its own on `path`.
    private func listener(_ path: String, listening: Bool = true) -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
        let status = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(status == 0)
        if listening { #expect(listen(descriptor, 8) == 0) }
        return descriptor
    }

    private func mode(_ path: String) -> UInt32? {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode : nil
    }

    @Test(arguments: [0o600, 0o660, 0o666] as [UInt32])
    func `the socket file has the mode of the settings and is gone after the stop`(bits: UInt32) async throws {
        let path = try await ServerFixture.run(change: { $0.socketMode = bits }) { fixture in
            #expect(mode(fixture.socketPath).map { $0 & 0o7777 } == bits)
            return fixture.socketPath
        }
        #expect(mode(path) == nil)
    }

    @Test func `the group of the settings gets the socket file`() async throws {
        try await ServerFixture.run(change: { $0.socketGroup = "\(getegid())" }) { fixture in
            var status = stat()
            #expect(lstat(fixture.socketPath, &status) == 0)
            #expect(status.st_gid == getegid())
        }
    }

    @Test func `a group that does not exist is said at the start`() async throws {
        var settings = AdminServerSettings(socketPath: "/tmp/gossipd-never-made.sock")
        settings.socketGroup = "no-such-group-here"
        let settled = settings
        await #expect(
            throws: AdminServerStartError.badSettings(
                "the socket's group \"no-such-group-here\" does not exist: create it or name another")
        ) { try await server(settled).start() }
        #expect(mode(settled.socketPath) == nil)
    }

    @Test func `a socket file that nobody answers on is replaced`() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/admin.sock"
        close(listener(path))
        #expect(mode(path) != nil)
        let server = server(AdminServerSettings(socketPath: path))
        try await server.start()
        async let running: Void = server.run()
        #expect(try await AdminClient(socketPath: path).status().cluster == "test")
        await server.stop()
        await running
    }

    @Test func `a socket that another process answers on is left alone and its owner named`() async throws {
        try await ServerFixture.run { fixture in
            let second = server(AdminServerSettings(socketPath: fixture.socketPath))
            await #expect(throws: AdminServerStartError.inUse(path: fixture.socketPath, processID: getpid())) {
                try await second.start()
            }
            _ = try await fixture.client.status()
        }
    }

    @Test func `a file that is no socket is never removed`() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/precious"
        close(open(path, O_CREAT | O_WRONLY, 0o600))
        await #expect(throws: AdminServerStartError.self) {
            try await server(AdminServerSettings(socketPath: path)).start()
        }
        #expect(mode(path).map { $0 & S_IFMT } == S_IFREG)
    }

    @Test(arguments: ["", String(repeating: "x", count: 108), "/nonexistent-folder/x.sock"])
    func `a path that cannot be a socket is refused with a reason`(path: String) async {
        await #expect(throws: AdminServerStartError.self) {
            try await server(AdminServerSettings(socketPath: path)).start()
        }
    }

    @Test(arguments: ["/nonexistent-folder/x.sock", "/dev/null/x.sock"])
    func `a folder that does not exist is a bad setting`(path: String) async {
        await #expect(
            throws: AdminServerStartError.badSettings(
                "the folder of the socket \(path) does not exist: create it, or name another path with --socket")
        ) { try await server(AdminServerSettings(socketPath: path)).start() }
    }

    @Test func `a listening socket from outside is adopted, and its file is left to its giver`() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/activated.sock"
        let server = server(AdminServerSettings(socketPath: "/ignored"), adopt: listener(path))
        try await server.start()
        async let running: Void = server.run()
        #expect(try await AdminClient(socketPath: path).status().cluster == "test")
        await server.stop()
        await running
        #expect(mode(path) != nil)
    }

    @Test func `only a listening Unix socket is adopted`() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let deaf = listener(folder.path + "/deaf.sock", listening: false)
        let inet = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer {
            close(deaf)
            close(inet)
        }
        for descriptor in [deaf, inet, -1] {
            await #expect(throws: AdminServerStartError.self) {
                try await server(AdminServerSettings(socketPath: "/ignored"), adopt: descriptor).start()
            }
        }
    }

    @Test func `cancelling the serving task closes its connections without harm`() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let server = server(AdminServerSettings(socketPath: folder.path + "/admin.sock"))
        try await server.start()
        let client = AdminClient(socketPath: folder.path + "/admin.sock")
        await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await server.run() }
            do throws(AdminFailure) {
                try await client.events(follow: true) {
                    tasks.cancelAll()
                } onEvent: { _, _ throws(AdminFailure) in
                    true
                }
            } catch {
                #expect(error.code == .unavailable)
            }
        }
        await server.stop()
    }

    @Test func `who has connected just before the server stops is still answered`() async throws {
        try await ServerFixture.run { fixture in
            let path = fixture.socketPath
            let question = "GET /v1/status HTTP/1.1\r\nhost: gossipd\r\n\r\n"
            let (idle, late) = try await RawConnection.detached {
                let idle = try RawConnection(path)
                idle.send(question)
                #expect(idle.read(until: "\r\n\r\n") != nil)
                return (idle, try RawConnection(path))
            }
            defer {
                idle.close()
                late.close()
            }
            // Accepted in order: once this one is answered, both are.
            _ = try await fixture.client.status()
            async let stopping: Void = fixture.server.stop()
            let answer = try await RawConnection.detached {
                // What has been answered is closed at once: from then on the server is stopping.
                #expect(idle.waitForHangUp())
                late.send(question)
                return late.readToEnd()
            }
            #expect(answer?.hasPrefix("HTTP/1.1 200") == true, "\(answer ?? "nothing")")
            #expect(answer?.lowercased().contains("\r\nconnection: close\r\n") == true, "\(answer ?? "nothing")")
            await stopping
        }
    }

    @Test func `stopping a server that never ran harms nobody`() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/admin.sock"
        let server = server(AdminServerSettings(socketPath: path))
        try await server.start()
        let raw = try await RawConnection.detached { try RawConnection(path) }
        await server.stop()
        await server.stop()
        raw.close()
        #expect(mode(path) == nil)
    }
}
