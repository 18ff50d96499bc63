// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl kv delete`.

import AdminClient
import AdminModel
import ArgumentParser

struct KVDeleteCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete a key of any type.",
        discussion: """
            Exits with 3 when there is no such key, 4 when a condition does not hold.

            EXAMPLES
              gossipctl kv delete app/db/url
              gossipctl kv delete app/db --if-version 0190f3a1b2c30001-0af30000 --wait all
            """)

    @OptionGroup var options: GlobalOptions
    @OptionGroup var write: WriteOptionGroup

    @Argument(help: ArgumentHelp("The key.", valueName: "key"))
    var key: String

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let key = try parseKey(key)
        let result = try await client.delete(key, try write.options())
        try show(try await write.finish(result, key, client), on: terminal) {
            KVPutCommand.render($0, verb: "deleted")
        }
    }
}
