// SPDX-License-Identifier: Apache-2.0
// Owns whom to probe or gossip to next: a shuffled round, so that each member's turn comes within a bounded time.

import ClusterTypes

/// Round-robin over a shuffled list (SWIM section 4.3).
///
/// SWIM shuffles each round anew, and a member may then wait for two rounds. Probing keeps the order it once drew, so that
/// the wait is one round; gossip, for which chance is the point, draws anew.
package struct ProbeOrder: Sendable {
    private var order: [NodeID] = []
    private var next = 0
    private let keepsOrder: Bool

    package init(keepsOrder: Bool) { self.keepsOrder = keepsOrder }

    /// A new member takes a random place in the whole round. In what is left of it, the turns that all nodes give to a
    /// member that has just come would lie close together, and stay so.
    package mutating func insert(_ id: NodeID, using rng: inout SeededGenerator) {
        let place = rng.index(below: order.count + 1)
        order.insert(id, at: place)
        if place < next { next += 1 }
    }

    /// A member that is active again keeps its place, or takes one: the round of a flapping member must not grow.
    package mutating func reinsert(_ id: NodeID, using rng: inout SeededGenerator) {
        if !order.contains(id) { insert(id, using: &rng) }
    }

    /// The next member that is active and `isWanted`; nil when there is none.
    package mutating func advance(
        in table: MemberTable, using rng: inout SeededGenerator, where isWanted: (NodeID) -> Bool
    ) -> NodeID? {
        var restarts = 0
        while true {
            while next < order.count {
                let id = order[next]
                next += 1
                if let member = table[id], member.state.isActive, id != table.selfID, isWanted(id) { return id }
            }
            guard restarts < 1 else { return nil }
            restarts += 1
            beginRound(table.activePeers, using: &rng)
        }
    }

    private mutating func beginRound(_ active: [NodeID], using rng: inout SeededGenerator) {
        next = 0
        guard keepsOrder else {
            order = active.shuffled(using: &rng)
            return
        }
        var missing = Set(active)
        order = order.filter { missing.remove($0) != nil }
        // In the order of the table, as the order of a Set must not matter.
        for id in active where missing.contains(id) { insert(id, using: &rng) }
    }
}
