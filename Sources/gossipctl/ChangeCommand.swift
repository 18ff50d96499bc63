// SPDX-License-Identifier: Apache-2.0
// Owns running a program for one change: its environment, its input, its end.

import AdminModel
import Glibc

struct ChangeCommand: Sendable {
    /// Bytes of a value that go into the environment; Linux takes at most 128 KiB in one variable, and base64 needs a
    /// third more.
    private static let environmentBytesMax = 96 * 1024

    /// The program, searched in PATH, and its arguments; not empty.
    var arguments: [String]

    /// Runs it to its end; fails with a sentence when it cannot be started or ends with another status than 0.
    func run(_ event: WatchEvent) throws(AdminFailure) {
        let value = Self.value(event)
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Self.failure("cannot make a pipe", errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let process: pid_t
        do throws(AdminFailure) {
            process = try spawn(environment(event, value), input: ends[0])
        } catch {
            for end in ends { close(end) }
            throw error
        }
        close(ends[0])
        Self.write(value ?? [], to: ends[1])
        close(ends[1])
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7f
        guard status != 0 else { return }
        let what = signal == 0 ? "exited with status \((status >> 8) & 0xff)" : "was ended by signal \(signal)"
        let change = "\(event.event) of \((event.key ?? "").quoted)"
        throw AdminFailure(.internalError, "\((arguments.first ?? "").quoted) \(what) for \(change)")
    }

    private static func value(_ event: WatchEvent) -> [UInt8]? {
        ByteText.join(text: event.value, base64: event.valueBase64)
            ?? ByteText.join(text: event.element, base64: event.elementBase64)
            ?? event.counter.map { Array("\($0)".utf8) }
    }

    /// This process's own variables and those of the change.
    func environment(_ event: WatchEvent, _ value: [UInt8]?) -> [String] {
        let own = Self.inherited().filter { !$0.hasPrefix("GOSSIPD_") || $0.hasPrefix("GOSSIPD_SOCKET=") }
        var added = ["GOSSIPD_EVENT=\(event.event)", "GOSSIPD_CURSOR=\(event.cursor)"]
        if let key = event.key { added.append("GOSSIPD_KEY=\(key)") }
        if let version = event.version { added.append("GOSSIPD_VERSION=\(version)") }
        if let author = event.author { added.append("GOSSIPD_AUTHOR=\(author.name)") }
        if let user = event.user { added.append("GOSSIPD_USER=\(user)") }
        if let reason = event.reason { added.append("GOSSIPD_REASON=\(reason)") }
        if let value, value.count <= Self.environmentBytesMax {
            if let text = String(validating: value, as: UTF8.self), !value.contains(0) {
                added.append("GOSSIPD_VALUE=\(text)")
            } else {
                added.append("GOSSIPD_VALUE_BASE64=\(ByteText.base64(value))")
            }
        }
        return own + added.filter { !$0.utf8.contains(0) }
    }

    static func inherited() -> [String] {
        var result: [String] = []
        var entry = environ
        while let text = entry.pointee {
            result.append(String(cString: text))
            entry = entry.successor()
        }
        return result
    }

    private func spawn(_ environment: [String], input: Int32) throws(AdminFailure) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
        // This process ignores SIGPIPE, which a program must not inherit.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))

        let argv = arguments.map { strdup($0) } + [nil]
        let envp = environment.map { strdup($0) } + [nil]
        defer { for text in argv + envp { free(text) } }
        var process: pid_t = 0
        let status = posix_spawnp(&process, arguments.first ?? "", &actions, &attributes, argv, envp)
        guard status == 0 else { throw Self.failure("cannot run \((arguments.first ?? "").quoted)", status) }
        return process
    }

    /// Writes until the program takes no more; it need not read its input.
    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        signal(SIGPIPE, SIG_IGN)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { return }
        }
    }

    private static func failure(_ what: String, _ code: Int32) -> AdminFailure {
        AdminFailure(.internalError, "\(what): \(String(cString: strerror(code)))")
    }
}
