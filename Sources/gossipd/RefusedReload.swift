// SPDX-License-Identifier: Apache-2.0
// Owns the memory of a reload that was refused, until one succeeds: the status line and `doctor` tell of it.

import AdminModel
import Synchronization

/// Safe from any thread.
final class RefusedReload: Sendable {
    private struct Refusal {
        var reason: String
        var since: Timestamp
    }

    private let refusal = Mutex<Refusal?>(nil)

    /// In one line; nil when the last reload was good.
    var reason: String? { refusal.withLock { $0?.reason } }

    func set(_ reason: String, at now: Timestamp) { refusal.withLock { $0 = Refusal(reason: reason, since: now) } }

    func clear() { refusal.withLock { $0 = nil } }

    /// For `doctor`, at most one.
    var findings: [DoctorDocument.Finding] {
        guard let refusal = refusal.withLock({ $0 }) else { return [] }
        return [
            DoctorDocument.Finding(
                .error, code: "reload_refused",
                summary: "the last reload was refused, and what was loaded before is in force: \(refusal.reason)",
                advice: "correct it, run gossipd check-config FILE, then systemctl reload gossipd",
                evidence: ["since": refusal.since.description])
        ]
    }
}
