// SPDX-License-Identifier: Apache-2.0
// Owns a disk of a few megabytes that one test can fill and empty.

import Glibc

/// A tmpfs over a folder, seen only by what runs behind `prefix`. It goes away with the last process there.
struct SmallDisk: Sendable {
    let folder: String
    private let arena: Arena
    private let holder: ChildProcess

    /// A namespace of mounts is ours to make as root, or inside a user namespace where the kernel allows that.
    private static var flags: [String] { geteuid() == 0 ? ["-m"] : ["-U", "-r", "-m"] }
    private static let script =
        "mount -t tmpfs -o size=\"$2\",mode=0700 gossipd-test \"$1\" && echo up && exec sleep 600"

    static let isAvailable: Bool = {
        guard Programs.exist("unshare", "nsenter", "mount"), let folder = try? Folder.make() else { return false }
        defer { Folder.remove(folder) }
        let trial = try? ChildProcess(
            "unshare", flags + ["mount", "-t", "tmpfs", "gossipd-test", folder], outputPath: folder + "/out",
            errorPath: folder + "/err")
        guard let trial else { return false }
        defer { trial.end() }
        for _ in 0..<500 where trial.isRunning { usleep(10_000) }
        return trial.status == 0
    }()

    /// Makes `folder` and mounts a disk of `bytes` over it.
    init(at folder: String, bytes: Int, in arena: Arena) async throws {
        self.arena = arena
        self.folder = folder
        guard mkdir(folder, 0o700) == 0 else { throw Trouble.system("mkdir") }
        let holder = try arena.start("unshare", Self.flags + ["sh", "-c", Self.script, "sh", folder, "\(bytes)"])
        try await eventually("the disk is mounted") { holder.output.hasPrefix("up").orNil }
        self.holder = holder
    }

    /// Runs what follows it where the disk is.
    var prefix: [String] {
        let user = geteuid() == 0 ? [] : ["-U", "--preserve-credentials"]
        return ["nsenter"] + user + ["-m", "-t", "\(holder.processID)", "--"]
    }

    /// From now on there is no room.
    func fill() async throws {
        let outcome = try await run("cat /dev/zero > \"$1/ballast\"")
        guard outcome.errors.contains("No space left") else { throw Trouble("not filled: \(outcome.errors)") }
    }

    func makeRoom() async throws { _ = try await run("rm \"$1/ballast\"") }

    private func run(_ script: String) async throws -> Arena.Outcome {
        let words = prefix + ["env", "LC_ALL=C", "sh", "-c", script, "sh", folder]
        return try await arena.run(words[0], Array(words.dropFirst()))
    }
}
