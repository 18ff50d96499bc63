// SPDX-License-Identifier: Apache-2.0
// Owns a bare Unix socket for tests that do what no client of ours does: junk, silence, not reading.

import AdminModel
import Glibc
import NIOPosix

/// A connected blocking socket; every wait ends after ten seconds.
struct RawConnection: Sendable {
    private let descriptor: Int32

    /// Blocking work on a thread of its own, so that it does not hold up the server under test.
    static func detached<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await NIOThreadPool.singleton.runIfActive(work)
    }

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
        let status = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else { throw AdminFailure(.unreachable, "connect: \(errno)") }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    /// Sends what the other side takes; false when it has closed.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    @discardableResult
    func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    /// Everything up to the other side's end; nil when it does not come.
    func readToEnd() -> String? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count > 0 {
                bytes.append(contentsOf: chunk.prefix(count))
            } else if count == 0 || errno == ECONNRESET {
                return String(decoding: bytes, as: UTF8.self)
            } else {
                return nil
            }
        }
    }

    /// Reads until `text` has come; nil when it does not.
    func read(until text: String) -> String? {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while recv(descriptor, &byte, 1, 0) == 1 {
            bytes.append(byte)
            let soFar = String(decoding: bytes, as: UTF8.self)
            if soFar.hasSuffix(text) { return soFar }
        }
        return nil
    }

    /// What comes next; empty at the other side's end, nil when nothing comes.
    func receive() -> [UInt8]? {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        if count < 0, errno != ECONNRESET, errno != EPIPE { return nil }
        return Array(chunk.prefix(max(0, count)))
    }

    /// About how many bytes of what was sent the other side has not read; 0 when it has read all (unix(7), `SIOCOUTQ`).
    var unread: Int32 {
        var count: Int32 = -1
        return ioctl(descriptor, UInt(TIOCOUTQ), &count) == 0 ? count : -1
    }

    /// Sends no more, and goes on reading.
    func finishWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Whether the other side hangs up within ten seconds, without reading anything.
    func waitForHangUp() -> Bool {
        var entry = pollfd(fd: descriptor, events: 0, revents: 0)
        return poll(&entry, 1, 10_000) == 1 && entry.revents & Int16(POLLHUP) != 0
    }

    func close() { Glibc.close(descriptor) }
}
