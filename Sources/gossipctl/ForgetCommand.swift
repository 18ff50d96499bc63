// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl forget`.

import AdminClient
import AdminModel
import ArgumentParser

struct ForgetCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget", abstract: "Remove a member for good, on every node.",
        discussion: """
            For hosts that will not come back. A member that is alive is refused with exit status 4, unless --force
            is given: then its daemon hears of it, leaves and stops. It comes back when somebody starts it again.

            EXAMPLES
              gossipctl forget web-3
              gossipctl forget --force web-3
            """)

    @OptionGroup var options: GlobalOptions

    @Flag(help: "Also when it is alive: it is told to stop.")
    var force = false

    @Argument(help: ArgumentHelp("A name, an id, or the first digits of an id.", valueName: "node"))
    var node: String

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        try show(try await client.forget(node, isForced: force), on: terminal) { result in
            "forgot \(result.member.name.printable) (\(result.member.id))\n"
        }
    }
}
