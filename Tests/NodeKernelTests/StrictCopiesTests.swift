// SPDX-License-Identifier: Apache-2.0
// Owns the tests of rows that another strict group wrote: of one that lives beside ours, and of one that is gone.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import StrictCore
import StrictGroup
import Testing

@Suite("Rows of other strict groups")
struct StrictCopiesTests {
    private static let own: UInt64 = 77
    private static let other: UInt64 = 78

    private static func mark(_ group: UInt64, wall: UInt64, leader: Int, changes: UInt64 = 0) -> StrictMark {
        StrictMark(group: group, term: 1, leader: id(leader), changes: changes, wall: wall, voters: [id(leader)])
    }

    private static func row(
        _ group: UInt64, _ number: UInt64, index: UInt64, _ name: String, _ value: [UInt8]?,
        time: UInt64 = 1_700_000_000_000
    ) throws -> Row {
        let key = try #require(StrictKey(name))
        let change = StrictFeedChange(number: number, index: index, time: time, key: key, value: value)
        return try #require(NodeKernel.rows(of: [change], by: .strictFeed(group: group)).first)
    }

    private func age(_ bench: inout KernelBench) throws -> StrictAge {
        let asked = bench.command(.strictAge)
        guard case .strictAge(let age)? = bench.answers(to: asked).first else { throw Unexpected() }
        return age
    }

    private func foreign(_ bench: inout KernelBench) throws -> [StrictForeignGroup] {
        let asked = bench.command(.strict(.status, within: .seconds(1)))
        guard case .strict(.status(let status))? = bench.answers(to: asked).first else { throw Unexpected() }
        return status.foreign
    }

    @Test("Beside a living group its rows are dropped and counted, status names it, and pings tell of both")
    func living() throws {
        var bench = KernelBench.knowing(2...5) {
            $0.strict = StrictConfiguration(prefixes: ["lock/"], voters: .names(["n2"]), isEligible: false)
        }
        var wall = bench.clock.wall.milliseconds
        bench.hear([.strictMark(Self.mark(Self.own, wall: wall, leader: 2))], from: 2)
        bench.hear([.row(try Self.row(Self.own, 1, index: 4, "lock/a", [1]))], from: 2)
        // Before its first mark: it may have just come.
        let theirs = try Self.row(Self.other, 9, index: 90, "lock/a", [2], time: 1_700_000_900_000)
        bench.hear([.row(theirs)], from: 3)
        #expect(bench.value("lock/a") == [1] && bench.kernel.statistics.strictForeignRows == 1)
        #expect(try foreign(&bench).isEmpty)
        for _ in 0..<30 {
            bench.passAnswering(.seconds(1))
            wall = bench.clock.wall.milliseconds
            bench.hear([.strictMark(Self.mark(Self.own, wall: wall, leader: 2, changes: 1))], from: 2)
            bench.hear([.strictMark(Self.mark(Self.other, wall: wall, leader: 3))], from: 3)
            bench.hear([.row(theirs)], from: 3)
        }
        #expect(bench.value("lock/a") == [1] && bench.kernel.statistics.strictForeignRows == 31)
        let found = try foreign(&bench)
        #expect(found.map(\.group) == [Self.other] && found.map(\.leader) == [id(3)])
        // The age is that of the own group.
        #expect(try age(&bench) == StrictAge(milliseconds: 0, changes: 1, known: 1))
        bench.clear()
        for number in 0..<8 as Range<UInt32> {
            bench.hear([.ping(Ping(sequence: 100 + number, target: id(1)))], from: 4)
        }
        let told = bench.messages(to: 4).compactMap { if case .strictMark(let mark) = $0 { mark.group } else { nil } }
        #expect(told.filter { $0 == Self.other }.count == 2 && told.filter { $0 == Self.own }.count == 6)
        // An old mark again is no life.
        for _ in 0..<12 {
            bench.passAnswering(.seconds(1))
            bench.hear([.strictMark(Self.mark(Self.other, wall: wall, leader: 3))], from: 3)
        }
        #expect(try foreign(&bench).isEmpty)
    }

    @Test("Rows of a group that is gone are taken, and as long as one is there nobody knows how old reads are")
    func gone() throws {
        var bench = KernelBench.knowing(2...5) {
            $0.strict = StrictConfiguration(prefixes: ["lock/"], voters: .names(["n2"]), isEligible: false)
        }
        let theirs = try Self.row(Self.other, 9, index: 90, "lock/a", [2])
        bench.hear([.row(theirs)], from: 3)
        #expect(bench.value("lock/a") == [2])
        let wall = bench.clock.wall.milliseconds
        bench.hear([.strictMark(Self.mark(Self.own, wall: wall, leader: 2))], from: 2)
        #expect(try age(&bench).milliseconds == nil)
        bench.hear([.row(try Self.row(Self.own, 1, index: 4, "lock/b", [1]))], from: 2)
        #expect(try age(&bench).milliseconds == nil)
        // The leader's correction, which comes as a change of the group.
        bench.hear([.row(try Self.row(Self.own, 2, index: 5, "lock/a", nil, time: 1_700_000_000_001))], from: 2)
        #expect(bench.value("lock/a") == nil)
        bench.pass(.milliseconds(20))
        bench.hear(
            [.strictMark(Self.mark(Self.own, wall: bench.clock.wall.milliseconds, leader: 2, changes: 2))], from: 2)
        #expect(try age(&bench).milliseconds == 0)
    }

