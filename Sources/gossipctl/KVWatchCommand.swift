// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl kv watch`: lines for people and programs, or a command for each change.

import AdminClient
import AdminModel
import ArgumentParser

struct KVWatchCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Follow the changes of keys that begin with a prefix.",
        discussion: """
            With --output json each line is one object; its cursor resumes the watch after it. A line resync means \
            that changes are missing: list the keys again. Heartbeats appear only in JSON. The daemon ends the \
            stream of a reader that is too slow with a line closed.

            With -- COMMAND the command runs once for each change, one after the other, with the change in \
            GOSSIPD_EVENT, GOSSIPD_KEY, GOSSIPD_VERSION, GOSSIPD_CURSOR, GOSSIPD_AUTHOR, GOSSIPD_USER and \
            GOSSIPD_REASON (from --message), and its value, element or number on the standard input and in \
            GOSSIPD_VALUE (when it is text of at most 96 KiB; other bytes of that size in GOSSIPD_VALUE_BASE64). It also runs for resync. When the daemon restarts, the watch goes on \
            where it was. It runs without a shell: write sh -c '...' for one.

            EXAMPLES
              gossipctl kv watch app/
              gossipctl --output json kv watch app/ --since becbea004e86567e-1
              gossipctl kv watch app/db/ -- systemctl reload app
              gossipctl kv watch app/ --on-failure continue -- sh -c 'logger "$GOSSIPD_KEY"'
            """)

    enum FailurePolicy: String, CaseIterable, ExpressibleByArgument {
        case stop, `continue`
    }

    private static let heartbeatDefault = HeartbeatArgument(timeout: TimeoutArgument(duration: .seconds(15)))

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("What the keys begin with; nothing watches all.", valueName: "prefix"))
    var prefix: String = ""

    @Option(
        help: ArgumentHelp("Only changes after this cursor; start means all that are held.", valueName: "cursor"))
    var since: String?

    @Option(
        help: ArgumentHelp(
            "How often a silent stream shows that it lives: \(HeartbeatArgument.bounds). (default: \(heartbeatDefault))",
            valueName: "duration"),
        transform: HeartbeatArgument.parse)
    var heartbeat: HeartbeatArgument = heartbeatDefault

    @Flag(help: "Go on where it was when the daemon restarts, also without a command.")
    var reconnect = false

    @Option(help: "What to do when the command fails.")
    var onFailure: FailurePolicy = .stop

    @Argument(
        parsing: .postTerminator, help: ArgumentHelp("Run this for each change.", valueName: "command"))
    var command: [String] = []

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let follower = WatchFollower(
            client: client, prefix: try KeyPrefix(prefix), heartbeat: heartbeat.timeout.duration,
            reconnects: reconnect || !command.isEmpty)
        let json = options.output == .json
        let runner = command.isEmpty ? nil : ChangeCommand(arguments: command)
        try await follower.run(since: since) { event, line throws(AdminFailure) in
            if let runner {
                guard event.event != StreamEvent.heartbeat else { return }
                try run(runner, event)
            } else if json {
                terminal.print(bytes: line + [UInt8(ascii: "\n")])
            } else if let text = Self.render(event) {
                terminal.print(text)
            }
        }
    }

    private func run(_ runner: ChangeCommand, _ event: WatchEvent) throws(AdminFailure) {
        do throws(AdminFailure) {
            try runner.run(event)
        } catch {
            switch onFailure {
            case .continue: Terminal.complain(error.message)
            case .stop:
                // The change counts as not handled: who starts again with the cursor before it gets it again.
                throw AdminFailure(error.code, "\(error.message): stopped, --on-failure continue goes on instead")
            }
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

/// `1s` to `5m`.
struct HeartbeatArgument: BoundedArgument, Hashable, CustomStringConvertible {
    static let bounds = "1s to 5m"

    var timeout: TimeoutArgument

    init(timeout: TimeoutArgument) { self.timeout = timeout }

    init?(argument: String) {
        guard let timeout = TimeoutArgument(argument: argument), timeout.duration >= .seconds(1),
            timeout.duration <= .seconds(300)
        else { return nil }
        self.init(timeout: timeout)
    }

    var description: String { timeout.description }
}
