// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl ping`.

import AdminClient
import AdminModel
import ArgumentParser

struct PingCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "ping", abstract: "Send one protocol ping from this node to a member.",
        discussion: """
            Exits with 5 when no answer comes.

            EXAMPLES
              gossipctl ping web-3
              gossipctl ping web-3 --timeout 500ms
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("A name, an id, or the first digits of an id.", valueName: "node"))
    var node: String

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        try show(try await client.ping(node), on: terminal) { Self.render($0) }
    }

    static func render(_ result: PingResult) -> String {
        guard result.path != PingResult.ownPath else {
            return "\(result.member.name.printable) is this node: nothing was sent\n"
        }
        let address = result.member.address.map { " (\($0.printable))" } ?? ""
        let time = Format.milliseconds(result.rttMilliseconds)
        return "\(result.member.name.printable)\(address) answered in \(time) over \(result.path.printable)\n"
    }
}
