// SPDX-License-Identifier: Apache-2.0
// Owns what a node is told of sealing: its keys, and whether plain packets are taken.

import Sealing

/// Keys and rule of a node; they can change while it runs.
package struct SealSettings: Sendable {
    /// The first one is the primary, the one to seal with; none: everything is plain.
    package var keys: [ClusterKey]
    /// Whether plain packets are taken beside sealed ones; without keys they always are.
    package var acceptsPlain: Bool

    package init(keys: [ClusterKey] = [], acceptsPlain: Bool = false) {
        self.keys = keys
        self.acceptsPlain = acceptsPlain
    }

    package var requiresSeal: Bool { !keys.isEmpty && !acceptsPlain }
}
