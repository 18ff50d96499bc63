// SPDX-License-Identifier: Apache-2.0
// Owns the documents about leases and locks.

/// `POST /v1/leases`: for how long it lives after each renewal, such as `10s`.
package struct LeaseRequest: Codable, Hashable, Sendable {
    package var ttl: String

    package init(ttl: Duration) {
        self.ttl = "\(UInt64(max(ttl, .zero) / .milliseconds(1)))ms"
    }

    /// Fails with `bad_request` when it is no duration within the bounds.
    package func duration() throws(AdminFailure) -> Duration {
        guard let duration = DurationText.parse(ttl, max: AdminLimits.timeToLiveMax),
            duration >= AdminLimits.leaseTimeMin
        else {
            throw AdminFailure(.badRequest, "ttl is \(ttl.quoted): give a duration from 100ms to 3660d, such as 10s")
        }
        return duration
    }
}

/// A lease that was granted or renewed.
package struct LeaseDocument: Codable, Hashable, Sendable {
    /// In decimal.
    package var lease: String
    package var ttlMilliseconds: UInt64

    package init(lease: UInt64, ttlMilliseconds: UInt64) {
        self.lease = String(lease)
        self.ttlMilliseconds = ttlMilliseconds
    }

    private enum CodingKeys: String, CodingKey {
        case lease
        case ttlMilliseconds = "ttl_ms"
    }
}

/// The answer to the end of a lease or the release of a lock.
package struct ReleaseDocument: Codable, Hashable, Sendable {
    /// False: there was nothing to give back.
    package var released: Bool

    package init(released: Bool) { self.released = released }
}

/// `POST /v1/locks/NAME`: in whose name, and whether to wait in line.
package struct LockRequest: Codable, Hashable, Sendable {
    package var lease: String
    package var wait: Bool?

    package init(lease: String, wait: Bool) {
        self.lease = lease
        self.wait = wait
    }
}

/// How one lease stands with a lock.
package struct LockDocument: Codable, Hashable, Sendable {
    /// Open for newer daemons: an unknown text decodes as `unknown`.
    package enum State: String, Codable, Hashable, Sendable {
        /// By this lease.
        case held
        /// This lease is in line.
        case waiting
        /// By another lease, and this one is not in line.
        case busy
        /// By nobody.
        case free
        case unknown

        package init(from decoder: any Decoder) throws {
            self = State(rawValue: try decoder.singleValueContainer().decode(String.self)) ?? .unknown
        }
    }

    package var name: String
    package var state: State
    /// Of the present holder; grows with each holder. A service refuses tokens lower than the highest it saw.
    package var token: UInt64?
    /// `waiting`: so many come first, the holder included.
    package var ahead: UInt64?

    package init(name: String, state: State, token: UInt64? = nil, ahead: UInt64? = nil) {
        self.name = name
        self.state = state
        self.token = token
        self.ahead = ahead
    }
}

/// `GET /v1/locks`: locks that are held, by name.
package struct LockListDocument: Codable, Hashable, Sendable {
    package struct Entry: Codable, Hashable, Sendable {
        package var name: String
        package var token: UInt64
        /// The holder's.
        package var lease: String
        /// Leases in line.
        package var waiting: Int

        package init(name: String, token: UInt64, lease: UInt64, waiting: Int) {
            self.name = name
            self.token = token
            self.lease = String(lease)
            self.waiting = waiting
        }
    }

    package var locks: [Entry]
    /// The `after` of the next page; nil at the end.
    package var next: String?

    package init(locks: [Entry], next: String? = nil) {
        self.locks = locks
        self.next = next
    }
}
