// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl kv import`: files of JSON lines, and the queue of writes that wait for a decision.

import AdminClient
import AdminModel
import ArgumentParser

struct KVImportCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Bring keys to what JSON lines say, all at once.",
        discussion: """
            The lines are those of kv export; key, type and the content are enough. All of the file is written as \
            one transaction or nothing is; what is already so is not written. A set gets exactly the elements given, \
            a counter the number. One transaction has at most 16384 writes and 16 MiB: --chunk splits a larger file \
            into several. Keys that expire are written one by one after the others.

            With --queued it shows the writes that this node made while it was away for too long, or with a wrong \
            clock, and that wait for a decision: --apply writes some of them anew, --drop forgets some.

            EXAMPLES
              gossipctl kv import all.jsonl --dry-run
              gossipctl kv import app.jsonl --prefix app/ --prune --message "release 12"
              gossipctl kv export app/ | gossipctl --socket /tmp/b.sock kv import -
              gossipctl kv import --queued
              gossipctl kv import --queued --apply 3 4 --drop 5
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("A file of JSON lines, or - for the standard input.", valueName: "file"))
    var file: String?

    @Flag(help: "Show what would change and change nothing.")
    var dryRun = false

    @Flag(help: "Also delete the keys below --prefix that are not in the file.")
    var prune = false

    @Option(help: ArgumentHelp("Every key must begin with this.", valueName: "prefix"))
    var prefix: String = ""

    @Option(help: ArgumentHelp("Why, for kv history.", valueName: "text"))
    var message: String?

    @Option(help: ArgumentHelp("Write so many lines at a time: atomic for each chunk only.", valueName: "lines"))
    var chunk: Int?

    @Flag(help: "Show or decide about the writes that wait.")
    var queued = false

    @Flag(help: "With --queued: show them (as --queued alone).")
    var list = false

    @Option(parsing: .upToNextOption, help: ArgumentHelp("With --queued: write these anew.", valueName: "number"))
    var apply: [UInt64] = []

    @Option(parsing: .upToNextOption, help: ArgumentHelp("With --queued: forget these.", valueName: "number"))
    var drop: [UInt64] = []

    func validate() throws {
        guard queued != (file != nil) else { throw ValidationError("Give a file or --queued, one of the two.") }
        guard queued || (apply.isEmpty && drop.isEmpty && !list) else {
            throw ValidationError("--list, --apply and --drop are about the queue: give --queued.")
        }
        guard !list || (apply.isEmpty && drop.isEmpty) else {
            throw ValidationError("Give --list, or --apply and --drop.")
        }
        guard chunk.map({ $0 > 0 }) ?? true else { throw ValidationError("--chunk must be above zero.") }
        guard chunk == nil || !prune else {
            throw ValidationError("--prune needs the whole file at once: leave out --chunk.")
        }
        guard !queued || !(dryRun || prune || chunk != nil || !prefix.isEmpty || message != nil) else {
            throw ValidationError("--queued goes with --list, --apply and --drop only.")
        }
    }

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        guard let file else { return try await decideQueued(client, terminal) }
        var writeOptions = KeyWriteOptions()
        writeOptions.message = message ?? ""
        try writeOptions.validate()
        let prefix = try KeyPrefix(prefix)
        let source = try ByteSource(path: file)
        let total: ImportResult
        if let chunk {
            total = try await importChunks(of: source, linesMax: chunk, prefix, writeOptions, client)
        } else {
            total = try await client.import(
                source.stream, dryRun: dryRun, prune: prune, prefix: prefix, writeOptions)
        }
        try show(total, on: terminal) { render($0, terminal) }
    }

    /// Shows how far it is while someone looks; the line is gone before anything else is printed.
    private func importChunks(
        of source: ByteSource, linesMax: Int, _ prefix: KeyPrefix, _ options: KeyWriteOptions, _ client: AdminClient
    ) async throws(AdminFailure) -> ImportResult {
        var total = ImportResult(dryRun: dryRun, unchanged: 0, entries: [])
        var chunks = LineChunks(source, linesMax: linesMax)
        var first = 1
        let progress = ProgressLine.standardError
        defer { progress?.clear() }
        while let lines = try chunks.next() {
            do throws(AdminFailure) {
                total.add(try await client.import(ByteSource.once(lines), dryRun: dryRun, prefix: prefix, options))
            } catch {
                let done = dryRun ? "" : "; \(total.written) keys before them are written"
                throw AdminFailure(error.code, "in the lines from \(first): \(error.message)\(done)")
            }
            progress?.show(Self.progress(lines: chunks.linesGiven, total))
            first = chunks.linesGiven + 1
        }
        return total
    }

    /// `20000 lines: 19990 written, 10 unchanged`
    static func progress(lines: Int, _ total: ImportResult) -> String {
        "\(lines) lines: \(total.written) \(total.dryRun ? "to write" : "written"), \(total.unchanged) unchanged"
    }

    private func render(_ result: ImportResult, _ terminal: Terminal) -> String {
        let sides = DiffText.Sides(old: "now", new: "import")
        let differences = result.entries.map { DiffText.render($0, sides, terminal) }.joined()
        let numbers = "\(result.added) added, \(result.changed) changed, \(result.removed) removed, "
        let end = result.dryRun ? "unchanged (nothing was written)" : "unchanged"
        return differences + numbers + "\(result.unchanged) \(end)\n"
    }

    private func decideQueued(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        guard apply.isEmpty && drop.isEmpty else {
            let request = QueueRequest(apply: apply, drop: drop)
            try request.validate()
            return try show(try await client.decideQueued(request), on: terminal) { result in
                "\(result.applied.count) applied, \(result.dropped.count) dropped, \(result.remaining) still wait\n"
            }
        }
        var document = QueueDocument(writes: [])
        repeat {
            let page = try await client.queuedWrites(after: document.next)
            document.writes += page.writes
            document.next = page.writes.isEmpty ? nil : page.next
        } while document.next != nil
        try show(document, on: terminal) { Self.render($0, terminal) }
    }

    static func render(_ document: QueueDocument, _ terminal: Terminal) -> String {
        guard !document.writes.isEmpty else { return "no write waits for a decision\n" }
        var table = TextTable(["NUMBER", "WRITTEN", "CAUSE", "CHANGE", "KEY", "BY", "VALUE"], rightAligned: [0])
        for entry in document.writes {
            let value = entry.element.map(Format.preview) ?? entry.content.map { Format.preview($0) } ?? "-"
            table.add([
                .init("\(entry.number)"), .init(String(entry.writtenAt.description.prefix(19)) + "Z"),
                .init(entry.cause.rawValue), .init(entry.event), .init(entry.key), .init(entry.author.name),
                .init(value),
            ])
        }
        return table.render(for: terminal)
    }
}

extension ImportResult {
    var written: Int { added + changed + removed }

    /// Counts another chunk in.
    mutating func add(_ other: ImportResult) {
        added += other.added
        changed += other.changed
        removed += other.removed
        unchanged += other.unchanged
        version = other.version ?? version
        entries += other.entries
    }
}
