// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl counter add` and `counter get`.

import AdminClient
import AdminModel
import ArgumentParser

struct CounterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "counter", abstract: "Change and read counters; concurrent additions all count.",
        discussion: """
            EXAMPLES
              gossipctl counter add app/deploys 1
              gossipctl counter get app/deploys
            """,
        subcommands: [CounterAddCommand.self, CounterGetCommand.self])

    @OptionGroup var options: GlobalOptions
}

struct CounterAddCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add a number, which may be negative, and print the counter.",
        discussion: """
            EXAMPLES
              gossipctl counter add app/deploys
              gossipctl counter add app/slots -5
              gossipctl counter add app/slots -- -5
              gossipctl counter add app/deploys --request-id deploy-4711
            """)

    @OptionGroup var options: GlobalOptions
    @OptionGroup var write: WriteOptionGroup

    @Argument(help: ArgumentHelp("The counter's key.", valueName: "key"))
    var key: String

    @Argument(help: ArgumentHelp("What to add.", valueName: "number"))
    var increment: Int64 = 1

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let key = try parseKey(key)
        let written = try await client.addToCounter(key, increment, try write.options())
        try show(try await write.finish(written, key, client), on: terminal) { result in
            result.value.map { "\($0)\n" } ?? KVPutCommand.render(result, verb: "changed")
        }
    }
}

struct CounterGetCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Print a counter's value.",
        discussion: """
            EXAMPLES
              gossipctl counter get app/deploys
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("The counter's key.", valueName: "key"))
    var key: String

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        try show(try await client.counter(try parseKey(key)), on: terminal) { "\($0.value)\n" }
    }
}
