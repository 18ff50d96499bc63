// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl events`.

import AdminClient
import AdminModel
import ArgumentParser

struct EventsCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Show what happened in the cluster, and follow it.",
        discussion: """
            Without options it prints the events that the daemon still holds. With --output json each line is one \
            object; its cursor resumes the stream after it. Heartbeats appear only in JSON.

            EXAMPLES
              gossipctl events
              gossipctl events --follow
              gossipctl events --follow --since start --output json
            """)

    @OptionGroup var options: GlobalOptions

    @Flag(help: "Go on with new events as they happen.")
    var follow = false

    @Option(
        help: ArgumentHelp("Only events after this cursor; start means all that are held.", valueName: "cursor"))
    var since: String?

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let json = options.output == .json
        try await client.events(since: since, follow: follow) { event, line throws(AdminFailure) in
            if json {
                terminal.print(bytes: line + [UInt8(ascii: "\n")])
            } else if let text = Self.render(event, terminal) {
                terminal.print(text)
            }
            try Self.checkEnding(event.event, event.message)
            return true
        }
    }

    /// One line for people; nil for what only programs need.
    static func render(_ event: ClusterEvent, _ terminal: Terminal) -> String? {
        guard event.event != StreamEvent.heartbeat, event.event != StreamEvent.closed else { return nil }
        let name = event.event.printable
        let padding = String(repeating: " ", count: max(1, 18 - name.count))
        let colour: Colour? =
            switch event.event {
            case "member_failed": .red
            case "member_suspected": .yellow
            case "member_alive", "member_joined": .green
            default: nil
            }
        let shown = terminal.colours ? colour?.paint(name) ?? name : name
        return "\(event.time)  \(shown)\(padding)\(event.message.printable)\n"
    }

    /// A stream that the daemon ended fails with its reason.
    static func checkEnding(_ event: String, _ message: String?) throws(AdminFailure) {
        guard event == StreamEvent.closed else { return }
        throw AdminFailure(.unavailable, "the daemon ended the stream: \(message ?? "it gave no reason")")
    }
}
