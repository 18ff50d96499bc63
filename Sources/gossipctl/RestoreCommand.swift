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

            EXAMPLES
              gossipctl restore gossipd.backup
              ssh vault 'cat gossipd.backup' | gossipctl restore -
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("The backup, or - for the standard input.", valueName: "file"), completion: .file())
    var file: String

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let source = try ByteSource(path: file)
        try show(try await client.restore(source.stream), on: terminal) { result in
            "restored \(result.keys) \(result.keys == 1 ? "key" : "keys"), revision \(result.revision)\n"
        }
    }
}
