// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl members`.

import AdminClient
import AdminModel
import ArgumentParser

struct MembersCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "members", abstract: "List the members this node knows.",
        discussion: """
            A star marks this node; an exclamation mark, a name that two live members share.

            EXAMPLES
              gossipctl members
              gossipctl members --state failed --state suspect
              gossipctl members --tag role=web --watch
            """)

    @OptionGroup var options: GlobalOptions

    @Option(help: ArgumentHelp("Only members in this state; may be repeated.", valueName: "state"))
    var state: [MemberStateArgument] = []

    @Option(help: ArgumentHelp("Only members with this tag; may be repeated.", valueName: "name=value"))
    var tag: [TagArgument] = []

    @Flag(help: "Print the table anew with every change.")
    var watch = false

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let filter = MemberFilter(
            states: Set(state.map(\.state)), tags: Dictionary(tag.map { ($0.name, $0.value) }) { _, last in last })
        guard watch else {
            return try show(try await client.members(filter), on: terminal) { Self.render($0, terminal) }
        }
        var last: MembersDocument?
        func refresh() async throws(AdminFailure) {
            let members = try await client.members(filter)
            guard members != last else { return }
            if options.output == .table, last != nil || terminal.width != nil { terminal.clear() }
            last = members
            try show(members, on: terminal) { Self.render($0, terminal) }
        }
        try await client.events(follow: true, onOpen: refresh) { event, _ throws(AdminFailure) in
            try EventsCommand.checkEnding(event.event, event.message)
            try await refresh()
            return true
        }
    }

    static func render(_ document: MembersDocument, _ terminal: Terminal) -> String {
        var table = TextTable(["NAME", "ADDRESS", "STATE", "RTT", "SINCE", "ID", "TAGS"], rightAligned: [3])
        for member in document.members {
            let marks = (member.isSelf ? "*" : "") + (member.nameConflict == true ? "!" : "")
            table.add([
                .init(member.name + marks), .init(member.address),
                .init(member.state.rawValue, Format.colour(member.state)),
                .init(Format.milliseconds(member.rttMilliseconds)),
                .init(String(member.since.description.prefix(19)) + "Z"), .init(String(member.id.prefix(8))),
                .init(Format.tags(member.tags)),
            ])
        }
        return table.render(for: terminal)
    }
}

/// A state as an argument.
struct MemberStateArgument: ExpressibleByArgument, Hashable {
    var state: MemberState

    init?(argument: String) {
        guard let state = MemberState(rawValue: argument), state != .unknown else { return nil }
        self.state = state
    }

    static var allValueStrings: [String] {
        MemberState.allCases.filter { $0 != .unknown }.map(\.rawValue)
    }
}

/// `NAME=VALUE`; the value may be empty and may contain `=`.
struct TagArgument: ExpressibleByArgument, Hashable {
    var name: String
    var value: String

    init?(argument: String) {
        guard let (name, value) = argument.cut(at: UInt8(ascii: "=")), !name.isEmpty else { return nil }
        self.name = String(name)
        self.value = String(value)
    }
}
