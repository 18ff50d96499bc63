// SPDX-License-Identifier: Apache-2.0
// Owns what a driver needs from the daemon around it.

import ClusterTypes
import NodeKernel
import Sealing

/// The daemon's side of a driver. All calls come on the event loop, in order, and must not block.
package protocol KernelHost: Sendable {
    /// Make the records durable, in order and atomically, then call `completed` once, from any thread. If storage
    /// fails, do not call it: the node must not go on.
    func persist(_ records: [DurableRecord], completed: @escaping @Sendable () -> Void)
    /// Called once, before anything else: from now on say through `changed`, from any thread, when the disk's condition
    /// changes.
    func watchStorage(_ changed: @escaping @Sendable (StorageCondition) -> Void)
    /// Something happened; `clock` is when.
    func report(_ event: KernelEvent, clock: Clock)
    /// Packets or a stream from there were refused for their seal; rarely, the counters have them all.
    func refused(_ refusal: SealRefusal, from source: Address, clock: Clock)
    /// The node has left the cluster: nothing more will be sent.
    func left(_ outcome: LeaveOutcome)
}
