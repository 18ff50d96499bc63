// SPDX-License-Identifier: Apache-2.0
// Owns the tests of reading the past: history, views, differences, changes for watches.

import ClusterTypes
import Persistence
import StoreCore
import Testing

@Suite("Store history")
struct HistoryTests {
    /// a: 1, 2, deleted, 3; b: x. At 1 000, 1 010, ...
    private func written(_ scratch: Scratch) throws -> StoreDatabase {
        let database = try scratch.store().database
        var writer = RegisterWriter()
        let details = EventDetails(user: "ann", reason: "why not")
        try database.commit([
            writer.put("a", "1", at: 1_000), writer.put("a", "2", at: 1_010, details: details),
            writer.put("b", "x", at: 1_020), writer.put("a", nil, at: 1_030), writer.put("a", "3", at: 1_040),
        ])
        return database
    }

    @Test("history lists old and new of each change, newest first, in pages")
    func history() throws {
        try withScratch { scratch in
            do {
                let reader = try written(scratch).openReader()
                let entries = try reader.history(of: "a", limit: 10).entries
                #expect(entries.map(\.revision) == [5, 4, 2, 1])
                #expect(entries.map(\.old) == [nil, text("2"), text("1"), nil])
                #expect(entries.map(\.new) == [text("3"), nil, text("2"), text("1")])
                #expect(entries[0].kind == .put(Array("3".utf8)))
                #expect(entries[1].kind == .delete)
                #expect(entries[2].user == "ann" && entries[2].reason == "why not")
                #expect(entries[2].author == alice && entries[2].appliedAt == wall(1_010))
                #expect(try reader.history(of: "a", before: 5, limit: 2).entries.map(\.revision) == [4, 2])
                #expect(try reader.history(of: "none", limit: 2).entries.isEmpty)
            }
        }
    }

    @Test(
        "a register is seen as it was at each revision and time",
        arguments: [
            (0 as UInt64, nil as String?), (1, "1"), (2, "2"), (3, "2"), (4, nil), (5, "3"),
        ])
    func views(revision: UInt64, value: String?) throws {
        try withScratch { scratch in
            do {
                let reader = try written(scratch).openReader()
                let view = try reader.view(of: "a", at: .revision(revision))
                #expect(view?.content == value.map(text))
                let time = revision == 0 ? 999 : 1_000 + 10 * (revision - 1)
                #expect(try reader.view(of: "a", at: .time(time))?.content == value.map(text))
                if let view { #expect(view.stamp.milliseconds == [1: 1_000, 2: 1_010, 3: 1_010, 5: 1_040][revision]) }
            }
        }
    }

    @Test("a revision that is not there yet is refused")
    func future() throws {
        try withScratch { scratch in
            do {
                let reader = try written(scratch).openReader()
                #expect(throws: StoreReadFailure.notYet(revision: 5)) { try reader.view(of: "a", at: .revision(6)) }
                #expect(try reader.changes(after: 6, limit: 9) == .gone(since: 0))
            }
        }
    }

    @Test("a watch gets each change with the value it wrote, from any revision on")
    func changes() throws {
        try withScratch { scratch in
            do {
                let reader = try written(scratch).openReader()
                guard case .changes(let all) = try reader.changes(after: 0, limit: 10) else {
                    Issue.record("gone")
                    return
                }
                #expect(all.map(\.revision) == [1, 2, 3, 4, 5])
                #expect(
                    all.map(\.change.kind)
                        == [.put([0x31]), .put([0x32]), .put([0x78]), .delete, .put([0x33])])
                #expect(all.map(\.change.old) == [nil, text("1"), nil, text("2"), nil])
                #expect(all[1].change.details == EventDetails(user: "ann", reason: "why not"))
                #expect(try reader.changes(after: 3, limit: 1) == .changes([all[3]]))
                #expect(try reader.changes(after: 5, limit: 1) == .changes([]))
            }
        }
    }

