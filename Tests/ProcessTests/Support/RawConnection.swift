// SPDX-License-Identifier: Apache-2.0
// Owns connections on which a test sends whatever bytes it likes.

import Glibc

/// A connected stream socket; it does not wait for anybody who does not read.
struct RawConnection {
    private let descriptor: Int32

    static func tcp(_ port: Int) throws -> RawConnection {
        let connection = try open(AF_INET)
        try connection.check(SocketAddress.loopback(port) { connect(connection.descriptor, $0, $1) })
        return connection
    }

    static func unix(_ path: String) throws -> RawConnection {
        let connection = try open(AF_UNIX)
        try connection.check(SocketAddress.unix(path) { connect(connection.descriptor, $0, $1) })
        return connection
    }

    private static func open(_ family: Int32) throws -> RawConnection {
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Trouble.system("socket") }
        return RawConnection(descriptor: descriptor)
    }

    private func check(_ status: Int32) throws {
        guard status != 0 else { return }
        let code = errno
        close()
        throw Trouble.system("connect", code)
    }

    /// Sends as much as goes at once; the other side may have closed already.
    func send(_ bytes: [UInt8]) {
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
    }

    func close() { _ = Glibc.close(descriptor) }
}
