// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl kv get`.

import AdminClient
import AdminModel
import ArgumentParser

struct KVGetCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Print a key's value: its bytes and nothing else.",
        discussion: """
            Of a set it prints one element a line, of a counter its number. Exits with 3 when there is no such key.

            EXAMPLES
              gossipctl kv get app/db/url
              gossipctl kv get app/cert > cert.pem
              gossipctl --output json kv get app/db/url
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("The key.", valueName: "key"))
    var key: String

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let key = try parseKey(key)
        switch options.output {
        case .table: terminal.print(bytes: try await client.getRaw(key))
        case .json: terminal.print(try jsonLine(try await client.get(key)))
        }
    }
}
