// SPDX-License-Identifier: Apache-2.0
// Owns one started program: its output in files, its signals, its end.

import Glibc
import Synchronization

/// A failed call or an unmet condition, in a sentence.
struct Trouble: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }

    /// A failed system call.
    static func system(_ what: String, _ code: Int32 = errno) -> Trouble {
        Trouble("\(what): \(String(cString: strerror(code)))")
    }
}

/// A program that runs, or ran. Whoever starts one must call `end()`.
final class ChildProcess: Sendable {
    let processID: pid_t
    /// Files that take the standard output and the standard error.
    let outputPath: String
    let errorPath: String
    /// As a shell tells it: the exit status, or 128 and the signal; nil while it runs.
    private let ending = Mutex<Int32?>(nil)

    /// Starts the program, which is looked for in PATH when it has no slash. `environment` is added to this process's.
    init(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], outputPath: String,
        errorPath: String
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, outputPath, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o644)
        posix_spawn_file_actions_addopen(&actions, 2, errorPath, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o644)

        // The threads of a Swift program block signals, and a child would inherit that.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF))

        var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = Self.variables(environment).map { strdup($0) } + [nil]
        defer { for word in words + variables { free(word) } }
        var processID = pid_t()
        let code = posix_spawnp(&processID, program, &actions, &attributes, &words, &variables)
        guard code == 0 else { throw Trouble.system("cannot start \(program)", code) }
        self.processID = processID
        self.outputPath = outputPath
        self.errorPath = errorPath
    }

    /// This process's environment without what a test might have inherited from systemd, and with `added`.
    private static func variables(_ added: [String: String]) -> [String] {
        var values: [String: String] = [:]
        var next = environ
        while let entry = next.pointee {
            let parts = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { values[String(parts[0])] = String(parts[1]) }
            next += 1
        }
        for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "GOSSIPD_SOCKET"] {
            values[name] = nil
        }
        return values.merging(added) { $1 }.map { "\($0.key)=\($0.value)" }.sorted()
    }

    var isRunning: Bool { status == nil }

    /// Nil while it runs.
    var status: Int32? {
        ending.withLock { ending in
            if ending == nil { ending = Self.reap(processID, WNOHANG) }
            return ending
        }
    }

    private static func reap(_ processID: pid_t, _ options: Int32) -> Int32? {
        var word: Int32 = 0
        while true {
            let result = waitpid(processID, &word, options)
            if result == processID { return word & 0x7f == 0 ? word >> 8 & 0xff : 128 + word & 0x7f }
            guard result < 0, errno == EINTR else { return nil }
        }
    }

    /// Sends a signal, unless the process has ended.
    func signal(_ number: Int32) {
        ending.withLock { ending in
            if ending == nil { kill(processID, number) }
        }
    }

    /// Waits for the end and returns its status.
    func waitForEnd(within limit: Duration = .seconds(15)) async throws -> Int32 {
        try await eventually("process \(processID) ends", within: limit) { self.status }
    }

    /// Kills it if it still runs, and waits for it.
    func end() {
        ending.withLock { ending in
            guard ending == nil else { return }
            kill(processID, SIGKILL)
            ending = Self.reap(processID, 0)
        }
    }

    var output: String { FileText.read(outputPath) }
    var errors: String { FileText.read(errorPath) }
}
