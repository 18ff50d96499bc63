// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl set add`, `set remove` and `set list`.

import AdminClient
import AdminModel
import ArgumentParser

struct SetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Change and read sets; an add beats a concurrent remove.",
        discussion: """
            EXAMPLES
              gossipctl set add app/backends 10.0.0.5:80 10.0.0.6:80
              gossipctl set list app/backends
            """,
        subcommands: [SetAddCommand.self, SetRemoveCommand.self, SetListCommand.self])

    @OptionGroup var options: GlobalOptions
}

struct SetAddCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add elements to a set, all at once, creating it when needed.",
        discussion: """
            EXAMPLES
              gossipctl set add app/backends 10.0.0.5:80 10.0.0.6:80
            """)

    @OptionGroup var options: GlobalOptions
    @OptionGroup var write: WriteOptionGroup

    @Argument(help: ArgumentHelp("The set's key.", valueName: "key"))
    var key: String

    @Argument(help: ArgumentHelp("Elements, at most 4 KiB each.", valueName: "element"))
    var elements: [String]

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let key = try parseKey(key)
        let result = try await client.addToSet(key, elements, try write.options())
        try show(try await write.finish(result, key, client), on: terminal) {
            KVPutCommand.render($0, verb: "changed")
        }
    }
}

struct SetRemoveCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove elements from a set, all at once; those it lacks are ignored.",
        discussion: """
            EXAMPLES
              gossipctl set remove app/backends 10.0.0.5:80
            """)

    @OptionGroup var options: GlobalOptions
    @OptionGroup var write: WriteOptionGroup

    @Argument(help: ArgumentHelp("The set's key.", valueName: "key"))
    var key: String

    @Argument(help: ArgumentHelp("Elements.", valueName: "element"))
    var elements: [String]

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let key = try parseKey(key)
        let result = try await client.removeFromSet(key, elements, try write.options())
        try show(try await write.finish(result, key, client), on: terminal) {
            KVPutCommand.render($0, verb: "changed")
        }
    }
}

struct SetListCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Print a set, one element a line.",
        discussion: """
            EXAMPLES
              gossipctl set list app/backends
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("The set's key.", valueName: "key"))
    var key: String

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let set = try await client.listSet(try parseKey(key))
        switch options.output {
        case .json: terminal.print(try jsonLine(set))
        case .table: terminal.print(bytes: KeyContent.set(set.allElements).rawBytes)
        }
    }
}
