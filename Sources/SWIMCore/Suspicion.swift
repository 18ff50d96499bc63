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
    /// What the two were before anything was known of the way to the member.
    private let patientMin: Interval
    private let patientMax: Interval
    private let expected: Int
    /// A failed probe of our own speaks against the member for this long: the shortest timeout before a refusal or a verdict
    /// lowered it, which the probe that decides always fits into; a quarter longer than a hastened one.
    private var freshness: Interval
    private var notBefore: Instant?
    /// When the latest probe by this node failed; nil while all that is known is hearsay, or when it was answered.
    private var probedAt: Instant?
    /// When the probe is over that decides, because nothing else does.
    private var decidedAt: Instant?
    /// The process is known to be gone, or another node's verdict is known: that is not taken back.
    private var isLowered = false
    /// A node that suspected the member as long as it had to says that it has failed.
    private var hasVerdict = false

    package init(
        evidence: Evidence, startedAt: Instant, generation: UInt64, timeoutMin: Interval, timeoutMax: Interval,
        expectedConfirmations: Int
    ) {
        self.evidence = evidence
        self.startedAt = startedAt
        self.generation = generation
        self.timeoutMin = timeoutMin
        self.timeoutMax = Swift.max(timeoutMin, timeoutMax)
        patientMin = timeoutMin
        patientMax = self.timeoutMax
        expected = expectedConfirmations
        freshness = timeoutMin
        if evidence.isLocal { probedAt = startedAt }
    }

    package var timeout: Interval {
        guard expected > 0 else { return timeoutMin }
        let share = Logarithm.natural(Double(evidence.confirmedBy.count + 1)) / Logarithm.natural(Double(expected + 1))
        return Swift.max(timeoutMin, timeoutMax - (timeoutMax - timeoutMin) * share)
    }

    package var deadline: Instant { max(startedAt + timeout, notBefore ?? startedAt, decidedAt ?? startedAt) }

    /// The same suspicion, which now ends no earlier than `instant`: this process had been stalled.
    package func postponed(to instant: Instant) -> Suspicion {
        var later = self
        later.notBefore = instant
        return later
    }

    /// This node's own probe failed at `instant`.
    package mutating func addProbe(at instant: Instant) { probedAt = instant }

    /// This node's latest probe was answered: the earlier ones say nothing any more.
    package mutating func forgetProbe() { probedAt = nil }

    /// A probe that is over at `instant` decides.
    package mutating func awaitProbe(until instant: Instant) { decidedAt = instant }

    /// Whether enough is known to call the member failed: somebody's verdict, or a probe of our own that is
    /// still fresh. Otherwise a refutation may have been missed, or the trouble may be over.
    package func isConclusive(at now: Instant) -> Bool {
        hasVerdict || probedAt.map { now - $0 <= freshness } ?? false
    }

    /// Another node's verdict: let the suspicion run for `floor`, counted from its start. It no longer waits for a probe
    /// of our own.
    package mutating func hearVerdict(floor: Interval) {
        hasVerdict = true
        decidedAt = nil
        lower(to: floor)
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
        isLowered = true
        timeoutMin = Swift.min(timeoutMin, floor)
        timeoutMax = timeoutMin
    }

    /// Nothing reaches the member: the shortest timeout is `shortest`, and the longest falls in proportion.
    package mutating func hasten(to shortest: Interval) {
        guard !isLowered, shortest < patientMin else { return }
        timeoutMin = shortest
        timeoutMax = patientMax * (shortest.seconds / patientMin.seconds)
        freshness = shortest * 1.25
    }

    /// A later probe found that something accepts there after all: it may only stand still.
    package mutating func restorePatience() {
        guard !isLowered else { return }
        timeoutMin = patientMin
        timeoutMax = patientMax
        freshness = patientMin
    }

    /// The shortest timeout for a member that nothing reaches: `unreachableSuspicionMin * max(1, log10(n) / 1.5)`.
    package static func unreachableMin(_ configuration: SWIMConfiguration, members: Int) -> Interval {
        let scale = Swift.max(1, Logarithm.base10(Double(Swift.max(1, members))) / 1.5)
        return configuration.unreachableSuspicionMin * scale
    }

    /// The shortest timeout among `members` active nodes: `multiplier * max(1, log10 n) * probeInterval`.
    package static func timeoutMin(_ configuration: SWIMConfiguration, members: Int) -> Interval {
        let scale = Swift.max(1, Logarithm.base10(Double(Swift.max(1, members))))
        return configuration.probeInterval * (Double(configuration.suspicionMultiplier) * scale)
    }
}
