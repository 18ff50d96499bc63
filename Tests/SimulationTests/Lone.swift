// SPDX-License-Identifier: Apache-2.0
// Owns a group of one for the tests of checks.

import ClusterTypes
import RaftCore

/// A group of one that does what it likes: nobody else has a say.
struct Lone {
    let id: NodeID
    var raft: Raft
    private var rng = SeededGenerator(seed: 1)
    private(set) var now = Instant(nanoseconds: 1_000_000_000)

    /// - Parameter entries: What the disk holds, after nothing, in terms up to `term`.
    init(_ number: UInt64, term: Term, commit: LogIndex = 0, _ entries: [LogEntry] = []) throws {
        id = NodeID(high: 0, low: number)
        let state = RestoredState(
            hardState: HardState(term: term, commit: commit),
            snapshot: SnapshotMetadata(position: .zero, membership: RaftMembership(voters: [id])), entries: entries)
        raft = try Raft(configuration: RaftConfiguration(), id: id, restoring: state, now: now, using: &rng)
    }

    /// Is elected in the next term and commits all that it has, or nothing beyond what was committed.
    mutating func lead(commits: Bool = true) {
        while !raft.isLeader || commits && raft.commitIndex < raft.lastPosition.index {
            now = max(now, raft.nextDeadline)
            raft.onTick(now: now, using: &rng)
            settle { !commits && $0.isLeader }
        }
    }

    mutating func write(_ text: String) throws { try write(Array(text.utf8)) }

    mutating func write(_ command: [UInt8]) throws {
        _ = try raft.propose(command, now: now)
        settle()
    }

    private mutating func settle(unless isOver: (Raft) -> Bool = { _ in false }) {
        while !isOver(raft), let ready = raft.takeReady() {
            if let batch = ready.persistence { raft.onPersisted(batch.number, now: now, using: &rng) }
            if let last = ready.committed.last { raft.onApplied(through: last.index) }
        }
    }
}
