// SPDX-License-Identifier: Apache-2.0
// Owns the judgement whether calling a node failed was wrong.

import ClusterTypes

/// A failure is false when the subject's process ran and it and the observer could talk both ways, directly or
/// through one running relay, without a break for the last `grace`. A stalled process runs: calling it failed is
/// false. The grace keeps a suspicion that began under a real fault from being counted after the fault ended.
package struct FalseFailures: Sendable {
    /// Longer than the longest suspicion of a small cluster at default settings is to run after the fault is over.
    package static let grace = Interval.seconds(10)

    /// Topologies that were in force, with the time at which each ended; oldest first.
    private var past: [(until: Instant, topology: Topology)] = []
    private var subjects: Set<Int> = []
    package private(set) var count = 0
    package var subjectCount: Int { subjects.count }

    /// Nodes that were called failed and should not have been, other than these; ascending.
    package func subjects(except nodes: [Int]) -> [Int] { subjects.subtracting(nodes).sorted() }

    package init() {}

    /// `topology` was in force until now.
    package mutating func topologyEnded(_ topology: Topology, at now: Instant) {
        past.append((now, topology))
        past.removeAll { $0.until + Self.grace < now }
    }

    /// `observer` called `subject`, whose process is its `process`th and started at `changedAt`, failed.
    /// Returns true and counts when that was wrong.
    package mutating func judge(
        observer: Int, subject: Int, process: Int32, changedAt: Instant, at now: Instant, topology: Topology,
        running: [Bool]
    ) -> Bool {
        guard running[subject], process == 1 || changedAt + Self.grace <= now,
            topology.connects(observer, subject, relays: running)
        else { return false }
        for former in past where former.until + Self.grace >= now {
            if !former.topology.connects(observer, subject, relays: running) { return false }
        }
        count += 1
        subjects.insert(subject)
        return true
    }
}
