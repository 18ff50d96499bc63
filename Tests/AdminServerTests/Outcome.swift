// SPDX-License-Identifier: Apache-2.0
// Owns running the real gossipctl: arguments and input in; status, output and errors out.

import AdminModel
import Glibc

struct Outcome: Equatable, Sendable {
    /// 128 and the signal's number when a signal ended it.
    var status: Int32
    var output: String
    var error: String

    init(_ status: Int32, _ output: String, _ error: String) {
        self.status = status
        self.output = output
        self.error = error
    }

    /// Runs gossipctl, or another program, that was built beside these tests. Reading stops after `readMax` bytes of output.
    static func run(
        _ arguments: [String], input: String = "", environment: [String] = [], readMax: Int = .max,
        outputPath: String? = nil, program: String = "gossipctl"
    ) async throws -> Outcome {
        try await run(
            bytes: arguments.map { Array($0.utf8) }, input: input, environment: environment, readMax: readMax,
            outputPath: outputPath, program: program)
    }

    /// As above, with arguments that need not be text.
    static func run(
        bytes arguments: [[UInt8]], input: String = "", environment: [String] = [], readMax: Int = .max,
        outputPath: String? = nil, program: String = "gossipctl"
    ) async throws -> Outcome {
        try await RawConnection.detached {
            let program = try binary(program)
            let standardIn = try Pipe()
            var standardOut = try Pipe()
            if let outputPath {
                close(standardOut.writing)
                standardOut.writing = open(outputPath, O_WRONLY | O_CLOEXEC)
            }
            let standardError = try Pipe()
            let process = try spawn(
                program, arguments, environment, [standardIn.reading, standardOut.writing, standardError.writing])
            for descriptor in [standardIn.reading, standardOut.writing, standardError.writing] { close(descriptor) }
            // Inputs of tests are far below the pipe's capacity, so that this cannot block.
            _ = write(standardIn.writing, input, input.utf8.count)
            close(standardIn.writing)
            let (output, error) = drain(standardOut.reading, max: readMax, standardError.reading) {
                kill(process, SIGKILL)
            }
            var status: Int32 = 0
            while waitpid(process, &status, 0) < 0, errno == EINTR {}
            let signal = status & 0x7f
            return Outcome(signal == 0 ? (status >> 8) & 0xff : 128 + signal, output, error)
        }
    }

    private struct Pipe {
        var reading: Int32
        var writing: Int32

        init() throws {
            var ends: [Int32] = [0, 0]
            // pipe2 is not in the Glibc module; another test's child must not inherit an end.
            let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
            guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw AdminFailure(.internalError, "no pipe") }
            (reading, writing) = (ends[0], ends[1])
        }
    }

    /// The build folder is the one that holds the running test bundle.
    private static func binary(_ name: String) throws -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let folder = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
            .split(separator: "/").dropLast().joined(separator: "/")
        let path = "/" + folder + "/" + name
        guard access(path, X_OK) == 0 else { throw AdminFailure(.notFound, "no \(name) at \(path)") }
        return path
    }

    private static func spawn(
        _ program: String, _ arguments: [[UInt8]], _ environment: [String], _ descriptors: [Int32]
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (target, descriptor) in descriptors.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(target))
        }
        let argv =
            ([Array(program.utf8)] + arguments).map { strdup(($0 + [0]).map(CChar.init(bitPattern:))) } + [nil]
        let envp = (["PATH=/usr/bin:/bin", "SWIFT_BACKTRACE=enable=no"] + environment).map { strdup($0) } + [nil]
        defer { for text in argv + envp { free(text) } }
        var process: pid_t = 0
        let status = posix_spawn(&process, program, &actions, nil, argv, envp)
        guard status == 0 else { throw AdminFailure(.internalError, "cannot start \(program): \(status)") }
        return process
    }

    /// Reads both to their ends, together, because either may fill up while the other is read; closes them.
    /// `onSilence` is called when nothing comes for 30 seconds.
    private static func drain(
        _ first: Int32, max: Int, _ second: Int32, onSilence: () -> Void
    ) -> (String, String) {
        var entries = [first, second].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        var bytes: [[UInt8]] = [[], []]
        var chunk = [UInt8](repeating: 0, count: 65_536)
        // poll skips negative descriptors.
        while entries.contains(where: { $0.fd >= 0 }) {
            if poll(&entries, 2, 30_000) == 0 { onSilence() }
            for index in entries.indices where entries[index].revents != 0 {
                let room = index == 0 ? max - bytes[0].count : chunk.count
                let count = read(entries[index].fd, &chunk, min(chunk.count, room))
                if count > 0 { bytes[index].append(contentsOf: chunk.prefix(count)) }
                if count <= 0 || (index == 0 && bytes[0].count >= max) {
                    close(entries[index].fd)
                    entries[index].fd = -1
                }
            }
        }
        return (String(decoding: bytes[0], as: UTF8.self), String(decoding: bytes[1], as: UTF8.self))
    }
}