    @Test("a set is seen as it was, by revision, and by time even if changes came out of order")
    func sets() throws {
        try withScratch { scratch in
            let database = try scratch.store().database
            // z was added at 1 005 elsewhere and came last.
            let rows = [
                (member("s", "x", 1, at: 1_000), Change.Kind.add([0x78])),
                (member("s", "y", 2, at: 1_010), .add([0x79])),
                (member("s", "x", 3, removed: true, at: 1_020), .remove([0x78])),
                (member("s", "z", 1, at: 1_005, by: bob), .add([0x7a])),
            ]
            for (index, entry) in rows.enumerated() {
                let change = entry.0.change(UInt64(index + 1), entry.1, appliedAt: 1_000 + 10 * UInt64(index))
                try database.commit([[.row(entry.0), .change(change)]])
            }
            do {
                let reader = try database.openReader()
                func elements(_ point: HistoryPoint) throws -> String? {
                    guard case .set(let elements)? = try reader.view(of: "s", at: point)?.content else { return nil }
                    return elements.map { String(decoding: $0, as: UTF8.self) }.joined()
                }
                #expect(try (0...4).map { try elements(.revision(UInt64($0))) } == [nil, "x", "xy", "y", "yz"])
                #expect(try elements(.time(999)) == nil)
                #expect(try elements(.time(1_000)) == "x")
                #expect(try elements(.time(1_005)) == "xz")
                #expect(try elements(.time(1_015)) == "xyz")
                #expect(try elements(.time(1_020)) == "yz")
            }
        }
    }

    @Test("a counter is seen as it was, by revision, and by time even if changes came out of order")
    func counters() throws {
        try withScratch { scratch in
            let database = try scratch.store().database
            let steps: [(Row, Change.Kind, KeyView.Content?)] = [
                (counter("n", 5, 1, at: 1_000), .increment(value: 5, delta: 5), nil),
                (counter("n", 7, 2, at: 1_020), .increment(value: 7, delta: 2), .counter(5)),
                (counter("n", 10, 1, at: 1_010, by: bob), .increment(value: 17, delta: 10), .counter(7)),
            ]
            for (index, step) in steps.enumerated() {
                try database.commit([
                    [.row(step.0), .change(step.0.change(UInt64(index + 1), step.1, old: step.2, appliedAt: 2_000))]
                ])
            }
            do {
                let reader = try database.openReader()
                func value(_ point: HistoryPoint) throws -> Int64? {
                    guard case .counter(let value)? = try reader.view(of: "n", at: point)?.content else { return nil }
                    return value
                }
                #expect(try (0...3).map { try value(.revision(UInt64($0))) } == [nil, 5, 7, 17])
                #expect(try value(.time(1_015)) == 15)
                #expect(try value(.time(1_005)) == 5)
                let entries = try reader.history(of: "n", limit: 1).entries
                #expect(entries.first?.old == .counter(7) && entries.first?.new == .counter(17))
            }
        }
    }

    @Test("an expired value is gone from its expiry on, and was there before")
    func expiry() throws {
        try withScratch { scratch in
            let database = try scratch.store().database
            let row = register("t", "v", 1, at: 1_000, details: EventDetails(expiresAt: 5_000))
            try database.commit([[.row(row), .change(row.change(1, .put([0x76])))]])
            try database.commit([
                [.change(row.change(2, .delete, old: text("v"), appliedAt: 5_003)), .expiredThrough(5_003)]
            ])
            do {
                let reader = try database.openReader()
                #expect(try reader.view(of: "t", at: .revision(1))?.content == text("v"))
                #expect(try reader.view(of: "t", at: .revision(2)) == nil)
                #expect(try reader.view(of: "t", at: .time(4_999))?.content == text("v"))
                #expect(try reader.view(of: "t", at: .time(5_000)) == nil)
                #expect(try reader.view(of: "t", at: .time(999)) == nil)
            }
        }
    }

