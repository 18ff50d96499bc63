// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl tags set` and `gossipctl tags unset`.

import AdminClient
import AdminModel
import ArgumentParser

struct TagsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tags", abstract: "Change this node's tags.",
        discussion: """
            EXAMPLES
              gossipctl tags set role=web zone=b
              gossipctl tags unset zone
            """,
        subcommands: [TagsSetCommand.self, TagsUnsetCommand.self])

    @OptionGroup var options: GlobalOptions

    static func render(_ document: TagsDocument) -> String {
        document.tags.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)".printable + "\n" }.joined()
    }
}

struct TagsSetCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Set tags, keeping the others; prints all tags.",
        discussion: """
            EXAMPLES
              gossipctl tags set role=web zone=b
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("A tag and its value; several may be given.", valueName: "name=value"))
    var tags: [TagArgument]

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let set = Dictionary(tags.map { ($0.name, $0.value) }) { _, last in last }
        try show(try await client.changeTags(set: set), on: terminal) { TagsCommand.render($0) }
    }
}

struct TagsUnsetCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "unset", abstract: "Remove tags; prints the tags that are left.",
        discussion: """
            EXAMPLES
              gossipctl tags unset zone
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("A tag's name; several may be given.", valueName: "name"))
    var names: [String]

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        try show(try await client.changeTags(unset: names), on: terminal) { TagsCommand.render($0) }
    }
}
