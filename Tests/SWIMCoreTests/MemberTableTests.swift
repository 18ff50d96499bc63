// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the member table against a plain model, of what its copies share, and of the order of probes.

import ClusterTypes
import SWIMCore
import Testing

@Suite("Member table")
struct MemberTableTests {
    private static func id(_ number: Int) -> NodeID { NodeID(high: UInt64(number), low: 7) }

    private static func member(_ number: Int, name: String? = nil, state: MemberState = .alive) -> Member {
        let info = MemberInfo(
            name: name ?? "n\(number)", address: Address(ipv4: UInt32(number), port: 7946), tags: [], protocolVersion: 1
        )
        let clock = Clock(now: .origin, wall: WallTime(milliseconds: 0))
        return Member(id: id(number), info: info, incarnation: 1, state: state, since: clock)
    }

    @Test("A thousand random changes leave the table equal to a plain dictionary", arguments: [1, 2, 3] as [UInt64])
    func model(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        var table = MemberTable(self: Self.member(0))
        var model = [Self.id(0): Self.member(0)]
        for step in 0..<1_000 {
            let number = rng.index(below: 150)
            let id = Self.id(number)
            switch (rng.index(below: 4), model[id]) {
            case (_, nil):
                let member = Self.member(number, name: "name\(rng.index(below: 20))")
                table.insert(member)
                model[id] = member
            case (0, _) where number != 0:
                table.remove(id)
                model[id] = nil
            case (let kind, _):
                let state = MemberState.allCases[rng.index(below: MemberState.allCases.count)]
                let name = "name\(rng.index(below: 20))"
                let change: (inout Member) -> Void = { member in
                    switch kind {
                    case 1: member.state = number == 0 ? .alive : state
                    case 2:
                        member.incarnation += 1
                        member.info = MemberInfo(
                            name: name, address: member.info.address, tags: [], protocolVersion: 1)
                    default: member.roundTrip = RoundTrip(first: .milliseconds(step))
                    }
                }
                table.change(id, change)
                if var member = model[id] {
                    change(&member)
                    model[id] = member
                }
            }
            if step % 50 == 0 { table.checkInvariants() }
        }
        table.checkInvariants()
        #expect(table.count == model.count && table.members.count == model.count)
        for (id, member) in model { #expect(table[id] == member) }
        #expect(Set(table.members) == Set(model.values))
        let active = model.values.filter { $0.state.isActive && $0.id != Self.id(0) }
        #expect(Set(table.activePeers) == Set(active.map(\.id)) && table.activePeers.count == active.count)
        for number in 0..<20 {
            let holders = model.values.filter { $0.info.name == "name\(number)" && $0.state.isActive }
            #expect(Set(table.active(named: "name\(number)")) == Set(holders.map(\.id)))
        }
    }

    @Test("Two nodes see one table, each without itself among the peers, and changes of one are not the other's")
    func sharing() throws {
        let everybody = MemberTable(members: (1...300).map { Self.member($0) })
        var one = everybody.seen(by: Self.id(1))
        let two = everybody.seen(by: Self.id(2))
        one.checkInvariants()
        #expect(one.fingerprint == two.fingerprint && one.activeCount == 300)
        #expect(!one.activePeers.contains(Self.id(1)) && one.activePeers.contains(Self.id(2)))
        #expect(one.activePeers.count == 299)
        one.change(Self.id(5)) { $0.state = .failed }
        #expect(one.count(of: .failed) == 1 && two.count(of: .failed) == 0)
        #expect(two[Self.id(5)]?.state == .alive && two.activePeers.contains(Self.id(5)))
        one.checkInvariants()
        two.checkInvariants()
    }

    @Test("A copy of a chunked array copies the chunk that is written to, and no other")
    func chunks() {
        var rows = ChunkedArray<Int>(shift: 4)
        for number in 0..<100 { rows.append(number) }
        let before = rows
        rows[20] = -1
        #expect(before[20] == 20 && rows[20] == -1)
        #expect(!rows.sharesChunk(with: before, at: 20))
        for index in [0, 40, 99] { #expect(rows.sharesChunk(with: before, at: index)) }
        let last = rows.removeLast()
        #expect(last == 99 && rows.count == 99 && before.count == 100)
        for _ in 0..<99 { rows.removeLast() }
        #expect(rows.isEmpty && Array(before) == Array(0..<100))
    }

    @Test("A round of probes reaches each active member once, also after members have gone for good")
    func rounds() throws {
        var rng = SeededGenerator(seed: 5)
        var table = MemberTable(members: (1...40).map { Self.member($0) }).seen(by: Self.id(1))
        var order = ProbeOrder(keepsOrder: true)
        func round() -> [NodeID] {
            (0..<table.activePeers.count).compactMap { _ in order.advance(in: table, using: &rng) { _ in true } }
        }
        let first = round()
        #expect(Set(first) == Set(table.activePeers) && first.count == 39)
        #expect(round() == first, "probing keeps the order that it drew")
        for number in [7, 40, 12] {
            let removal = table.remove(Self.id(number))
            let (gone, moved) = try #require(removal)
            order.follow(removed: gone, moved: moved)
            order.checkInvariants(table)
        }
        let gone = [7, 40, 12].map(Self.id)
        #expect(round() == first.filter { !gone.contains($0) }, "the others keep their places")
    }
}
