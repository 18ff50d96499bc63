// SPDX-License-Identifier: Apache-2.0
// Owns the memory of hosts whose packets or streams were refused lately: `doctor` tells of them.

import AdminModel
import ClusterTypes
import Sealing
import Synchronization

/// Safe from any thread. What is refused is told once a minute for each host and reason, so whoever goes on stays here.
final class RecentRefusals: Sendable {
    private struct Entry {
        var source: Address
        var refusal: SealRefusal
        var at: ContinuousClock.Instant
    }

    private static let keptFor = Duration.seconds(300)
    private static let entriesMax = 16

    private let entries = Mutex<[Entry]>([])

    func note(_ refusal: SealRefusal, from source: Address, now: ContinuousClock.Instant = .now) {
        entries.withLock { entries in
            entries.removeAll {
                $0.at + Self.keptFor <= now || $0.refusal == refusal && $0.source.sharesHost(with: source)
            }
            if entries.count >= Self.entriesMax { entries.removeFirst() }
            entries.append(Entry(source: source, refusal: refusal, at: now))
        }
    }

    func findings(now: ContinuousClock.Instant = .now) -> [DoctorDocument.Finding] {
        let lately = entries.withLock { $0.filter { $0.at + Self.keptFor > now } }
        return lately.map { entry in
            DoctorDocument.Finding(
                .warning, code: "packets_refused",
                summary: "packets from \(entry.source) are refused: \(entry.refusal.sentence)",
                advice:
                    "when that host is to be a member, compare gossipctl key list and the configuration here and there",
                evidence: ["address": "\(entry.source)", "reason": entry.refusal.rawValue])
        }
    }
}

extension Address {
    fileprivate func sharesHost(with other: Address) -> Bool {
        var (own, others) = (self, other)
        own.port = 0
        others.port = 0
        return own == others
    }
}
