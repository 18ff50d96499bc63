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

    /// A measurement counts for at least so long.
    static let retention = Interval.seconds(300)
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
    /// we write. A peer whose clock agrees with ours has a store without them.
    private mutating func judgeOwnStamps(_ offsets: [Int64], _ turn: inout Turn) {
        let skew = store.configuration.clockSkewMaxMilliseconds
        let ahead = HybridClock.milliseconds(of: store.clock.seen, aheadOf: turn.clock.wall)
        guard ahead > skew else {
            clocks.hasReportedOwnStamps = false
            return
        }
        reportOwnStamps(aheadMilliseconds: ahead, &turn)
        let agreeing = offsets.count { $0.magnitude <= skew }
        guard clocks.outlierOffset == nil, agreeing > 0, agreeing * 2 >= offsets.count, !reset.isUnderWay else {
            return
        }
        let peers = clocks.samples.keys.filter { peer in
            membership.table[peer]?.state == .alive
                && collection.floors.heard.contains { $0.peer == peer && $0.mark == store.floor.mark }
        }
        guard let peer = peers.min() else { return }
        beginReset(.clockAhead, from: peer, &turn)
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
