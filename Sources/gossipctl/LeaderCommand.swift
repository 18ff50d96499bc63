// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl leader`: who leads the strict group, and handing that over.

import AdminClient
import AdminModel
import ArgumentParser

struct LeaderCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "leader", abstract: "Show who leads the strict group, or hand leadership over.",
        discussion: """
            EXAMPLES
              gossipctl leader show
              gossipctl leader transfer web-2
            """,
        subcommands: [LeaderShowCommand.self, LeaderTransferCommand.self])

    @OptionGroup var options: GlobalOptions

    /// What `--output json` prints.
    struct Report: Codable, Hashable {
        var leader: MemberIdentity?
        var term: UInt64
        var group: String?

        init(_ document: StrictDocument) {
            (leader, term, group) = (document.leader, document.term, document.group)
        }

        /// What is not there is written as `null`.
        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(leader, forKey: .leader)
            try container.encode(term, forKey: .term)
            try container.encode(group, forKey: .group)
        }
    }
}

struct LeaderShowCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show who leads the strict group, as far as this node knows.",
        discussion: """
            Exits with 5 while no leader is known, 4 when no prefix is strict.

            EXAMPLES
              gossipctl leader show
              gossipctl --output json leader show
            """)

    @OptionGroup var options: GlobalOptions

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let document = try await client.strictGroup()
        if document.leader != nil || options.output == .json {
            try show(LeaderCommand.Report(document), on: terminal) { report in
                "\((report.leader?.name ?? "").printable), term \(report.term)\n"
            }
        }
        guard document.leader == nil else { return }
        let missing = document.missing.map(\.name.printable).joined(separator: ", ")
        throw AdminFailure(
            .unavailable,
            document.group == nil
                ? "the strict group has not formed\(missing.isEmpty ? "" : "; still missing: \(missing)"): see gossipctl doctor"
                : "\(StrictMembersCommand.leader(document)): \(document.votersReachable) of \(document.votersTotal) voters are reached, \(document.quorum) "
                    + "are needed; see gossipctl strict members")
    }
}

struct LeaderTransferCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "transfer", abstract: "Hand leadership to another voter, as before maintenance.",
        discussion: """
            Without a name it goes to the follower that is furthest. Requests meanwhile wait, about as long as a round trip. \
            Exits with 4 when that node cannot lead.

            EXAMPLES
              gossipctl leader transfer
              gossipctl leader transfer web-2
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("A voter by name or id.", valueName: "node"))
    var node: String?

    func validate() throws { if let node { try MemberArgument.check(node) } }

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let document = try await client.orderStrict(.transfer(to: node))
        try show(LeaderCommand.Report(document), on: terminal) { report in
            report.leader.map { "\($0.name.printable) leads, term \(report.term)\n" }
                ?? "leadership is on its way: see gossipctl leader show\n"
        }
    }
}
