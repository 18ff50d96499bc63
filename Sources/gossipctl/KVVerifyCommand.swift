// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl kv verify`.

import AdminClient
import AdminModel
import ArgumentParser

struct KVVerifyCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Compare the stores of all living members with this node's.",
        discussion: """
            Changes nothing. A difference that is young is a change on its way: ask again. Exits with 1 when a store \
            differs, 5 when one could not be compared. --timeout is for the whole comparison.

            EXAMPLES
              gossipctl kv verify
              gossipctl --output json --timeout 30s kv verify
            """)

    @OptionGroup var options: GlobalOptions

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let document = try await client.verify(timeout: options.timeout.duration)
        try show(document, on: terminal) { Self.render($0, terminal) }
        let different = document.peers.filter { $0.result == .different }.map(\.member.name.printable)
        guard different.isEmpty else {
            throw AdminFailure(
                .internalError, "the stores differ on \(Self.names(different)): ask again, repair is under way")
        }
        let unknown = document.peers.filter { $0.result == .unknown }.map(\.member.name.printable)
        guard unknown.isEmpty else {
            throw AdminFailure(
                .timedOut, "could not compare \(Self.names(unknown)): try again, or raise --timeout")
        }
    }

    private static func names(_ all: [String]) -> String {
        all.prefix(4).joined(separator: ", ") + (all.count > 4 ? " and \(all.count - 4) more" : "")
    }

    static func render(_ document: VerifyDocument, _ terminal: Terminal) -> String {
        var table = TextTable(["NODE", "STORE", "DIFFERS IN"])
        for peer in document.peers {
            let colour: Colour =
                switch peer.result {
                case .equal: .green
                case .different: .red
                case .unknown: .yellow
                }
            let ranges = peer.ranges.map { range in
                let first = range.first.isEmpty ? "the first key" : range.first
                return "\(first) to \(range.end.map { "before \($0)" } ?? "the last key")"
            }
            let detail = peer.reason ?? (ranges.isEmpty ? "-" : ranges.joined(separator: "; "))
            table.add([.init(peer.member.name), .init(peer.result.rawValue, colour), .init(detail)])
        }
        return "root \(document.root.printable), \(document.rows) rows\n" + table.render(for: terminal)
    }
}
