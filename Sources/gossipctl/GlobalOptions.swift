// SPDX-License-Identifier: Apache-2.0
// Owns the options that every command takes.

import AdminClient
import AdminModel
import ArgumentParser
import Glibc

enum OutputFormat: String, CaseIterable, ExpressibleByArgument {
    case table, json
}

struct GlobalOptions: ParsableArguments {
    static let defaultSocket = "/run/gossipd/gossipd.sock"
    // The parser does not show the default of an option with a transform.
    private static let timeoutDefault = TimeoutArgument(duration: .seconds(10))

    @Option(
        help: ArgumentHelp(
            "The daemon's socket (or GOSSIPD_SOCKET; default: \(defaultSocket)).", valueName: "path"),
        completion: .file())
    var socket: String?

    @Option(help: "How to print: table for people, json for programs.")
    var output: OutputFormat = .table

    @Option(
        help: ArgumentHelp(
            "How long to wait for an answer, such as 500ms, 5s or 1m. (default: \(timeoutDefault))",
            valueName: "duration"),
        transform: TimeoutArgument.parse)
    var timeout: TimeoutArgument = timeoutDefault

    var socketPath: String {
        if let socket { return socket }
        if let path = getenv("GOSSIPD_SOCKET").map({ String(cString: $0) }), !path.isEmpty { return path }
        return Self.defaultSocket
    }

    func makeClient() -> AdminClient {
        var client = AdminClient.singleUse(socketPath: socketPath, timeout: timeout.duration)
        client.patience = .usual
        return client
    }
}

/// `500ms`, `5s`, `1m`, `2h`; at least 1 ms, at most a day.
struct TimeoutArgument: BoundedArgument, Hashable, CustomStringConvertible {
    static let bounds = "1ms to 24h, such as 500ms, 5s or 1m"

    var duration: Duration

    init(duration: Duration) { self.duration = duration }

    init?(argument: String) {
        let units: [(suffix: String, milliseconds: Int64)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
        for (suffix, milliseconds) in units where argument.hasSuffix(suffix) {
            guard let number = Double(argument.dropLast(suffix.count)), number.isFinite else { continue }
            let total = number * Double(milliseconds)
            guard total >= 1, total <= 86_400_000 else { return nil }
            self.init(duration: .milliseconds(Int64(total)))
            return
        }
        return nil
    }

    var description: String {
        let milliseconds = duration / .milliseconds(1)
        return milliseconds < 1000 ? "\(Int(milliseconds))ms" : "\(Int(milliseconds / 1000))s"
    }
}
