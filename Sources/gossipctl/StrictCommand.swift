// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl strict`: who is in the strict group, and changes of that.

import AdminClient
import AdminModel
import ArgumentParser

struct StrictCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "strict", abstract: "Look at and change the group that keeps strict keys.",
        discussion: """
            The group forms by itself, see strict.voters in gossipd.toml(5). From then on these commands change it, one member \
            at a time, and each change is agreed on by a majority.

            EXAMPLES
              gossipctl strict members
              gossipctl strict add web-4
              gossipctl strict remove web-2
            """,
        subcommands: [
            StrictMembersCommand.self, StrictAddCommand.self, StrictRemoveCommand.self, StrictRecoverCommand.self,
        ])

    @OptionGroup var options: GlobalOptions
}

struct StrictMembersCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "members", abstract: "Show the voters and learners of the group, and how far each is.",
        discussion: """
            A learner receives the log and has no vote yet. LAG and HEARD are known to the leader alone: ask there for them. \
            Exits with 4 when no prefix is strict.

            EXAMPLES
              gossipctl strict members
              gossipctl --output json strict members
            """)

    @OptionGroup var options: GlobalOptions

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        try show(try await client.strictGroup(), on: terminal) { Self.render($0, terminal) }
    }

    static func render(_ document: StrictDocument, _ terminal: Terminal) -> String {
        guard let group = document.group else {
            let names = document.missing.map(\.name.printable).joined(separator: ", ")
            return "the group has not formed" + (names.isEmpty ? "\n" : "; still missing: \(names)\n")
        }
        var table = TextTable(["NAME", "ID", "VOTE", "STATE", "REACHED", "LAG", "HEARD"], rightAligned: [5, 6])
        for member in document.members {
            let isLeader = member.member.id == document.leader?.id
            table.add([
                .init(member.member.name + (isLeader ? "*" : "")), .init(String(member.member.id.prefix(8))),
                .init(member.vote.rawValue), .init(member.state.rawValue, Format.colour(member.state)),
                member.isReachable ? .init("yes") : .init("no", .red),
                .init(
                    member.isInstalling == true ? "snapshot" : member.lag.map { "\($0)" } ?? "-"),
                .init(Format.milliseconds(member.silentMilliseconds)),
            ])
        }
        var text = "group \(group.printable), term \(document.term), \(leader(document)), "
        text += "\(document.votersReachable) of \(document.votersTotal) voters reached, \(document.quorum) needed"
        // A client holds no log of which there would be entries.
        if document.role != "client" {
            text += "; entry \(document.commit) committed, \(document.applied) applied here"
        }
        if document.isRemoved {
            text +=
                "\nthis node was removed from the group and is a client: to vote again it needs an empty data directory, then "
            text += "gossipctl strict add on another host"
        }
        for other in document.foreignGroups ?? [] {
            text +=
                "\nANOTHER GROUP IS ALIVE: \(other.group.printable), leader \(other.leader.name.printable): see gossipctl doctor"
        }
        return table.render(for: terminal) + text + "\n"
    }

    /// Who leads, or since when nobody was heard of.
    static func leader(_ document: StrictDocument) -> String {
        if let leader = document.leader { return "leader \(leader.name.printable)" }
        guard let silence = document.leaderSilentMilliseconds else { return "no leader" }
        return "no leader heard of for \(Int(silence / 1_000)) s"
    }
}

struct StrictAddCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Make a member of the cluster a member of the group.",
        discussion: """
            It learns first and votes as soon as it has caught up. It needs the same strict.prefixes, and not \
            strict.eligible = false; without them this is refused with exit status 4. A node that was removed comes back with an empty data directory only. Add before you remove: an odd number of voters \
            is best, an even one bears no more failures than one less.

            EXAMPLES
              gossipctl strict add web-4
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("A name, an id, or the first digits of an id.", valueName: "node"))
    var node: String

    func validate() throws { try MemberArgument.check(node) }

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        try show(try await client.orderStrict(.add(node)), on: terminal) { StrictMembersCommand.render($0, terminal) }
    }
}

struct StrictRemoveCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Take a member out of the group, for good.",
        discussion: """
            Refused with exit status 4 when too few of the others are reached. The node is told, at once or when it is back, and \
            stays a member of the cluster and a client of the group; it votes again under a new id only, that is with an empty \
            data directory.

            EXAMPLES
              gossipctl strict remove web-2
              gossipctl strict remove 77aa0000
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("A name, an id, or the first digits of an id.", valueName: "node"))
    var node: String

    func validate() throws { try MemberArgument.check(node) }

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        try show(try await client.orderStrict(.remove(node)), on: terminal) {
            StrictMembersCommand.render($0, terminal)
        }
    }
}

struct StrictRecoverCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover", abstract: "Go on with this node alone when the majority is lost for good.",
        discussion: """
            ONLY when most voters will never come back. This node becomes the only voter with what it holds: writes that only the \
            others had are lost, also acknowledged ones. Stop the former voters for good first, and give them empty data \
            directories before they start again. Run it on the voter with the highest entry (gossipctl strict members), then \
            add others with gossipctl strict add.

            The others are asked first, for up to 2 s. Refused with exit status 4, and a sentence that says what to do, when a \
            leader is in office, or was heard of within 10 s on a node that is there; when a majority of the voters is there and \
            can vote; when this node was removed from the group; when another voter that is there holds more of the log, or this \
            node's own log is damaged (--even-if-behind goes on all the same).

            EXAMPLES
              gossipctl strict recover --yes-lose-writes
            """)

    @OptionGroup var options: GlobalOptions

    @Flag(help: "Yes, give up what only the other voters hold.")
    var yesLoseWrites = false

    @Flag(help: "Also when a voter that is reached holds more of the log, or this node's own log is damaged.")
    var evenIfBehind = false

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        guard yesLoseWrites else {
            throw AdminFailure(
                .badRequest,
                "this gives up every write that only the other voters hold, also acknowledged ones, and is for voters that will "
                    + "never come back: if so, say --yes-lose-writes")
        }
        try show(try await client.orderStrict(.recover(evenIfBehind: evenIfBehind)), on: terminal) {
            StrictMembersCommand.render($0, terminal)
        }
    }
}

/// Which node is meant.
enum MemberArgument {
    static func check(_ text: String) throws {
        guard text.contains(where: { !$0.isWhitespace }) else {
            throw ValidationError("Name a node: its name, its id, or the first digits of its id.")
        }
    }
}
