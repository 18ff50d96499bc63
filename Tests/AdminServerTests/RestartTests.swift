// SPDX-License-Identifier: Apache-2.0
// Owns the tests of clients over a restart: what the stopping server still answers, what the client does by itself.

import AdminModel
import AdminServer
import Glibc
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import AdminClient

@Suite struct RestartTests {
    /// A listening socket that outlives the servers that adopt copies of it, as systemd's does.
    private func listener(_ path: String) -> Int32 {
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
        #expect(listen(descriptor, 128) == 0)
        return descriptor
    }

    private final class Tally: Sendable {
        private let state = Mutex<(written: [String], failures: [AdminFailure], isOver: Bool)>(([], [], false))

        var written: [String] { state.withLock { $0.written } }
        var failures: [AdminFailure] { state.withLock { $0.failures } }
        var isOver: Bool { state.withLock { $0.isOver } }
        func wrote(_ key: String) { state.withLock { $0.written.append(key) } }
        func failed(_ failure: AdminFailure) { state.withLock { $0.failures.append(failure) } }
        func end() { state.withLock { $0.isOver = true } }
    }

    /// Writes one key after the other until the tally is closed.
    private func write(_ writer: Int, _ client: AdminClient, _ tally: Tally) async throws {
        for number in 0... {
            guard !tally.isOver else { return }
            let key = "app/\(writer)-\(number)"
            var options = KeyWriteOptions()
            options.requestID = key
            do throws(AdminFailure) {
                _ = try await client.put(try ConfigurationKey(key), value: [1], options)
                tally.wrote(key)
            } catch {
                tally.failed(error)
            }
        }
    }

