// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what systemd is told, against a real notification socket.

import Glibc
import SystemdSupport
import Testing

/// The manager's end: a datagram socket that systemd would have made.
private final class NotificationSocket: Sendable {
    private let descriptor: Int32

    /// - Parameter name: a path, or `@` and a name in the abstract namespace.
    init(_ name: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        guard descriptor >= 0 else { throw SystemFailure("socket") }
        var limit = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(name.utf8)
        if bytes.first == UInt8(ascii: "@") { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let size = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) }
        }
        guard result == 0 else { throw SystemFailure("bind") }
    }

    deinit { close(descriptor) }

    /// Reads one datagram with the descriptors that came with it, and closes those at once, as systemd does for a barrier.
    func receiveClosing() -> (text: String, controlBytes: Int) {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        var control = [UInt8](repeating: 0, count: 64)
        return buffer.withUnsafeMutableBytes { bytes in
            control.withUnsafeMutableBytes { control in
                var vector = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                return withUnsafeMutablePointer(to: &vector) { vector in
                    var header = msghdr(
                        msg_name: nil, msg_namelen: 0, msg_iov: vector, msg_iovlen: 1, msg_control: control.baseAddress,
                        msg_controllen: control.count, msg_flags: 0)
                    let count = recvmsg(descriptor, &header, 0)
                    // cmsg(3): length, level, type, then the descriptor.
                    if header.msg_controllen >= 20 { close(control.loadUnaligned(fromByteOffset: 16, as: Int32.self)) }
                    return (String(decoding: bytes.prefix(max(0, count)), as: UTF8.self), header.msg_controllen)
                }
            }
        }
    }

    func receive() -> String {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }
}

@Suite("Telling systemd")
struct NotifierTests {
    @Test("Each call sends its assignments as one datagram", arguments: [false, true])
    func assignments(isAbstract: Bool) throws {
        let folder = try TemporaryFolder()
        let name = isAbstract ? "@gossipd-test-\(getpid())" : folder.path + "/notify"
        let manager = try NotificationSocket(name)
        let notifier = SystemdNotifier(environment: Environment(["NOTIFY_SOCKET": name]))
        #expect(notifier.isEnabled)
        #expect(notifier.ready(status: "5 members"))
        #expect(manager.receive() == "READY=1\nSTATUS=5 members")
        #expect(notifier.ready())
        #expect(manager.receive() == "READY=1")
        #expect(notifier.status("4 alive, 1 failed"))
        #expect(manager.receive() == "STATUS=4 alive, 1 failed")
        #expect(notifier.stopping(status: "leaving"))
        #expect(manager.receive() == "STOPPING=1\nSTATUS=leaving")
        #expect(notifier.watchdog())
        #expect(manager.receive() == "WATCHDOG=1")
        #expect(notifier.extendTimeout(seconds: 10, status: "recovering"))
        #expect(manager.receive() == "EXTEND_TIMEOUT_USEC=10000000\nSTATUS=recovering")
    }

    @Test("A barrier waits until the manager has come to it, and not for ever")
    func barrier() async throws {
        let folder = try TemporaryFolder()
        let manager = try NotificationSocket(folder.path + "/notify")
        let notifier = SystemdNotifier(environment: Environment(["NOTIFY_SOCKET": folder.path + "/notify"]))
        #expect(!notifier.barrier(milliseconds: 50), "nobody has read it")
        #expect(manager.receiveClosing().text == "BARRIER=1")

        let other = Task { notifier.stopping() && notifier.barrier(milliseconds: 5_000) }
        #expect(manager.receiveClosing().text == "STOPPING=1")
        let (text, controlBytes) = manager.receiveClosing()
        #expect(text == "BARRIER=1")
        #expect(controlBytes >= 20, "no descriptor came with it")
        #expect(await other.value)
        #expect(!SystemdNotifier(environment: Environment([:])).barrier())
    }

