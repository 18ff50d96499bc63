// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl kv list`.

import AdminClient
import AdminModel
import ArgumentParser

struct KVListCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the keys that begin with a prefix.",
        discussion: """
            The prefix is compared letter by letter: app/ lists app/db, app lists apple/x as well.

            EXAMPLES
              gossipctl kv list
              gossipctl kv list app/
              gossipctl --output json kv list app/
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("What the keys begin with; nothing lists all.", valueName: "prefix"))
    var prefix: String = ""

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let list = try await client.list(try KeyPrefix(prefix))
        try show(list, on: terminal) { Self.render($0, terminal) }
    }

    static func render(_ list: KeyListDocument, _ terminal: Terminal) -> String {
        var table = TextTable(["KEY", "TYPE", "WRITTEN", "BY", "VALUE"])
        for entry in list.entries {
            table.add([
                .init(entry.key), .init(entry.content.type.rawValue),
                .init(String(entry.writtenAt.description.prefix(19)) + "Z"), .init(entry.author.name),
                .init(Format.preview(entry.content)),
            ])
        }
        return table.render(for: terminal)
    }
}
