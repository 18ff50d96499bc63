// SPDX-License-Identifier: Apache-2.0
// Owns one started program: its process group, its pipes, and that both are gone in the end.

internal import CProcess
import Glibc

/// A running program. `end()` once, `close()` always.
struct SpawnedProgram {
    private let process: pid_t
    /// Readable once the program has ended (pidfd_open(2)).
    private(set) var handle: CInt = -1
    /// Ours of its standard input, output and error; -1 when closed. They do not block.
    private(set) var input: CInt = -1
    var output: CInt = -1
    var errors: CInt = -1
    private var isReaped = false

    init(_ arguments: [String], environment: [String]?) throws(DeliveryFailure) {
        guard let program = arguments.first, !program.isEmpty else {
            throw .command("a command without a program cannot be run: name one")
        }
        var theirs: [CInt] = []
        defer { for descriptor in theirs { Glibc.close(descriptor) } }
        var ours: [CInt] = []
        for number in 0..<3 {
            var ends: [CInt] = [-1, -1]
            guard pipe2(&ends, O_CLOEXEC) == 0 else {
                let code = errno
                for descriptor in ours { Glibc.close(descriptor) }
                throw Self.failure(program, code)
            }
            theirs.append(ends[number == 0 ? 0 : 1])
            ours.append(ends[number == 0 ? 1 : 0])
        }
        let started = Self.spawn(arguments, environment: environment, theirs)
        guard started.code == 0 else {
            for descriptor in ours { Glibc.close(descriptor) }
            throw Self.failure(program, started.code)
        }
        process = started.process
        (input, output, errors) = (ours[0], ours[1], ours[2])
        for descriptor in ours { _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK) }
        handle = pidfd_open(process, 0)
        if handle < 0 {
            let code = errno
            _ = end()
            close()
            throw Self.failure(program, code)
        }
    }

    /// To the program and whatever it has started in its own session.
    func signal(_ number: CInt) {
        if !isReaped { kill(-process, number) }
    }

    /// Kills what is left of its process group and waits for the program; nil when somebody else has taken its status.
    mutating func end() -> Int32? {
        // Before it is reaped nobody else can get its number.
        signal(SIGKILL)
        var status: CInt = 0
        while waitpid(process, &status, 0) < 0 {
            if errno != EINTR {
                isReaped = true
                return nil
            }
        }
        isReaped = true
        return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
    }

    mutating func closeInput() { Self.close(&input) }

    mutating func close() {
        Self.close(&input)
        Self.close(&output)
        Self.close(&errors)
        Self.close(&handle)
    }

    private static func close(_ descriptor: inout CInt) {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    private static func failure(_ program: String, _ code: CInt) -> DeliveryFailure {
        let advice =
            switch code {
            case ENOENT: "; install it or name its full path"
            case EACCES, EPERM: "; make it executable for the user of this process"
            case ENOEXEC: "; a script needs a first line such as #!/bin/sh"
            case _: ""
            }
        return .command("cannot start \(program): \(SystemText.of(code))\(advice)")
    }

    /// 0 and the process, or an errno. `pipes` become descriptors 0, 1 and 2.
    private static func spawn(
        _ arguments: [String], environment: [String]?, _ pipes: [CInt]
    ) -> (code: CInt, process: pid_t) {
        // A zero byte would cut a word short, and so change what is run.
        if (arguments + (environment ?? [])).contains(where: { $0.utf8.contains(0) }) { return (EINVAL, 0) }
        // A source below 3 would be overwritten by an earlier dup2.
        var sources: [CInt] = []
        defer { for descriptor in sources { Glibc.close(descriptor) } }
        for pipe in pipes {
            let source = fcntl(pipe, F_DUPFD_CLOEXEC, 3)
            if source < 0 { return (errno, 0) }
            sources.append(source)
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (number, source) in sources.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, source, CInt(number))
        }
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        let flags = CInt(gossipd_spawn_set_session) | CInt(POSIX_SPAWN_SETSIGMASK) | CInt(POSIX_SPAWN_SETSIGDEF)
        posix_spawnattr_setflags(&attributes, Int16(flags))
        var process = pid_t()
        let code = withWords(arguments) { words in
            guard let program = words[0] else { return ENOMEM }
            guard let environment else {
                return posix_spawnp(&process, program, &actions, &attributes, words, environ)
            }
            return withWords(environment) { posix_spawnp(&process, program, &actions, &attributes, words, $0) }
        }
        return (code, process)
    }

    private static func withWords(
        _ words: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> CInt
    ) -> CInt {
        let copies: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for copy in copies { free(copy) } }
        return copies.withUnsafeBufferPointer { $0.baseAddress.map(body) ?? EINVAL }
    }
}

/// Writes to a pipe whose reader may have gone: SIGPIPE would end this process.
enum SignalGuard {
    /// As write(2): -1 with `errno` EPIPE where the signal would have come.
    static func write(_ descriptor: CInt, _ bytes: UnsafeRawBufferPointer) -> Int {
        var pipe = sigset_t()
        sigemptyset(&pipe)
        sigaddset(&pipe, SIGPIPE)
        var former = sigset_t()
        pthread_sigmask(SIG_BLOCK, &pipe, &former)
        let count = Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        let code = errno
        if count < 0, code == EPIPE, sigismember(&former, SIGPIPE) == 0 {
            // Take back the one this write has caused; it is pending for this thread alone.
            var none = timespec()
            while sigtimedwait(&pipe, nil, &none) < 0, errno == EINTR {}
        }
        pthread_sigmask(SIG_SETMASK, &former, nil)
        errno = code
        return count
    }
}
