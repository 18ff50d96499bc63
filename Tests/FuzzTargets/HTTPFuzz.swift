// SPDX-License-Identifier: Apache-2.0
// Owns the fuzz target of the admin socket: a real server with a node in memory, one connection for each input.

import AdminModel
import AdminServer
import AdminServerFixture
import Glibc
import Logging
import NIOPosix

enum HTTPFuzz {
    /// How long a server may take to begin an answer before it counts as hung, in milliseconds.
    static let patienceMax: Int32 = 10_000
    /// Streams (`events?follow`, a watch) end only when the client goes: after so much silence, in milliseconds, and so many
    /// bytes it does.
    static let silenceMax: Int32 = 20
    static let answerBytesMax = 1 << 20

    private static let folder: String = {
        var template = Array("/tmp/gossipfuzz-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { return "/nowhere" }
        atexit {
            unlink(HTTPFuzz.path)
            rmdir(HTTPFuzz.folder)
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }()

    /// Of the server, which is started by the first to ask and runs until the process ends.
    private static let path: String = {
        let path = folder + "/admin.sock"
        Task.detached {
            let server = AdminServer(
                settings: AdminServerSettings(socketPath: path), node: FakeNode(),
                group: MultiThreadedEventLoopGroup.singleton,
                logger: Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() })
            // When it does not come up, `connect` says so.
            guard (try? await server.start()) != nil else { return }
            await server.run()
        }
        return path
    }()

    static func feed(_ bytes: [UInt8]) throws(FuzzFailure) {
        let descriptor = try connect()
        defer { close(descriptor) }
        bytes.withUnsafeBytes { raw in
            var sent = 0
            while sent < raw.count {
                let rest = UnsafeRawBufferPointer(rebasing: raw[sent...])
                let written = send(descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
                // Refused and closed before all was sent: as good an answer as any.
                if written <= 0 { break }
                sent += written
            }
        }
        shutdown(descriptor, Int32(SHUT_WR))
        let answer = try answer(on: descriptor)
        try require(answer.isEmpty || answer.starts(with: Array("HTTP/1.1 ".utf8)), "an answer that is not HTTP")
    }

    private static func connect() throws(FuzzFailure) -> CInt {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        // It may be starting still.
        for _ in 0..<1_000 {
            let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            let code = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            if code == 0 { return descriptor }
            close(descriptor)
            poll(nil, 0, 10)
        }
        throw FuzzFailure("the server cannot be reached: errno \(errno)")
    }

    private static func answer(on descriptor: CInt) throws(FuzzFailure) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var answer: [UInt8] = []
        while answer.count < answerBytesMax {
            var event = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&event, 1, answer.isEmpty ? patienceMax : silenceMax) == 0 {
                try require(!answer.isEmpty, "no answer within \(patienceMax) ms")
                break
            }
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count <= 0 { break }
            answer += buffer.prefix(count)
        }
        return answer
    }
}
