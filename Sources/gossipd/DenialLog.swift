// SPDX-License-Identifier: Apache-2.0
// Owns the journal's word on denied requests, and how often it is said.

import AdminModel
import Logging
import Synchronization
import SystemdSupport

/// Logs denied requests, at most one in `interval`: who may not must not be able to fill the journal. The metric
/// `gossipd_admin_requests_total` with the outcome `denied` counts all of them.
final class DenialLog: Sendable {
    static let interval = Duration.seconds(10)

    private let logger: Logger
    private let last = Mutex<ContinuousClock.Instant?>(nil)

    init(logger: Logger) { self.logger = logger }

    @Sendable func note(_ denial: AdminFailure) {
        let isDue = last.withLock { last in
            let now = ContinuousClock.now
            if let last, last.duration(to: now) < Self.interval { return false }
            last = now
            return true
        }
        guard isDue else { return }
        logger.event(
            .accessDenied, "an admin request was denied: \(denial.message)", metadata: ["reason": "\(denial.message)"])
    }
}
