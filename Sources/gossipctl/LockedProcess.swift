// SPDX-License-Identifier: Apache-2.0
// Owns a program that runs while something is held: its start, the signals it is sent and how it ended.

import AdminModel
import Glibc

/// A program that was started and is not waited for yet.
struct LockedProcess {
    private let process: pid_t
    /// It has a process group of its own, so that signals reach what it starts as well.
    private let hasOwnGroup: Bool

    /// What a shell says of a program that cannot be run.
    static let cannotRunStatus: Int32 = 126
    static let notFoundStatus: Int32 = 127

    struct StartFailure: Error {
        var message: String
        var status: Int32
    }

    /// Starts a program, searched in PATH, with `added` beside this process's own variables.
    ///
    /// A program at a terminal stays in this process's group: only that group may read from the terminal, and Ctrl-C reaches
    /// it from there.
    static func start(_ arguments: [String], adding added: [String]) throws(StartFailure) -> LockedProcess {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        var flags = Int16(POSIX_SPAWN_SETSIGDEF)
        let hasOwnGroup = isatty(STDIN_FILENO) == 0
        if hasOwnGroup {
            posix_spawnattr_setpgroup(&attributes, 0)
            flags |= Int16(POSIX_SPAWN_SETPGROUP)
        }
        posix_spawnattr_setflags(&attributes, flags)
        let argv = arguments.map { strdup($0) } + [nil]
        let envp =
            (ChangeCommand.inherited().filter { !$0.hasPrefix("GOSSIPD_LOCK_") } + added).map { strdup($0) } + [nil]
        defer { for text in argv + envp { free(text) } }
        var process: pid_t = 0
        let code = posix_spawnp(&process, arguments.first ?? "", nil, &attributes, argv, envp)
        guard code == 0 else {
            throw StartFailure(
                message: "cannot run \((arguments.first ?? "").quoted): \(String(cString: strerror(code)))",
                status: code == ENOENT ? notFoundStatus : cannotRunStatus)
        }
        return LockedProcess(process: process, hasOwnGroup: hasOwnGroup)
    }

    /// How it ended, as a shell says it: its status, or 128 and the signal's number; nil while it runs.
    func ended() -> Int32? {
        var status: Int32 = 0
        guard waitpid(process, &status, WNOHANG) == process else { return nil }
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal
    }

    func send(_ signal: Int32) { kill(hasOwnGroup ? -process : process, signal) }

    /// Passes a signal on that this process was sent. One from the terminal has reached a program of the same group already.
    func pass(_ signal: CaughtSignal) {
        if hasOwnGroup || !signal.isFromKernel { send(signal.number) }
    }
}

/// A signal that this process was sent.
struct CaughtSignal: Hashable, Sendable {
    var number: Int32
    /// By the kernel, as Ctrl-C at a terminal; not by another process.
    var isFromKernel: Bool
}

/// Catches the signals that end a program, so that what it holds can be given back first.
enum CaughtSignals {
    private static let caught = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2]

    static func begin() {
        guard signalPipe.writing >= 0 else { return }
        for number in caught {
            var action = sigaction()
            action.__sigaction_handler.sa_sigaction = { number, info, _ in
                // Both fit into one write, which is atomic; nothing here allocates.
                let isFromKernel = (info?.pointee.si_code ?? 0) > 0
                var byte = UInt8(truncatingIfNeeded: number) | (isFromKernel ? 0x80 : 0)
                _ = Glibc.write(signalPipe.writing, &byte, 1)
            }
            action.sa_flags = SA_SIGINFO | SA_RESTART
            sigaction(number, &action, nil)
        }
    }

    /// Those that came since the last call.
    static func take() -> [CaughtSignal] {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = read(signalPipe.reading, &bytes, bytes.count)
        guard count > 0 else { return [] }
        return bytes.prefix(count).map { CaughtSignal(number: Int32($0 & 0x7f), isFromKernel: $0 & 0x80 != 0) }
    }
}

/// Neither end blocks, neither is inherited; -1 when there is none.
private let signalPipe: (reading: Int32, writing: Int32) = {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { return (-1, -1) }
    for end in ends {
        _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
    return (ends[0], ends[1])
}()
