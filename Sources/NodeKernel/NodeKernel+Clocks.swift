// SPDX-License-Identifier: Apache-2.0
// Owns the comparison of wall clocks: offsets measured on acks, and whether this host is the outlier.

import ClusterTypes
import SWIMCore
import StoreCore

/// What is known of the others' clocks.
struct ClockState: Sendable {
    /// A peer's wall clock less our monotonic one, in milliseconds: a jump of our own wall clock does not spoil it.
    struct Sample: Hashable, Sendable {
        var base: Int64
        var at: Instant
    }

    /// At most `Bounds.membersMax`.
    var samples: [NodeID: Sample] = [:]
    /// Set while most others disagree with this host's clock by more than is allowed: milliseconds ahead of them.
    var outlierOffset: Int64?
    /// Ours ahead of the median of the others, in milliseconds; nil while fewer than two are known.
    var offset: Int64?
    /// Stamps from the future in our own store were reported.
    var hasReportedOwnStamps = false
    /// Set while the node lives with stamps from the future in its own store.
    var resignation: Resignation?

    /// No peer could bring our hybrid clock back to the present.
    struct Resignation: Hashable, Sendable {
        /// Our clock then: well beyond it, it is tried again.
        var seen: HybridTimestamp
        /// The peers have these stamps too, as far as is known: there is nothing to try again.
        var isShared: Bool
        var at: Instant
    }

    /// A measurement counts for at least so long.
    static let retention = Interval.seconds(300)
    /// After so long, peers that could not help are asked again.
    static let resignationInterval = Interval.seconds(600)
    /// Clocks known before one is called the outlier.
    static let peersMin = 2
}

extension NodeKernel {
    /// A peer answered a ping of ours directly and told its wall clock.
    mutating func onClockSample(_ peer: NodeID, wall: UInt64, roundTrip: Interval, _ turn: inout Turn) {
        let skew = Int64(store.configuration.clockSkewMaxMilliseconds)
        // Half the round trip is the error; one that is too long tells nothing.
        guard roundTrip.nanoseconds >= 0, roundTrip.nanoseconds / 1_000_000 <= skew,
            clocks.samples[peer] != nil || clocks.samples.count < Bounds.membersMax
        else { return }
        let wall = Int64(clamping: min(wall, HybridClock.wallMax.milliseconds))
        let base = wall + roundTrip.nanoseconds / 2_000_000 - turn.now.nanoseconds / 1_000_000
        clocks.samples[peer] = ClockState.Sample(base: base, at: turn.now)
        judgeClock(&turn)
    }

    /// Outlier when more than half of those known differ in one direction by more than is allowed; not any more when
    /// that no longer holds for half of what is allowed.
    mutating func judgeClock(_ turn: inout Turn) {
        let retention = max(ClockState.retention, configuration.swim.probeInterval * 10)
        if clocks.samples.values.contains(where: { turn.now - $0.at > retention }) {
            clocks.samples = clocks.samples.filter { turn.now - $0.value.at <= retention }
        }
        let own = Int64(clamping: min(turn.clock.wall, HybridClock.wallMax).milliseconds)
        let now = turn.now.nanoseconds / 1_000_000
        // Ours less theirs; sorted, so that nothing depends on the order of the table.
        let offsets = clocks.samples.values.map { own - ($0.base + now) }.sorted()
        clocks.offset = offsets.count >= ClockState.peersMin ? offsets[offsets.count / 2] : nil
        let skew = Int64(store.configuration.clockSkewMaxMilliseconds)
        let allowed = clocks.outlierOffset == nil ? skew : skew / 2
        let ahead = offsets.count { $0 > allowed }
        let behind = offsets.count { $0 < -allowed }
        let isOutlier = offsets.count >= ClockState.peersMin && max(ahead, behind) * 2 > offsets.count
        if isOutlier, let offset = clocks.offset {
            if clocks.outlierOffset == nil {
                turn.actions.append(.event(.clockOutlier(offsetMilliseconds: offset)))
            }
            clocks.outlierOffset = offset
        } else if clocks.outlierOffset != nil {
            clocks.outlierOffset = nil
            turn.actions.append(.event(.clockRecovered))
        }
        judgeOwnStamps(offsets, &turn)
    }

