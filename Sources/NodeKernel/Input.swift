// SPDX-License-Identifier: Apache-2.0
// Owns everything that can happen to a kernel. Nothing else reaches it; time and randomness come beside it.

import ClusterTypes
import SWIMCore
import StrictGroup

/// One input of the kernel.
package enum Input: Sendable {
    /// The first input: the sockets are bound, the identity is durable.
    case start
    /// A datagram was received and decoded.
    case packet(Packet, from: Address)
    /// A timer set by an action fired.
    case timer(TimerToken)
    /// The peer's host has taken the connection of a stream that the kernel opened, and the peer itself has yet to prove its
    /// key. Sealed streams only: a plain one is open at once. A process that stands still gets this far and no further.
    case streamConnected(StreamID)
    /// A stream that the kernel opened is connected.
    case streamOpened(StreamID, isSealed: Bool = false)
    /// A peer opened a stream.
    case streamAccepted(StreamID, from: Address, isSealed: Bool = false)
    /// A frame arrived on a stream.
    case streamPacket(StreamID, Packet)
    /// A stream ended, for whatever reason; sent once for each stream, not after the kernel's own `closeStream`.
    case streamClosed(StreamID, StreamEnd)
    /// This host could not send a datagram (EPERM, ENOBUFS, no route...). It says nothing about the peer.
    case sendFailed(to: Address)
    /// A datagram of ours to this address was refused: ICMP port unreachable. Anybody can forge it.
    case refused(Address)
    /// Something is wrong with this host that its peers are not to blame for.
    case localTrouble(LocalTrouble)
    /// The process is about to end without leaving: a restart, or a stop that is not to look like a leave. Peers that watch
    /// it are told, so that they do not take the end of their streams for a death.
    case stopping
    /// The records of this token are durable.
    case persisted(PersistToken)
    /// The strict log's disk has done what it was asked.
    case strict(StrictDiskResult)
    /// The disk's condition has changed. `persisted` comes for every token all the same, sooner or later.
    case storage(StorageCondition)
    /// The answer to `Action.resolve`; empty when the name did not resolve.
    case resolved(seed: String, [Address])
    /// A client or the daemon itself asks; answered by exactly one `Action.reply` with the same id.
    case command(CommandID, Command)
    /// Calls of the strict group that came together, each answered as if it had come by itself.
    case calls([StrictAsked])
}

/// One of several calls of the strict group; its answer has this id.
package struct StrictAsked: Sendable {
    package var id: CommandID
    package var call: StrictCall
    /// How long its client waits.
    package var within: Interval
    /// Of a read of one entry: the answer is `Reply.strictEntry`.
    package var tellsTime: Bool

    package init(id: CommandID, call: StrictCall, within: Interval, tellsTime: Bool = false) {
        self.id = id
        self.call = call
        self.within = within
        self.tellsTime = tellsTime
    }
}

/// How the disk under the store is doing.
package enum StorageCondition: Hashable, Sendable {
    case ok
    /// There is no room: nothing becomes durable until there is. What waits is tried again and again.
    case full
    /// A commit has been under way for longer than `KernelConfiguration.slowDiskAfter`.
    case slow
}

/// A stream, named by whoever created it: even numbers are the kernel's, odd ones the driver's (accepted streams).
package struct StreamID: Hashable, Comparable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: StreamID, b: StreamID) -> Bool { a.rawValue < b.rawValue }
}

/// Why a stream ended.
package enum StreamEnd: UInt8, Hashable, Sendable, CaseIterable {
    /// The peer closed it in order.
    case finished
    /// Nobody listens at the address: the host is up, the process is not.
    case refused
    /// The connect or the stream took too long.
    case timedOut
    /// No route, network or host unreachable.
    case unreachable
    /// Broken off by the peer or the network.
    case reset
    /// The peer took the connection and broke it off instead of agreeing on a key.
    case unsealed
    /// The peer sent what does not decode, or too much.
    case invalid
    /// This host has no stream left to give.
    case localLimit
}

package struct PersistToken: Hashable, Comparable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: PersistToken, b: PersistToken) -> Bool { a.rawValue < b.rawValue }
}

package struct CommandID: Hashable, Comparable, Sendable {
    package var rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package static func < (a: CommandID, b: CommandID) -> Bool { a.rawValue < b.rawValue }
}

/// Names a timer. Timers are not cancelled: the kernel ignores those that no longer mean anything.
package enum TimerToken: Hashable, Sendable {
    case swim(SWIMTimer)
    /// Updates wait for their next round of gossip.
    case gossip(generation: UInt64)
    /// Try the seeds that have not answered.
    case join(generation: UInt64)
    /// Start the synchronisations that are due.
    case sync(generation: UInt64)
    /// A stream has made no progress for too long. One at a time for each stream, set anew when it fires.
    case streamIdle(StreamID)
    /// The peers to remember are written again. One at a time, set anew when it fires.
    case rememberPeers
    /// The next value expires. One at a time; stale ones find nothing to do.
    case expiry
    /// The next step of collection. One at a time, set anew when it fires.
    case collection
    /// A client waits for confirmations, or for a comparison of stores: ask again, or give up.
    case confirm(CommandID)
    /// The next batch of a repair may be sent.
    case repairPace(StreamID)
    /// Peers that are examined have had their time to answer.
    case examination
    /// User events are missing: ask for them, or give them up.
    case userEvents(generation: UInt64)
    /// Keys may have had their time. One at a time, set anew when it fires.
    case ring
    /// The strict group's next deadline, or the next attempt to reach one of its members.
    case strict(generation: UInt64)
}
