// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl member explain`.

import AdminClient
import AdminModel
import ArgumentParser

struct MemberCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "member", abstract: "Look closely at one member.",
        discussion: """
            EXAMPLES
              gossipctl member explain web-3
            """,
        subcommands: [ExplainCommand.self])

    @OptionGroup var options: GlobalOptions
}

struct ExplainCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Say why a member is in its state: what happened, seen by whom.",
        discussion: """
            Shows what this node remembers of it: each change with its evidence and incarnation, and between them which \
            probes failed over which ways, who suspected it too, and answers that came only by a detour.

            EXAMPLES
              gossipctl member explain web-3
              gossipctl member explain 7f3a90c1
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("A name, an id, or the first digits of an id.", valueName: "node"))
    var node: String

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        try show(try await client.explain(node), on: terminal) { Self.render($0, terminal) }
    }

    static func render(_ explanation: MemberExplanation, _ terminal: Terminal) -> String {
        let member = explanation.member
        let state = terminal.colours ? Format.colour(member.state).paint(member.state.rawValue) : member.state.rawValue
        var text = "\(member.name.printable) (\(member.id)) at \(member.address.printable) is \(state)\n"
        text += explanation.summary.printable + "\n"
        text += "incarnation \(member.incarnation), round trip \(Format.milliseconds(member.rttMilliseconds)), "
        text += "tags \(Format.tags(member.tags).printable)\n"
        guard !explanation.timeline.isEmpty else { return text }
        var table = TextTable(["TIME", "EVENT", "INC", "WHAT HAPPENED"], rightAligned: [2])
        for event in explanation.timeline {
            let incarnation = event.evidence?.incarnation.map(String.init) ?? "-"
            table.add([.init(event.time.description), .init(event.event), .init(incarnation), .init(event.message)])
            var lines = evidence(event.evidence)
            if let times = event.times, let last = event.lastTime { lines.append("\(times) times, last at \(last)") }
            for line in lines { table.add([.init(""), .init(""), .init(""), .init("  " + line)]) }
        }
        return text + "\n" + table.render(for: terminal)
    }

    /// The evidence, one short line for each kind that is there.
    static func evidence(_ evidence: Evidence?) -> [String] {
        guard let evidence else { return [] }
        var lines: [String] = []
        if let member = evidence.reportedBy { lines.append("reported by \(member.name)") }
        if let paths = evidence.pathsFailed, !paths.isEmpty {
            let probes = evidence.probes.map { ", \($0) probes" } ?? ""
            lines.append("no answer over \(paths.joined(separator: ", "))\(probes)")
        }
        if evidence.refused == true { lines.append("its host refused the connection") }
        if let time = evidence.silentSince { lines.append("silent since \(time)") }
        if let members = evidence.confirmedBy, !members.isEmpty {
            lines.append("confirmed by \(members.map(\.name).joined(separator: ", "))")
        }
        if let after = evidence.afterMilliseconds { lines.append("after \(Format.fixed(after / 1000, 1)) s") }
        for (name, value) in (evidence.details ?? [:]).sorted(by: { $0.key < $1.key }) {
            lines.append("\(name): \(value)")
        }
        return lines
    }
}
