// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl forget`.

import AdminClient
import AdminModel
import ArgumentParser

struct ForgetCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget", abstract: "Remove a failed or left member for good, on every node.",
        discussion: """
            Only for hosts that will not come back. A member that is alive is refused with exit status 4.

            EXAMPLES
              gossipctl forget web-3
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("A name, an id, or the first digits of an id.", valueName: "node"))
    var node: String

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        try show(try await client.forget(node), on: terminal) { result in
            "forgot \(result.member.name.printable) (\(result.member.id))\n"
        }
    }
}
