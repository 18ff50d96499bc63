// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl rtt`.

import AdminClient
import AdminModel
import ArgumentParser

struct RTTCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "rtt", abstract: "Tell round trips between members without sending a ping.",
        discussion: """
            Without a node: from this one to all others, the nearest first. With one: from this node to it. With two: \
            between them, as their network coordinates tell it. MEASURED comes from this node's own probes, ESTIMATE \
            from coordinates; half of the estimates are off by less than about ERROR. A small cluster learns its places within \
            a few minutes, and those of others as it probes them. Exits with 5 when the one pair asked for is unknown.

            EXAMPLES
              gossipctl rtt
              gossipctl rtt web-3
              gossipctl rtt web-3 db-1
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("A name, an id, or the first digits of an id; at most two.", valueName: "node"))
    var nodes: [String] = []

    func validate() throws {
        guard nodes.count <= 2 else { throw ValidationError("rtt takes two nodes at most, not \(nodes.count)") }
    }

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let from = nodes.count == 2 ? nodes[0] : nil
        let document = try await client.roundTrips(from: from, to: nodes.last)
        let isPair = !nodes.isEmpty
        try show(document, on: terminal) { isPair ? Self.sentence($0) : Self.table($0, terminal) }
        if isPair, let entry = document.roundTrips.first, entry.isUnknown {
            throw AdminFailure(
                .unavailable,
                "the round trip from \(document.from.name) to \(entry.member.name) is not known yet: try again in a minute, "
                    + "or run gossipctl ping on one of them")
        }
    }

    /// The one pair asked for.
    static func sentence(_ document: RoundTripsDocument) -> String {
        document.roundTrips.map { entry in
            var parts: [String] = []
            if let measured = entry.rttMilliseconds { parts.append("\(Format.milliseconds(measured)) measured") }
            if let estimate = entry.estimateMilliseconds {
                let error = Format.milliseconds(entry.errorMilliseconds)
                parts.append("\(Format.milliseconds(estimate)) estimated, give or take \(error)")
            }
            let text = parts.isEmpty ? "unknown" : parts.joined(separator: "; ")
            return "\(document.from.name.printable) to \(entry.member.name.printable): \(text)\n"
        }.joined()
    }

    static func table(_ document: RoundTripsDocument, _ terminal: Terminal) -> String {
        var table = TextTable(["NAME", "STATE", "MEASURED", "ESTIMATE", "ERROR"], rightAligned: [2, 3, 4])
        for entry in document.roundTrips {
            table.add([
                .init(entry.member.name), .init(entry.state.rawValue, Format.colour(entry.state)),
                .init(Format.milliseconds(entry.rttMilliseconds)),
                .init(entry.estimateMilliseconds.map { Format.milliseconds($0) } ?? "unknown"),
                .init(Format.milliseconds(entry.errorMilliseconds)),
            ])
        }
        return table.render(for: terminal)
    }
}
