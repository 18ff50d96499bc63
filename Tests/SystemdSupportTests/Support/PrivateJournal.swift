// SPDX-License-Identifier: Apache-2.0
// Owns a systemd-journald that runs for one test alone, in a mount namespace of its own.

import Glibc
import SystemdSupport

/// A private journald; entries land in `folder` and are read back with journalctl.
final class PrivateJournal {
    private let folder: TemporaryFolder
    private let shell: Command

    /// Says READY, then waits for a line on its input, writes everything to disk and stops.
    private static let script = """
        set -e
        mount -t tmpfs tmpfs /run
        mkdir -p /run/systemd/journal /run/log/journal /run/systemd/journald.conf.d
        mount --bind "$1" /run/log/journal
        printf '[Journal]\\nStorage=volatile\\nForwardToSyslog=no\\nRateLimitBurst=0\\nReadKMsg=no\\nAudit=no\\n' \\
            > /run/systemd/journald.conf.d/test.conf
        "$2" 2>/dev/null &
        daemon=$!
        for i in $(seq 250); do [ -S /run/systemd/journal/socket ] && break; sleep 0.02; done
        echo READY
        read line || true
        journalctl --sync || true
        kill $daemon
        wait $daemon || true
        """

    private static let programs = ["/lib/systemd/systemd-journald", "/usr/lib/systemd/systemd-journald"]
    private static let program = programs.first { access($0, X_OK) == 0 }

    /// Root, a kernel that lets us have a mount namespace, and journald.
    static let isAvailable: Bool = {
        guard geteuid() == 0, program != nil else { return false }
        return (try? Command.run("unshare", "-m", "--propagation", "private", "true").status) == 0
    }()

    init() throws {
        folder = try TemporaryFolder()
        shell = try Command(
            "unshare",
            ["-m", "--propagation", "private", "sh", "-c", Self.script, "sh", folder.path, Self.program ?? ""])
        let line = try shell.readLine()
        guard line == "READY" else { throw SystemFailure("journald said \(line)") }
    }

    /// Runs `body` on a thread that lives in the journal's namespace, as do the threads that it starts.
    func enter(_ body: @escaping @Sendable () -> Void) throws {
        let namespace = open("/proc/\(shell.process)/ns/mnt", O_RDONLY | O_CLOEXEC)
        guard namespace >= 0 else { throw SystemFailure("open the namespace") }
        defer { close(namespace) }
        let visit = Visit(namespace: namespace, body: body)
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(visit)
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Visit>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        guard result == 0 else { throw SystemFailure("pthread_create") }
        pthread_join(thread, nil)
        guard visit.hasEntered else { throw SystemFailure("setns") }
    }

    /// Stops journald and returns the matching entries as JSON, one a line.
    func entries(_ match: String) throws -> [Substring] {
        try shell.send("stop")
        _ = try shell.finish()
        let result = try Command.run("journalctl", "-q", "-D", folder.path, "-o", "json", "--all", "--no-pager", match)
        return result.output.split(separator: "\n")
    }
}

/// One visit to a namespace.
///
/// `@unchecked Sendable`: the visitor writes `hasEntered` before its end, and the caller reads it after joining.
private final class Visit: @unchecked Sendable {
    private let namespace: Int32
    private let body: @Sendable () -> Void
    private(set) var hasEntered = false

    /// CLONE_FS and CLONE_NEWNS (clone(2)), which the Glibc module leaves out, as it does the functions.
    private static let cloneFS: CInt = 0x200
    private static let cloneNewNamespace: CInt = 0x2_0000

    private static func function<Function>(_ name: String, as type: Function.Type) -> Function? {
        dlsym(nil, name).map { unsafeBitCast($0, to: type) }
    }

    init(namespace: Int32, body: @escaping @Sendable () -> Void) {
        self.namespace = namespace
        self.body = body
    }

    func run() {
        // A thread may change its mount namespace only when it shares no root and working folder (setns(2)).
        guard let unshare = Self.function("unshare", as: (@convention(c) (CInt) -> CInt).self),
            let setns = Self.function("setns", as: (@convention(c) (CInt, CInt) -> CInt).self),
            unshare(Self.cloneFS) == 0, setns(namespace, Self.cloneNewNamespace) == 0
        else { return }
        hasEntered = true
        body()
    }
}
