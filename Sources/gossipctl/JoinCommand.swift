// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl join`.

import AdminClient
import AdminModel
import ArgumentParser

struct JoinCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "join", abstract: "Join this node to a cluster by the addresses of some members.",
        discussion: """
            Exits with 0 when every address answered, 1 when some did not, 5 when none did.

            EXAMPLES
              gossipctl join 10.0.0.2:7946
              gossipctl join db-1.example:7946 db-2.example:7946
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("host:port of a member; several may be given.", valueName: "address"))
    var addresses: [String]

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let result = try await client.join(addresses)
        try show(result, on: terminal) { Self.render($0) }
        let failed = result.attempts.count - result.joined
        guard failed == 0 else {
            throw AdminFailure(.internalError, "\(failed) of \(result.attempts.count) addresses did not answer")
        }
    }

    static func render(_ result: JoinResult) -> String {
        let lines = result.attempts.map { attempt in
            let address = attempt.address.printable
            if let error = attempt.error { return "\(address): \(error.printable)\n" }
            return "\(address): joined" + (attempt.member.map { " \($0.name.printable)" } ?? "") + "\n"
        }
        return lines.joined() + "\(result.membersTotal) members known\n"
    }
}
