// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl leave`.

import AdminClient
import AdminModel
import ArgumentParser

struct LeaveCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "leave", abstract: "Take this node out of the cluster and stop its daemon.",
        discussion: """
            The other members show it as left, not as failed. When its daemon is started again it returns by itself.

            EXAMPLES
              gossipctl leave
              gossipctl --timeout 30s leave
            """)

    @OptionGroup var options: GlobalOptions

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        try show(try await client.leave(), on: terminal) { result in
            "left the cluster: \(result.acknowledgedBy) of \(result.peersTotal) peers confirmed\n"
        }
    }
}