    @Test("where a set gave way to a register its past ends, where a register gave way to a set it does not")
    func typeConflicts() throws {
        try withScratch { scratch in
            let database = try scratch.store().database
            let set = member("k", "x", 1, at: 1_000)
            let value = register("k", "v", 2, at: 1_010, by: bob)
            let more = member("k", "y", 2, at: 1_020)
            try database.commit([
                [.row(set), .change(set.change(1, .add([0x78])))],
                [
                    .row(value), .change(value.change(2, .typeConflict(kept: .register, aside: .set))),
                    .change(value.change(3, .put([0x76]))),
                ],
                [
                    .row(more), .change(more.change(4, .typeConflict(kept: .set, aside: .register))),
                    .change(set.change(5, .add([0x78]), old: text("v"))), .change(more.change(6, .add([0x79]))),
                ],
            ])
            do {
                let reader = try database.openReader()
                #expect(try reader.view(of: "k", at: .revision(6))?.content == .set([[0x78], [0x79]]))
                #expect(try reader.view(of: "k", at: .revision(3))?.content == text("v"))
                #expect(throws: StoreReadFailure.historyGone(since: 2)) { try reader.view(of: "k", at: .revision(1)) }
                guard case .changes(let changes) = try reader.changes(after: 0, limit: 10) else {
                    Issue.record("gone")
                    return
                }
                #expect(changes[2].change.kind == .put([0x76]))
                #expect(changes[1].change.kind == .typeConflict(kept: .register, aside: .set))
            }
        }
    }

    @Test("a diff lists the keys under a prefix that ended up different, in pages")
    func diff() throws {
        try withScratch { scratch in
            let database = try scratch.store().database
            var writer = RegisterWriter()
            try database.commit([
                writer.put("p/a", "1", at: 1_000), writer.put("p/b", "1", at: 1_000), writer.put("q", "1", at: 1_000),
                writer.put("p/c", "1", at: 1_000),
            ])
            try database.commit([
                writer.put("p/a", "2", at: 1_010), writer.put("p/b", "2", at: 1_011), writer.put("p/b", "1", at: 1_012),
                writer.put("p/c", nil, at: 1_013), writer.put("p/d", "n", at: 1_014), writer.put("q", "2", at: 1_015),
            ])
            do {
                let reader = try database.openReader()
                for from in [HistoryPoint.revision(4), .time(1_005)] {
                    let all = try reader.diff(prefix: "p/", from: from, limit: 10)
                    #expect(all.next == nil)
                    #expect(all.entries.map(\.key) == ["p/a", "p/c", "p/d"])
                    #expect(all.entries.map(\.old?.content) == [text("1"), text("1"), nil])
                    #expect(all.entries.map(\.new?.content) == [text("2"), nil, text("n")])
                }
                let page = try reader.diff(prefix: "p/", from: .revision(4), limit: 1)
                #expect(page.entries.map(\.key) == ["p/a"])
                let rest = try reader.diff(prefix: "p/", from: .revision(4), after: page.next, limit: 10)
                #expect(rest.entries.map(\.key) == ["p/c", "p/d"])
                let past = try reader.diff(prefix: "", from: .revision(4), to: .revision(6), limit: 10)
                #expect(past.entries.map(\.key) == ["p/a", "p/b"])
            }
        }
    }

    @Test("a page of large values ends early, says that there is more, and the pages together are the whole")
    func largePages() throws {
        try withScratch { scratch in
            let database = try scratch.store().database
            var writer = RegisterWriter()
            let value = String(repeating: "v", count: 500_000)
            for number in 1...24 {
                try database.commit([writer.put("k/\(number % 12)", "\(number)" + value, at: UInt64(1_000 + number))])
            }
            let write = { (number: UInt64) in
                QueuedWrite(
                    number: number, cause: .clockAhead, row: register("q", value, number, at: 1), queuedAt: wall(9))
            }
            try database.commit([(1...20).map { .queued(write($0)) }])
            for _ in 0..<6 { try database.commit([writer.put("k/0", value, at: 2_000)]) }
            do {
                let reader = try database.openReader()
                var revisions: [UInt64] = []
                while case .changes(let page) = try reader.changes(after: revisions.last ?? 0, limit: 99), !page.isEmpty
                {
                    #expect(page.count <= 17)
                    revisions += page.map(\.revision)
                }
                #expect(revisions == Array(1...30))
                let newest = try reader.history(of: "k/0", limit: 99)
                #expect(newest.hasMore && newest.entries.count == 6)
                let oldest = try reader.history(of: "k/0", before: 24, limit: 99)
                #expect(!oldest.hasMore && oldest.entries.map(\.revision) == [12])
                #expect(try reader.history(of: "k/0", before: 30, limit: 1).hasMore)
                #expect(try !reader.history(of: "k/0", before: 24, limit: 1).hasMore)
                let queued = try reader.queued(limit: 99)
                #expect(queued.hasMore && (16...17).contains(queued.entries.count))
                #expect(try reader.queued(after: 15, limit: 5).hasMore == false)
                var keys: [String] = []
                repeat {
                    let page = try reader.diff(prefix: "k/", from: .revision(12), after: keys.last, limit: 99)
                    #expect((1...9).contains(page.entries.count))
                    keys += page.entries.map(\.key)
                    if page.next == nil { break }
                } while keys.count < 99
                #expect(keys == (0..<12).map { "k/\($0)" }.sorted())
            }
        }
    }

