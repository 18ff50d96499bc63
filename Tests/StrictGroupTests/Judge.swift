// SPDX-License-Identifier: Apache-2.0
// Owns what must hold at each step of each run (thesis figure 3.2), and of the feed and the founding.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup

struct Judge {
    private struct Place: Hashable {
        var group: UInt64
        var number: UInt64
    }

    private var leaders: [Place: NodeID] = [:]
    private var states: [Place: Hash128] = [:]
    private var feed: [Place: StrictFeedChange] = [:]
    private(set) var founded: [UInt64: StrictFounding] = [:]
    private(set) var violations: [String] = []
    private(set) var elections = 0
    private(set) var locks: [StrictLockChange] = []
    private(set) var events: [(node: NodeID, event: StrictEvent)] = []
    private var applied: [NodeID: LogIndex] = [:]
    /// After a recovery another group takes over what one node had.
    var mayHaveGroups = 1
    var group: UInt64 = 0

    mutating func violate(_ text: String) { if violations.count < 8 { violations.append(text) } }

    /// Equal states at equal indexes.
    mutating func note(_ node: StrictNode) {
        guard let group = node.founding.founded?.group, node.machine.appliedIndex > 0 else { return }
        let index = node.machine.appliedIndex
        guard applied[node.id] != index else { return }
        applied[node.id] = index
        let place = Place(group: group, number: index)
        let digest = node.machine.digest
        if let known = states[place], known != digest {
            violate("state-machine safety: \(node.id.low) has another state at \(index)")
        }
        states[place] = digest
    }

    mutating func note(_ event: StrictEvent, of id: NodeID, group: UInt64?) {
        if events.count < 10_000 { events.append((id, event)) }
        switch event {
        case .raft(.roleChanged(.leader, let term, _)):
            elections += 1
            let place = Place(group: group ?? 0, number: term)
            if let other = leaders[place], other != id {
                violate("election safety: \(id.low) and \(other.low) lead in term \(term)")
            }
            leaders[place] = id
        case .founded(let founding):
            if let known = founded[founding.group], known != founding { violate("\(founding) and \(known)") }
            founded[founding.group] = founding
            if founded.count > mayHaveGroups { violate("groups: \(founded.keys.sorted())") }
        case .lockChanged(let change): locks.append(change)
        case .raft, .foreignGroup, .unknownFormat, .recovered, .removed, .leaderHeard, .leaderSilent, .copiesCorrected:
            break
        }
    }

    /// - Returns: The number of the last one.
    mutating func note(_ changes: [StrictFeedChange], of id: NodeID, after last: UInt64?) -> UInt64? {
        var last = last
        for change in changes {
            // Numbers leave something out only where a snapshot took the place of entries.
            if let last, change.number <= last { violate("\(id.low) feeds \(change.number) after \(last)") }
            last = change.number
            let place = Place(group: group, number: change.number)
            if let known = feed[place], known != change { violate("\(id.low) feeds \(change), known is \(known)") }
            if let before = feed[Place(group: group, number: change.number - 1)], before.time > change.time {
                violate("the feed goes back in time at \(change)")
            }
            feed[place] = change
        }
        return last
    }

    /// How many numbers from 1 on were fed by somebody, without a gap.
    var fedThrough: UInt64 {
        var number: UInt64 = 0
        while feed[Place(group: group, number: number + 1)] != nil { number += 1 }
        return number
    }

    var fedCount: Int { feed.count }
}
