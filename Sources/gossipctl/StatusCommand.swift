// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl status`.

import AdminClient
import AdminModel
import ArgumentParser

struct StatusCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show this node, its view of the cluster and its store.",
        discussion: """
            EXAMPLES
              gossipctl status
              gossipctl status --output json
            """)

    @OptionGroup var options: GlobalOptions

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        try show(try await client.status(), on: terminal) { Self.render($0) }
    }

    private static func render(_ handler: HandlerStatus) -> String {
        var text = "\(handler.name): \(handler.runs) \(handler.runs == 1 ? "run" : "runs")"
        if handler.failed > 0 { text += ", \(handler.failed) failed" }
        if handler.timedOut > 0 { text += ", \(handler.timedOut) timed out" }
        if handler.dropped > 0 { text += ", \(handler.dropped) events dropped" }
        if handler.queued > 0 { text += ", \(handler.queued) events wait" }
        if handler.running > 0 { text += ", \(handler.running) running" }
        return text + (handler.isFailing ? "; the last one failed" : "")
    }

    private static func render(_ strict: StatusDocument.Strict) -> String {
        let missing = (strict.missing ?? []).map(\.name)
        guard missing.isEmpty else { return "not formed, still missing: \(missing.joined(separator: ", "))" }
        let role = strict.isRemoved == true ? "\(strict.role) (was removed from the group)" : strict.role
        var text = "\(role), term \(strict.term), leader \(strict.leader ?? "none")"
        if let voters = strict.voters, let reached = strict.votersReachable {
            text += ", \(reached) of \(voters) voters reached"
        }
        if let commit = strict.commit, let applied = strict.applied, applied < commit {
            text += ", \(commit - applied) entries to apply"
        }
        if let others = strict.foreignLeaders, !others.isEmpty {
            text += "; ANOTHER GROUP IS ALIVE, led by \(others.joined(separator: ", ")): see gossipctl doctor"
        }
        return text
    }

    static func render(_ status: StatusDocument) -> String {
        let members = status.members
        var lines = [
            ("node", "\(status.node.name) (\(status.node.id)) at \(status.node.address ?? "-")"),
            ("cluster", status.cluster),
            ("version", "\(status.version), up \(Format.duration(seconds: status.uptimeSeconds))"),
            (
                "members",
                "\(members.alive) alive, \(members.suspect) suspect, \(members.failed) failed, \(members.left) left"
            ),
            (
                "store",
                "\(status.store.keys) \(status.store.keys == 1 ? "key" : "keys"), \(Format.bytes(status.store.bytes)), root \(status.store.root)"
            ),
        ]
        let store = status.store
        lines[lines.count - 1].1 += ", revision \(store.revision)"
        if let catchUp = store.catchUp {
            lines.append(("catch up", "\(catchUp.received) of \(catchUp.total) rows received"))
        }
        switch store.storage {
        case .ok: break
        case .full: lines.append(("storage", "full: no writes until there is room; reads go on"))
        case .slow: lines.append(("storage", "slow: writes take long to become durable"))
        case .unknown: lines.append(("storage", "unknown"))
        }
        if store.queuedWrites > 0 {
            lines.append(("queue", "\(store.queuedWrites) writes wait for a decision: gossipctl kv import --queued"))
        }
        if let floor = store.floorCutoff { lines.append(("floor", "deletes before \(floor) are forgotten")) }
        if let strict = status.strict {
            lines.append(("strict", Self.render(strict)))
        }
        if let health = status.localHealth, health > 0 {
            lines.append(("health", "awareness \(health): this node doubts its own timing"))
        }
        for handler in status.handlers ?? [] { lines.append(("handler", Self.render(handler))) }
        for warning in status.warnings ?? [] { lines.append(("warning", warning)) }
        return lines.map { label, text in
            label + String(repeating: " ", count: 9 - label.count) + text.printable + "\n"
        }.joined()
    }
}
