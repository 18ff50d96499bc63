// SPDX-License-Identifier: Apache-2.0
// Owns a notification socket like systemd's, with who sent what.

import Glibc
import Synchronization

/// The receiving end of NOTIFY_SOCKET.
final class NotifySocket: Sendable {
    struct Message: Equatable, Sendable {
        var process: pid_t
        var lines: [String]

        /// The text of STATUS=.
        var status: String? { lines.first { $0.hasPrefix("STATUS=") }.map { String($0.dropFirst(7)) } }
    }

    let path: String
    private let descriptor: Int32
    private struct State {
        var messages: [Message] = []
        /// Messages before this one were given out by `next`.
        var position = 0
    }
    private let state = Mutex(State())

    init(_ path: String) throws {
        self.path = path
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Trouble.system("socket") }
        guard SocketAddress.unix(path, { bind(descriptor, $0, $1) }) == 0 else {
            throw Trouble.system("cannot bind \(path)")
        }
        var yes: Int32 = 1
        guard setsockopt(descriptor, SOL_SOCKET, SO_PASSCRED, &yes, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
            throw Trouble.system("SO_PASSCRED")
        }
    }

    func close() { _ = Glibc.close(descriptor) }

    /// Everything so far.
    var seen: [Message] {
        receive()
        return state.withLock { $0.messages }
    }

    func count(_ line: String) -> Int { seen.count { $0.lines.contains(line) } }

    /// Waits for the next message that has this line; those before it are passed over.
    func next(_ line: String, within limit: Duration = .seconds(15)) async throws -> Message {
        try await eventually("\(line) is sent", within: limit, every: .milliseconds(1)) {
            self.receive()
            return self.state.withLock { state in
                let rest = state.messages[state.position...]
                guard let index = rest.firstIndex(where: { $0.lines.contains(line) }) else { return nil }
                state.position = index + 1
                return state.messages[index]
            }
        }
    }

    /// Takes what has arrived.
    func receive() {
        while let message = receiveOne() { state.withLock { $0.messages.append(message) } }
    }

    private func receiveOne() -> Message? {
        var bytes = [UInt8](repeating: 0, count: 4_096)
        // struct cmsghdr { size_t len; int level, type; } and struct ucred { pid_t pid; uid_t uid; gid_t gid; }
        var control = [UInt64](repeating: 0, count: 8)
        let count = bytes.withUnsafeMutableBytes { data in
            control.withUnsafeMutableBytes { control in
                var vector = iovec(iov_base: data.baseAddress, iov_len: data.count)
                return withUnsafeMutablePointer(to: &vector) { vector in
                    var header = msghdr()
                    header.msg_iov = vector
                    header.msg_iovlen = 1
                    header.msg_control = control.baseAddress
                    header.msg_controllen = control.count
                    return recvmsg(descriptor, &header, Int32(MSG_DONTWAIT))
                }
            }
        }
        guard count > 0 else { return nil }
        let process = pid_t(truncatingIfNeeded: control[2])
        let text = String(decoding: bytes[..<count], as: UTF8.self)
        return Message(process: process, lines: text.split(separator: "\n").map(String.init))
    }
}
