// SPDX-License-Identifier: Apache-2.0
// Owns the sentinels: idle streams to the next members on the ring, whose end without a farewell is a hint.

import ClusterTypes
import SWIMCore

/// The members that this node watches, and when each stream is tried.
struct SentinelState: Sendable {
    struct Post: Sendable {
        let target: NodeID
        let address: Address
        var stream: StreamID?
        /// Attempts since the stream was last held for a while.
        var attempts = 0
        var dueAt: Instant
        var heldSince: Instant?
    }

    /// At most `KernelConfiguration.sentinels`.
    var posts: [Post] = []
    /// The version of the ring that the posts were taken from.
    var ringVersion: UInt64 = 0

    mutating func settle(_ target: NodeID, retryAt: Instant) {
        guard let index = posts.firstIndex(where: { $0.target == target }) else { return }
        posts[index].stream = nil
        posts[index].heldSince = nil
        posts[index].dueAt = retryAt
    }
}

/// Compares the two clocks: over a suspend of the machine the wall clock goes on and the monotonic one may not.
struct SuspendWatch: Sendable {
    var last: Clock?
}

extension NodeKernel {
    /// Sentinels of peers that are kept at most. Peers whose tables differ for a while may choose this node beside the two
    /// that stand before it on the ring.
    static let watchedMax = 8
    /// The first wait after a failure; each further one doubles it, up to the longest. Jittered by half.
    private static let sentinelRetryMin = Interval.seconds(1)
    private static let sentinelRetryMax = Interval.seconds(60)
    /// A new place on the ring is taken within this, so that a cluster that forms does not open and close streams at each
    /// arrival.
    private static let sentinelDelay = Interval.seconds(2)
    /// With fewer streams than this in all, none is spent on watching.
    private static let sentinelStreamsMin = 16
    /// A difference of the clocks above this is a suspend, or somebody has set the clock: either way a reason for doubt.
    private static let suspendMin = Interval.seconds(2)

    /// Once a period: chooses anew when the ring has changed, and opens what is due.
    mutating func keepSentinels(_ turn: inout Turn) {
        guard membership.isStarted, !membership.isLeaving, configuration.sentinels > 0,
            configuration.streamsMax >= Self.sentinelStreamsMin
        else { return }
        if sentinels.ringVersion != membership.table.ringVersion { choosePosts(&turn) }
        for index in sentinels.posts.indices
        where sentinels.posts[index].stream == nil && sentinels.posts[index].dueAt <= turn.now {
            let post = sentinels.posts[index]
            sentinels.posts[index].attempts += 1
            sentinels.posts[index].dueAt = nextSentinelTry(post.target, &turn)
            sentinels.posts[index].stream = open(
                .sentinel(target: post.target, isHeld: false), to: post.address, peer: post.target,
                timeout: configuration.swim.probeTimeout * 2, &turn)
        }
    }

    private mutating func choosePosts(_ turn: inout Turn) {
        sentinels.ringVersion = membership.table.ringVersion
        var posts: [SentinelState.Post] = []
        for distance in 1...configuration.sentinels {
            guard let target = membership.table.peer(at: distance), let member = membership.table[target],
                !posts.contains(where: { $0.target == target })
            else { continue }
            if let kept = sentinels.posts.first(where: { $0.target == target && $0.address == member.info.address }) {
                posts.append(kept)
            } else {
                let dueAt = turn.now + Self.sentinelDelay * turn.rng.fraction()
                posts.append(SentinelState.Post(target: target, address: member.info.address, dueAt: dueAt))
            }
        }
        let kept = posts.compactMap(\.stream)
        for post in sentinels.posts {
            guard let stream = post.stream, !kept.contains(stream) else { continue }
            sayFarewell(on: stream, &turn)
        }
        sentinels.posts = posts
    }

    /// When the stream to `target` is tried after the present attempt.
    mutating func nextSentinelTry(_ target: NodeID, _ turn: inout Turn) -> Instant {
        let attempts = sentinels.posts.first { $0.target == target }?.attempts ?? 0
        let wait = min(Self.sentinelRetryMax, Self.sentinelRetryMin * (1 << max(0, min(attempts - 1, 10))))
        return turn.now + turn.rng.jittered(wait, spread: 0.5)
    }

