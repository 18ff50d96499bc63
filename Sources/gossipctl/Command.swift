// SPDX-License-Identifier: Apache-2.0
// Owns what every command does alike: run against the daemon, print, turn failures into a sentence and a status.

import AdminClient
import AdminModel
import ArgumentParser

/// A command that talks to the daemon.
protocol DaemonCommand: AsyncParsableCommand {
    var options: GlobalOptions { get }
    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure)
}

extension DaemonCommand {
    func run() async throws {
        do throws(AdminFailure) {
            try await run(options.makeClient(), Terminal.standard)
        } catch {
            Terminal.complain(error.message)
            throw ExitCode(error.code.exitStatus.rawValue)
        }
    }

    /// Prints the document as JSON, or what `table` makes of it.
    func show<Document: Encodable>(
        _ document: Document, on terminal: Terminal, _ table: (Document) -> String
    ) throws(AdminFailure) {
        switch options.output {
        case .json: terminal.print(try jsonLine(document))
        case .table: terminal.print(table(document))
        }
    }

    func jsonLine(_ document: some Encodable) throws(AdminFailure) -> String {
        guard let bytes = try? AdminJSON.encode(document) else {
            throw AdminFailure(.internalError, "the answer cannot be written as JSON")
        }
        return String(decoding: bytes, as: UTF8.self) + "\n"
    }
}

/// Parses a key given as an argument, as a usage error when it is none.
func parseKey(_ text: String) throws(AdminFailure) -> ConfigurationKey { try ConfigurationKey(text) }
