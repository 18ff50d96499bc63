// SPDX-License-Identifier: Apache-2.0
// Owns temporary folders of tests and what is asked about processes.

import Glibc

@testable import Delivery

struct TestFailure: Error, CustomStringConvertible {
    var description: String

    init(_ what: String) { description = "\(what): \(SystemText.of(errno))" }
}

/// A folder that removes itself and what is in it.
final class TestFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/gossipd-delivery-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TestFailure("mkdtemp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { _ = try? CommandRunner.run(["rm", "-rf", path], timeout: .seconds(20)) }

    func path(_ name: String) -> String { path + "/" + name }

    func exists(_ name: String) -> Bool {
        var status = stat()
        return lstat(path(name), &status) == 0
    }

    /// The file's bytes; empty when there is none.
    func bytes(_ name: String) -> [UInt8] {
        let descriptor = open(path(name), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count <= 0 { return bytes }
            bytes += chunk[..<count]
        }
    }

    func text(_ name: String) -> String { String(decoding: bytes(name), as: UTF8.self) }

    func write(_ name: String, _ text: String, mode: mode_t = 0o644) throws {
        let descriptor = open(path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw TestFailure(name) }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count, fchmod(descriptor, mode) == 0 else {
            throw TestFailure(name)
        }
    }

    /// All names in it, sorted.
    func names(_ folder: String = "") throws -> [String] {
        let result = try CommandRunner.run(["ls", "-A", path(folder)], timeout: .seconds(20))
        return String(decoding: result.output, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}

enum TestProcess {
    /// Whether there is no such process, or only its status is left; waits up to five seconds for it.
    static func isGone(_ process: pid_t) -> Bool {
        for _ in 0..<500 {
            if kill(process, 0) != 0 { return true }
            let state = try? CommandRunner.run(["ps", "-o", "stat=", "-p", "\(process)"], timeout: .seconds(5))
            if state.map({ $0.output.first == UInt8(ascii: "Z") || $0.output.isEmpty }) ?? false { return true }
            usleep(10_000)
        }
        return false
    }
}
