// SPDX-License-Identifier: Apache-2.0
// Owns one real gossipd of a test: how it is started, its log, its client.

import AdminClient
import AdminModel
import Glibc

/// One line of `--log-format json`.
struct LogLine: Decodable, Sendable {
    var time: String
    var level: String
    var message: String
    var event: String?
    var member: String?
    var reason: String?
    var address: String?
    var key: String?
}

/// How a daemon is started; everything can be changed before a restart.
struct DaemonOptions: Sendable {
    var name: String
    var host = "127.0.0.1"
    var port: Int
    var advertise: String?
    var join: [String] = []
    /// The text of a configuration file; nil for none.
    var configuration: String?
    var environment: [String: String] = [:]
    /// A program and its arguments that run the daemon, such as nsenter.
    var prefix: [String] = []
    var logFormat = "json"

    init(_ name: String) throws {
        self.name = name
        port = try Ports.free()
    }

    /// Where the daemon listens.
    var address: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// A running gossipd with its folder, which outlives it.
final class DaemonProcess: Sendable {
    let options: DaemonOptions
    let child: ChildProcess
    let client: AdminClient
    let socket: String
    let dataDirectory: String
    let configurationPath: String
    private let arena: Arena

    var name: String { options.name }
    var address: String { options.address }

    /// Starts it and does not wait.
    init(_ options: DaemonOptions, in arena: Arena) throws {
        self.options = options
        self.arena = arena
        socket = "\(arena.folder)/\(options.name).sock"
        dataDirectory = "\(arena.folder)/\(options.name)"
        configurationPath = "\(arena.folder)/\(options.name).toml"
        var arguments = [
            "--name", options.name, "--bind", options.address, "--data-dir", dataDirectory, "--socket", socket,
            "--log-format", options.logFormat,
        ]
        if let advertise = options.advertise { arguments += ["--advertise", advertise] }
        for address in options.join { arguments += ["--join", address] }
        if let text = options.configuration {
            try FileText.write(text, to: configurationPath)
            arguments += ["--config", configurationPath]
        }
        let words = options.prefix + [try Programs.gossipd()] + arguments
        child = try arena.start(
            words[0], Array(words.dropFirst()), environment: options.environment,
            log: "\(arena.folder)/\(options.name).log")
        client = AdminClient(socketPath: socket, timeout: .seconds(10))
    }

    /// Starts it and waits until it says that it is ready.
    static func start(_ options: DaemonOptions, in arena: Arena) async throws -> DaemonProcess {
        let daemon = try DaemonProcess(options, in: arena)
        try await daemon.waitUntilReady()
        return daemon
    }

    func waitUntilReady() async throws {
        _ = try await logged("it is ready") { $0.event == "started" }
    }

    /// All log lines so far, of this start only.
    var log: [LogLine] {
        child.errors.split(separator: "\n").compactMap { try? AdminJSON.decode(LogLine.self, from: $0.utf8) }
    }

    /// Waits for a log line; fails at once when the daemon has ended without it.
    func logged(
        _ what: String, within limit: Duration = .seconds(15), _ matches: @escaping @Sendable (LogLine) -> Bool
    ) async throws -> LogLine {
        let outcome: Result<LogLine, Trouble> = try await eventually("\(name): \(what)", within: limit) {
            let hasEnded = !child.isRunning
            if let line = log.first(where: matches) { return .success(line) }
            guard hasEnded else { return nil }
            return .failure(Trouble("\(name) has ended before this: \(what)\n\(child.errors)"))
        }
        return try outcome.get()
    }

    func gossipctl(_ arguments: String...) async throws -> Arena.Outcome {
        try await arena.run(try Programs.gossipctl(), ["--socket", socket] + arguments)
    }

    /// The state in which this node shows another one; nil when it does not know it.
    func state(of name: String) async throws -> MemberState? {
        try await client.members().members.first { $0.name == name }?.state
    }

    /// Waits until this node shows another one in a state.
    func shows(_ name: String, _ state: MemberState, within limit: Duration = .seconds(15)) async throws {
        try await eventually("\(self.name) shows \(name) as \(state)", within: limit) {
            (try await self.state(of: name) == state).orNil
        }
    }

    /// The value of a metric, its samples with these labels added up; nil when there is none.
    func metric(_ name: String, _ labels: String...) async throws -> Double? {
        let values = try await client.metrics().split(separator: "\n").compactMap { line -> Double? in
            guard !line.hasPrefix("#"), let space = line.lastIndex(of: " ") else { return nil }
            let series = line[..<space]
            guard series == name || series.hasPrefix(name + "{"), labels.allSatisfy({ series.contains($0) }) else {
                return nil
            }
            return Double(line[line.index(after: space)...])
        }
        return values.isEmpty ? nil : values.reduce(0, +)
    }

    /// SIGKILL, and waits for its end.
    func killHard() { child.end() }

    /// SIGTERM, and the exit status.
    func terminate() async throws -> Int32 {
        child.signal(SIGTERM)
        return try await child.waitForEnd()
    }
}
