// SPDX-License-Identifier: Apache-2.0
// Owns which node can reach which: partitions, cuts and isolated nodes.

import ClusterTypes

/// The barriers that stand in the network now. A barrier that stands twice must fall twice.
package struct Topology: Hashable, Sendable {
    /// Something that packets do not pass.
    package enum Barrier: Hashable, Sendable {
        /// Group of each node; packets stay within a group. -1: not mentioned, not affected.
        case partition([Int32])
        /// From the first set nothing reaches the second.
        case cut(from: NodeMask, to: NodeMask)
        /// The set reaches nobody outside itself and nobody reaches it.
        case isolation(NodeMask)

        func blocks(from: Int, to: Int) -> Bool {
            switch self {
            case .partition(let group): group[from] >= 0 && group[to] >= 0 && group[from] != group[to]
            case .cut(let sources, let targets): sources.contains(from) && targets.contains(to)
            case .isolation(let nodes): nodes.contains(from) != nodes.contains(to)
            }
        }
    }

    package private(set) var barriers: [Barrier] = []

    package init() {}

    package mutating func raise(_ barrier: Barrier) { barriers.append(barrier) }

    package mutating func lower(_ barrier: Barrier) {
        if let index = barriers.firstIndex(of: barrier) { barriers.remove(at: index) }
    }

    package mutating func heal() { barriers = [] }

    package func blocks(from: Int, to: Int) -> Bool {
        for barrier in barriers where barrier.blocks(from: from, to: to) { return true }
        return false
    }

    /// Whether two nodes can talk both ways, by themselves or through one relay out of `relays`.
    package func connects(_ a: Int, _ b: Int, relays: [Bool]) -> Bool {
        if barriers.isEmpty || talks(a, b) { return true }
        for relay in relays.indices where relays[relay] && relay != a && relay != b {
            if talks(a, relay), talks(relay, b) { return true }
        }
        return false
    }

    private func talks(_ a: Int, _ b: Int) -> Bool { !blocks(from: a, to: b) && !blocks(from: b, to: a) }
}
