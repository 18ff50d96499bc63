// SPDX-License-Identifier: Apache-2.0
// Owns one running suspicion: its evidence and how long it lasts.

import ClusterTypes

/// A suspicion that shortens with each independent confirmation (Lifeguard section IV-B):
///
///     timeout = max(min, max - (max - min) * log(C + 1) / log(K + 1))
///
/// where C counts confirmations by others than the first accuser and K is the number expected.
package struct Suspicion: Hashable, Sendable {
    package var evidence: Evidence
    package let startedAt: Instant
    package let generation: UInt64
    /// The shortest and longest timeout; `lower()` may shorten both.
    package private(set) var timeoutMin: Interval
    package private(set) var timeoutMax: Interval
    private let expected: Int
    private var notBefore: Instant?

    package init(
        evidence: Evidence, startedAt: Instant, generation: UInt64, timeoutMin: Interval, timeoutMax: Interval,
        expectedConfirmations: Int
    ) {
        self.evidence = evidence
        self.startedAt = startedAt
        self.generation = generation
        self.timeoutMin = timeoutMin
        self.timeoutMax = Swift.max(timeoutMin, timeoutMax)
        expected = expectedConfirmations
    }

    package var timeout: Interval {
        guard expected > 0 else { return timeoutMin }
        let share = Logarithm.natural(Double(evidence.confirmedBy.count + 1)) / Logarithm.natural(Double(expected + 1))
        return Swift.max(timeoutMin, timeoutMax - (timeoutMax - timeoutMin) * share)
    }

    package var deadline: Instant { max(startedAt + timeout, notBefore ?? startedAt) }

    /// The same suspicion, which now ends no earlier than `instant`: this process had been stalled.
    package func postponed(to instant: Instant) -> Suspicion {
        var later = self
        later.notBefore = instant
        return later
    }

    /// Counts a confirmation by `node`; false when it is not news: the accuser, a repetition, or enough already.
    package mutating func confirm(by node: NodeID) -> Bool {
        guard node != evidence.accuser, evidence.confirmedBy.count < expected,
            !evidence.confirmedBy.contains(node)
        else { return false }
        evidence.confirmedBy.append(node)
        return true
    }

    /// The process is known to be gone: let the suspicion run at `floor`, counted from its start.
    package mutating func lower(to floor: Interval) {
        timeoutMin = Swift.min(timeoutMin, floor)
        timeoutMax = timeoutMin
    }

    /// The shortest timeout among `members` active nodes: `multiplier * max(1, log10 n) * probeInterval`.
    package static func timeoutMin(_ configuration: SWIMConfiguration, members: Int) -> Interval {
        let scale = Swift.max(1, Logarithm.base10(Double(Swift.max(1, members))))
        return configuration.probeInterval * (Double(configuration.suspicionMultiplier) * scale)
    }
}
