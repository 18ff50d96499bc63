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
    /// Have the strict log's disk do this, in the order of the calls, then call `completed` once with its answer, from any
    /// thread; `compact` has none. If the disk fails, do not call it: the node must not go on.
    func perform(_ action: StrictDiskAction, completed: @escaping @Sendable (StrictDiskResult) -> Void)
    /// Called once, before anything else: from now on say through `changed`, from any thread, when the disk's condition
    /// changes.
    func watchStorage(_ changed: @escaping @Sendable (StorageCondition) -> Void)
    /// Something happened; `clock` is when.
    func report(_ event: KernelEvent, clock: Clock)
    /// Packets or a stream from there were refused for their seal; rarely, the counters have them all.
    func refused(_ refusal: SealRefusal, from source: Address, clock: Clock)
    /// The node seals and opens with the keys of this ring from now on. Its keys belong into no text.
    func ringChanged(_ ring: KeyRing, clock: Clock)
    /// The node has left the cluster: nothing more will be sent.
    func left(_ outcome: LeaveOutcome)
    /// An older process with this node's id lives at `address`: nothing more will be sent, this process is to end.
    func refused(doubleAt address: Address)
}
