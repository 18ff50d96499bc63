// SPDX-License-Identifier: Apache-2.0
// Owns whom to probe or gossip to next: a shuffled round, so that each member's turn comes within a bounded time.

import ClusterTypes

/// Round-robin over a shuffled list (SWIM section 4.3).
///
/// SWIM shuffles each round anew, and a member may then wait for two rounds. Probing keeps the order it once drew, so that
/// the wait is one round; gossip, for which chance is the point, draws anew.
package struct ProbeOrder: Sendable {
    /// Row numbers of the table: 4 bytes for each member. `gone` where a member was removed.
    private var order: [Int32] = []
    private var next = 0
    private let keepsOrder: Bool

    private static let gone: Int32 = -1

    package init(keepsOrder: Bool) { self.keepsOrder = keepsOrder }

    /// A new member takes a random place in the whole round. In what is left of it, the turns that all nodes give to a
    /// member that has just come would lie close together, and stay so.
    package mutating func insert(_ id: NodeID, in table: MemberTable, using rng: inout SeededGenerator) {
        guard let row = table.row(of: id) else { preconditionFailure("no member \(id) to probe") }
        insert(Int32(row), using: &rng)
    }

    private mutating func insert(_ row: Int32, using rng: inout SeededGenerator) {
        let place = rng.index(below: order.count + 1)
        order.insert(row, at: place)
        if place < next { next += 1 }
    }

    /// A member that is active again keeps its place, or takes one: the round of a flapping member must not grow.
    package mutating func reinsert(_ id: NodeID, in table: MemberTable, using rng: inout SeededGenerator) {
        guard let row = table.row(of: id) else { preconditionFailure("no member \(id) to probe") }
        if !order.contains(Int32(row)) { insert(Int32(row), using: &rng) }
    }

    /// The table has removed a row and put its last one there.
    package mutating func follow(removed gone: Int, moved: Int) {
        for place in order.indices {
            if order[place] == Int32(gone) {
                order[place] = Self.gone
            } else if order[place] == Int32(moved) {
                order[place] = Int32(gone)
            }
        }
    }

    /// The next member that is active and `isWanted`; nil when there is none.
    package mutating func advance(
        in table: MemberTable, using rng: inout SeededGenerator, where isWanted: (NodeID) -> Bool
    ) -> NodeID? {
        var restarts = 0
        while true {
            while next < order.count {
                let row = order[next]
                next += 1
                guard row != Self.gone, table.isActive(at: Int(row)) else { continue }
                let id = table.id(at: Int(row))
                if id != table.selfID, isWanted(id) { return id }
            }
            guard restarts < 1 else { return nil }
            restarts += 1
            beginRound(table, using: &rng)
        }
    }

    private mutating func beginRound(_ table: MemberTable, using rng: inout SeededGenerator) {
        next = 0
        // Who begins with a full table draws all places at once.
        guard keepsOrder, !order.isEmpty else {
            order = table.activeRows.shuffled(using: &rng)
            return
        }
        var isMissing = [Bool](repeating: false, count: table.count)
        for row in table.activeRows { isMissing[Int(row)] = true }
        order = order.filter { row in
            guard row != Self.gone, isMissing[Int(row)] else { return false }
            isMissing[Int(row)] = false
            return true
        }
        for row in table.activeRows where isMissing[Int(row)] { insert(row, using: &rng) }
    }

    /// Traps when a place names no row.
    package func checkInvariants(_ table: MemberTable) {
        for row in order { precondition((Self.gone..<Int32(table.count)).contains(row), "no row \(row) to probe") }
    }
}
