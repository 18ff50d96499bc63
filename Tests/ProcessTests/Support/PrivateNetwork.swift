// SPDX-License-Identifier: Apache-2.0
// Owns a loopback network that the daemons of one test have for themselves, and that can be cut.

import Glibc

/// A network namespace with nothing but loopback. It goes away with the last process in it.
struct PrivateNetwork: Sendable {
    private let arena: Arena
    private let holder: ChildProcess

    /// The namespaces are ours to make as root, or inside a user namespace where the kernel allows that.
    private static var flags: [String] { geteuid() == 0 ? ["-n"] : ["-r", "-n"] }

    static let isAvailable: Bool = {
        guard Programs.exist("unshare", "nsenter", "ip"), let folder = try? Folder.make() else { return false }
        defer { Folder.remove(folder) }
        let trial = try? ChildProcess(
            "unshare", flags + ["ip", "link", "set", "lo", "up"], outputPath: folder + "/out",
            errorPath: folder + "/err")
        guard let trial else { return false }
        defer { trial.end() }
        for _ in 0..<500 where trial.isRunning { usleep(10_000) }
        return trial.status == 0
    }()

    init(in arena: Arena) async throws {
        self.arena = arena
        let holder = try arena.start(
            "unshare", Self.flags + ["sh", "-c", "ip link set lo up && echo up && exec sleep 600"])
        try await eventually("the namespace is there") { holder.output.hasPrefix("up").orNil }
        self.holder = holder
    }

    /// Runs what follows it inside.
    var prefix: [String] {
        let user = geteuid() == 0 ? [] : ["-U", "--preserve-credentials"]
        return ["nsenter"] + user + ["-n", "-t", "\(holder.processID)", "--"]
    }

    /// From now on no packet goes through.
    func cut() async throws { try await set("down") }

    func heal() async throws { try await set("up") }

    private func set(_ state: String) async throws {
        let words = prefix + ["ip", "link", "set", "lo", state]
        let outcome = try await arena.run(words[0], Array(words.dropFirst()))
        guard outcome.status == 0 else { throw Trouble("ip link set lo \(state): \(outcome.errors)") }
    }
}
