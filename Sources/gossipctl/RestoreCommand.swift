// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl restore`.

import AdminClient
import AdminModel
import ArgumentParser

struct RestoreCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Take over a backup into a node whose store is empty.",
        discussion: """
            Nothing changes unless the backup is whole. The node keeps its own identity, and its watches are told to \
            resync. Restore before the node joins others, or it takes their keys first. - reads the standard input.

            Strict keys are written through the log of the group, which must have a leader; those that are there by then stay as \
            they are. Without a group yet, restore with --strict skip, and once it has formed with --strict only.

            EXAMPLES
              gossipctl restore gossipd.backup
              ssh vault 'cat gossipd.backup' | gossipctl restore -
              gossipctl restore gossipd.backup --strict only
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("The backup, or - for the standard input.", valueName: "file"), completion: .file())
    var file: String

    @Option(
        help: ArgumentHelp(
            "Strict keys: with all else, skip them, or them only. (default: with)", valueName: "what"))
    var strict: StrictRestore = .with

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let source = try ByteSource(path: file)
        try show(try await client.restore(source.stream, strict: strict), on: terminal) { Self.render($0, strict) }
    }

    static func render(_ result: RestoreResult, _ mode: StrictRestore) -> String {
        var text = ""
        if mode != .only {
            text = "restored \(result.keys) \(result.keys == 1 ? "key" : "keys"), revision \(result.revision)\n"
        }
        if let restored = result.strictRestored {
            text += "wrote \(restored) strict \(restored == 1 ? "key" : "keys") through the log"
            text += (result.strictKept ?? 0) > 0 ? ", \(result.strictKept ?? 0) were there already\n" : "\n"
        }
        return text
    }
}

extension StrictRestore: ExpressibleByArgument {}
