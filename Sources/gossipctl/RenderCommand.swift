// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl render` and its commands plan and apply.

import AdminClient
import AdminModel
import ArgumentParser

struct RenderCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "render", abstract: "Files on this host that are made of keys, sets and members.",
        discussion: """
            Descriptions are in /etc/gossipd/render.d; see Docs/delivery.md.

            EXAMPLES
              gossipctl render plan
              gossipctl render apply --once nginx
              gossipctl render status --fleet
            """,
        subcommands: [RenderPlanCommand.self, RenderApplyCommand.self, RenderStatusCommand.self])
}

struct RenderPlanCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Show what rendering would change; nothing is changed.",
        discussion: """
            Prints a unified difference for each file that would change, and what is known of it: that it was refused at \
            the last try, since a plan runs no checks, or that only owner or mode differ. Files that cannot be rendered are named, which \
            is no failure of the command. Needs the admin role: contents may be secret.

            EXAMPLES
              gossipctl render plan
              gossipctl render plan nginx upstreams
              gossipctl --output json render plan nginx
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("Names of files; none means all.", valueName: "name"))
    var names: [String] = []

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        try show(try await client.renderPlan(names), on: terminal) { Self.render($0, terminal) }
    }

    static func render(_ document: RenderPlanDocument, _ terminal: Terminal) -> String {
        var text = ""
        for file in document.files {
            switch file.change {
            case .failed:
                text += paint("# \(file.name) would not be put in place: \(file.error ?? "")", .red, terminal)
            case .created, .changed:
                text += paint("# \(file.name)" + (file.error.map { ": \($0)" } ?? ""), .bold, terminal)
            case .unchanged, .unknown: continue
            }
            text += difference(file, terminal)
        }
        let changed = document.files.count { $0.change == .created || $0.change == .changed }
        let failed = document.files.count { $0.change == .failed }
        var parts = [
            "\(changed) of \(document.files.count) \(document.files.count == 1 ? "file" : "files") would change"
        ]
        if failed > 0 { parts.append("\(failed) would not be put in place") }
        return text + paint("# \(parts.joined(separator: ", "))", .bold, terminal)
    }

    private static func difference(_ file: RenderPlanDocument.File, _ terminal: Terminal) -> String {
        guard let new = file.new else {
            return file.change == .failed ? "" : "(contents left out: too large to show)\n"
        }
        let path = file.destination ?? file.name
        let lines = UnifiedDiff.render(old: file.old, new: new, path: path) ?? []
        return lines.enumerated().map { index, line in
            let colour: Colour? =
                index < 2 ? .bold : line.hasPrefix("-") ? .red : line.hasPrefix("+") ? .green : nil
            return paint(line, colour, terminal)
        }.joined()
    }

    /// For a terminal nothing may pass that steers it; into a file goes what patch(1) needs.
    private static func paint(_ line: String, _ colour: Colour?, _ terminal: Terminal) -> String {
        let shown = terminal.width == nil ? line : line.expandingTabs.printable
        return (terminal.colours ? colour?.paint(shown) ?? shown : shown) + "\n"
    }
}

extension String {
    /// Tabs as eight spaces: escaped they would make a difference hard to read.
    fileprivate var expandingTabs: String {
        split(separator: "\t", omittingEmptySubsequences: false).joined(separator: "        ")
    }
}

struct RenderApplyCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Render files now, without waiting for their keys to be quiet.",
        discussion: """
            The daemon renders whenever keys change; this does it once, at once, and waits for the result: check, \
            replacement and reload. Exits with 1 when a file failed, was refused or was rolled back, and names it.

            EXAMPLES
              gossipctl render apply --once
              gossipctl render apply --once nginx
            """)

    @OptionGroup var options: GlobalOptions

    @Flag(help: "Apply one time; that is all this command does, and saying so is good style.")
    var once = false

    @Argument(help: ArgumentHelp("Names of files; none means all.", valueName: "name"))
    var names: [String] = []

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let document = try await client.renderApply(names)
        try show(document, on: terminal) { Self.render($0, terminal) }
        let bad = document.files.filter { $0.state.isTrouble }
        guard bad.isEmpty else {
            let reasons = bad.prefix(4).map { "\($0.name.printable): \($0.error?.printable ?? $0.state.rawValue)" }
            let more = bad.count > 4 ? "; and \(bad.count - 4) more" : ""
            throw AdminFailure(.internalError, reasons.joined(separator: "; ") + more)
        }
    }

    static func render(_ document: RenderApplyDocument, _ terminal: Terminal) -> String {
        let changed = Set(document.changed)
        var table = TextTable(["FILE", "RESULT", "VERSION", "DESTINATION"])
        for file in document.files {
            let result = file.state == .ok ? (changed.contains(file.name) ? "applied" : "unchanged") : file.state.word
            table.add([
                .init(file.name), .init(result, file.state.colour), .init(file.shortVersion),
                .init(file.destination ?? "-"),
            ])
        }
        let reloads = document.reloads.map { reload in
            "\(reload.error == nil ? "reloaded" : "could not reload") \(reload.target.printable) "
                + (reload.isWithFormer == true ? "with the former content of " : "for ")
                + "\(reload.files.count) \(reload.files.count == 1 ? "file" : "files")\n"
        }
        return (document.files.isEmpty ? "no files are described\n" : table.render(for: terminal)) + reloads.joined()
    }
}