    @Test(.timeLimit(.minutes(2)))
    func `over thirty restarts with a passed socket no write fails and no answered one is missing`() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/passed.sock"
        let descriptor = listener(path)
        defer { close(descriptor) }
        let (node, tally) = (FakeNode(), Tally())
        var patient = AdminClient(socketPath: path, timeout: .seconds(30))
        patient.patience = .usual
        let client = patient
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for writer in 0..<4 { tasks.addTask { try await write(writer, client, tally) } }
            for _ in 0..<30 {
                let server = AdminServer(
                    settings: AdminServerSettings(socketPath: path), node: node,
                    group: MultiThreadedEventLoopGroup.singleton,
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, listenDescriptor: dup(descriptor))
                try await server.start()
                async let running: Void = server.run()
                for _ in 0..<5 { _ = try await client.status() }
                if tally.written.count < 100 { _ = try await client.status() }
                await server.stop()
                await running
                #expect(server.counters.requestsFailedByCode.isEmpty, "\(server.counters.requestsFailedByCode)")
            }
            tally.end()
            // Whoever still waits in the queue is served by a last one.
            let last = AdminServer(
                settings: AdminServerSettings(socketPath: path), node: node,
                group: MultiThreadedEventLoopGroup.singleton,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, listenDescriptor: dup(descriptor))
            try await last.start()
            async let running: Void = last.run()
            try await tasks.waitForAll()
            await last.stop()
            await running
        }
        #expect(tally.failures.isEmpty, "\(tally.failures.prefix(3))")
        #expect(tally.written.count > 30)
        #expect(tally.written.allSatisfy(node.holds))
    }

    @Test func `a request that was sent on a kept connection before the stop is answered`() async throws {
        try await ServerFixture.run { fixture in
            let path = fixture.socketPath
            let question = "GET /v1/status HTTP/1.1\r\nhost: gossipd\r\n\r\n"
            let kept = try await RawConnection.detached {
                let kept = try RawConnection(path)
                kept.send(question)
                #expect(kept.read(until: "\r\n\r\n") != nil)
                // It lies in the socket before the server is told to stop.
                kept.send(question)
                return kept
            }
            defer { kept.close() }
            await fixture.server.stop()
            let answers = try await RawConnection.detached { kept.readToEnd() }
            #expect(answers?.contains("HTTP/1.1 200") == true, "\(answers ?? "nothing")")
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: [nil, "1"] as [String?])
    func `a write that waits for the disk is answered after the grace, one that waits for other nodes is cut`(
        wait: String?
    ) async throws {
        try await ServerFixture.run { fixture in
            let (begun, hasBegun) = AsyncStream<Void>.makeStream()
            let (opened, open) = AsyncStream<Void>.makeStream()
            fixture.node.peek {
                $0.writeGate = {
                    hasBegun.finish()
                    for await _ in opened {}
                }
            }
            var query = URLQuery()
            query.add("wait", wait)
            let request = AdminRequest("PUT", "/v1/kv/app/slow", query: query, body: [1])
            let client = fixture.client
            let asking = Task { try await client.send(request) }
            for await _ in begun {}
            async let stopping: Void = fixture.server.stop(grace: .milliseconds(1), graceMax: .seconds(30))
            if wait == nil {
                // The grace is over.
                try await Task.sleep(for: .milliseconds(100))
                open.finish()
                #expect(try await asking.value.status == 200)
            } else {
                await #expect(throws: AdminFailure.self) { try await asking.value }
                open.finish()
            }
            await stopping
        }
    }

    /// Closes its first connections unanswered, and answers the others; counts them all.
    private final class Fickle: Sendable {
        let connections = Mutex(0)
        let unanswered: Int

        init(unanswered: Int) { self.unanswered = unanswered }
    }

    private final class FickleHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let fickle: Fickle
        private let number: Int

        init(_ fickle: Fickle) {
            self.fickle = fickle
            number = fickle.connections.withLock { count in
                count += 1
                return count
            }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard number > fickle.unanswered else { return context.close(promise: nil) }
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            let answer = ByteBuffer(string: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            context.writeAndFlush(wrapOutboundOut(answer)).whenComplete { _ in bound.value.close(promise: nil) }
        }
    }

    /// Sends a request to such a server; the answer's text or the failure, and how many connections it took.
    private func send(
        _ request: AdminRequest, unanswered: Int, patience: RestartPatience = .usual
    ) async throws -> (answer: Result<String, AdminFailure>, connections: Int) {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let fickle = Fickle(unanswered: unanswered)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(FickleHandler(fickle))
                }
            }
            .bind(unixDomainSocketPath: folder.path + "/fickle.sock").get()
        var client = AdminClient(socketPath: folder.path + "/fickle.sock", timeout: .seconds(20))
        client.patience = patience
        var answer: Result<String, AdminFailure>
        do throws(AdminFailure) {
            answer = .success(String(decoding: try await client.send(request).body, as: UTF8.self))
        } catch {
            answer = .failure(error)
        }
        try await channel.close()
        return (answer, fickle.connections.withLock { $0 })
    }

    @Test func `what may be carried out twice is sent again when the connection ends before the answer`() async throws {
        var query = URLQuery()
        query.add("request_id", "one")
        for request in [
            AdminRequest("GET", "/v1/status"), AdminRequest("PUT", "/v1/kv/a", query: query, body: [1]),
            AdminRequest("POST", "/v1/join", body: [1], mayBeRepeated: true),
        ] {
            let (answer, connections) = try await send(request, unanswered: 2)
            #expect(answer == .success("ok"))
            #expect(connections == 3)
        }
    }

    @Test func `what may not is left, and so is everything without patience`() async throws {
        let unanswered = Result<String, AdminFailure>.failure(
            AdminFailure(.badAnswer, "the daemon closed the connection without an answer"))
        let write = try await send(AdminRequest("PUT", "/v1/kv/a", body: [1]), unanswered: 2)
        #expect(write.answer == unanswered)
        #expect(write.connections == 1)
        let read = try await send(AdminRequest("GET", "/v1/status"), unanswered: 2, patience: .none)
        #expect(read.answer == unanswered)
        #expect(read.connections == 1)
    }

    @Test func `a request that ends the daemon each time is sent a few times only`() async throws {
        let (answer, connections) = try await send(AdminRequest("GET", "/v1/status"), unanswered: 100)
        #expect(answer == .failure(AdminFailure(.badAnswer, "the daemon closed the connection without an answer")))
        #expect(connections == 1 + RestartPatience.usual.repeatsMax)
    }

    @Test func `a client waits for a socket that comes back after a crash`() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/late.sock"
        // What a daemon leaves that made its own socket and was killed.
        close(listener(path))
        var patient = AdminClient(socketPath: path, timeout: .seconds(30))
        patient.patience = RestartPatience(absenceMax: .seconds(20), repeatsMax: 0)
        let client = patient
        let asking = Task { try await client.status().cluster }
        try await Task.sleep(for: .milliseconds(100))
        let cluster = try await ServerFixture.serve(FakeNode(), path) { _ in try await asking.value }
        #expect(cluster == "test")
    }
}
