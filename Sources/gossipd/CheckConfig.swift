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
            The descriptions of files to deliver, in the folder render.directory, and their templates are checked along \
            with it. Exits with 0 when all of it is good and with 78 when it is not.

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
        let templates = Renderer().check(listing.specs, in: folder)
        if let warning = templates.warning { StandardError.write("warning: \(warning)") }
        let problems = listing.problems + templates.problems
        guard problems.isEmpty else {
            StandardError.write(problems.map(\.sentence).joined(separator: "\n"))
            throw ExitCode(DaemonStatus.badConfiguration.rawValue)
        }
        print("\(file): good")
        guard !listing.specs.isEmpty else { return }
        let read = templates.read > 0 ? " with \(counted(templates.read, "template"))" : ""
        print("\(folder): \(counted(listing.specs.count, "description"))\(read), good")
    }
}