    /// A voter that is alone, with the disk of its log.
    private struct Leader {
        var bench: KernelBench
        private var answered = 0

        init() {
            bench = KernelBench { $0.strict = StrictConfiguration(prefixes: ["lock/"], voters: .count(1)) }
            bench.handle(.start)
        }

        mutating func settle() {
            while answered < bench.log.count {
                let action = bench.log[answered]
                answered += 1
                if case .strict(.persist(let write)) = action { bench.handle(.strict(.persisted(write.number))) }
            }
        }

        mutating func pass(_ interval: Interval) {
            let end = bench.now + interval
            while bench.now < end {
                bench.pass(.milliseconds(20))
                settle()
            }
        }

        mutating func put(_ key: String, _ value: [UInt8]) throws -> LogAnswer {
            let call = StrictCall.change(.put(try #require(StrictKey(key)), value: value, lease: 0))
            let asked = bench.command(.strict(call, within: .seconds(3)))
            settle()
            pass(.milliseconds(40))
            guard case .strict(.answer(.put(_, let modified)))? = bench.answers(to: asked).first else {
                throw Unexpected()
            }
            return LogAnswer(version: modified)
        }

        var corrections: [Int] {
            bench.events.compactMap { if case .strict(.copiesCorrected(keys: let keys)) = $0 { keys } else { nil } }
        }
    }

    private struct LogAnswer { var version: UInt64 }

    @Test("The leader deletes and rewrites what a group that is gone has left, above its versions, once it is gone")
    func corrects() throws {
        var leader = Leader()
        leader.pass(.seconds(3))
        let first = try leader.put("lock/a", [1])
        #expect(first.version < 100)
        let wall = leader.bench.clock.wall.milliseconds
        // Of a leader whose clock was an hour ahead; "lock/old" is a delete.
        let rows = [
            try Self.row(Self.other, 7, index: 5_000, "lock/a", [9], time: wall + 3_600_000),
            try Self.row(Self.other, 8, index: 5_001, "lock/gone", [9], time: wall + 3_600_000),
            try Self.row(Self.other, 9, index: 5_002, "lock/old", nil, time: wall + 3_600_000),
        ].map { Message.row($0) }
        leader.bench.hear(rows, from: 3)
        #expect(leader.bench.value("lock/gone") == nil)
        leader.pass(.seconds(11))
        leader.bench.hear(rows, from: 3)
        #expect(leader.bench.value("lock/a") == [9] && leader.bench.value("lock/gone") == [9])
        leader.pass(.seconds(2))
        #expect(leader.bench.value("lock/a") == [1] && leader.bench.value("lock/gone") == nil)
        #expect(leader.corrections == [3])
        // As the group has it, in the version that it had.
        #expect(leader.bench.kernel.store.read("lock/a")?.shownVersion == String(first.version))
        #expect(try leader.put("lock/a", [2]).version > 5_002 + StrictNode.versionStep)
        // The same again brings nothing back.
        leader.bench.hear(rows, from: 3)
        leader.pass(.seconds(15))
        #expect(
            leader.bench.value("lock/a") == [2] && leader.bench.value("lock/gone") == nil && leader.corrections == [3])
    }

    @Test("The leader corrects nothing while the other group lives")
    func leavesAlone() throws {
        var leader = Leader()
        // Before it knows of any group: so its store has a row of the other one.
        leader.bench.hear([.row(try Self.row(Self.other, 7, index: 3, "lock/b", [9]))], from: 3)
        leader.pass(.seconds(3))
        for _ in 0..<20 {
            let wall = leader.bench.clock.wall.milliseconds
            leader.bench.hear([.strictMark(Self.mark(Self.other, wall: wall, leader: 3))], from: 3)
            leader.pass(.seconds(1))
        }
        #expect(leader.bench.kernel.strictNode?.leadsAll == true)
        #expect(leader.corrections.isEmpty && leader.bench.value("lock/b") == [9])
        leader.pass(.seconds(12))
        #expect(leader.corrections == [1] && leader.bench.value("lock/b") == nil)
    }

    private struct Unexpected: Error {}
}
