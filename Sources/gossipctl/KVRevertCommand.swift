// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl kv revert`: the past of a key written as a new change.

import AdminClient
import AdminModel
import ArgumentParser

struct KVRevertCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "revert", abstract: "Write a key as it was, as a new change.",
        discussion: """
            Nothing is lost: the present value stays in history, and when somebody changes the key meanwhile, \
            nothing is written and the exit status is 4. A key that did not exist then is deleted. A value that \
            expired is written to last. Exits with 3 when nothing is known of the key.

            EXAMPLES
              gossipctl kv revert app/db/url --to 1040
              gossipctl kv revert app/db/url --to 10m --dry-run
              gossipctl kv revert app/db/url --to 2026-11-20T12:00:00Z --message "not ready"
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("The key.", valueName: "key"))
    var key: String

    @Option(
        help: ArgumentHelp("A revision, a time or how long ago.", valueName: "point"),
        transform: PastPointArgument.parse)
    var to: PastPointArgument

    @Option(help: ArgumentHelp("Why, for kv history.", valueName: "text"))
    var message: String?

    @Flag(help: "Show the difference and change nothing.")
    var dryRun = false

    /// What `--output json` prints.
    struct Report: Codable, Hashable {
        var key: String
        var changed: Bool
        var dry_run: Bool
        /// Of the new change; nil when there is none.
        var version: String?
        /// Nil when the key already is as it was.
        var difference: DiffEntry?
    }

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        let key = try parseKey(key)
        let past = try await Self.found { () throws(AdminFailure) in try await client.get(key, at: to.point) }
        let present = try await Self.found { () throws(AdminFailure) in try await client.get(key) }
        if past == nil, present == nil, try await client.history(key, limit: 1).entries.isEmpty {
            throw AdminFailure(.notFound, "no change of key \(key.description.quoted) is known: see gossipctl kv list")
        }
        let difference = DiffEntry(key: key, old: present?.content, new: past?.content)
        var report = Report(
            key: key.description, changed: false, dry_run: dryRun, version: nil, difference: difference)
        if difference != nil, !dryRun {
            report.version = try await write(key, past, present, client)
            report.changed = true
        }
        try show(report, on: terminal) { render($0, terminal) }
    }

    private func write(
        _ key: ConfigurationKey, _ past: KeyDocument?, _ present: KeyDocument?, _ client: AdminClient
    ) async throws(AdminFailure) -> String? {
        var options = KeyWriteOptions()
        options.condition = present.map { .version($0.version) } ?? .absent
        // The strict log keeps no reasons: one that is given is refused there, none is made up here.
        let isStrict = (present ?? past)?.keyClass == .strict
        options.message = message ?? (isStrict ? "" : "revert to \(to.point)")
        try options.validate()
        guard var past else { return try await client.delete(key, options).version }
        if isStrict, case .register(let value) = past.content {
            return try await client.put(key, value: value, options).version
        }
        past.expiresAt = nil
        guard let line = try? AdminJSON.encode(past) else {
            throw AdminFailure(.internalError, "the past of the key cannot be written as JSON")
        }
        let lines = ByteSource.once(line)
        return try await client.import(lines, options).version
    }

    private func render(_ report: Report, _ terminal: Terminal) -> String {
        let key = report.key.printable
        guard let difference = report.difference else { return "\(key) already is as at \(to.point)\n" }
        if report.dry_run { return DiffText.render(difference, .init(old: "now", new: "\(to.point)"), terminal) }
        return "reverted \(key) to \(to.point), version \((report.version ?? "-").printable)\n"
    }

    /// Nil in the place of `not_found`.
    private static func found(
        _ get: () async throws(AdminFailure) -> KeyDocument
    ) async throws(AdminFailure) -> KeyDocument? {
        do throws(AdminFailure) {
            return try await get()
        } catch {
            guard error.code == .notFound else { throw error }
            return nil
        }
    }
}
