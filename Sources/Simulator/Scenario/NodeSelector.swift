// SPDX-License-Identifier: Apache-2.0
// Owns how a scenario names nodes, and which nodes that are in a cluster of a given size.

import ClusterTypes

/// Nodes as a scenario writes them; n1 is the first.
package enum NodeSelector: Hashable, Sendable {
    /// `n1`, `1-25`, `n1,n4,n7-n9`: ranges of numbers counted from 1.
    case numbers([ClosedRange<Int>])
    case all
    /// `first 50%` or `first 3`.
    case first(Amount)
    case last(Amount)
    /// `random`, `random 3`, `random 20%`: among those that run at that moment.
    case random(Amount)

    package enum Amount: Hashable, Sendable {
        case count(Int)
        case percent(Double)

        /// At least one of `total`, unless that is 0.
        func of(_ total: Int) -> Int {
            switch self {
            case .count(let count): min(count, total)
            case .percent(let percent): min(total, max(1, Int((Double(total) * percent / 100).rounded())))
            }
        }

        /// Rounded the other way, so that the first and the last 50 % never overlap.
        func ofLast(_ total: Int) -> Int {
            switch self {
            case .count: of(total)
            case .percent(let percent): max(1, total - Int((Double(total) * (100 - percent) / 100).rounded()))
            }
        }
    }

    /// The indices (from 0) of the nodes meant, ascending; `random` is drawn among `running`.
    ///
    /// Throws the reason when a node does not exist in a cluster of `count` nodes.
    package func resolve(
        count: Int, running: [Int], using rng: inout SeededGenerator
    ) throws(NodeSelectorFailure) -> [Int] {
        switch self {
        case .all: return Array(0..<count)
        case .first(let amount): return Array(0..<amount.of(count))
        case .last(let amount): return Array((count - amount.ofLast(count))..<count)
        case .random(let amount):
            var candidates = running
            var chosen: [Int] = []
            for _ in 0..<amount.of(candidates.count) {
                chosen.append(candidates.remove(at: rng.index(below: candidates.count)))
            }
            return chosen.sorted()
        case .numbers(let ranges):
            var chosen: [Int] = []
            for range in ranges {
                guard range.upperBound <= count else {
                    throw NodeSelectorFailure(number: range.upperBound, count: count)
                }
                chosen += range.map { $0 - 1 }
            }
            return chosen.sorted()
        }
    }

    /// The highest number that is named; 0 when none is.
    package var highestNumber: Int {
        if case .numbers(let ranges) = self { return ranges.map(\.upperBound).max() ?? 0 }
        return 0
    }

    package var isRandom: Bool {
        if case .random = self { return true }
        return false
    }
}

/// A scenario names a node that the cluster does not have.
package struct NodeSelectorFailure: Error, Hashable, Sendable {
    package var number: Int
    package var count: Int

    package var reason: String { "n\(number) does not exist in a cluster of \(count) nodes" }
}
