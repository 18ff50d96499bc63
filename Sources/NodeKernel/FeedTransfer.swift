// SPDX-License-Identifier: Apache-2.0
// Owns what is known of peers that do not take the strict group's rows: they belong to another group that is alive.

import ClusterTypes
import StoreCore

/// What an exchange does with rows of strict groups.
enum FeedTransfer: Hashable, Sendable {
    /// None was due so far.
    case undecided
    case sends
    /// The peer was sent rows before that are due again: one of them goes, and shows next time whether it is taken by now.
    case withheld
}

/// Some of the strict groups' rows that peers were sent in the last exchange with each. A host that was left behind by `strict recover`, or
/// belongs to another cluster that was joined, refuses them, and cannot say so: it would be sent all of them every two seconds.
struct FeedSamples: Sendable {
    private struct Peer: Sendable {
        var id: NodeID
        var dots: [Dot]
        /// The one row that it was sent although others were due: as long as it lacks that one, it takes none.
        var probe: RowID?
    }

    /// Those that were sent rows last at the end.
    private var peers: [Peer] = []

    static let peersMax = 64
    static let dotsMax = 64

    /// The row that shows that the peer does not take them; nil: nothing does.
    func lacking(_ due: [Row], by peer: NodeID) -> Row? {
        guard let known = peers.first(where: { $0.id == peer }) else { return nil }
        if let probe = known.probe { return due.first { $0.id == probe } }
        let again = due.filter { row in row.versions.last.map(known.dots.contains) == true }
        return again.min { $0.estimatedBytes < $1.estimatedBytes }
    }

    mutating func note(_ rows: [Row], probe: RowID? = nil, sentTo peer: NodeID) {
        peers.removeAll { $0.id == peer }
        if peers.count >= Self.peersMax { peers.removeFirst() }
        let dots = probe == nil ? rows.prefix(Self.dotsMax).compactMap(\.versions.last) : []
        peers.append(Peer(id: peer, dots: dots, probe: probe))
    }
}

extension NodeKernel {
    /// The rows that go to the peer in this batch.
    mutating func withoutRefused(_ rows: [Row], for peer: NodeID?, _ sync: inout StoreSync) -> [Row] {
        guard let peer, sync.way == .contexts || sync.way == .ranges, rows.contains(where: \.author.isStrictFeed) else {
            return rows
        }
        let fed = rows.filter(\.author.isStrictFeed)
        switch sync.feed {
        case .sends: return rows
        case .withheld: return rows.filter { !$0.author.isStrictFeed }
        case .undecided:
            guard let probe = repair.feedSamples.lacking(fed, by: peer) else {
                sync.feed = .sends
                repair.feedSamples.note(fed, sentTo: peer)
                return rows
            }
            sync.feed = .withheld
            repair.feedSamples.note([], probe: probe.id, sentTo: peer)
            return rows.filter { !$0.author.isStrictFeed || $0.id == probe.id }
        }
    }

    /// Whoever takes our context over must have been sent all that it names.
    func toldContext(_ context: CausalContext, _ sync: StoreSync) -> CausalContext {
        let bounded = boundedContext(context)
        guard sync.feed == .withheld else { return bounded }
        let entries = bounded.entries(cloudMax: Self.contextCloudMax).filter { !$0.actor.isStrictFeed }
        return CausalContext(entries: entries) ?? CausalContext()
    }
}
