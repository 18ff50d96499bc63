// SPDX-License-Identifier: Apache-2.0
// Owns what happens when floors differ: telling ours, raising it as promised, and the decision to reset.

import ClusterTypes
import SWIMCore
import StoreCore

/// The floors that peers were last heard to have, and those that ours has been.
struct FloorViews: Sendable {
    /// Newest last; at most `heardMax`, each peer once.
    /// `root`: of the peer's rows, when a digest told it.
    var heard: [(peer: NodeID, mark: UInt64, root: Hash128?, at: Instant)] = []
    /// Marks of our own floor, newest last; at most `ownMax`.
    var own: [UInt64] = []
    /// When ours became what it is.
    var raisedAt: Instant?
    /// To whom we told our floor within the last second.
    var told: [(peer: NodeID, at: Instant)] = []
    /// Since when peers of another floor have been twice as many as those of ours.
    var outnumberedSince: Instant?

    static let heardMax = 64
    static let ownMax = 64
    static let toldMax = 256
    static let tellInterval = Interval.seconds(1)
    /// Peers that must have been heard of before this node throws its store away.
    static let sampleMin = 5
    /// How long this node must have been outnumbered before it follows a lower floor.
    static let patience = Interval.seconds(10)

    mutating func note(own mark: UInt64, _ now: Instant) {
        raisedAt = now
        own.removeAll { $0 == mark }
        if own.count >= Self.ownMax { own.removeFirst() }
        own.append(mark)
    }

    mutating func note(_ mark: UInt64, root: Hash128?, of peer: NodeID, _ now: Instant) {
        heard.removeAll { $0.peer == peer }
        if heard.count >= Self.heardMax { heard.removeFirst() }
        heard.append((peer, mark, root, now))
    }
}

extension CollectionFloor {
    /// Total: of two floors neither of which follows from the other, one is higher all the same.
    func isHigher(than other: CollectionFloor) -> Bool {
        cutoff != other.cutoff ? cutoff > other.cutoff : mark > other.mark
    }
}

extension NodeKernel {
    /// Whether rows from a packet with this mark may be merged.
    func takesRows(withFloor mark: UInt64) -> Bool { mark == store.floor.mark && !reset.isUnderWay }

    /// A digest names the sender's floor.
    mutating func noteFloorMark(of digest: Digest, from peer: NodeID, at address: Address, _ turn: inout Turn) {
        guard membership.table[peer]?.state.isActive == true else { return }
        collection.floors.note(digest.floor, root: digest.store, of: peer, turn.now)
        if digest.floor != store.floor.mark {
            onFloorMark(digest.floor, from: peer, at: address, &turn)
        }
    }

    /// A peer's digest or packet names another floor than ours: tell it ours, and it will do the same.
    mutating func onFloorMark(_ mark: UInt64, from peer: NodeID, at address: Address, _ turn: inout Turn) {
        guard mark != store.floor.mark, !reset.isUnderWay, !membership.isLeaving,
            membership.table[peer]?.state.isActive == true
        else { return }
        tellFloor(to: peer, &turn)
    }

    /// At most once a second for each peer.
    mutating func tellFloor(to peer: NodeID, _ turn: inout Turn) {
        guard let address = membership.table[peer]?.info.address else { return }
        collection.floors.told.removeAll { turn.now - $0.at >= FloorViews.tellInterval }
        guard !collection.floors.told.contains(where: { $0.peer == peer }),
            collection.floors.told.count < FloorViews.toldMax
        else { return }
        collection.floors.told.append((peer, turn.now))
        let message = Message.floor(store.floor)
        if configuration.sizes.header + configuration.sizes.message(message) <= configuration.datagramBytesMax {
            let packet = Packet(cluster: configuration.cluster, sender: selfID, messages: [message])
            turn.actions.append(.send(packet, to: address))
        } else {
            _ = open(
                .tellFloor, to: address, peer: peer, timeout: configuration.swim.probeTimeout * 4, &turn)
        }
    }

