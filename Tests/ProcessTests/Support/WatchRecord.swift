// SPDX-License-Identifier: Apache-2.0
// Owns a running `gossipctl kv watch` and what it has printed.

import AdminModel

struct WatchRecord: Sendable {
    let child: ChildProcess

    /// Watches a prefix over the restarts of the daemon.
    init(_ daemon: DaemonProcess, _ prefix: String, since: String = "start", in arena: Arena) throws {
        child = try arena.start(
            try Programs.gossipctl(),
            [
                "--socket", daemon.socket, "--output", "json", "kv", "watch", prefix, "--since", since, "--reconnect",
                "--heartbeat", "1s",
            ])
    }

    /// All lines so far.
    var lines: [WatchEvent] {
        child.output.split(separator: "\n").compactMap { try? AdminJSON.decode(WatchEvent.self, from: $0.utf8) }
    }

    /// All changes so far: no heartbeats.
    var changes: [WatchEvent] { lines.filter { $0.event != StreamEvent.heartbeat } }

    /// Waits until a key has shown.
    func shows(_ key: String, within limit: Duration = .seconds(15)) async throws {
        try await eventually("the watch shows \(key)", within: limit) { changes.contains { $0.key == key }.orNil }
    }
}
