// SPDX-License-Identifier: Apache-2.0
// Owns the table of members, with what is derived from it kept in step: active peers, names, fingerprint, counts.

import ClusterTypes

/// All members this node knows, itself included. Order of rows depends on the order of changes alone.
package struct MemberTable: Sendable {
    package let selfID: NodeID
    package private(set) var members: [Member] = []
    /// Active members other than this node, in an order that is stable but of no meaning.
    package private(set) var activePeers: [NodeID] = []
    /// Sum over active members and forgotten ones of a hash of (id, incarnation, kind): equal tables, equal number.
    /// Failed and left members do not count: everybody finds those out alone and drops them in its own time.
    package private(set) var fingerprint: UInt64 = 0
    /// Active members by id, this node included: the ring that probes and sentinels go around.
    package private(set) var ring: [NodeID] = []
    /// Grows whenever `ring`, or what an active member says of itself, changes.
    package private(set) var ringVersion: UInt64 = 0
    private var rows: [NodeID: Int] = [:]
    private var activePositions: [NodeID: Int] = [:]
    private var stateCounts = [Int](repeating: 0, count: MemberState.allCases.count)
    private var activeNames: [String: [NodeID]] = [:]

    package init(self member: Member) {
        selfID = member.id
        insert(member)
    }

    package var count: Int { members.count }

    /// Active members, this node included.
    package var activeCount: Int { count(of: .alive) + count(of: .suspect) }

    package func count(of state: MemberState) -> Int { stateCounts[Int(state.rawValue)] }

    package subscript(id: NodeID) -> Member? { rows[id].map { members[$0] } }

    /// Active members that use `name`, in the order they took it.
    package func active(named name: String) -> [NodeID] { activeNames[name] ?? [] }

    package mutating func insert(_ member: Member) {
        precondition(rows[member.id] == nil, "member \(member.id) is in the table already")
        rows[member.id] = members.count
        members.append(member)
        account(for: member)
    }

    /// Changes the row of `id`, which must exist, and everything derived from it.
    package mutating func change(_ id: NodeID, _ body: (inout Member) -> Void) {
        guard let row = rows[id] else { preconditionFailure("no member \(id) to change") }
        let before = members[row]
        body(&members[row])
        let after = members[row]
        if before.state != after.state || before.incarnation != after.incarnation || before.info != after.info {
            discount(before, staysActive: after.state.isActive)
            account(for: after)
            if after.info != before.info { ringVersion += 1 }
        }
    }

    package mutating func remove(_ id: NodeID) {
        guard let row = rows.removeValue(forKey: id) else { return }
        precondition(id != selfID, "this node is never removed from its own table")
        discount(members[row], staysActive: false)
        let last = members.removeLast()
        if row < members.count {
            members[row] = last
            rows[last.id] = row
        }
    }

    /// Up to `count` distinct active peers, uniformly chosen, for which `isWanted` holds.
    package func randomPeers(
        _ count: Int, using rng: inout SeededGenerator, where isWanted: (NodeID) -> Bool = { _ in true }
    ) -> [NodeID] {
        var chosen: [NodeID] = []
        guard count > 0, !activePeers.isEmpty else { return chosen }
        if activePeers.count > 4 * count + 8 {
            // Far more peers than wanted: draw and reject; the bound keeps a demanding `isWanted` from looping.
            for _ in 0..<(8 * count + 16) where chosen.count < count {
                let peer = activePeers[rng.index(below: activePeers.count)]
                if !chosen.contains(peer), isWanted(peer) { chosen.append(peer) }
            }
            return chosen
        }
        var candidates = activePeers.filter(isWanted)
        while chosen.count < count, !candidates.isEmpty {
            chosen.append(candidates.remove(at: rng.index(below: candidates.count)))
        }
        return chosen
    }

    private mutating func account(for member: Member) {
        stateCounts[Int(member.state.rawValue)] += 1
        fingerprint &+= Self.hash(member)
        guard member.state.isActive else { return }
        enterRing(member.id)
        activeNames[member.info.name, default: []].append(member.id)
        if member.id != selfID, activePositions[member.id] == nil {
            activePositions[member.id] = activePeers.count
            activePeers.append(member.id)
        }
    }

    private mutating func discount(_ member: Member, staysActive: Bool) {
        stateCounts[Int(member.state.rawValue)] -= 1
        fingerprint &-= Self.hash(member)
        guard member.state.isActive else { return }
        activeNames[member.info.name]?.removeAll { $0 == member.id }
        if activeNames[member.info.name]?.isEmpty == true { activeNames[member.info.name] = nil }
        if !staysActive { leaveRing(member.id) }
        guard !staysActive, let position = activePositions.removeValue(forKey: member.id) else { return }
        let last = activePeers.removeLast()
        if position < activePeers.count {
            activePeers[position] = last
            activePositions[last] = position
        }
    }

    /// The place of `id` in `ring`, or where it would be.
    private func place(of id: NodeID) -> Int {
        var low = 0
        var high = ring.count
        while low < high {
            let middle = (low + high) / 2
            if ring[middle] < id { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func enterRing(_ id: NodeID) {
        let place = place(of: id)
        if place < ring.count, ring[place] == id { return }
        ring.insert(id, at: place)
        ringVersion += 1
    }

    private mutating func leaveRing(_ id: NodeID) {
        let place = place(of: id)
        guard place < ring.count, ring[place] == id else { return }
        ring.remove(at: place)
        ringVersion += 1
    }

    /// The active member `distance` places after this node on the ring; nil when this node is not on it or alone.
    package func peer(at distance: Int) -> NodeID? {
        let place = place(of: selfID)
        guard ring.count > 1, place < ring.count, ring[place] == selfID else { return nil }
        let id = ring[(place + distance) % ring.count]
        return id == selfID ? nil : id
    }

    private static func hash(_ member: Member) -> UInt64 {
        guard member.state.isActive || member.state == .forgotten else { return 0 }
        var hasher = StableHasher()
        hasher.absorb(member.id)
        hasher.absorb(member.incarnation)
        hasher.absorb(member.state == .forgotten ? 1 as UInt8 : 0)
        return hasher.finalize().high
    }

    package func checkInvariants() {
        var fingerprint: UInt64 = 0
        var counts = [Int](repeating: 0, count: MemberState.allCases.count)
        for (row, member) in members.enumerated() {
            precondition(rows[member.id] == row, "row \(row) of \(member.id) is indexed as \(rows[member.id] ?? -1)")
            fingerprint &+= Self.hash(member)
            counts[Int(member.state.rawValue)] += 1
            let isActivePeer = member.state.isActive && member.id != selfID
            precondition(
                (activePositions[member.id] != nil) == isActivePeer, "\(member.id) \(member.state) among active peers")
            if member.state.isActive {
                precondition(active(named: member.info.name).contains(member.id), "\(member.info.name) is not indexed")
            }
        }
        precondition(rows.count == members.count, "\(rows.count) index entries for \(members.count) rows")
        precondition(fingerprint == self.fingerprint, "the fingerprint is out of step")
        precondition(counts == stateCounts, "the counts \(stateCounts) should be \(counts)")
        for (position, id) in activePeers.enumerated() {
            precondition(activePositions[id] == position, "active peer \(id) is not where the index says")
        }
        precondition(
            ring == members.filter { $0.state.isActive }.map(\.id).sorted(), "the ring is out of step with the table")
        precondition(members.count <= Bounds.membersMax, "\(members.count) members exceed the bound")
    }
}
