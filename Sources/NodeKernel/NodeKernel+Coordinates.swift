// SPDX-License-Identifier: Apache-2.0
// Owns where nodes are in the space of round trips: when ours is told, theirs kept, distances estimated, near ones chosen.

import ClusterTypes
import NetworkCoordinates
import SWIMCore

/// This node's own place, and what it knows of its peers' places.
struct PlaceState: Sendable {
    /// 12 bytes each way and a time: there is one for each peer that was ever heard.
    struct Peer: Hashable, Sendable {
        /// Where the peer says it is, and when it said so.
        var place: WireCoordinate?
        var placeAt = Instant(nanoseconds: 0)
        /// Where it was last told that we are.
        var told: WireCoordinate?
    }

    var client = CoordinateClient()
    /// Of members alone, so bounded by `Bounds.membersMax`; dropped when the member leaves, is forgotten or reaped.
    var peers: [NodeID: Peer] = [:]
    /// What may be spent on telling: each ack earns one, each telling costs `tellingCost`.
    var credit = creditMax
    /// The member whose ping is being answered.
    var answering: NodeID?

    /// 14 bytes in every fourth ack are 3.5 bytes a second: what idle traffic has left (Docs/performance.md).
    static let tellingCost = 4
    /// Saved up for when there is most to tell: a node that starts, or whose network has changed, tells its place in each of
    /// this many acks, 1 792 bytes in all. By then it knows its place (decision 13).
    static let creditMax = 128 * tellingCost
    /// A peer that told of itself longer ago may have moved since and had nothing left to say so with: then a round trip moves
    /// us only when its place was good already. Within this time every round trip counts: who does not move noticeably, as
    /// in one site, tells no more, and places would stay as bad as they began.
    static let placeAgeMax = Interval.seconds(60)
    static let lastingErrorMax = 0.3
    /// A place has moved noticeably when distances from it have changed by this share of the distance to whom is told, or
    /// by `noticeableMin`, whichever is more; or its error by this many 1/170.
    static let noticeableShare = 1.0 / 16
    /// Two units of the wire: less is rounding.
    static let noticeableMin = 2 * Coordinate.wireUnit
    static let noticeableError = 17
    /// A place with a larger error says nothing about a distance: half of its distances are off by a factor of two.
    static let usableErrorMax = 0.5
}

/// A round trip that nobody measured.
package struct RoundTripEstimate: Hashable, Sendable {
    package var expected: Interval
    /// Half of the estimates are off by less than about this.
    package var error: Interval
}

extension NodeKernel {
    /// What goes in front of an ack to whoever is being answered; nil when it is not worth its bytes.
    mutating func placeToTell() -> WireCoordinate? {
        guard let peer = places.answering, membership.table[peer] != nil else { return nil }
        places.credit = min(places.credit + 1, PlaceState.creditMax)
        guard places.credit >= PlaceState.tellingCost else { return nil }
        let place = places.client.coordinate.wire
        guard isNews(place, for: places.peers[peer] ?? PlaceState.Peer()) else { return nil }
        places.credit -= PlaceState.tellingCost
        places.peers[peer, default: PlaceState.Peer()].told = place
        return place
    }

    private func isNews(_ place: WireCoordinate, for peer: PlaceState.Peer) -> Bool {
        // The origin is told too: a cluster in which nobody knows a place would never find one.
        guard let told = peer.told else { return true }
        if (Int(place.error) - Int(told.error)).magnitude > PlaceState.noticeableError { return true }
        let theirs = peer.place.flatMap { Coordinate(wire: $0) }
        let distance = theirs.map { places.client.coordinate.distance(to: $0).seconds } ?? 0
        return place.shift(to: told) > max(PlaceState.noticeableMin, distance * PlaceState.noticeableShare)
    }

    /// A peer says where it is.
    mutating func onCoordinate(_ place: WireCoordinate, from peer: NodeID, now: Instant) {
        guard membership.table[peer] != nil else { return }
        places.peers[peer, default: PlaceState.Peer()].place = place
        places.peers[peer]?.placeAt = now
    }

    /// A direct probe of ours was answered after this long.
    mutating func noteRoundTrip(_ roundTrip: Interval, to peer: NodeID, _ turn: inout Turn) {
        statistics.roundTrips.add(roundTrip)
        guard let known = places.peers[peer], let place = known.place.flatMap({ Coordinate(wire: $0) }),
            turn.now - known.placeAt <= PlaceState.placeAgeMax || place.error <= PlaceState.lastingErrorMax
        else { return }
        _ = places.client.add(roundTrip, to: peer, at: place, using: &turn.rng)
    }

    /// The member is gone: where it was is of no use.
    mutating func forgetPlace(of peer: NodeID) {
        places.peers[peer] = nil
        places.client.forget(peer)
    }

    /// The round trip between two members as their places tell it; nil while one of them has none that is of use.
    func estimate(from: NodeID, to: NodeID) -> RoundTripEstimate? {
        guard from != to, let first = place(of: from), let second = place(of: to) else { return nil }
        let expected = first.distance(to: second)
        return RoundTripEstimate(expected: expected, error: expected * max(first.error, second.error))
    }

    private func place(of id: NodeID) -> Coordinate? {
        let place = id == selfID ? places.client.coordinate : places.peers[id]?.place.flatMap { Coordinate(wire: $0) }
        return place.flatMap { $0.error <= PlaceState.usableErrorMax ? $0 : nil }
    }

    /// The measured round trip to a member, or the estimated one.
    func expectedRoundTrip(to id: NodeID) -> Interval? {
        membership.table[id]?.roundTrip?.smoothed ?? estimate(from: selfID, to: id)?.expected
    }

    /// One of those that are about as near as the nearest, at random, so that not all who want the same ask one node; the
    /// first when no distance is known. Relays of a probe are *not* chosen so (see Docs/architecture.md).
    func nearby(among ids: [NodeID], using rng: inout SeededGenerator) -> NodeID? {
        let known = ids.compactMap { id in expectedRoundTrip(to: id).map { (id: id, trip: $0) } }
        guard let best = known.map(\.trip).min() else { return ids.first }
        let far = best * 1.5 + .microseconds(500)
        let near = known.filter { $0.trip <= far }
        return near[rng.index(below: near.count)].id
    }

    /// The round trips from `from` to `to`, or to all members that take part; the shortest first, unknown ones last.
    func roundTrips(from: Member, to: Member?) -> [RoundTripView] {
        let targets = to.map { [$0] } ?? membership.table.members.filter { $0.id != from.id && $0.state.isActive }
        let views = targets.map { target in
            let measured: Interval? =
                if from.id == selfID {
                    target.roundTrip?.smoothed
                } else if target.id == selfID {
                    from.roundTrip?.smoothed
                } else {
                    nil
                }
            return RoundTripView(
                member: view(target), measured: measured, estimate: estimate(from: from.id, to: target.id))
        }
        return views.sorted { a, b in
            guard let first = a.best else { return b.best == nil && a.order < b.order }
            guard let second = b.best else { return true }
            return first != second ? first < second : a.order < b.order
        }
    }
}

/// What is known of the way to a member.
package struct RoundTripView: Sendable {
    package var member: MemberView
    /// By this node's own probes.
    package var measured: Interval?
    package var estimate: RoundTripEstimate?

    package var best: Interval? { measured ?? estimate?.expected }

    fileprivate var order: (String, NodeID) { (member.member.info.name, member.member.id) }
}
