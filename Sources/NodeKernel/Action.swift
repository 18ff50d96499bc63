// SPDX-License-Identifier: Apache-2.0
// Owns everything a kernel asks of its driver.

import ClusterTypes
import SWIMCore
import StoreCore

/// One output of the kernel. A driver carries actions out in order.
///
/// Durability: what depends on a record is emitted only after `Input.persisted` came back for its token, so a driver
/// may send, reply and publish whatever it is handed at once.
package enum Action: Sendable {
    /// Send one datagram; it fits into the configured size.
    case send(Packet, to: Address)
    /// Connect; answer with `streamOpened` or `streamClosed` no later than `timeout`.
    case openStream(StreamID, to: Address, timeout: Interval)
    /// Write one frame. Ignored when the stream is gone.
    case writeStream(StreamID, Packet)
    /// Write one frame when little else is on its way: frames that are written later may overtake it, and when too much waits for
    /// the stream it is given up without a word. For what is large and is asked for again when it does not come.
    case offerStream(StreamID, Packet)
    /// Close after everything written before is flushed; what was offered and waits is given up. No further input about this stream is expected.
    case closeStream(StreamID)
    /// The stream may stay open without a byte for as long as both ends like: no idle timeout. Ignored when it is gone.
    case keepStream(StreamID)
    /// Hand `token` back at `at` or as soon as possible after it.
    case setTimer(TimerToken, at: Instant)
    /// Make the records durable atomically: all of them or none. Then answer `persisted(token)`.
    ///
    /// Order: what one `persist` wrote is durable before what a later one wrote, and the answers come in the order of the
    /// requests. Tokens grow. The kernel relies on it: an adopted context is written after the rows that it speaks of, and
    /// a batch of rows is sent once the last write before it is answered.
    case persist(PersistToken, [DurableRecord])
    /// For the disk of the strict log: in order among themselves, and independent of `persist`.
    case strict(StrictDiskAction)
    /// Seal and open with the keys of this ring from now on: it is durable.
    case ringChanged(RingBytes)
    /// Resolve a seed `HOST:PORT` and answer `resolved`.
    case resolve(seed: String)
    case reply(CommandID, Reply)
    case event(KernelEvent)
    /// The node has left the cluster: nothing more will be sent, the driver may stop.
    case stopped(LeaveOutcome)
    /// An older process with this node's id lives at this address: this one is to end without a word.
    case refused(doubleAt: Address)
}

/// What a kernel makes durable.
package enum DurableRecord: Hashable, Sendable {
    /// No incarnation up to this one is used again by a later process.
    case incarnationFence(UInt64)
    /// Where to look for the cluster after a restart, in order of preference; replaces the former list.
    case peers([RememberedPeer])
    /// A fact about the configuration store.
    case store(StoreRecord)
    /// The ring of keys; replaces the former one.
    case ring(RingBytes)
}

/// A peer to try after a restart.
package struct RememberedPeer: Hashable, Sendable {
    package var id: NodeID
    package var name: String
    package var address: Address
    /// Its key as it is pinned; nil: it was never heard signing.
    package var key: AuthorKey?

    package init(id: NodeID, name: String, address: Address, key: AuthorKey? = nil) {
        self.key = key
        self.id = id
        self.name = name
        self.address = address
    }
}

/// How leaving went.
package struct LeaveOutcome: Hashable, Sendable {
    /// Peers that acknowledged it.
    package var acknowledged: Int
    /// Peers that were asked.
    package var asked: Int

    package init(acknowledged: Int, asked: Int) {
        self.acknowledged = acknowledged
        self.asked = asked
    }

    /// A majority of those asked knows.
    package var isQuorum: Bool { acknowledged * 2 > asked || asked == 0 }
}
