// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what the client says when there is no good answer.

import AdminModel
import Glibc
import NIOCore
import NIOPosix
import Testing

@testable import AdminClient

@Suite struct ClientTests {
    /// A server that answers every connection with fixed bytes, or keeps silent, until the test ends.
    private func withImpostor(
        answering bytes: String?, timeout: Duration = .seconds(20), _ body: @Sendable (AdminClient) async throws -> Void
    ) async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/impostor.sock"
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                guard let bytes else { return channel.eventLoop.makeSucceededVoidFuture() }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Answering(bytes: bytes))
                }
            }
            .bind(unixDomainSocketPath: path).get()
        do {
            try await body(AdminClient(socketPath: path, timeout: timeout))
            try await channel.close()
        } catch {
            try? await channel.close()
            throw error
        }
    }

    private final class Answering: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        let bytes: String

        init(bytes: String) { self.bytes = bytes }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: bytes))).whenComplete { _ in
                bound.value.close(promise: nil)
            }
        }
    }

    @Test func `no socket and a socket without a daemon are unreachable, with the path and what to do`() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/none.sock"
        await #expect(
            throws: AdminFailure(
                .unreachable,
                "no daemon answers on \(path): start it with systemctl start gossipd, or name its --socket")
        ) { try await AdminClient(socketPath: path).status() }
    }

    @Test func `a path too long for a socket is unreachable, not a crash`() async throws {
        await #expect(throws: AdminFailure.self) {
            try await AdminClient(socketPath: "/" + String(repeating: "x", count: 300)).status()
        }
    }

    /// A listening socket on which nobody accepts and one client waits already.
    private func withCrowd(
        _ body: @Sendable (_ path: String, _ listener: Int32) async throws -> Void
    ) async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let path = folder.path + "/crowd.sock"
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let status = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(status == 0)
        #expect(listen(listener, 0) == 0)
        let waiting = try RawConnection(path)
        defer { waiting.close() }
        try await body(path, listener)
    }

    @Test func `when too many clients wait for the daemon, one more is told so at its timeout`() async throws {
        try await withCrowd { path, _ in
            await #expect(
                throws: AdminFailure(
                    .busy,
                    "too many clients wait for the daemon on \(path): try again, and see its journal if it goes on")
            ) { try await AdminClient(socketPath: path, timeout: .milliseconds(100)).status() }
        }
    }

    @Test func `a client waits for its turn while others connect`() async throws {
        try await withCrowd { path, listener in
            async let answer = AdminClient(socketPath: path, timeout: .seconds(20)).send(AdminRequest("GET", "/"))
            try await RawConnection.detached {
                // The one that waits, then ours as soon as there is room.
                let first = accept(listener, nil, nil)
                defer { close(first) }
                let second = accept(listener, nil, nil)
                defer { close(second) }
                // An answer before the question, or a close with the question unread, is an error to the client.
                var question: [UInt8] = []
                var piece = [UInt8](repeating: 0, count: 4096)
                while !question.suffix(4).elementsEqual("\r\n\r\n".utf8) {
                    let count = read(second, &piece, piece.count)
                    guard count > 0 else { break }
                    question += piece[..<count]
                }
                let text = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
                #expect(write(second, text, text.utf8.count) == text.utf8.count)
            }
            #expect(try await answer.body == Array("ok".utf8))
        }
    }

    @Test func `a daemon that does not answer is a timeout`() async throws {
        try await withImpostor(answering: nil, timeout: .milliseconds(200)) { client in
            do throws(AdminFailure) {
                _ = try await client.status()
                Issue.record("an answer came from nowhere")
            } catch {
                #expect(error.code == .timedOut)
                #expect(error.message.contains("200 ms"))
            }
        }
    }

    @Test(
        arguments: [
            ("", AdminFailure.Code.badAnswer), ("junk\r\n\r\n", .unavailable),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno", .badAnswer),
            ("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nno", .unavailable),
            ("HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nno", .badAnswer),
            (
                "HTTP/1.1 503 x\r\ncontent-length: 52\r\n\r\n{\"error\":{\"code\":\"newer_code\",\"message\":\"do this!\"}}",
                .internalError
            ),
        ] as [(String, AdminFailure.Code)])
    func `an answer that is none is told apart`(bytes: String, code: AdminFailure.Code) async throws {
        try await withImpostor(answering: bytes) { client in
            do throws(AdminFailure) {
                _ = try await client.status()
                Issue.record("junk was taken for a status")
            } catch {
                #expect(error.code == code, "\(error.message)")
            }
        }
    }

    @Test func `lines are cut wherever the network cuts them`() throws {
        var splitter = LineSplitter(lengthMax: 10)
        #expect(try splitter.append(ByteBuffer(string: "ab")).isEmpty)
        #expect(try splitter.append(ByteBuffer(string: "c\nde\n\nf")) == [Array("abc".utf8), Array("de".utf8)])
        #expect(try splitter.append(ByteBuffer(string: "\n")) == [Array("f".utf8)])
        #expect(throws: AdminFailure.self) {
            try splitter.append(ByteBuffer(string: String(repeating: "x", count: 11)))
        }
    }

    @Test(arguments: [
        (Duration.milliseconds(5), "5 ms"), (.milliseconds(1500), "1.5 s"), (.seconds(10), "10 s"),
    ])
    func `durations read well in sentences`(duration: Duration, text: String) {
        #expect(duration.shortText == text)
    }
}