    @Test("random writes are seen at every revision as they were then", arguments: 1...6)
    func random(seed: Int) throws {
        try withScratch { scratch in
            var rng = SeededGenerator(seed: UInt64(seed))
            var store = Store(actor: alice)
            var past: [[String: KeyView]] = [[:]]
            let database = try scratch.store().database
            for step in 1...60 {
                let key = "k\(Int.random(in: 0..<3, using: &rng))"
                let time = wall(UInt64(1_000 + step))
                let value = "v\(Int.random(in: 0..<3, using: &rng))"
                let mutation: Mutation
                if let view = store.read(key), Int.random(in: 0..<4, using: &rng) == 0 {
                    mutation = try store.delete(view.key, wall: time)
                } else {
                    mutation = try store.put(Array(value.utf8), for: key, wall: time)
                }
                var records = mutation.rows.map { StoreRecord.row($0) }
                for var change in mutation.changes {
                    change.old = past[past.count - 1][key]?.content
                    records.append(
                        .change(ChangeRecord(revision: UInt64(past.count), appliedAt: time, change: change)))
                    var now = past[past.count - 1]
                    now[key] = store.read(key)
                    past.append(now)
                }
                try database.commit([records])
            }
            do {
                let reader = try database.openReader()
                for (revision, keys) in past.enumerated() {
                    for key in ["k0", "k1", "k2"] {
                        let view = try reader.view(of: key, at: .revision(UInt64(revision)))
                        #expect(view == keys[key], "\(key) at \(revision)")
                    }
                }
            }
        }
    }

    @Test("Of a strict group's changes the last row, every change and every event are on the disk")
    func fed() throws {
        try withScratch { scratch in
            let author = ActorID.strictFeed(group: 7)
            func fed(_ counters: ClosedRange<UInt64>) -> StoreRecord {
                var fed = FedChanges()
                for counter in counters {
                    let row = Row(
                        id: RowID(key: counter % 2 == 0 ? "a" : "b", part: .register),
                        versions: [Dot(actor: author, counter: counter)],
                        stamp: HybridTimestamp(wall: wall(1_000 + counter)), author: author,
                        content: .register([UInt8(counter)]), details: EventDetails(index: counter))
                    fed.rows.removeAll { $0.id == row.id }
                    fed.rows.append(row)
                    fed.changes.append(row.change(counter, .put([UInt8(counter)]), old: nil))
                    fed.events.insert(Dot(actor: author, counter: counter))
                }
                return .fed(fed)
            }
            do {
                let database = try scratch.store().database
                try database.commit([[fed(1...5)], [fed(6...9)]])
                try database.commit([[fed(12...20)]])
                #expect(try database.openReader().history(of: "a", limit: 30).entries.count == 9)
            }
            let found = try scratch.store().recovery.recovered
            #expect(found.revision == 20 && found.store.rowCount == 2)
            let row = try #require(found.store.row(RowID(key: "a", part: .register)))
            #expect(row.versions == [Dot(actor: author, counter: 20)] && row.content == .register([20]))
            let context = found.store.context
            #expect(context.contiguous(of: author) == 9 && context.highest(of: author) == 20)
            #expect((12...20).allSatisfy { context.contains(Dot(actor: author, counter: $0)) })
        }
    }
}
