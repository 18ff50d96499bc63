// SPDX-License-Identifier: Apache-2.0
// Owns running a program without the rights of root and without a role at the daemons.

import Glibc

enum Unprivileged {
    /// The user and group "nobody" of Debian; no account is needed for the numbers to work.
    private static let nobody = "65534"

    /// What runs a program as nobody, who can then look into the arena; nothing when this user is not root.
    static func prefix(in arena: Arena) throws -> [String] {
        guard geteuid() == 0 else { return [] }
        guard chmod(arena.folder, 0o755) == 0 else { throw Trouble.system("chmod") }
        return words
    }

    private static let words = ["setpriv", "--reuid", nobody, "--regid", nobody, "--clear-groups", "--"]

    /// Whether the programs can be run like that: their folder may be closed to others.
    static let canRun: Bool = geteuid() != 0 || runsAsNobody

    /// Whether there is another user than the daemon's own to be denied.
    static let canBeDenied: Bool = geteuid() == 0 && runsAsNobody

    private static let runsAsNobody: Bool = {
        guard Programs.exist("setpriv"), let program = try? Programs.gossipctl(), let folder = try? Folder.make()
        else { return false }
        defer { Folder.remove(folder) }
        let trial = try? ChildProcess(
            words[0], words.dropFirst() + [program, "--version"], outputPath: folder + "/out",
            errorPath: folder + "/err")
        guard let trial else { return false }
        defer { trial.end() }
        for _ in 0..<500 where trial.isRunning { usleep(10_000) }
        return trial.status == 0
    }()
}
