// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl kv export`.

import AdminClient
import AdminModel
import ArgumentParser

struct KVExportCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Print keys as JSON lines, for kv import, scripts and version control.",
        discussion: """
            One object a key, as --output json kv get has it, in the order of the keys, all as of one moment. For all \
            that a new cluster needs, deletions included, make a backup. Neither has history.

            EXAMPLES
              gossipctl kv export > all.jsonl
              gossipctl kv export app/ | jq -r .key
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("What the keys begin with; nothing exports all.", valueName: "prefix"))
    var prefix: String = ""

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        try await client.export(try KeyPrefix(prefix)) { piece throws(AdminFailure) in terminal.print(bytes: piece) }
    }
}
