// SPDX-License-Identifier: Apache-2.0
// Owns a real gossipd-apply behind a socket that systemd-socket-activate opens.

import Glibc
import Synchronization

@testable import Delivery

/// The program with its folders: `render.d`, `etc`, `state`, `socket`. Ends with its owner.
final class HelperProgram: Sendable {
    let folder: TestFolder
    private let process = Mutex<pid_t>(0)

    static var canRun: Bool { access("/usr/bin/systemd-socket-activate", X_OK) == 0 && path != nil }

    /// Beside the tests, or in a folder above them.
    private static var path: String? {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { return nil }
        for start in [String(decoding: buffer[..<count], as: UTF8.self), CommandLine.arguments.first ?? ""] {
            var parts = start.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            for _ in 0..<4 where parts.count > 1 {
                let path = parts.joined(separator: "/") + "/gossipd-apply"
                if access(path, X_OK) == 0 { return path }
                parts = parts.dropLast()
            }
        }
        return nil
    }

    init() throws {
        folder = try TestFolder()
        for name in ["render.d", "etc", "state"] {
            guard mkdir(folder.path(name), 0o755) == 0 else { throw TestFailure("mkdir") }
        }
        try folder.write(
            "systemctl",
            """
            #!/bin/sh
            cd \(folder.path)
            echo "$*" >>reloads
            if [ -e block ] && { [ ! -s block ] || [ "$(cat block)" = "$2" ]; }; then
                echo $$ >blocked; while [ -e block ]; do sleep 0.02; done
            fi
            exit 0
            """, mode: 0o755)
    }

    deinit {
        unlink(folder.path("block"))
        kill(SIGKILL)
        _ = wait()
    }

    /// Describes `etc/NAME` with a reload of `UNIT`.
    func describe(_ name: String, unit: String, mode: mode_t = 0o644) throws {
        try folder.write(
            "render.d/\(name).toml",
            "destination = \"\(folder.path("etc/\(name)"))\"\ntemplate_text = \"x\"\nreload_unit = \"\(unit)\"\n",
            mode: mode)
    }

    /// Opens the socket; the program starts with the first connection and has the same process id.
    func start(idleExit: String = "60s") throws {
        unlink(folder.path("socket"))
        // The file is there a moment before anybody listens; systemd-socket-activate says when it does.
        let begun = listening
        let words = [
            "/usr/bin/systemd-socket-activate", "-l", folder.path("socket"), Self.path ?? "", "--directory",
            folder.path("render.d"), "--state-dir", folder.path("state"), "--systemctl", folder.path("systemctl"),
            "--idle-exit", idleExit, "--unconfined",
        ]
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let log = folder.path("log")
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for word in arguments { free(word) } }
        var started = pid_t()
        let code = posix_spawn(&started, words[0], &actions, &attributes, &arguments, environ)
        guard code == 0 else { throw TestFailure("posix_spawn: \(code)") }
        process.withLock { $0 = started }
        for _ in 0..<1_000 where listening == begun { usleep(5_000) }
    }

    func runWithoutSocket() throws -> CommandResult {
        try CommandRunner.run([Self.path ?? ""], timeout: .seconds(20), environment: ["PATH=/usr/bin:/bin"])
    }

    func kill(_ signal: CInt) {
        let process = process.withLock { $0 }
        if process > 0 { Glibc.kill(process, signal) }
    }

    /// Waits for its end; as a shell counts, or nil when it does not run.
    func wait() -> CInt? {
        let process = process.withLock { process in
            defer { process = 0 }
            return process
        }
        guard process > 0 else { return nil }
        var status: CInt = 0
        guard waitpid(process, &status, 0) == process else { return nil }
        return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
    }

    func waitInThread() async throws -> CInt? {
        try await BlockingThread.run { [self] () throws(DeliveryFailure) in wait() }
    }

    /// Waits up to ten seconds for a file in its folder.
    func wait(for name: String) async throws -> Bool {
        try await BlockingThread.run { [self] () throws(DeliveryFailure) in
            for _ in 0..<1_000 where !folder.exists(name) { usleep(10_000) }
            return folder.exists(name)
        }
    }

    /// Waits up to ten seconds until so many reloads have been asked for and none is owed.
    func waitForReloads(_ count: Int) async throws -> Bool {
        try await BlockingThread.run { [self] () throws(DeliveryFailure) in
            for _ in 0..<1_000 where reloads < count || folder.exists("state/pending.json") { usleep(10_000) }
            return reloads == count && !folder.exists("state/pending.json")
        }
    }

    func ask(_ operation: ApplyRequest.Operation, _ contents: [(String, String)]) async throws -> ApplyAnswer {
        try await HelperClient(path: folder.path("socket"), timeout: .seconds(30))
            .perform(ApplyScene.request(operation, contents))
    }

    private var listening: Int { folder.text("log").split(separator: "\n").count { $0.hasPrefix("Listening on ") } }

    var reloads: Int { folder.text("reloads").split(separator: "\n").count }
}
