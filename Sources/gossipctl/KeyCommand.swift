// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl key`: the ring of keys that seal packets, by id.

import AdminClient
import AdminModel
import ArgumentParser

struct KeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Look at and change the keys that seal packets between nodes.",
        discussion: """
            Keys are named by ids, eight digits that tell nothing of them. A change on one node reaches all by gossip, and \
            those that are down when they come back.

            EXAMPLES
              gossipctl key generate | gossipctl key install
              gossipctl key list
              gossipctl key use 0a1b2c3d
              gossipctl key retire ee32d191
            """,
        subcommands: [
            KeyGenerateCommand.self, KeyListCommand.self, KeyInstallCommand.self, KeyUseCommand.self,
            KeyRetireCommand.self,
        ])

    @OptionGroup var options: GlobalOptions
}

struct KeyListCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Show the keys of the ring: ids and states, never a key.",
        discussion: """
            active: packets are sealed with it. installed: it is accepted and may be used. retiring: it is accepted until \
            the time shown, for members that were away. retired: only the id is left. MEMBERS tells how many seal with it, as far \
            as this node has heard. Exits with 4 while packets are not sealed.

            EXAMPLES
              gossipctl key list
              gossipctl --output json key list
            """)

    @OptionGroup var options: GlobalOptions

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        try show(try await client.sealKeys(), on: terminal) { Self.render($0, terminal) }
    }

    static func render(_ document: SealKeysDocument, _ terminal: Terminal) -> String {
        var table = TextTable(["ID", "STATE", "SINCE", "ACCEPTED UNTIL", "MEMBERS"], rightAligned: [4])
        for key in document.keys {
            let colour: Colour? =
                switch key.state {
                case .active: .green
                case .retiring: .yellow
                case .installed, .retired, .unknown: nil
                }
            table.add([
                .init(key.id), .init(key.state.rawValue, colour), .init(Self.time(key.since) ?? "from a file"),
                .init(Self.time(key.acceptedUntil) ?? "-"), .init("\(key.membersUsing)"),
            ])
        }
        let confirming = "\(document.membersConfirming) of \(document.membersTotal)"
        return table.render(for: terminal) + "\(confirming) members are known to hold exactly these keys\n"
    }

    private static func time(_ timestamp: Timestamp?) -> String? {
        timestamp.map { String($0.description.prefix(19)) + "Z" }
    }
}

struct KeyInstallCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "install", abstract: "Add a key to the ring; it is accepted then, and not used yet.",
        discussion: """
            The key is read from a file or from the standard input, never from the command line, where others could see it. \
            One that is there already stays as it is.

            EXAMPLES
              gossipctl key generate | gossipctl key install
              gossipctl key install new.key
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("A file with one key, or - for the standard input.", valueName: "file"))
    var file = "-"

    func validate() throws {
        guard !KeyText.looksLikeKey(file) else {
            throw ValidationError(
                "A key does not belong on the command line, where others can see it: replace it by a new one, and give a file "
                    + "or the standard input.")
        }
    }

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let source = try ByteSource(path: file)
        var text: [UInt8] = []
        while let piece = try source.read() {
            text += piece
            guard text.count <= AdminLimits.sealKeyBytesMax else {
                throw AdminFailure(.badRequest, "this is too long for a key: give one line of base64, 44 characters")
            }
        }
        try show(try await client.installKey(text), on: terminal) { result in
            switch result.key.state {
            case .active: "key \(result.key.id) is installed and seals packets\n"
            case _:
                "key \(result.key.id) is installed: when gossipctl key list shows that all members hold it, run gossipctl "
                    + "key use \(result.key.id)\n"
            }
        }
    }
}

struct KeyUseCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "use", abstract: "Seal packets with this key from now on.",
        discussion: """
            The former key stays accepted until it is retired. Members that do not have the key yet are spoken to under the former one.

            EXAMPLES
              gossipctl key use 0a1b2c3d
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("The key's id, as gossipctl key list shows it.", valueName: "id"))
    var id: String

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let result = try await client.useKey(try SealKeyReference(id))
        try show(result, on: terminal) { "key \($0.key.id) seals packets; \(Self.told($0)) by gossip\n" }
    }

    static func told(_ result: SealKeyResult) -> String {
        switch result.membersTotal {
        case ...1: "there is no other member to hear of it"
        case 2: "the other member hears of it"
        case let total: "the \(total - 1) other members hear of it"
        }
    }
}

struct KeyRetireCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "retire", abstract: "Accept this key only for three more days, for members that are away.",
        discussion: """
            The active key cannot be retired: use another one first. A retired key does not come back. A member that was down when \
            the key was changed comes back under it within those 72 hours, and gets the new one.

            EXAMPLES
              gossipctl key retire ee32d191
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("The key's id, as gossipctl key list shows it.", valueName: "id"))
    var id: String

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        try show(try await client.retireKey(try SealKeyReference(id)), on: terminal) { result in
            let until = result.key.acceptedUntil.map { "accepted until \($0.description.prefix(19))Z" } ?? "gone"
            return "key \(result.key.id) is retired: \(until)\n"
        }
    }
}
