// SPDX-License-Identifier: Apache-2.0
// Owns the node as a deterministic state machine: one input in, actions out.

import ClusterTypes
import SWIMCore
import StoreCore

/// Membership, store and client commands composed into one machine without I/O, clock or randomness of its own.
///
/// The daemon and the simulator drive the same kernel: each input is handed to `handle` with both clocks and a
/// generator, and the actions are carried out in order. Equal inputs give equal actions.
package struct NodeKernel: Sendable {
    package let configuration: KernelConfiguration

    package init(configuration: KernelConfiguration, identity: KernelIdentity) {
        self.configuration = configuration
    }

    /// Handles one input. Appends to `actions`, which the caller may reuse between calls.
    package mutating func handle(
        _ input: Input, clock: Clock, using rng: inout SeededGenerator, into actions: inout [Action]
    ) {
    }

    /// Traps with the state when an invariant of the kernel or of a core is broken; the simulator calls it.
    package func checkInvariants() {}
}
