// SPDX-License-Identifier: Apache-2.0
// Owns how one piece of news arrived, node by node.

import ClusterTypes

/// The way of one write or member update to the other nodes.
package struct SpreadCurve: Sendable {
    package enum Kind: Sendable {
        case write
        case update
    }

    package var kind: Kind
    package var at: Interval
    /// From then until each node had it, in the order of arrival.
    package var arrivals = Samples()

    /// Curves of each kind that are kept; later news is counted in the figures alone.
    package static let keptMax = 40
}
