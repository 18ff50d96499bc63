// SPDX-License-Identifier: Apache-2.0
// Owns the table of members, with what is derived from it kept in step: active peers, names, fingerprint, counts.

import ClusterTypes

/// All members this node knows, itself included. Order of rows depends on the order of changes alone.
///
/// A value whose copies share what they do not change: rows lie in chunks, what probes change of a row lies apart from
/// what is said of the member, and the index by id changes with the set of members alone. The simulator hands one table to
/// ten thousand nodes.
package struct MemberTable: Sendable {
    package let selfID: NodeID
    /// Sum over active members and forgotten ones of a hash of (id, incarnation, content): equal tables, equal number.
    /// Failed and left members do not count: everybody finds those out alone and drops them in its own time.
    package private(set) var fingerprint: UInt64 = 0
    private var rows = ChunkedArray<MemberRow>(shift: 6)
    private var paths = ChunkedArray<MemberPath>(shift: 4)
    /// Row numbers by id; changes when a member comes or goes for good.
    private var index: [NodeID: Int32] = [:]
    /// Row numbers by name, active or not, in the order in which they took it.
    private var names: [String: NameHolders] = [:]
    /// Row numbers of active members other than this node, in an order that is stable but of no meaning.
    private var active = ChunkedArray<Int32>(shift: 6)
    /// Each row's place in `active`; `nowhere` for the others.
    private var positions = ChunkedArray<Int32>(shift: 6)
    /// Active members by id, this node included: the ring that probes and sentinels go around.
    package private(set) var ring = MemberRing()
    /// Grows whenever `ring`, or what an active member says of itself, changes.
    package private(set) var ringVersion: UInt64 = 0
    private var stateCounts = [Int](repeating: 0, count: MemberState.allCases.count)

    private static let nowhere: Int32 = -1

    package init(self member: Member) {
        selfID = member.id
        insert(member)
    }

    /// A table of nobody's: for nodes that begin with knowing each other (`seen(by:)`).
    package init(members: some Sequence<Member>) {
        selfID = .unknown
        for member in members { insert(member) }
    }

    private init(sharing table: MemberTable, selfID: NodeID) {
        self.selfID = selfID
        fingerprint = table.fingerprint
        ring = table.ring
        ringVersion = table.ringVersion
        rows = table.rows
        paths = table.paths
        index = table.index
        names = table.names
        active = table.active
        positions = table.positions
        stateCounts = table.stateCounts
    }

    /// The same members as `id` sees them, which must be one of them; all that does not differ is shared.
    package func seen(by id: NodeID) -> MemberTable {
        precondition(selfID == .unknown, "the table belongs to \(selfID)")
        guard let row = row(of: id) else { preconditionFailure("\(id) is not in the table") }
        var table = MemberTable(sharing: self, selfID: id)
        table.deactivate(row)
        return table
    }

    package var count: Int { rows.count }

    /// Active members, this node included.
    package var activeCount: Int { count(of: .alive) + count(of: .suspect) }

    package func count(of state: MemberState) -> Int { stateCounts[Int(state.rawValue)] }

    package var members: Members { Members(rows: rows, paths: paths) }

    package var activePeers: ActivePeers { ActivePeers(active: active, rows: rows) }

    package subscript(id: NodeID) -> Member? { row(of: id).map(member) }

    /// The number of the row of `id`; another one's when members are removed.
    func row(of id: NodeID) -> Int? { index[id].map(Int.init) }

    func id(at row: Int) -> NodeID { rows[row].id }

    func state(at row: Int) -> MemberState { rows[row].state }

    func isActive(at row: Int) -> Bool { rows[row].state.isActive }

    /// Rows of the active members other than this node.
    var activeRows: ChunkedArray<Int32> { active }

    private func member(at row: Int) -> Member { Member(rows[row], paths[row]) }

    /// Active members that use `name`, in the order they took it.
    package func active(named name: String) -> [NodeID] {
        var ids: [NodeID] = []
        names[name]?.forEach { row in
            if rows[row].state.isActive { ids.append(rows[row].id) }
        }
        return ids
    }

    package mutating func insert(_ member: Member) {
        precondition(index[member.id] == nil, "member \(member.id) is in the table already")
        let row = rows.count
        index[member.id] = Int32(row)
        rows.append(MemberRow(member))
        paths.append(MemberPath(member))
        positions.append(Self.nowhere)
        name(row, member.info.name)
        account(for: row)
    }

    /// Changes the row of `id`, which must exist, and everything derived from it.
    package mutating func change(_ id: NodeID, _ body: (inout Member) -> Void) {
        guard let row = row(of: id) else { preconditionFailure("no member \(id) to change") }
        var member = member(at: row)
        let path = MemberPath(member)
        body(&member)
        if MemberPath(member) != path { paths[row] = MemberPath(member) }
        let before = rows[row]
        let after = MemberRow(member)
        let isOther =
            before.state != after.state || before.incarnation != after.incarnation || before.info != after.info
        // Two infos of one content may have different proofs.
        guard isOther || before.since != after.since || before.info !== after.info else { return }
        if isOther { discount(row, staysActive: after.state.isActive) }
        rows[row] = after
        if isOther {
            account(for: row)
            if before.info != after.info { ringVersion += 1 }
        }
        if before.info.name != after.info.name {
            unname(row, before.info.name)
            name(row, after.info.name)
        }
    }

    /// Returns the numbers of the row that is gone and of the last one, which takes its place; nil when there is none.
    @discardableResult
    package mutating func remove(_ id: NodeID) -> (gone: Int, moved: Int)? {
        guard let row = row(of: id) else { return nil }
        precondition(id != selfID, "this node is never removed from its own table")
        discount(row, staysActive: false)
        unname(row, rows[row].info.name)
        index[id] = nil
        let lastRow = rows.count - 1
        let last = rows.removeLast()
        let path = paths.removeLast()
        let position = positions.removeLast()
        if row < lastRow {
            rows[row] = last
            paths[row] = path
            positions[row] = position
            index[last.id] = Int32(row)
            if position != Self.nowhere { active[Int(position)] = Int32(row) }
            names[last.info.name]?.rename(Int32(lastRow), to: Int32(row))
        }
        return (row, lastRow)
    }

    /// Up to `count` distinct active peers, uniformly chosen, for which `isWanted` holds.
    package func randomPeers(
        _ count: Int, using rng: inout SeededGenerator, where isWanted: (NodeID) -> Bool = { _ in true }
    ) -> [NodeID] {
        var chosen: [NodeID] = []
        let peers = activePeers
        guard count > 0, !peers.isEmpty else { return chosen }
        if peers.count > 4 * count + 8 {
            // Far more peers than wanted: draw and reject; the bound keeps a demanding `isWanted` from looping.
            for _ in 0..<(8 * count + 16) where chosen.count < count {
                let peer = peers[rng.index(below: peers.count)]
                if !chosen.contains(peer), isWanted(peer) { chosen.append(peer) }
            }
            return chosen
        }
        var candidates = peers.filter(isWanted)
        while chosen.count < count, !candidates.isEmpty {
            chosen.append(candidates.remove(at: rng.index(below: candidates.count)))
        }
        return chosen
    }

    // MARK: - What is derived

    private mutating func account(for row: Int) {
        let member = rows[row]
        stateCounts[Int(member.state.rawValue)] += 1
        fingerprint &+= Self.hash(member)
        guard member.state.isActive else { return }
        enterRing(member.id)
        guard member.id != selfID, positions[row] == Self.nowhere else { return }
        positions[row] = Int32(active.count)
        active.append(Int32(row))
    }

    private mutating func discount(_ row: Int, staysActive: Bool) {
        let member = rows[row]
        stateCounts[Int(member.state.rawValue)] -= 1
        fingerprint &-= Self.hash(member)
        guard !staysActive else { return }
        if member.state.isActive { leaveRing(member.id) }
        deactivate(row)
    }

    private mutating func deactivate(_ row: Int) {
        let position = positions[row]
        guard position != Self.nowhere else { return }
        positions[row] = Self.nowhere
        let last = active.removeLast()
        if Int(position) < active.count {
            active[Int(position)] = last
            positions[Int(last)] = position
        }
    }

    private mutating func name(_ row: Int, _ name: String) {
        if names[name]?.append(Int32(row)) == nil { names[name] = NameHolders(Int32(row)) }
    }

    private mutating func unname(_ row: Int, _ name: String) {
        if names[name]?.remove(Int32(row)) == true { names[name] = nil }
    }

    private mutating func enterRing(_ id: NodeID) {
        if ring.insert(id) { ringVersion += 1 }
    }

    private mutating func leaveRing(_ id: NodeID) {
        if ring.remove(id) { ringVersion += 1 }
    }

    /// The active member `distance` places after this node on the ring; nil when this node is not on it or alone.
    package func peer(at distance: Int) -> NodeID? {
        guard ring.count > 1, let place = ring.place(of: selfID) else { return nil }
        let id = ring[(place + distance) % ring.count]
        return id == selfID ? nil : id
    }

    private static func hash(_ member: MemberRow) -> UInt64 {
        guard member.state.isActive || member.state == .forgotten else { return 0 }
        var hasher = StableHasher()
        hasher.absorb(member.id)
        hasher.absorb(member.incarnation)
        // Nobody vouches for what is said of a forgotten member.
        hasher.absorb(member.state == .forgotten ? 1 : member.info.contentHash | 2)
        return hasher.finalize().high
    }

    package func checkInvariants() {
        var fingerprint: UInt64 = 0
        var counts = [Int](repeating: 0, count: MemberState.allCases.count)
        for (row, member) in rows.enumerated() {
            precondition(
                index[member.id] == Int32(row), "row \(row) of \(member.id) is indexed as \(index[member.id] ?? -1)")
            fingerprint &+= Self.hash(member)
            counts[Int(member.state.rawValue)] += 1
            let isActivePeer = member.state.isActive && member.id != selfID
            precondition(
                (positions[row] != Self.nowhere) == isActivePeer, "\(member.id) \(member.state) among active peers")
            precondition(
                names[member.info.name]?.contains(Int32(row)) == true, "\(member.info.name) is not indexed")
        }
        precondition(index.count == rows.count, "\(index.count) index entries for \(rows.count) rows")
        precondition(
            paths.count == rows.count && positions.count == rows.count,
            "\(paths.count) paths, \(positions.count) positions for \(rows.count) rows")
        precondition(fingerprint == self.fingerprint, "the fingerprint is out of step")
        precondition(counts == stateCounts, "the counts \(stateCounts) should be \(counts)")
        for (position, row) in active.enumerated() {
            precondition(positions[Int(row)] == Int32(position), "active row \(row) is not where the index says")
        }
        ring.checkInvariants()
        precondition(
            ring.ids == rows.filter { $0.state.isActive }.map(\.id).sorted(), "the ring is out of step with the table")
        precondition(rows.count <= Bounds.membersMax, "\(rows.count) members exceed the bound")
    }
}
