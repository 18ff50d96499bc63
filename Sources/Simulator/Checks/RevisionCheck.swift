// SPDX-License-Identifier: Apache-2.0
// Owns the check that a node's revision never goes backwards, not even over restarts.

/// Watches the revisions that watchers are told: each is higher than all before, durable, and known after a restart.
package struct RevisionCheck: Sendable {
    private var last: [UInt64]
    package private(set) var violations = Violations()

    package init(nodes: Int) { last = Array(repeating: 0, count: nodes) }

    /// A watcher at `node` was told of `revision`; the node's disk has confirmed revisions up to `durable`.
    package mutating func told(_ revision: UInt64, durable: UInt64, node: Int) {
        if revision <= last[node] {
            violations.add("n\(node + 1) told revision \(revision) after \(last[node])")
        }
        if revision > durable {
            violations.add("n\(node + 1) told revision \(revision) before its disk confirmed it")
        }
        last[node] = max(last[node], revision)
    }

    /// A new process of `node` goes on from `revision`.
    package mutating func recovered(_ revision: UInt64, node: Int) {
        guard revision < last[node] else { return }
        violations.add("n\(node + 1) goes on from revision \(revision) after it had told \(last[node])")
    }

    /// The node's disk is another one: nobody can know what was told.
    package mutating func diskReplaced(of node: Int) { last[node] = 0 }
}
