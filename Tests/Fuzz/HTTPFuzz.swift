// SPDX-License-Identifier: Apache-2.0
// Owns the fuzz target of the admin socket: a real server with a node in memory, one connection for each input.

import AdminModel
import AdminServer
import AdminServerFixture
import Glibc
import Logging
import NIOPosix

enum HTTPFuzz {
    /// How long an input may take before the server counts as hung, in seconds.
    static let secondsMax = 5

    static let path: String = {
        var template = Array("/tmp/gossipfuzz-XXXXXX".utf8CString)
        require(mkdtemp(&template) != nil, "no temporary folder")
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let path = folder + "/admin.sock"
        Task.detached {
            let server = AdminServer(
                settings: AdminServerSettings(socketPath: path), node: FakeNode(), group: MultiThreadedEventLoopGroup.singleton,
                logger: Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() })
            do {
                try await server.start()
            } catch {
                require(false, "the server does not start: \(error)")
            }
            await server.run()
        }
        return path
    }()

    static func feed(_ bytes: UnsafeBufferPointer<UInt8>) -> CInt {
        let descriptor = connect()
        defer { close(descriptor) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeBufferPointer(rebasing: rest)
            let written = send(descriptor, piece.baseAddress, piece.count, Int32(MSG_NOSIGNAL))
            // Refused and closed before all was sent: as good an answer as any.
            if written <= 0 { break }
            rest = rest.dropFirst(written)
        }
        shutdown(descriptor, Int32(SHUT_WR))
        readToEnd(descriptor, bytes)
        return 0
    }

    private static func connect() -> CInt {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        for _ in 0..<500 {
            let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            let code = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            if code == 0 {
                var limit = timeval(tv_sec: secondsMax, tv_usec: 0)
                setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
                return descriptor
            }
            close(descriptor)
            // The server is still starting.
            poll(nil, 0, 10)
        }
        fatalError("the server cannot be reached: errno \(errno)")
    }

    /// Streams (`events?follow`, `watch`) end only when the client goes, so their first bytes will do.
    private static func readToEnd(_ descriptor: CInt, _ bytes: UnsafeBufferPointer<UInt8>) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var answer: [UInt8] = []
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0, errno == EAGAIN {
                require(!answer.isEmpty, "no answer within \(secondsMax) s")
                return
            }
            if count <= 0 { break }
            answer += buffer.prefix(count)
            if answer.count > 1 << 20 { break }
        }
        require(
            answer.isEmpty || answer.starts(with: Array("HTTP/1.1 ".utf8)), "an answer that is not HTTP")
    }
}
