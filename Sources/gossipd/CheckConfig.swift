// SPDX-License-Identifier: Apache-2.0
// Owns `gossipd check-config`: every problem of a configuration file, without starting anything.

import ArgumentParser
import DaemonConfig

struct CheckConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config",
        abstract: "Checks a configuration file and names every problem with file, line, key and reason.",
        discussion: """
            Exits with 0 when the file is good and with 78 when it is not.

            EXAMPLE
              gossipd check-config /etc/gossipd/gossipd.toml
            """)

    @Argument(help: "The configuration file.")
    var file: String

    func run() throws {
        do throws(ConfigurationError) {
            _ = try DaemonConfiguration.load(file: file)
        } catch {
            StandardError.write(error.description)
            throw ExitCode(DaemonStatus.badConfiguration.rawValue)
        }
        print("\(file): good")
    }
}
