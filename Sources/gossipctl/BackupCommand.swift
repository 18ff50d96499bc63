// SPDX-License-Identifier: Apache-2.0
// Owns `gossipctl backup` and `backup verify`.

import AdminClient
import AdminModel
import ArgumentParser
import BackupFormat
import Glibc

struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Write a backup of the whole store, or check one.",
        discussion: """
            A backup is consistent; the daemon goes on meanwhile. The file appears only when it is whole and on disk, \
            and is readable for its owner only. - writes to the standard output.

            EXAMPLES
              gossipctl backup /var/backups/gossipd.backup
              gossipctl backup --force gossipd.backup
              gossipctl backup - | ssh vault 'cat > gossipd.backup'
              gossipctl backup verify gossipd.backup
            """,
        subcommands: [BackupWriteCommand.self, BackupVerifyCommand.self], defaultSubcommand: BackupWriteCommand.self)

    @OptionGroup var options: GlobalOptions
}

struct BackupWriteCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "write", abstract: "Write a backup of the whole store (the default).",
        discussion: """
            EXAMPLES
              gossipctl backup write /var/backups/gossipd.backup
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("Where to, or - for the standard output.", valueName: "file"), completion: .file())
    var file: String

    @Flag(help: "Replace a file that is there.")
    var force = false

    /// What `--output json` prints.
    struct Report: Codable, Hashable {
        var path: String
        var bytes: Int
    }

    func run(_ client: AdminClient, _ terminal: Terminal) async throws(AdminFailure) {
        guard file != "-" else {
            guard isatty(STDOUT_FILENO) == 0 else {
                throw AdminFailure(.badRequest, "a backup is not for a terminal: redirect the standard output")
            }
            return try await client.backup { piece throws(AdminFailure) in terminal.print(bytes: piece) }
        }
        let target = try NewFile(path: file, replaces: force, option: "--force")
        var bytes = 0
        do throws(AdminFailure) {
            try await client.backup { piece throws(AdminFailure) in
                try target.write(piece)
                bytes += piece.count
            }
            try target.finish()
        } catch {
            target.discard()
            throw error
        }
        try show(Report(path: file, bytes: bytes), on: terminal) { report in
            "wrote \(report.path.printable), \(Format.bytes(report.bytes))\n"
        }
    }
}

struct BackupVerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Check every byte of a backup, without a daemon.",
        discussion: """
            Exits with 1 when the backup is damaged. - reads the standard input.

            EXAMPLES
              gossipctl backup verify gossipd.backup
            """)

    @OptionGroup var options: GlobalOptions

    @Argument(help: ArgumentHelp("The backup, or - for the standard input.", valueName: "file"), completion: .file())
    var file: String

    /// What `--output json` prints.
    struct Report: Codable, Hashable {
        var created_at: Timestamp
        var node: String
        var store_id: String
        var revision: UInt64
        var rows: UInt64
        var bytes: UInt64
        /// The root of the store that it restores.
        var root: String
    }

    func run() async throws {
        do throws(AdminFailure) {
            let report = try verify()
            switch options.output {
            case .json:
                guard let bytes = try? AdminJSON.encode(report) else {
                    throw AdminFailure(.internalError, "the answer cannot be written as JSON")
                }
                Terminal.standard.print(bytes: bytes + [UInt8(ascii: "\n")])
            case .table: Terminal.standard.print(Self.render(report))
            }
        } catch {
            Terminal.complain(error.message)
            throw ExitCode(error.code.exitStatus.rawValue)
        }
    }

    private func verify() throws(AdminFailure) -> Report {
        let source = try ByteSource(path: file)
        do {
            let summary = try BackupReader.verify { try source.read() }
            return Report(
                created_at: Timestamp(milliseconds: summary.createdAtMilliseconds),
                node: summary.header.node, store_id: summary.header.storeID, revision: summary.header.revision,
                rows: summary.rows, bytes: summary.bytes, root: summary.rootText)
        } catch let failure as AdminFailure {
            throw failure
        } catch {
            throw AdminFailure(.internalError, "\(file.quoted) is no whole backup: \(error)")
        }
    }

    static func render(_ report: Report) -> String {
        "the backup is whole: \(report.rows) rows of node \(report.node.printable) at \(report.created_at), "
            + "revision \(report.revision), \(Format.bytes(Int(clamping: report.bytes))), root \(report.root)\n"
    }
}
