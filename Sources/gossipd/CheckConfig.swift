// SPDX-License-Identifier: Apache-2.0
// Owns `gossipd check-config`: every problem of a configuration file, of render.d and handlers.d, without starting anything.

import ArgumentParser
import DaemonConfig
import Delivery
import Glibc
import Handlers
import SystemdSupport

struct CheckConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config",
        abstract: "Checks a configuration file and names every problem with file, line, key and reason.",
        discussion: """
            The descriptions of files to deliver, in the folder render.directory, and their templates are checked along \
            with it, and so are the handlers in the folder handlers.directory, and the keys: key_file for the user as whom \
            the service runs, or what the unit passes from keys.d (NAME.keys.d for NAME.toml). Run it as root. Exits with \
            0 when all of it is good and with 78 when it is not.

            EXAMPLES
              gossipd check-config /etc/gossipd/gossipd.toml
              gossipd check-config /etc/gossipd/gossipd.toml && systemctl reload gossipd
            """)

    @Argument(help: "The configuration file.")
    var file: String

    func run() throws {
        let keys = getenv("CREDENTIALS_DIRECTORY") == nil ? KeyFolder(beside: file) : nil
        let passed = keys?.content()
        // A folder that only root sees into may hold keys.
        let hasKeys = passed.map { !$0.files.isEmpty || !$0.isReadable } ?? !KeySource.credentials().used.isEmpty
        let configuration: DaemonConfiguration
        do throws(ConfigurationError) {
            configuration = try DaemonConfiguration.load(
                file: file, overrides: ConfigurationOverrides(hasKeys: hasKeys))
        } catch {
            throw Self.bad(error.description)
        }
        do throws(KeyFailure) {
            try checkKeys(configuration, passed)
        } catch {
            throw Self.bad("\(error)")
        }
        let folder = configuration.render.directory
        let listing = RenderDirectory.read(folder, within: configuration.destinationLimits)
        let templates = Renderer().check(listing.specs, in: folder)
        if let warning = templates.warning { StandardError.write("warning: \(warning)") }
        let handlers = HandlerDirectory.read(configuration.handlers.directory, kinds: EventKind.forHandlers)
        let problems = listing.problems + templates.problems + handlers.problems
        guard problems.isEmpty else {
            throw Self.bad(problems.map(\.sentence).joined(separator: "\n"))
        }
        print("\(file): good")
        if !handlers.specs.isEmpty {
            print("\(configuration.handlers.directory): \(counted(handlers.specs.count, "handler")), good")
        }
        guard !listing.specs.isEmpty else { return }
        let read = templates.read > 0 ? " with \(counted(templates.read, "template"))" : ""
        print("\(folder): \(counted(listing.specs.count, "description"))\(read), good")
    }

    private static func bad(_ text: String) -> ExitCode {
        StandardError.write(text)
        return ExitCode(DaemonStatus.badConfiguration.rawValue)
    }

    /// The keys as the service would have them, whoever checks.
    private func checkKeys(_ configuration: DaemonConfiguration, _ passed: KeyFolder.Content?) throws(KeyFailure) {
        guard configuration.keyFile.isEmpty else {
            let reader = ServiceUser.ofService(dataDirectory: configuration.dataDirectory)
            _ = try KeySource.keys(inFile: configuration.keyFile, for: reader)
            return
        }
        guard let passed else {
            _ = try KeySource.keys(configuration)
            return
        }
        for warning in passed.warnings { StandardError.write("warning: \(warning)") }
        let unread = passed.files.filter { access($0, R_OK) != 0 }
        guard passed.isReadable, unread.isEmpty || geteuid() == 0 else {
            StandardError.write("warning: the keys in keys.d were not checked, since only root can read them")
            return
        }
        _ = try KeySource.keys(inFiles: passed.files)
    }
}
