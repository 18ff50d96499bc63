// SPDX-License-Identifier: Apache-2.0
// Owns when a lease is renewed and from when on it may be over, by this host's clock that never goes back.

/// Counts from the moment at which the last successful request was sent: the group counts from later, so it never ends the
/// lease before this says so (but for a clock here that runs slower than the leader's).
struct LeaseTiming: Hashable, Sendable {
    let ttl: Duration
    private var confirmed: ContinuousClock.Instant
    /// When to ask for the next renewal.
    private(set) var due: ContinuousClock.Instant

    init(ttl: Duration, grantedAt sent: ContinuousClock.Instant) {
        self.ttl = ttl
        confirmed = sent
        due = sent + ttl / 3
    }

    /// From then on another may have it.
    var end: ContinuousClock.Instant { confirmed + ttl }

    func isOver(at now: ContinuousClock.Instant) -> Bool { now >= end }

    /// Whether half of its time is left at least.
    func isFresh(at now: ContinuousClock.Instant) -> Bool { now <= confirmed + ttl / 2 }

    /// The renewal that was sent then has succeeded.
    mutating func renewed(sentAt sent: ContinuousClock.Instant) {
        confirmed = max(confirmed, sent)
        due = confirmed + ttl / 3
    }

    /// It has failed: once more soon, for time is short.
    mutating func failed(at now: ContinuousClock.Instant) {
        due = now + max(ttl / 20, .milliseconds(20))
    }

    /// How long one request may take: late enough for an election, early enough for another one.
    var requestTimeout: Duration { min(max(ttl / 3, .milliseconds(200)), .seconds(10)) }
}
