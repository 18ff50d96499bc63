// SPDX-License-Identifier: Apache-2.0
// Owns what the daemon tells its service manager: the datagrams of sd_notify(3).

internal import CSystemd
import Glibc

/// Tells systemd how the daemon is. Without NOTIFY_SOCKET every call does nothing and returns false.
///
/// The datagrams are sent here and not by `sd_notify`, because that reads the process's environment on each call and
/// may wait for as long as the manager does not read. A send gives up after `sendTimeout`.
package struct SystemdNotifier: Sendable {
    private let socketPath: [UInt8]?

    /// Seconds that one send may wait for a busy manager.
    private static let sendTimeout = 1

    /// - Parameter environment: NOTIFY_SOCKET is a path, or `@` and a name in the abstract namespace (unix(7)).
    package init(environment: Environment = .process) {
        guard let path = environment["NOTIFY_SOCKET"] else {
            socketPath = nil
            return
        }
        var bytes = Array(path.utf8)
        guard bytes.count > 1, bytes[0] == UInt8(ascii: "/") || bytes[0] == UInt8(ascii: "@"),
            bytes.count < MemoryLayout.size(ofValue: sockaddr_un().sun_path)
        else {
            socketPath = nil
            return
        }
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        socketPath = bytes
    }

    package var isEnabled: Bool { socketPath != nil }

    /// Startup or a reload is finished. `status` is the first live summary.
    @discardableResult
    package func ready(status: String? = nil) -> Bool {
        send(["READY=1"] + statusLines(status))
    }

    /// The one-line summary of `systemctl status`.
    @discardableResult
    package func status(_ text: String) -> Bool { send(statusLines(text)) }

    /// A reload has begun; `ready` ends it. With `Type=notify-reload` the time proves that it belongs to the request.
    @discardableResult
    package func reloading(status: String? = nil) -> Bool {
        send(["RELOADING=1", "MONOTONIC_USEC=\(Self.monotonicMicroseconds())"] + statusLines(status))
    }

    @discardableResult
    package func stopping(status: String? = nil) -> Bool {
        send(["STOPPING=1"] + statusLines(status))
    }

    /// The kernel has moved on: the watchdog starts again.
    @discardableResult
    package func watchdog() -> Bool { send(["WATCHDOG=1"]) }

    /// Start, reload or stop takes `seconds` more from now on.
    @discardableResult
    package func extendTimeout(seconds: UInt32, status: String? = nil) -> Bool {
        send(["EXTEND_TIMEOUT_USEC=\(UInt64(seconds) * 1_000_000)"] + statusLines(status))
    }

    /// Waits until the manager has read everything sent so far (sd_notify_barrier(3)), at most `milliseconds`: it closes
    /// the descriptor that goes with the message when it comes to it. False when it did not, or there is no manager.
    @discardableResult
    package func barrier(milliseconds: Int32 = 1_000) -> Bool {
        guard isEnabled else { return false }
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { return false }
        defer { close(ends[0]) }
        let isSent = send(["BARRIER=1"], passing: ends[1])
        close(ends[1])
        guard isSent else { return false }
        // Nobody writes: all that can happen is that the last copy of the other end is closed.
        var wait = pollfd(fd: ends[0], events: 0, revents: 0)
        var result = poll(&wait, 1, milliseconds)
        while result < 0, errno == EINTR { result = poll(&wait, 1, milliseconds) }
        return result > 0 && wait.revents & Int16(POLLHUP) != 0
    }

    private func statusLines(_ text: String?) -> [String] {
        guard let text else { return [] }
        // A line end would begin another assignment.
        return ["STATUS=" + LogText.printable(text)]
    }

    private static func monotonicMicroseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1_000
    }

    private func send(_ lines: [String], passing passed: Int32? = nil) -> Bool {
        guard let socketPath else { return false }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var limit = timeval(tv_sec: Self.sendTimeout, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: socketPath) }
        // An abstract name is as long as the address says; a path ends at its NUL.
        let size = socklen_t(MemoryLayout.offset(of: \sockaddr_un.sun_path).map { $0 + socketPath.count } ?? 0)
        var message = Array(lines.joined(separator: "\n").utf8)
        var control = passed.map(Self.control) ?? []
        let count = message.count
        let sent = withUnsafeMutablePointer(to: &address) { address in
            message.withUnsafeMutableBytes { message in
                control.withUnsafeMutableBytes { control in
                    var vector = iovec(iov_base: message.baseAddress, iov_len: message.count)
                    return withUnsafeMutablePointer(to: &vector) { vector in
                        var header = msghdr(
                            msg_name: address, msg_namelen: size, msg_iov: vector, msg_iovlen: 1,
                            msg_control: control.isEmpty ? nil : control.baseAddress, msg_controllen: control.count,
                            msg_flags: 0)
                        return sendmsg(descriptor, &header, Int32(MSG_NOSIGNAL))
                    }
                }
            }
        }
        return sent == count
    }

    /// A control message that carries one descriptor (cmsg(3), unix(7)): the macros are not there in Swift. Length with
    /// the header, level and type, the descriptor, and padding to a multiple of the length's size.
    private static func control(passing descriptor: Int32) -> [UInt8] {
        let header = MemoryLayout<cmsghdr>.size
        let length = header + MemoryLayout<Int32>.size
        let space = header + MemoryLayout<Int>.stride
        var bytes = [UInt8](repeating: 0, count: space)
        bytes.withUnsafeMutableBytes {
            $0.storeBytes(of: length, as: Int.self)
            $0.storeBytes(of: SOL_SOCKET, toByteOffset: MemoryLayout<Int>.size, as: Int32.self)
            $0.storeBytes(of: Int32(SCM_RIGHTS), toByteOffset: MemoryLayout<Int>.size + 4, as: Int32.self)
            $0.storeBytes(of: descriptor, toByteOffset: header, as: Int32.self)
        }
        return bytes
    }
}
