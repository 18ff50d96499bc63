// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl kv delete`.

import AdminClient
import AdminModel
import ArgumentParser

struct KVDeleteCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete a key of any type.",
        discussion: """
            Exits with 3 when there is no such key.

            EXAMPLES
              gossipctl kv delete app/db/url
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("The key.", valueName: "key"))
    var key: String

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let key = try parseKey(key)
        try show(try await client.delete(key), on: terminal) { KVPutCommand.render($0, verb: "deleted") }
    }
}
