// SPDX-License-Identifier: Apache-2.0
// Owns what a link does to packets, and which links a scenario has changed.

import ClusterTypes

/// What one direction between two nodes does to what is sent over it.
package struct LinkSettings: Hashable, Sendable {
    /// The least time on the way. Default 200 us.
    package var delay: Interval
    /// Up to this much is added, uniformly; it reorders packets that are closer together than that. Default 100 us.
    package var jitter: Interval
    /// Probability that a datagram is lost; a lost piece of a stream is sent again. Default 0.
    package var loss: Double
    /// Probability that a datagram arrives twice. Default 0.
    package var duplication: Double
    /// Probability that a datagram takes up to `reorderDelay` longer. Default 0.
    package var reordering: Double
    /// Default 10 ms.
    package var reorderDelay: Interval
    /// Probability that one to four bytes of a datagram are changed. Default 0.
    package var corruption: Double

    package init() {
        delay = .microseconds(200)
        jitter = .microseconds(100)
        loss = 0
        duplication = 0
        reordering = 0
        reorderDelay = .milliseconds(10)
        corruption = 0
    }
}

/// One statement about links.
package enum LinkChange: Hashable, Sendable {
    case delay(Interval, jitter: Interval)
    case loss(Double)
    case duplication(Double)
    case reordering(Double, by: Interval)
    case corruption(Double)

    func apply(to settings: inout LinkSettings) {
        switch self {
        case .delay(let delay, let jitter):
            settings.delay = delay
            settings.jitter = jitter
        case .loss(let probability): settings.loss = probability
        case .duplication(let probability): settings.duplication = probability
        case .reordering(let probability, let delay):
            settings.reordering = probability
            settings.reorderDelay = delay
        case .corruption(let probability): settings.corruption = probability
        }
    }

    /// Whether both speak of the same property, so that the later one replaces the earlier.
    func hasSameKind(as other: LinkChange) -> Bool {
        switch (self, other) {
        case (.delay, .delay), (.loss, .loss), (.duplication, .duplication), (.reordering, .reordering),
            (.corruption, .corruption):
            true
        case (.delay, _), (.loss, _), (.duplication, _), (.reordering, _), (.corruption, _): false
        }
    }
}

/// A set of nodes by index.
package struct NodeMask: Hashable, Sendable {
    package private(set) var bits: [Bool]

    package init(_ members: [Int], count: Int) {
        bits = Array(repeating: false, count: count)
        for member in members { bits[member] = true }
    }

    package func contains(_ node: Int) -> Bool { bits[node] }
    package var members: [Int] { bits.indices.filter { bits[$0] } }
}

/// The settings of all links: a base, and exceptions in the order in which they were stated.
package struct LinkTable: Sendable {
    private struct Exception: Sendable {
        var from: NodeMask
        var to: NodeMask
        var change: LinkChange
    }

    private var base = LinkSettings()
    private var exceptions: [Exception] = []

    package init() {}

    package mutating func change(_ change: LinkChange) {
        change.apply(to: &base)
        exceptions.removeAll { $0.change.hasSameKind(as: change) }
    }

    package mutating func change(_ change: LinkChange, from: NodeMask, to: NodeMask) {
        exceptions.removeAll { $0.from == from && $0.to == to && $0.change.hasSameKind(as: change) }
        exceptions.append(Exception(from: from, to: to, change: change))
    }

    package func settings(from: Int, to: Int) -> LinkSettings {
        guard !exceptions.isEmpty else { return base }
        var settings = base
        for exception in exceptions where exception.from.contains(from) && exception.to.contains(to) {
            exception.change.apply(to: &settings)
        }
        return settings
    }
}
