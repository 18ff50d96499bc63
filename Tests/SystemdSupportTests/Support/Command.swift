// SPDX-License-Identifier: Apache-2.0
// Owns running programs and temporary folders in tests.

import Glibc
import Synchronization
import Testing

/// A failed call, with what was tried.
struct SystemFailure: Error, CustomStringConvertible {
    var description: String

    init(_ what: String) { description = "\(what): \(String(cString: strerror(errno)))" }
}

/// A running program with pipes on its standard input and output; standard error goes to the output.
final class Command {
    let process: pid_t
    private let input: Int32
    private let output: Int32
    private var isReaped = false

    init(_ path: String, _ arguments: [String]) throws {
        let toChild = try Pipe()
        let fromChild = try Pipe()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, toChild.readEnd, 0)
        posix_spawn_file_actions_adddup2(&actions, fromChild.writeEnd, 1)
        posix_spawn_file_actions_adddup2(&actions, fromChild.writeEnd, 2)
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        var process = pid_t()
        // Under the lock, so that no other test's descriptor is passed on before it is marked close-on-exec.
        let result = Pipe.lock.withLock { _ in posix_spawnp(&process, path, &actions, nil, words, environ) }
        guard result == 0 else {
            errno = result
            throw SystemFailure(path)
        }
        self.process = process
        input = fcntl(toChild.writeEnd, F_DUPFD_CLOEXEC, 3)
        output = fcntl(fromChild.readEnd, F_DUPFD_CLOEXEC, 3)
        guard input >= 0, output >= 0 else { throw SystemFailure("fcntl") }
    }

    deinit {
        close(input)
        close(output)
        if !isReaped {
            kill(process, SIGKILL)
            waitpid(process, nil, 0)
        }
    }

    /// One line of output without its end, or what there is at the end of the output.
    func readLine() throws -> String {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while read(output, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        return String(decoding: line, as: UTF8.self)
    }

    /// Writes one line to its standard input.
    func send(_ line: String) throws {
        let bytes = Array((line + "\n").utf8)
        guard write(input, bytes, bytes.count) == bytes.count else { throw SystemFailure("write") }
    }

    /// Waits for its end; its exit status, or 128 and the signal.
    func finish() throws -> (status: Int32, output: String) {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(output, &chunk, chunk.count)
            if count <= 0 { break }
            bytes += chunk[..<count]
        }
        var status: Int32 = 0
        guard waitpid(process, &status, 0) == process else { throw SystemFailure("waitpid") }
        isReaped = true
        let code = status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
        return (code, String(decoding: bytes, as: UTF8.self))
    }

    static func run(_ path: String, _ arguments: String...) throws -> (status: Int32, output: String) {
        try Command(path, arguments).finish()
    }
}

/// A pipe that closes itself.
final class Pipe {
    private(set) var readEnd: Int32 = -1
    private(set) var writeEnd: Int32 = -1

    /// Held while a descriptor is made and not yet marked, and while a program is started.
    static let lock = Mutex(())

    init() throws {
        var ends: [Int32] = [-1, -1]
        let result = Self.lock.withLock { _ in
            guard pipe(&ends) == 0 else { return false }
            return ends.allSatisfy { fcntl($0, F_SETFD, FD_CLOEXEC) == 0 }
        }
        guard result else { throw SystemFailure("pipe") }
        (readEnd, writeEnd) = (ends[0], ends[1])
    }

    /// Makes the pipe hold one page only (F_SETPIPE_SZ, fcntl(2)).
    func shrink() throws {
        guard fcntl(writeEnd, 1031, 4_096) >= 4_096 else { throw SystemFailure("F_SETPIPE_SZ") }
    }

    deinit {
        closeReadEnd()
        closeWriteEnd()
    }

    func closeReadEnd() {
        if readEnd >= 0 { close(readEnd) }
        readEnd = -1
    }

    func closeWriteEnd() {
        if writeEnd >= 0 { close(writeEnd) }
        writeEnd = -1
    }

    /// Reads until `isEnough` or nothing came for five seconds.
    func read(until isEnough: (String) -> Bool) throws -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while !isEnough(String(decoding: bytes, as: UTF8.self)) {
            var wait = pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0)
            guard poll(&wait, 1, 5_000) == 1 else { break }
            let count = Glibc.read(readEnd, &chunk, chunk.count)
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// A folder that removes itself and what is in it.
final class TemporaryFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/gossipd-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemFailure("mkdtemp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { _ = try? Command.run("rm", "-rf", path) }
}

/// Files of the repository, read and written.
enum RepositoryFile {
    static func path(_ name: String) -> String {
        "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/") + "/" + name
    }

    static func read(_ path: String) throws -> String {
        let result = try Command.run("cat", path)
        try #require(result.status == 0, "\(result.output)")
        return result.output
    }

    static func write(_ path: String, _ text: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard descriptor >= 0 else { throw SystemFailure(path) }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else { throw SystemFailure(path) }
    }
}
