// SPDX-License-Identifier: Apache-2.0
// Owns the connections to the helper that have said nothing yet: they take no thread, and are bounded.

import Glibc

/// Used by the thread that accepts alone. Closes what is left with its end.
final class HelperLobby {
    /// Silent connections at once; one more closes the oldest.
    static let countMax = 64

    /// In the order they came.
    private var silent: [(connection: CInt, since: ContinuousClock.Instant)] = []

    deinit { for entry in silent { close(entry.connection) } }

    var oldestSince: ContinuousClock.Instant? { silent.first?.since }
    var newestSince: ContinuousClock.Instant? { silent.last?.since }

    /// For poll(2).
    var waits: [pollfd] { silent.map { pollfd(fd: $0.connection, events: Int16(POLLIN), revents: 0) } }

    /// True when the oldest one had to go.
    func add(_ connection: CInt, now: ContinuousClock.Instant = .now) -> Bool {
        silent.append((connection, now))
        guard silent.count > Self.countMax else { return false }
        close(silent.removeFirst().connection)
        return true
    }

    /// Hands these over.
    func take(_ connections: [CInt]) -> [CInt] {
        let taken = Set(connections)
        defer { silent.removeAll { taken.contains($0.connection) } }
        return silent.map(\.connection).filter(taken.contains)
    }

    /// Closes those that came before `time`; as many as went.
    func removeSilent(since time: ContinuousClock.Instant) -> Int {
        let gone = silent.prefix { $0.since <= time }
        for entry in gone { close(entry.connection) }
        silent.removeFirst(gone.count)
        return gone.count
    }
}
