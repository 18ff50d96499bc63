// SPDX-License-Identifier: Apache-2.0
// Owns a systemd-journald that runs for one test alone, in a mount namespace of its own.

import AdminModel
import Glibc

struct PrivateJournal: Sendable {
    private let arena: Arena
    private let shell: ChildProcess
    private let folder: String

    /// Runs until the file $3 is there, then writes everything to disk. journald ends with the shell, however that ends.
    private static let script = """
        set -e
        mount -t tmpfs tmpfs /run
        mkdir -p /run/systemd/journal /run/log/journal /run/systemd/journald.conf.d
        mount --bind "$1" /run/log/journal
        printf '[Journal]\\nStorage=volatile\\nForwardToSyslog=no\\nRateLimitBurst=0\\nReadKMsg=no\\nAudit=no\\n' \\
            > /run/systemd/journald.conf.d/test.conf
        setpriv --pdeathsig KILL "$2" 2>/dev/null &
        for i in $(seq 250); do [ -S /run/systemd/journal/socket ] && break; sleep 0.02; done
        echo READY
        for i in $(seq 3000); do [ -e "$3" ] && break; sleep 0.02; done
        journalctl --sync || true
        """

    private static let programs = ["/lib/systemd/systemd-journald", "/usr/lib/systemd/systemd-journald"]
    private static let program = programs.first { access($0, X_OK) == 0 }

    /// Root, a kernel that lets us have a mount namespace, and journald.
    static let isAvailable: Bool = {
        guard geteuid() == 0, program != nil, Programs.exist("unshare", "nsenter", "setpriv", "journalctl"),
            let folder = try? Folder.make()
        else { return false }
        defer { Folder.remove(folder) }
        let trial = try? ChildProcess(
            "unshare", ["-m", "--propagation", "private", "mount", "-t", "tmpfs", "tmpfs", "/run"],
            outputPath: folder + "/out", errorPath: folder + "/err")
        guard let trial else { return false }
        defer { trial.end() }
        for _ in 0..<500 where trial.isRunning { usleep(10_000) }
        return trial.status == 0
    }()

    init(in arena: Arena) async throws {
        self.arena = arena
        folder = arena.folder + "/journal"
        guard mkdir(folder, 0o755) == 0 else { throw Trouble.system("mkdir") }
        let shell = try arena.start(
            "unshare",
            [
                "-m", "--propagation", "private", "sh", "-c", Self.script, "sh", folder, Self.program ?? "",
                arena.folder + "/stop",
            ])
        self.shell = shell
        try await eventually("journald is there") { shell.output.hasPrefix("READY").orNil }
    }

    /// Runs what follows it where the journal is.
    var prefix: [String] { ["nsenter", "-m", "-t", "\(shell.processID)", "--"] }

    /// Stops journald and returns the matching entries.
    func entries(_ match: String) async throws -> [JSONValue] {
        try FileText.write("", to: arena.folder + "/stop")
        _ = try await shell.waitForEnd()
        let outcome = try await arena.run(
            "journalctl", ["-q", "-D", folder, "-o", "json", "--all", "--no-pager", match])
        return try outcome.output.split(separator: "\n").map { try AdminJSON.decode(JSONValue.self, from: $0.utf8) }
    }
}