    @Test("A reload carries the monotonic time in microseconds")
    func reloading() throws {
        let folder = try TemporaryFolder()
        let manager = try NotificationSocket(folder.path + "/notify")
        let notifier = SystemdNotifier(environment: Environment(["NOTIFY_SOCKET": folder.path + "/notify"]))
        let before = monotonicMicroseconds()
        #expect(notifier.reloading())
        let after = monotonicMicroseconds()
        let lines = manager.receive().split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines.first == "RELOADING=1")
        let time = try #require(lines.last.flatMap { UInt64($0.dropFirst("MONOTONIC_USEC=".count)) })
        #expect((before...after).contains(time))
    }

    @Test("A status cannot smuggle in a second assignment")
    func injection() throws {
        let folder = try TemporaryFolder()
        let manager = try NotificationSocket(folder.path + "/notify")
        let notifier = SystemdNotifier(environment: Environment(["NOTIFY_SOCKET": folder.path + "/notify"]))
        #expect(notifier.status("a\nSTOPPING=1"))
        #expect(manager.receive() == "STATUS=a\\nSTOPPING=1")
    }

    @Test(
        "Without a usable socket every call does nothing",
        arguments: [
            [:], ["NOTIFY_SOCKET": ""], ["NOTIFY_SOCKET": "relative"], ["NOTIFY_SOCKET": "/"],
            ["NOTIFY_SOCKET": "/" + String(repeating: "x", count: 200)], ["NOTIFY_SOCKET": "vsock:2:1234"],
        ])
    func disabled(environment: [String: String]) {
        let notifier = SystemdNotifier(environment: Environment(environment))
        #expect(!notifier.isEnabled)
        #expect(!notifier.ready(status: "x"))
        #expect(!notifier.watchdog())
    }

    @Test("A manager that has gone away is no error of the daemon")
    func noListener() throws {
        let folder = try TemporaryFolder()
        let notifier = SystemdNotifier(environment: Environment(["NOTIFY_SOCKET": folder.path + "/nobody"]))
        #expect(notifier.isEnabled)
        #expect(!notifier.ready())
    }

    private func monotonicMicroseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1_000
    }
}

@Suite("What systemd passes")
struct SystemdEnvironmentTests {
    @Test(
        "The watchdog's interval counts only for the process it is meant for",
        arguments: [
            (["WATCHDOG_USEC": "15000000"], UInt64(15_000_000)),
            (["WATCHDOG_USEC": "15000000", "WATCHDOG_PID": "7"], 15_000_000),
            (["WATCHDOG_USEC": "15000000", "WATCHDOG_PID": "8"], nil),
            (["WATCHDOG_USEC": "15000000", "WATCHDOG_PID": "x"], nil),
            (["WATCHDOG_USEC": "0"], nil), (["WATCHDOG_USEC": "18446744073709551615"], nil),
            (["WATCHDOG_USEC": "-1"], nil),
            (["WATCHDOG_USEC": "soon"], nil), ([:], nil),
        ] as [([String: String], UInt64?)])
    func watchdog(environment: [String: String], expected: UInt64?) {
        #expect(Systemd.watchdogInterval(environment: Environment(environment), process: 7) == expected)
    }

    @Test("Passed sockets come with their names and are closed on exec")
    func listen() throws {
        let pipe = try Pipe()
        let first: Int32 = 700
        // 700 and 702 are open, 701 is not.
        for descriptor in [first, first + 2] { try #require(dup2(pipe.readEnd, descriptor) == descriptor) }
        defer { for descriptor in [first, first + 2] { close(descriptor) } }
        let environment = Environment(["LISTEN_PID": "7", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "admin:gone"])
        let sockets = Systemd.listenSockets(environment: environment, process: 7, firstDescriptor: first)
        #expect(sockets == [.init(descriptor: first, name: "admin"), .init(descriptor: first + 2, name: "unknown")])
        for socket in sockets { #expect(fcntl(socket.descriptor, F_GETFD) & FD_CLOEXEC != 0) }
    }

    @Test(
        "Sockets of another process, or none, are not taken",
        arguments: [
            [:], ["LISTEN_PID": "8", "LISTEN_FDS": "1"], ["LISTEN_PID": "7"], ["LISTEN_PID": "7", "LISTEN_FDS": "0"],
            ["LISTEN_PID": "7", "LISTEN_FDS": "-1"], ["LISTEN_PID": "7", "LISTEN_FDS": "many"], ["LISTEN_FDS": "1"],
        ])
    func notListening(environment: [String: String]) {
        #expect(Systemd.listenSockets(environment: Environment(environment), process: 7, firstDescriptor: 0).isEmpty)
    }

    @Test("The form of the log follows where standard error goes")
    func format() throws {
        let pipe = try Pipe()
        var status = stat()
        try #require(fstat(pipe.writeEnd, &status) == 0)
        let matching = Environment(["JOURNAL_STREAM": "\(status.st_dev):\(status.st_ino)"])
        let other = Environment(["JOURNAL_STREAM": "\(status.st_dev):\(status.st_ino + 1)"])
        #expect(LogFormat.auto.resolved(descriptor: pipe.writeEnd, environment: matching) == .journal)
        #expect(LogFormat.auto.resolved(descriptor: pipe.writeEnd, environment: other) == .text)
        #expect(LogFormat.auto.resolved(descriptor: pipe.writeEnd, environment: Environment([:])) == .text)
        #expect(LogFormat.auto.resolved(descriptor: -1, environment: matching) == .text)
        #expect(LogFormat.json.resolved(descriptor: pipe.writeEnd, environment: matching) == .json)
    }

    @Test("The process's own environment is the default")
    func processEnvironment() {
        #expect(Environment.process["PATH"] != nil)
        #expect(Environment.process["GOSSIPD_SURELY_UNSET"] == nil)
    }
}