    /// Our clock was ahead and is right again, but our store is not: its stamps lie in the future, and so would all that
    /// we write. A peer whose clock agrees with ours may have a store without them; when most of those have ours, the
    /// whole fleet was ahead, and goes on behind its stamps until time has caught up.
    private mutating func judgeOwnStamps(_ offsets: [Int64], _ turn: inout Turn) {
        let skew = store.configuration.clockSkewMaxMilliseconds
        let ahead = HybridClock.milliseconds(of: store.clock.seen, aheadOf: turn.clock.wall)
        guard ahead > skew else {
            clocks.hasReportedOwnStamps = false
            clocks.resignation = nil
            store.toleratedThrough = .zero
            return
        }
        reportOwnStamps(aheadMilliseconds: ahead, &turn)
        let agreeing = offsets.count { $0.magnitude <= skew }
        guard clocks.outlierOffset == nil, agreeing > 0, agreeing * 2 >= offsets.count, !reset.isUnderWay,
            !isResigned(turn.now)
        else { return }
        let peers = timelyPeers(turn.clock)
        let others = peers.filter { !$0.hasOurRows }.map(\.id)
        guard !peers.isEmpty else { return }
        guard let peer = others.first, others.count * 2 >= peers.count else {
            resign(isShared: true, &turn)
            return
        }
        beginReset(.clockAhead, from: peer, &turn)
    }

    private func isResigned(_ now: Instant) -> Bool {
        guard let resignation = clocks.resignation else { return false }
        let skew = store.configuration.clockSkewMaxMilliseconds
        if store.clock.seen.milliseconds > resignation.seen.milliseconds + skew { return false }
        return resignation.isShared || now - resignation.at < ClockState.resignationInterval
    }

    /// The node goes on behind its highest stamp. What the others write behind the same stamps is taken from now on;
    /// anything later is still refused.
    mutating func resign(isShared: Bool, _ turn: inout Turn) {
        let seen = store.clock.seen
        clocks.resignation = ClockState.Resignation(seen: seen, isShared: isShared, at: turn.now)
        guard isShared else { return }
        let through = seen.milliseconds + store.configuration.clockSkewMaxMilliseconds
        store.toleratedThrough = min(HybridTimestamp(wall: WallTime(milliseconds: through)), HybridClock.stampMax)
        // What was put off may be taken now.
        if repair.quarantineEndsAt != nil { repair.quarantineEndsAt = turn.now }
    }

    /// Active peers with our floor whose clocks agree with ours, sorted by id.
    func timelyPeers(_ clock: Clock) -> [(id: NodeID, hasOurRows: Bool)] {
        let skew = store.configuration.clockSkewMaxMilliseconds
        let own = Int64(clamping: min(clock.wall, HybridClock.wallMax).milliseconds)
        let now = clock.now.nanoseconds / 1_000_000
        return collection.floors.heard.filter { view in
            guard view.mark == store.floor.mark, membership.table[view.peer]?.state == .alive,
                let sample = clocks.samples[view.peer]
            else { return false }
            return (own - (sample.base + now)).magnitude <= skew
        }.map { ($0.peer, $0.root == store.root) }.sorted { $0.id < $1.id }
    }

    /// Alone, a node goes on behind its highest stamp; its operator hears of it.
    private mutating func reportOwnStamps(aheadMilliseconds ahead: UInt64, _ turn: inout Turn) {
        guard !clocks.hasReportedOwnStamps else { return }
        clocks.hasReportedOwnStamps = true
        var newest: (key: String, author: ActorID, stamp: HybridTimestamp)?
        store.forEachRow { row in
            if newest.map({ $0.stamp < row.stamp }) ?? true { newest = (row.id.key, row.author, row.stamp) }
        }
        guard let newest else { return }
        turn.actions.append(
            .event(
                .quarantined(
                    key: newest.key, author: newest.author,
                    ahead: .milliseconds(Int(clamping: min(ahead, 1 << 43))))))
    }
}
