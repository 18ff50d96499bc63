// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl event send`.

import AdminClient
import AdminModel
import ArgumentParser
import Glibc

struct EventCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "event", abstract: "Send events of your own to all members.",
        discussion: """
            EXAMPLES
              gossipctl event send deploy 4711
            """,
        subcommands: [EventSendCommand.self])

    @OptionGroup var options: GlobalOptions
}

struct EventSendCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "send", abstract: "Send an event to all members, this one included.",
        discussion: """
            Every member that runs gets it once, and the events of one sender in the order in which they were sent. \
            gossipctl events shows it as user_event, and handlers run on it (gossipd-handlers.d(5)). It is not kept: who \
            is away for more than two minutes, or starts later, does not get it; what must last belongs into a key. The \
            payload - means the standard input, --file the content of a file: at most 1000 bytes. Put -- before a payload \
            that begins with a dash.

            EXAMPLES
              gossipctl event send deploy 4711
              gossipctl event send flush-cache
              git rev-parse HEAD | gossipctl event send deploy -
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("1 to 64 letters, digits, . _ or -", valueName: "name"))
    var name: String

    @Argument(help: ArgumentHelp("What goes along with it, or -.", valueName: "payload"))
    var payload: String?

    @Option(help: ArgumentHelp("Read the payload from this file.", valueName: "path"), completion: .file())
    var file: String?

    func validate() throws {
        guard payload == nil || file == nil else {
            throw ValidationError("Give a payload or --file, one of the two.")
        }
    }

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let bytes = try readPayload()
        _ = try UserEventRequest(name: name, payload: bytes).check()
        try show(try await client.sendEvent(name, payload: bytes), on: terminal) { Self.render($0) }
    }

    private func readPayload() throws(AdminFailure) -> [UInt8] {
        if let file { return try ValueSource.read(path: file) }
        guard let payload else { return [] }
        if payload == "-" { return try ValueSource.read(descriptor: STDIN_FILENO, name: "the standard input") }
        return Array(payload.utf8)
    }

    static func render(_ result: UserEventResult) -> String {
        "sent \(result.name.printable) with \(result.bytes) bytes, event \(result.id.printable) of this node\n"
    }
}
