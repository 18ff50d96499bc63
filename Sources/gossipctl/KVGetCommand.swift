// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl kv get`.

import AdminClient
import AdminModel
import ArgumentParser

struct KVGetCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Print a key's value: its bytes and nothing else.",
        discussion: """
            Of a set it prints one element a line, of a counter its number. Exits with 3 when there is no such key, or \
            was none then, and with 1 when history does not reach back that far.

            Of a strict key it prints the value as the leader has it now, or exits with 5 when no leader answers. With \
            --consistency local it prints at once what this node holds; the JSON tells by staleness_ms how old that may be.

            EXAMPLES
              gossipctl kv get app/db/url
              gossipctl kv get app/db/url --at 2h
              gossipctl kv get app/db/url --revision 1040
              gossipctl kv get app/cert > cert.pem
              gossipctl --output json kv get app/db/url
              gossipctl kv get strict/owner --consistency local
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("The key.", valueName: "key"))
    var key: String

    @Option(
        help: ArgumentHelp("As it was then: a time, or how long ago, such as 10m.", valueName: "time"),
        transform: TimeArgument.parse)
    var at: TimeArgument?

    @Option(help: ArgumentHelp("As it was after this change, numbered as in kv history.", valueName: "number"))
    var revision: UInt64?

    @OptionGroup var reading: ReadOptionGroup

    func validate() throws {
        guard at == nil || revision == nil else {
            throw ValidationError("Give --at or --revision, one of the two.")
        }
    }

    private var point: PastPoint? { revision.map { .revision($0) } ?? at.map { .time($0.time) } }

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let key = try parseKey(key)
        switch options.output {
        case .table: terminal.print(bytes: try await client.getRaw(key, at: point, reading.consistency))
        case .json: terminal.print(try jsonLine(try await client.get(key, at: point, reading.consistency)))
        }
    }
}

struct ReadOptionGroup: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Of strict keys: linearizable asks the leader, local reads this node's copy. (default: linearizable)",
            valueName: "consistency"))
    var consistency: ReadConsistency?
}

extension ReadConsistency: ExpressibleByArgument {}