    /// A peer's floor: raise ours when we have promised it, else reset if it has to be.
    mutating func onFloor(_ floor: CollectionFloor, from peer: NodeID, at address: Address, _ turn: inout Turn) {
        guard membership.isStarted, !membership.isLeaving, membership.table[peer]?.state.isActive == true else {
            return
        }
        collection.floors.note(floor.mark, root: nil, of: peer, turn.now)
        guard floor != store.floor, isCredible(floor, turn.clock.wall), !reset.isUnderWay else { return }
        if keepsPromise(floor) {
            raiseFloor(to: floor, isLed: false, &turn)
        } else if mustReset(to: floor, &turn) {
            beginReset(.floor, from: peer, &turn)
        } else {
            tellFloor(to: peer, &turn)
        }
    }

    /// A floor in the future comes from a host whose clock is ahead; it must not make everybody forget what is young.
    func isCredible(_ floor: CollectionFloor, _ wall: WallTime) -> Bool {
        HybridClock.milliseconds(of: floor.cutoff, aheadOf: wall) <= store.configuration.clockSkewMaxMilliseconds
    }

    /// Exactly what we promised, on top of exactly what we have.
    private func keepsPromise(_ floor: CollectionFloor) -> Bool {
        guard let promise = collection.promise, promise.isDurable, promise.cutoff == floor.cutoff,
            store.floor.joined(with: floor) == floor
        else { return false }
        return floor.folded.allSatisfy { folded in
            if store.floor.folded.contains(where: { $0.actor == folded.actor }) { return true }
            return promise.folds.contains {
                $0.actor == folded.actor && $0.counter == folded.counter && store.holdsExactly($0)
            }
        }
    }

    /// Whether this node is the one that has to give way: to most of its peers, and among few to the higher floor.
    private mutating func mustReset(to floor: CollectionFloor, _ turn: inout Turn) -> Bool {
        if isBlank { return true }
        if !isCredible(store.floor, turn.clock.wall) { return true }
        let window = max(.seconds(10), configuration.swim.probeInterval * 10)
        let heard = collection.floors.heard.filter {
            turn.now - $0.at <= window && membership.table[$0.peer]?.state == .alive
        }
        // Too few, and they might all be of the smaller side.
        guard heard.count >= min(FloorViews.sampleMin, membership.table.count(of: .alive) - 1) else { return false }
        let ours = 1 + heard.count { isOurs($0.mark, turn.now) }
        var camps: [UInt64: Int] = [:]
        for view in heard where !isOurs(view.mark, turn.now) { camps[view.mark, default: 0] += 1 }
        // Those of other floors again do not stand behind this one: of two floors one side gives way, and so for all.
        let theirs = camps[floor.mark] ?? 0
        if floor.isHigher(than: store.floor), theirs * 2 > ours {
            collection.floors.outnumberedSince = nil
            return true
        }
        // Nodes that are empty or behind follow us within seconds; whoever still has a lower floor then will not.
        guard camps.values.contains(where: { $0 >= ours * 2 }) else {
            collection.floors.outnumberedSince = nil
            return false
        }
        let since = collection.floors.outnumberedSince ?? turn.now
        collection.floors.outnumberedSince = since
        return theirs >= ours * 2 && turn.now - since >= FloorViews.patience
    }

    /// The floor that we have, or one that we had a moment ago: whoever still has that one is about to follow.
    private func isOurs(_ mark: UInt64, _ now: Instant) -> Bool {
        if mark == store.floor.mark { return true }
        guard let raised = collection.floors.raisedAt, now - raised < FloorViews.patience else { return false }
        return collection.floors.own.contains(mark)
    }

    /// Nothing was ever here.
    var isBlank: Bool { store.rowCount == 0 && store.context.isEmpty && store.floor == .none }
}
