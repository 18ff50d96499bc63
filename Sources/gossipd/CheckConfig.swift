// SPDX-License-Identifier: Apache-2.0
// Owns `gossipd check-config`: every problem of a configuration file and of render.d, without starting anything.

import ArgumentParser
import DaemonConfig
import Delivery

struct CheckConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config",
        abstract: "Checks a configuration file and names every problem with file, line, key and reason.",
        discussion: """
            The descriptions of files to deliver, in the folder render.directory, are checked along with it. Exits with 0 when the file is good and with 78 when it is not.

            EXAMPLE
              gossipd check-config /etc/gossipd/gossipd.toml
            """)

    @Argument(help: "The configuration file.")
    var file: String

    func run() throws {
        let configuration: DaemonConfiguration
        do throws(ConfigurationError) {
            configuration = try DaemonConfiguration.load(
                file: file, overrides: ConfigurationOverrides(hasKeys: KeySource.hasCredentials(beside: file)))
        } catch {
            StandardError.write(error.description)
            throw ExitCode(DaemonStatus.badConfiguration.rawValue)
        }
        if !configuration.keyFile.isEmpty {
            do throws(KeyFailure) {
                _ = try KeySource.settings(configuration)
            } catch {
                StandardError.write("\(error)")
                throw ExitCode(DaemonStatus.badConfiguration.rawValue)
            }
        }
        let folder = configuration.render.directory
        let listing = RenderDirectory.read(folder, dataDirectory: configuration.dataDirectory)
        guard listing.problems.isEmpty else {
            StandardError.write(listing.problems.map(\.sentence).joined(separator: "\n"))
            throw ExitCode(DaemonStatus.badConfiguration.rawValue)
        }
        print("\(file): good")
        if !listing.specs.isEmpty { print("\(folder): \(counted(listing.specs.count, "description")), good") }
    }
}
