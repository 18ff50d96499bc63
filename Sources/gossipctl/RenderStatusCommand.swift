// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl render status`: the files of this host, or of the fleet.

import AdminClient
import AdminModel
import ArgumentParser
import Glibc

struct RenderStatusCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show which content is on disk, since when, and what went wrong last.",
        discussion: """
            With --fleet every host's files, as each has told last; behind a host's name stands its state unless it is \
            alive. BEHIND marks a host that has an older version than most.

            EXAMPLES
              gossipctl render status
              gossipctl render status nginx
              gossipctl render status --fleet
              gossipctl --output json render status --fleet
            """)

    @OptionGroup var options: GlobalOptions

    @Flag(help: "All hosts instead of this one.")
    var fleet = false

    @Argument(help: ArgumentHelp("Names of files; none means all.", valueName: "name"))
    var names: [String] = []

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let now = Timestamp(milliseconds: Int64(time(nil)) * 1_000)
        if fleet {
            let document = try Self.choose(names, of: try await client.renderFleet())
            try show(document, on: terminal) { Self.render($0, now: now, terminal) }
        } else {
            let document = try Self.choose(names, of: try await client.renderStatus())
            try show(document, on: terminal) { Self.render($0, now: now, terminal) }
        }
    }

    /// Only these files; all without a name.
    static func choose(
        _ names: [String], of document: RenderStatusDocument
    ) throws(AdminFailure) -> RenderStatusDocument {
        guard !names.isEmpty else { return document }
        try check(names, document.files.map(\.name), "no file of \(document.directory)")
        var chosen = document
        chosen.files.removeAll { !names.contains($0.name) }
        return chosen
    }

    /// Only these files, and the hosts that have one of them.
    static func choose(_ names: [String], of document: RenderFleetDocument) throws(AdminFailure) -> RenderFleetDocument
    {
        guard !names.isEmpty else { return document }
        try check(names, document.hosts.flatMap { $0.files.map(\.status.name) }, "no file of any host")
        var chosen = document
        for index in chosen.hosts.indices { chosen.hosts[index].files.removeAll { !names.contains($0.status.name) } }
        chosen.hosts.removeAll(where: \.files.isEmpty)
        return chosen
    }

    private static func check(_ names: [String], _ known: [String], _ what: String) throws(AdminFailure) {
        for name in names where !known.contains(name) {
            throw AdminFailure(.notFound, "\(what) is named \(name.quoted): see gossipctl render status")
        }
    }

    static func render(_ document: RenderStatusDocument, now: Timestamp, _ terminal: Terminal) -> String {
        guard !document.files.isEmpty else { return "no files are described in \(document.directory.printable)\n" }
        var table = TextTable(["FILE", "STATE", "VERSION", "AGE", "NEXT TRY", "DESTINATION"])
        for file in document.files {
            table.add([
                .init(file.name), .init(file.state.word, file.state.colour), .init(file.shortVersion),
                .init(age(file.appliedAt, now)), .init(file.nextTryAt.map { "in " + wait($0, now) } ?? "-"),
                .init(file.destination ?? "-"),
            ])
        }
        return table.render(for: terminal) + errors(document.files, now: now, terminal)
    }

    static func render(_ document: RenderFleetDocument, now: Timestamp, _ terminal: Terminal) -> String {
        var table = TextTable(["NODE", "FILE", "STATE", "VERSION", "AGE", "LAST ERROR"])
        for host in document.hosts {
            // Who is gone and has told nothing is of no interest here.
            if host.reportedAt == nil, host.state == .left { continue }
            let mark = host.state == .alive ? "" : " (\(host.state.rawValue))"
            let node = TextTable.Cell(host.member.name + mark, mark.isEmpty ? nil : Format.colour(host.state))
            guard !host.files.isEmpty else {
                table.add([node, .init("-"), .init("-", .grey), .init("-"), .init("-"), .init("-")])
                continue
            }
            for file in host.files {
                let status = file.status
                let state = file.isBehind ? "\(status.state.word), BEHIND" : status.state.word
                table.add([
                    node, .init(status.name), .init(state, file.isBehind ? .yellow : status.state.colour),
                    .init(status.shortVersion), .init(age(status.appliedAt, now)), .init(status.error ?? "-"),
                ])
            }
        }
        let behind = document.hosts.filter { $0.files.contains(where: \.isBehind) }.map(\.member.name.printable)
        guard !behind.isEmpty else { return table.render(for: terminal) }
        let names = behind.prefix(8).joined(separator: ", ") + (behind.count > 8 ? " and \(behind.count - 8) more" : "")
        return table.render(for: terminal) + "older than most: \(names)\n"
    }

    private static func errors(_ files: [RenderFileStatus], now: Timestamp, _ terminal: Terminal) -> String {
        files.filter { $0.state.isTrouble }.map { file in
            let since = file.errorSince.map { " (for \(age($0, now)))" } ?? ""
            let line = "\(file.name): \(file.error ?? "no reason is known")".printable + since
            return (terminal.colours ? Colour.red.paint(line) : line) + "\n"
        }.joined()
    }

    private static func age(_ time: Timestamp?, _ now: Timestamp) -> String {
        time.map { Format.duration(seconds: Double(max(0, now.milliseconds - $0.milliseconds)) / 1_000) } ?? "-"
    }

    private static func wait(_ time: Timestamp, _ now: Timestamp) -> String {
        Format.duration(seconds: Double(max(0, time.milliseconds - now.milliseconds)) / 1_000)
    }
}

extension RenderFileStatus {
    /// Enough of the version to tell two apart.
    var shortVersion: String { version.map { String($0.prefix(12)) } ?? "-" }
}

extension RenderFileStatus.State {
    var word: String { self == .rolledBack ? "rolled back" : rawValue }

    var colour: Colour {
        switch self {
        case .ok: .green
        case .pending: .yellow
        case .failed, .refused, .rolledBack: .red
        case .unknown: .grey
        }
    }
}
