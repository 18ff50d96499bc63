// SPDX-License-Identifier: Apache-2.0
// Owns what a client does while its daemon is away for a moment: after a crash, during a restart or an upgrade.

import AdminModel

/// How far a client goes on by itself, always within its timeout. With a socket that systemd holds, a restart alone needs no
/// more than waiting; this is for connections that end before an answer, and for a socket that closes with its daemon.
package struct RestartPatience: Sendable {
    /// The longest wait for a socket that is not there, or on which nobody listens.
    package var absenceMax: Duration
    /// How often a request is sent once more whose connection has ended before an answer. A request that ends the daemon
    /// each time must not go on doing so.
    package var repeatsMax: Int

    package static let none = RestartPatience(absenceMax: .zero, repeatsMax: 0)
    /// After a crash the socket is open again in RestartSec=100ms and a bit; more on a busy host.
    package static let usual = RestartPatience(absenceMax: .seconds(2), repeatsMax: 5)

    /// Before the repeat of that number, which counts from 0: 50 ms, then twice as long each time.
    func pause(before number: Int) -> Duration { .milliseconds(50 << min(number, 6)) }
}

/// The connection ended before the answer did: whether the daemon has carried the request out is unknown.
struct Unanswered: Error {
    var failure: AdminFailure
}

extension AdminRequest {
    /// Whether carrying it out twice is as good as once: it changes nothing, says the same each time, or has an id by which
    /// the daemon knows it again.
    var isRepeatable: Bool {
        guard upload == nil else { return false }
        return method == "GET" || mayBeRepeated || query.items.contains { $0.name == "request_id" }
    }
}
