// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl kv history`.

import AdminClient
import AdminModel
import ArgumentParser

struct KVHistoryCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "history", abstract: "Show who changed a key, when, why and how; the newest change first.",
        discussion: """
            History is this node's: a change that it missed while it was away shows as one with what came after. It \
            is kept for a time and a number of changes, both configured. Exits with 3 when nothing is known of the key.

            EXAMPLES
              gossipctl kv history app/db/url
              gossipctl kv history app/db/url --limit 5
              gossipctl --output json kv history app/db/url
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("The key.", valueName: "key"))
    var key: String

    @Option(help: ArgumentHelp("At most that many changes.", valueName: "number"))
    var limit: Int = 100

    func validate() throws {
        guard limit > 0 else { throw ValidationError("The limit must be above zero.") }
    }

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let key = try parseKey(key)
        var document = HistoryDocument(key: key, entries: [], next: nil)
        repeat {
            let count = min(limit - document.entries.count, AdminLimits.pageEntriesMax)
            let page = try await client.history(key, before: document.next, limit: count)
            document.entries += page.entries
            document.next = page.entries.isEmpty ? nil : page.next
        } while document.next != nil && document.entries.count < limit
        guard !document.entries.isEmpty else {
            throw AdminFailure(.notFound, "no change of key \(key.description.quoted) is known: see gossipctl kv list")
        }
        try show(document, on: terminal) { Self.render($0, terminal) }
    }

    static func render(_ document: HistoryDocument, _ terminal: Terminal) -> String {
        var table = TextTable(["REVISION", "TIME", "CHANGE", "BY", "USER", "REASON", "VALUE"], rightAligned: [0])
        for entry in document.entries {
            table.add([
                .init("\(entry.revision)"), .init(String(entry.writtenAt.description.prefix(19)) + "Z"),
                .init(entry.event), .init(entry.author.name), .init(entry.user ?? "-"), .init(entry.reason ?? "-"),
                .init(change(entry)),
            ])
        }
        return table.render(for: terminal)
    }

    /// `old -> new`, each cut.
    static func change(_ entry: HistoryEntry) -> String {
        if let element = entry.element { return short(Format.preview(element)) }
        switch (entry.old, entry.new) {
        case (nil, nil): return "-"
        case (nil, let new?): return short(Format.preview(new))
        case (let old?, nil): return "\(short(Format.preview(old))) ->"
        case (let old?, let new?): return "\(short(Format.preview(old))) -> \(short(Format.preview(new)))"
        }
    }

    /// Characters of one value in a table.
    private static let shortMax = 40

    private static func short(_ text: String) -> String {
        text.count > shortMax ? text.prefix(shortMax - 1) + "\u{2026}" : text
    }
}
