// SPDX-License-Identifier: Apache-2.0
// Owns local health awareness: how far this node trusts its own judgement.

import ClusterTypes

/// Lifeguard's local health multiplier (arXiv 1707.00788 section IV-A): a node that misses what it should hear
/// suspects itself first and gives its peers more time.
package struct Awareness: Hashable, Sendable {
    /// 0 (healthy) ... `max`.
    package private(set) var score = 0
    private let max: Int

    package init(max: Int) { self.max = max }

    /// Adds `delta`, within 0...max; returns the former score when it changed.
    package mutating func add(_ delta: Int) -> Int? {
        let former = score
        score = Swift.min(max, Swift.max(0, score + delta))
        return former == score ? nil : former
    }

    /// `interval * (score + 1)`.
    package func scale(_ interval: Interval) -> Interval { interval * (score + 1) }
}
