// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl kv watch`.

import AdminClient
import AdminModel
import ArgumentParser

struct KVWatchCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Follow the changes of keys that begin with a prefix.",
        discussion: """
            With --output json each line is one object; its cursor resumes the watch after it. A line resync means \
            that changes are missing: list the keys again. Heartbeats appear only in JSON.

            EXAMPLES
              gossipctl kv watch app/
              gossipctl --output json kv watch app/ --since 00000003-120
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("What the keys begin with; nothing watches all.", valueName: "prefix"))
    var prefix: String = ""

    @Option(help: ArgumentHelp("Only changes after this cursor.", valueName: "cursor"))
    var since: String?

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let json = options.output == .json
        let prefix = try KeyPrefix(prefix)
        try await client.watch(prefix, since: since) { event, line throws(AdminFailure) in
            if json {
                terminal.print(bytes: line + [UInt8(ascii: "\n")])
            } else if let text = Self.render(event) {
                terminal.print(text)
            }
            try EventsCommand.checkEnding(event.event, event.message)
            return true
        }
    }

    /// One line for people; nil for what only programs need.
    static func render(_ event: WatchEvent) -> String? {
        guard event.event != StreamEvent.heartbeat, event.event != StreamEvent.closed else { return nil }
        guard let key = event.key else { return "\(event.event.printable): \((event.message ?? "").printable)\n" }
        var line = (event.time?.description ?? "-") + "  " + event.event.printable
        line += String(repeating: " ", count: max(1, 11 - event.event.count)) + key.printable
        if let bytes = ByteText.join(text: event.value, base64: event.valueBase64) {
            line += " = " + Format.preview(bytes).printable
        } else if let bytes = ByteText.join(text: event.element, base64: event.elementBase64) {
            line += " : " + Format.preview(bytes).printable
        } else if let counter = event.counter {
            line += " = \(counter)"
        }
        if let author = event.author { line += "  (by \(author.name.printable))" }
        return line + "\n"
    }
}
