// SPDX-License-Identifier: Apache-2.0
// Owns how a member lies in the table, and the table's rows and active peers as collections.

import ClusterTypes

/// What is said of a member: 56 bytes.
struct MemberRow: Sendable {
    let id: NodeID
    let info: MemberInfo
    let incarnation: UInt64
    let since: Clock
    let state: MemberState
    let isEvicted: Bool

    init(_ member: Member) {
        id = member.id
        info = member.info
        incarnation = member.incarnation
        since = member.since
        state = member.state
        isEvicted = member.isEvicted
    }
}

/// What this node's own probes found out about the way to a member: it changes with every probe, so it lies apart.
struct MemberPath: Equatable, Sendable {
    let roundTrip: RoundTrip?
    let streamOnlyProbes: Int32

    init(_ member: Member) {
        roundTrip = member.roundTrip
        streamOnlyProbes = Int32(clamping: member.streamOnlyProbes)
    }
}

extension Member {
    init(_ row: MemberRow, _ path: MemberPath) {
        self.init(id: row.id, info: row.info, incarnation: row.incarnation, state: row.state, since: row.since)
        isEvicted = row.isEvicted
        roundTrip = path.roundTrip
        streamOnlyProbes = Int(path.streamOnlyProbes)
    }
}

/// The rows that use one name: nearly always one.
enum NameHolders: Sendable {
    case one(Int32)
    case several([Int32])

    init(_ row: Int32) { self = .one(row) }

    func forEach(_ body: (Int) -> Void) {
        switch self {
        case .one(let row): body(Int(row))
        case .several(let rows): for row in rows { body(Int(row)) }
        }
    }

    func contains(_ row: Int32) -> Bool {
        switch self {
        case .one(let only): only == row
        case .several(let rows): rows.contains(row)
        }
    }

    mutating func append(_ row: Int32) {
        switch self {
        case .one(let first): self = .several([first, row])
        case .several(let rows): self = .several(rows + [row])
        }
    }

    /// True when nobody is left.
    mutating func remove(_ row: Int32) -> Bool {
        switch self {
        case .one(let only): return only == row
        case .several(let rows):
            let rest = rows.filter { $0 != row }
            self = rest.count == 1 ? .one(rest[0]) : .several(rest)
            return rest.isEmpty
        }
    }

    mutating func rename(_ row: Int32, to other: Int32) {
        switch self {
        case .one(let only): if only == row { self = .one(other) }
        case .several(let rows): self = .several(rows.map { $0 == row ? other : $0 })
        }
    }
}

extension MemberTable {
    /// The rows in their order.
    package struct Members: RandomAccessCollection, Sendable {
        let rows: ChunkedArray<MemberRow>
        let paths: ChunkedArray<MemberPath>

        package var startIndex: Int { 0 }
        package var endIndex: Int { rows.count }
        package subscript(row: Int) -> Member { Member(rows[row], paths[row]) }

        /// One of its own: other modules would go through the subscript's witness, which allocates at each step.
        package func makeIterator() -> Iterator { Iterator(members: self) }

        package struct Iterator: IteratorProtocol {
            let members: Members
            var row = 0

            package mutating func next() -> Member? {
                guard row < members.rows.count else { return nil }
                row += 1
                return members[row - 1]
            }
        }
    }

    /// The members in `state`, in the order of their rows; as cheap as can be when there are none.
    package func members(in state: MemberState) -> [Member] {
        let wanted = count(of: state)
        var found: [Member] = []
        guard wanted > 0 else { return found }
        for row in 0..<count where self.state(at: row) == state {
            found.append(members[row])
            if found.count == wanted { break }
        }
        return found
    }

    /// Active members other than this node, in an order that is stable but of no meaning.
    package struct ActivePeers: RandomAccessCollection, Sendable {
        let active: ChunkedArray<Int32>
        let rows: ChunkedArray<MemberRow>

        package var startIndex: Int { 0 }
        package var endIndex: Int { active.count }
        package subscript(position: Int) -> NodeID { rows[Int(active[position])].id }
    }
}
