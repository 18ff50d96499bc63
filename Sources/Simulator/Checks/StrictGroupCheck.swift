// SPDX-License-Identifier: Apache-2.0
// Owns the checks of one strict group: its log, and what it comes to.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup

/// A group that was recovered goes on with the state of the one before: what that had committed by then is applied first.
package struct StrictGroupCheck: Sendable {
    /// An entry that was committed.
    private struct Committed: Sendable {
        var entry: LogEntry
        var proposed: Instant
        var at: Instant
    }

    package let group: UInt64
    package private(set) var raft: RaftCheck
    package private(set) var state: StrictStateCheck
    private var committed: [Committed] = []
    private let keepsEntries: Bool

    /// - Parameter keepsEntries: Another group may go on with this one's state.
    package init(group: UInt64, nodes: Int, keepsEntries: Bool) {
        self.group = group
        self.keepsEntries = keepsEntries
        raft = RaftCheck(nodes: nodes)
        state = StrictStateCheck(nodes: nodes)
    }

    /// A group that goes on with what another had committed up to an index.
    package init(group: UInt64, nodes: Int, after former: StrictGroupCheck, through index: LogIndex) {
        self.init(group: group, nodes: nodes, keepsEntries: true)
        for one in former.committed where one.entry.index <= index {
            _ = state.commit(one.entry, proposed: one.proposed, at: one.at)
            committed.append(one)
        }
        state.beginCounting()
    }

    package var violations: [Violations] { [raft.violations, state.violations] }

    /// - Returns: The leases that ended with entries that are committed from this step on.
    package mutating func look(at log: Raft, _ machine: StrictMachine, node: Int, now: Instant) -> [StrictStateCheck
        .Ended]
    {
        var ended: [StrictStateCheck.Ended] = []
        let known = state.machine.appliedIndex
        for entry in raft.look(at: log, node: node, now: now) where entry.index > known {
            let proposed = raft.writtenAt(entry.position) ?? now
            if keepsEntries { committed.append(Committed(entry: entry, proposed: proposed, at: now)) }
            if let end = state.commit(entry, proposed: proposed, at: now) { ended.append(end) }
        }
        state.look(at: machine, node: node)
        return ended
    }

    package mutating func ended(node: Int) {
        raft.ended(node: node)
        state.ended(node: node)
    }
}
