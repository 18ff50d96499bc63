// SPDX-License-Identifier: Apache-2.0
// Owns the lengths of the kernel's queues and tables, for metrics.

import ClusterTypes
import SWIMCore

/// How much waits or is remembered; each has a bound where it is kept.
package struct QueueLengths: Hashable, Sendable {
    /// Claims about members that wait to be gossiped.
    package var memberUpdates = 0
    /// Changes of the store that wait to be gossiped.
    package var storeChanges = 0
    /// Batches for the disk that are not durable yet.
    package var writes = 0
    package var probes = 0
    /// Pings under way for other nodes.
    package var relayedPings = 0
    package var suspicions = 0
    package var streams = 0
    /// Events of large rows that are to be fetched.
    package var pulls = 0
    /// Transactions of peers whose rest has not come.
    package var transactions = 0
    /// Clients that wait until a write is held by others.
    package var confirmations = 0
    package var joins = 0
    /// Entries that `member explain` can show.
    package var timeline = 0
    /// Peers whose place in the space of round trips is known.
    package var places = 0
}

extension NodeKernel {
    var queueLengths: QueueLengths {
        var lengths = QueueLengths()
        lengths.memberUpdates = membership.queue.count
        lengths.storeChanges = storeQueue.count
        lengths.writes = pendingWrites.count
        lengths.probes = membership.probesInFlight
        lengths.relayedPings = membership.relayedInFlight
        lengths.suspicions = membership.table.count(of: .suspect)
        lengths.streams = streams.count
        lengths.pulls = pulls.wanted.count
        lengths.transactions = transactions.count
        lengths.confirmations = confirmations.clients.count
        lengths.joins = joins.count
        lengths.timeline = timeline.count
        lengths.places = places.peers.count
        return lengths
    }
}
