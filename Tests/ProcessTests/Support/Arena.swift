// SPDX-License-Identifier: Apache-2.0
// Owns everything that one test starts and makes: all of it is gone when the test ends, however it ends.

import AdminModel
import Glibc
import Synchronization

/// A temporary folder and the processes of one test.
final class Arena: Sendable {
    let folder: String
    private struct State {
        var children: [ChildProcess] = []
        var count = 0
    }
    private let state = Mutex(State())

    init(inMemory: Bool = false) throws { folder = inMemory ? try Folder.makeInMemory() : try Folder.make() }

    /// Runs `body` with an arena; prints the logs of the daemons when it throws. `inMemory` keeps the disk out of what a
    /// test times.
    static func with<Result>(
        inMemory: Bool = false, isolation: isolated (any Actor)? = #isolation, _ body: (Arena) async throws -> Result
    ) async throws -> Result {
        let arena = try Arena(inMemory: inMemory)
        defer { arena.end() }
        do {
            return try await body(arena)
        } catch {
            arena.printLogs()
            throw error
        }
    }

    private func end() {
        for child in state.withLock({ $0.children }) { child.end() }
        Folder.remove(folder)
    }

    private func printLogs() {
        for child in state.withLock({ $0.children }) where child.errorPath.hasSuffix(".log") {
            let lines = child.errors.split(separator: "\n").suffix(15).joined(separator: "\n")
            print("--- \(child.errorPath), status \(child.status.map(String.init) ?? "running")\n\(lines)")
        }
    }

    /// Starts a program; its end is this arena's business.
    func start(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], log: String? = nil
    ) throws -> ChildProcess {
        try state.withLock { state in
            state.count += 1
            let base = "\(folder)/\(state.count)"
            let child = try ChildProcess(
                program, arguments, environment: environment, outputPath: base + ".out",
                errorPath: log ?? base + ".err")
            state.children.append(child)
            return child
        }
    }

    struct Outcome: Sendable {
        var status: Int32
        var output: String
        var errors: String
    }

    /// Runs a program to its end.
    func run(
        _ program: String, _ arguments: [String], environment: [String: String] = [:],
        within limit: Duration = .seconds(20)
    ) async throws -> Outcome {
        let child = try start(program, arguments, environment: environment)
        let status = try await child.waitForEnd(within: limit)
        return Outcome(status: status, output: child.output, errors: child.errors)
    }

    /// Runs gossipctl to its end against a socket.
    func gossipctl(_ socket: String, _ arguments: String...) async throws -> Outcome {
        try await run(try Programs.gossipctl(), ["--socket", socket] + arguments)
    }
}

/// The programs under test, as built together with these tests.
enum Programs {
    static func gossipd() throws -> String { try find("gossipd") }
    static func gossipctl() throws -> String { try find("gossipctl") }

    private static func find(_ name: String) throws -> String {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { throw Trouble.system("/proc/self/exe") }
        // The test bundle is a program in the build folder, or inside a folder there.
        let runner = String(decoding: buffer[..<count], as: UTF8.self)
        for start in [runner, CommandLine.arguments.first ?? ""] {
            var folder = start.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            for _ in 0..<4 where folder.count > 1 {
                let path = folder.joined(separator: "/") + "/" + name
                if access(path, X_OK) == 0 { return path }
                folder = folder.dropLast()
            }
        }
        throw Trouble("\(name) is not beside the tests (\(runner)): build it with swift build --build-tests")
    }

    /// Whether all the named programs are on this host; the folders of the superuser count too.
    static func exist(_ names: String...) -> Bool {
        let path = (getenv("PATH").map { String(cString: $0) } ?? "") + ":/usr/sbin:/sbin"
        let folders = path.split(separator: ":")
        return names.allSatisfy { name in folders.contains { access("\($0)/\(name)", X_OK) == 0 } }
    }
}
