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

            Of a value of more than 200 bytes, or 48 that are no text, the table has the size and the beginning; kv get and \
            --output json have all of it.

            A prefix of strict keys alone is read from the leader, or with --consistency local from this node's copy. A prefix \
            that holds strict keys and others is read from this node's copy; the column CLASS tells how old that may be.

            EXAMPLES
              gossipctl kv list
              gossipctl kv list app/
              gossipctl --output json kv list app/
              gossipctl kv list strict/ --consistency local
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("What the keys begin with; nothing lists all.", valueName: "prefix"))
    var prefix: String = ""

    @OptionGroup var reading: ReadOptionGroup

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let list = try await client.list(try KeyPrefix(prefix), reading.consistency)
        try show(list, on: terminal) { Self.render($0, terminal) }
    }

    static func render(_ list: KeyListDocument, _ terminal: Terminal) -> String {
        // Who has no strict keys sees nothing of classes.
        let showsClass = list.entries.contains { $0.keyClass == .strict }
        var table = TextTable(["KEY", "TYPE"] + (showsClass ? ["CLASS"] : []) + ["WRITTEN", "BY", "VALUE"])
        for entry in list.entries {
            var cells = [TextTable.Cell(entry.key), .init(entry.content.type.rawValue)]
            if showsClass { cells.append(.init(Self.word(entry))) }
            cells += [
                .init(entry.writtenAt.map { String($0.description.prefix(19)) + "Z" } ?? "-"), .init(entry.author.name),
                .init(Format.cell(entry.content)),
            ]
            table.add(cells)
        }
        return table.render(for: terminal)
    }

    /// `strict`, or `strict, 12 ms old` for what was read here.
    private static func word(_ entry: KeyDocument) -> String {
        guard entry.keyClass == .strict, let staleness = entry.stalenessMilliseconds else {
            return entry.keyClass.rawValue
        }
        return "strict, \(staleness) ms old"
    }
}
