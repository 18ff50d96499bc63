// SPDX-License-Identifier: Apache-2.0
// Owns the causal context: exactly which events a node has seen, as a version vector and a dot cloud.

import ClusterTypes

/// A set of dots: per actor a contiguous prefix 1...n (version vector) and single dots beyond it (dot cloud).
///
/// Dots move from the cloud into the vector as soon as the gap before them is filled (Almeida, Shoker and Baquero,
/// "Delta state replicated data types", 2018, section 7.2).
package struct CausalContext: Hashable, Sendable {
    /// One actor's part, for the codec: `contiguous` covers 1...contiguous; `cloud` is sorted and lies beyond it + 1.
    package struct Entry: Hashable, Sendable {
        package var actor: ActorID
        package var contiguous: UInt64
        package var cloud: [UInt64]

        package init(actor: ActorID, contiguous: UInt64, cloud: [UInt64]) {
            self.actor = actor
            self.contiguous = contiguous
            self.cloud = cloud
        }
    }

    /// Sorted by actor, each actor once, none empty.
    package private(set) var entries: [Entry]

    package init() { entries = [] }
}
