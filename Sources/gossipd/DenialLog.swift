// SPDX-License-Identifier: Apache-2.0
// Owns the journal's word on denied requests, and how often it is said.

import AdminModel
import Logging
import Synchronization
import SystemdSupport

/// Logs denied requests, at most one in `interval` with the number of those that were not told: who may not must not be
/// able to fill the journal. The metric `gossipd_admin_requests_total` with the outcome `denied` counts all of them.
final class DenialLog: Sendable {
    static let interval = Duration.seconds(10)

    private struct State {
        var last: ContinuousClock.Instant?
        var untold = 0
    }

    private let logger: Logger
    private let state = Mutex(State())

    init(logger: Logger) { self.logger = logger }

    @Sendable func note(_ denial: AdminFailure) {
        let untold: Int? = state.withLock { state in
            let now = ContinuousClock.now
            if let last = state.last, last.duration(to: now) < Self.interval {
                state.untold += 1
                return nil
            }
            defer { state = State(last: now) }
            return state.untold
        }
        guard let untold else { return }
        var metadata: Logger.Metadata = ["reason": "\(denial.message)"]
        if untold > 0 { metadata["count"] = "\(untold)" }
        let more = untold > 0 ? " (and \(untold) before it that were not told)" : ""
        logger.event(.accessDenied, "an admin request was denied: \(denial.message)\(more)", metadata: metadata)
    }
}
