// SPDX-License-Identifier: Apache-2.0
// Owns the command line of the daemon.

import AdminModel
import ArgumentParser
import DaemonConfig
import Glibc
import ProgramUsage

@main
struct Gossipd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gossipd",
        abstract: "Knows which hosts are alive and carries the fleet's configuration to each of them.",
        discussion: """
            Runs in the foreground until SIGTERM or SIGINT, then leaves the cluster. SIGUSR2 ends it without leaving, for \
            a restart. SIGHUP loads the configuration again. Each option is also a key of the configuration file; the option wins.

            EXAMPLES
              gossipd --config /etc/gossipd/gossipd.toml
              gossipd --name a --data-dir /tmp/a --socket /tmp/a.sock
              gossipd --name b --data-dir /tmp/b --socket /tmp/b.sock \\
                --bind 127.0.0.1:7947 --join 127.0.0.1:7946
              gossipd check-config /etc/gossipd/gossipd.toml

            EXIT STATUS
              0   clean stop
              64  wrong usage
              74  storage error
              75  temporary: address, data directory or socket in use
              77  permission denied
              78  bad configuration
            """,
        version: "gossipd \(AdminVersion.current)",
        subcommands: [CheckConfig.self])

    @Option(help: ArgumentHelp("The configuration file.", valueName: "file"))
    var config: String?
    @Option(help: "This node's name; default: the host name.")
    var name: String?
    @Option(help: ArgumentHelp("Where to listen, UDP and TCP.", valueName: "address:port"))
    var bind: String?
    @Option(help: ArgumentHelp("Where peers reach this node, if not at --bind.", valueName: "address:port"))
    var advertise: String?
    @Option(help: ArgumentHelp("Identity and durable state; one daemon each.", valueName: "directory"))
    var dataDir: String?
    @Option(help: ArgumentHelp("The admin socket that gossipctl talks to.", valueName: "path"))
    var socket: String?
    @Option(help: ArgumentHelp("A node to join through; may be given again.", valueName: "host:port"))
    var join: [String] = []
    @Option(help: ArgumentHelp("auto, journal, json or text.", valueName: "format"))
    var logFormat: String?
    @Option(help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "level"))
    var logLevel: String?

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            guard !(error is ExitCode), let sentence = UsageSentence.sentence(for: error, of: Self.self) else {
                exit(withError: error)
            }
            StandardError.write("gossipd: \(sentence)")
            Glibc.exit(DaemonStatus.usage.rawValue)
        }
    }

    func run() async throws {
        let overrides = ConfigurationOverrides(
            name: name, bind: bind, advertise: advertise, dataDirectory: dataDir, socket: socket, join: join,
            logFormat: logFormat, logLevel: logLevel, hasKeys: !KeySource.credentials().used.isEmpty)
        let status = await Daemon.run(configurationFile: config, overrides: overrides)
        throw ExitCode(status.rawValue)
    }
}

/// How the daemon ends (DESIGN.md section 7; sysexits.h(3head)).
enum DaemonStatus: Int32, Sendable {
    case clean = 0
    case usage = 64
    case storageError = 74
    case temporary = 75
    case denied = 77
    case badConfiguration = 78
}
