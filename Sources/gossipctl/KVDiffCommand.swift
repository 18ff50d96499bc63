// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl kv diff`.

import AdminClient
import AdminModel
import ArgumentParser

struct KVDiffCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Show what changed between two points of the past, or since one.",
        discussion: """
            A point is a revision (as kv history shows it), a time such as 2026-11-20T12:00:00Z, or how long ago: \
            10m, 2h, 3d. Without --to it ends now.

            EXAMPLES
              gossipctl kv diff --from 10m
              gossipctl kv diff app/ --from 1040 --to 1042
              gossipctl --output json kv diff app/ --from 2026-11-20T12:00:00Z
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("What the keys begin with; nothing compares all.", valueName: "prefix"))
    var prefix: String = ""

    @Option(
        help: ArgumentHelp("Where it begins: a revision, a time or how long ago.", valueName: "point"),
        transform: PastPointArgument.parse)
    var from: PastPointArgument

    @Option(help: ArgumentHelp("Where it ends.", valueName: "point"), transform: PastPointArgument.parse)
    var to: PastPointArgument?

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let prefix = try KeyPrefix(prefix)
        let first = try await client.difference(prefix, from: from.point, to: to?.point)
        var page = first
        var all = first
        let sides = DiffText.Sides(
            old: "revision \(first.fromRevision)", new: "revision \(first.toRevision)")
        while true {
            if options.output == .table {
                for entry in page.entries { terminal.print(DiffText.render(entry, sides, terminal)) }
            }
            guard let next = page.next else { break }
            page = try await client.difference(
                prefix, from: .revision(first.fromRevision), to: .revision(first.toRevision), after: next)
            if options.output == .json { all.entries += page.entries }
        }
        all.next = nil
        if options.output == .json { terminal.print(try jsonLine(all)) }
    }
}