    /// The other end agrees to hold a stream of ours, asks to hold one of its own, or closes one.
    mutating func onSentinel(_ sentinel: Sentinel, on id: StreamID, from sender: NodeID, _ turn: inout Turn) {
        guard let stream = streams[id] else { return }
        switch (sentinel, stream.role) {
        case (.hold, .sentinel(let target, isHeld: false)):
            guard sender == target else { return sayFarewell(on: id, &turn) }
            streams[id]?.role = .sentinel(target: target, isHeld: true)
            if let index = sentinels.posts.firstIndex(where: { $0.stream == id }) {
                sentinels.posts[index].heldSince = turn.now
            }
            statistics.sentinelsHeld += 1
            turn.actions.append(.keepStream(id))
        case (.hold, .accepted):
            watch(id, for: sender, &turn)
        case (.farewell, .sentinel(let target, _)):
            close(id, &turn)
            sentinels.settle(target, retryAt: nextSentinelTry(target, &turn))
        case (.farewell, .watched):
            close(id, &turn)
        case (.farewell, .strict), (.farewell, .strictPeer):
            onStrictFarewell(on: id, &turn)
        case (.hold, _), (.farewell, _):
            ignore(.unexpected, from: stream.address, &turn)
        }
    }

    /// A member asks to be watched, and to watch, over this stream. An older one of its own is of no more use.
    private mutating func watch(_ id: StreamID, for peer: NodeID, _ turn: inout Turn) {
        var others = 0
        for (other, stream) in streams.sorted(by: { $0.key < $1.key }) {
            guard case .watched = stream.role else { continue }
            if stream.peer == peer { sayFarewell(on: other, &turn) } else { others += 1 }
        }
        guard membership.table[peer]?.state.isActive == true, others < Self.watchedMax,
            configuration.streamsMax >= Self.sentinelStreamsMin
        else { return sayFarewell(on: id, &turn) }
        streams[id]?.role = .watched
        statistics.sentinelsHeld += 1
        turn.actions.append(.keepStream(id))
        write([.sentinel(.hold)], to: id, &turn)
    }

    /// A stream of ours is over, or did not come about. A refused connect and a held stream that broke are hints.
    mutating func sentinelEnded(
        _ id: StreamID, target: NodeID, isHeld: Bool, _ reason: StreamEnd, _ turn: inout Turn
    ) {
        if let index = sentinels.posts.firstIndex(where: { $0.stream == id }) {
            if let since = sentinels.posts[index].heldSince, turn.now - since > Self.sentinelRetryMax {
                sentinels.posts[index].attempts = 0
            }
            sentinels.settle(target, retryAt: nextSentinelTry(target, &turn))
        }
        switch reason {
        case .refused: hint(about: target, &turn)
        case .finished, .reset, .unsealed, .timedOut: if isHeld { hint(about: target, &turn) }
        case .unreachable, .invalid, .localLimit: break
        }
    }

    mutating func watchedStreamEnded(of peer: NodeID, _ reason: StreamEnd, _ turn: inout Turn) {
        switch reason {
        case .finished, .reset, .unsealed, .timedOut: hint(about: peer, &turn)
        case .refused, .unreachable, .invalid, .localLimit: break
        }
    }

    private mutating func hint(about id: NodeID, _ turn: inout Turn) {
        statistics.sentinelsBroken += 1
        membership.onHint(.streamEnded, about: id, clock: turn.clock, into: &swimActions)
        carryOutMembership(&turn)
    }

    /// Ends a sentinel, at either end of it, in order.
    private mutating func sayFarewell(on id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id] else { return }
        if stream.isOpen { write([.sentinel(.farewell)], to: id, &turn) }
        close(id, &turn)
    }

    /// This process ends: whoever watches it must not take the end of the streams for its death.
    mutating func closeSentinels(_ turn: inout Turn) {
        for (id, stream) in streams.sorted(by: { $0.key < $1.key }) {
            switch stream.role {
            case .sentinel, .watched: sayFarewell(on: id, &turn)
            case .probe, .memberSync, .storeSync, .pull, .comparison, .reset, .tellFloor, .ringSync, .examination,
                .strict, .strictPeer, .accepted:
                break
            }
        }
        sentinels.posts.removeAll()
    }

    /// This host was deaf or late: membership is told before it hears whose answers are missing.
    mutating func onLocalTrouble(_ trouble: LocalTrouble, _ turn: inout Turn) {
        membership.onLocalTrouble(trouble, clock: turn.clock, into: &swimActions)
        carryOutMembership(&turn)
        if case .late = trouble { reportStall(&turn) }
    }

    /// Looks at both clocks before a timer of membership is handled.
    mutating func watchForSuspend(_ turn: inout Turn) {
        defer { suspendWatch.last = turn.clock }
        guard let last = suspendWatch.last else { return }
        let wall = Interval.milliseconds(
            Int(clamping: Int64(clamping: turn.clock.wall.milliseconds) - Int64(clamping: last.wall.milliseconds)))
        let jump = wall - (turn.now - last.now)
        if jump > Self.suspendMin { onLocalTrouble(.suspended(jump), &turn) }
    }
}
