// SPDX-License-Identifier: Apache-2.0
// Owns the tests of opening, committing and getting everything back.

import CSQLite
import ClusterTypes
import Glibc
import Persistence
import StoreCore
import Testing

@Suite("Store database")
struct StoreDatabaseTests {
    private let floor = CollectionFloor(
        cutoff: HybridTimestamp(wall: wall(500)),
        folded: [CollectionFloor.Folded(Dot(actor: bob, counter: 9), cutoff: HybridTimestamp(wall: wall(400)))])

    @Test("a new database is empty, has a store id of its own, and keeps it")
    func new() throws {
        try withScratch { scratch in
            let first = try scratch.store().recovery
            #expect(first.storeID.count == 16)
            #expect(first.recovered.store.rowCount == 0)
            #expect(first.recovered.revision == 0)
            #expect(first.warnings.isEmpty && first.setAside == nil)
            #expect(try scratch.store(epoch: 101).recovery.storeID == first.storeID)
            try withScratch { other in
                let second = try other.store().recovery
                #expect(second.storeID != first.storeID)
            }
        }
    }

    @Test("the files are for their owner alone")
    func modes() throws {
        try withScratch { scratch in
            let database = try scratch.store().database
            try database.commit([[.row(register("a", "1", 1, at: 1_000))]])
            for name in ["store.db", "store.db-wal", "store.db-shm"] {
                #expect(try scratch.mode(scratch.data + "/" + name) == 0o600, "\(name)")
            }
        }
    }

    @Test("rows of every type come back as they were, with root and context")
    func rows() throws {
        try withScratch { scratch in
            let details = EventDetails(
                user: "ann", reason: "because", expiresAt: 1 << 45,
                transaction: EventDetails.Transaction(first: 1, count: 2))
            let rows = [
                register("a", "1", 1, at: 1_000, details: details), register("b", nil, 2, at: 1_001),
                member("s", "x", 3, at: 1_002), member("s", "y", 5, removed: true, at: 1_003),
                counter("n", 17, 6, at: 1_004), register("ä/ü", "", 1, at: 9, by: bob),
            ]
            var expected = Store(actor: fresh(1))
            for row in rows { _ = expected.merge(row, wall: wall(1 << 40)) }
            do {
                let database = try scratch.store().database
                try database.commit(rows.map { [.row($0)] })
            }
            let store = try scratch.store(epoch: 101).recovery.recovered.store
            for row in rows { #expect(store.row(row.id) == row) }
            #expect(store.rowCount == rows.count)
            #expect(store.root == expected.root)
            #expect(store.context == expected.context)
            #expect(store.clock.seen >= expected.clock.seen)
        }
    }

    @Test("an event that was overwritten counts as seen after a restart")
    func overwritten() throws {
        try withScratch { scratch in
            do {
                let database = try scratch.store().database
                // One transaction each, several in one, out of order, and a gap that stays.
                for number in UInt64(1)...3 { try database.commit([[.row(register("a", "v", number, at: number))]]) }
                try database.commit([
                    [.row(register("b", "v", 5, at: 5)), .row(register("b", "v", 4, at: 4))],
                    [.row(register("b", "v", 9, at: 9)), .row(register("b", "v", 8, at: 8))],
                ])
                try database.commit([[.row(register("b", "v", 7, at: 9, by: bob))]])
            }
            let context = try scratch.store(epoch: 101).recovery.recovered.store.context
            #expect(
                context.entries == [
                    CausalContext.Entry(actor: alice, contiguous: 5, cloud: [8, 9]),
                    CausalContext.Entry(actor: bob, contiguous: 0, cloud: [7]),
                ])
        }
    }

    @Test("random events in random batches leave exactly the context that joining them makes", arguments: 1...8)
    func randomContext(seed: Int) throws {
        try withScratch { scratch in
            var rng = SeededGenerator(seed: UInt64(seed))
            var expected = CausalContext()
            do {
                let database = try scratch.store().database
                for _ in 0..<30 {
                    var batch: [StoreRecord] = []
                    for _ in 0..<Int.random(in: 1...12, using: &rng) {
                        let number = UInt64.random(in: 1...80, using: &rng)
                        let actor = Bool.random(using: &rng) ? alice : bob
                        expected.insert(Dot(actor: actor, counter: number))
                        if Bool.random(using: &rng) {
                            let key = "k\(Int.random(in: 0..<4, using: &rng))"
                            batch.append(.row(register(key, "v", number, at: number, by: actor)))
                        } else {
                            var context = CausalContext()
                            context.insert(Dot(actor: actor, counter: number))
                            batch.append(.context(context))
                        }
                    }
                    try database.commit([batch])
                }
            }
            #expect(try scratch.store(epoch: 101).recovery.recovered.store.context == expected)
        }
    }

    @Test("everything beside the rows comes back: promise, floor, requests, queue, expiry, revision")
    func beside() throws {
        try withScratch { scratch in
            let request = RequestRecord(id: "r1", fingerprint: .max, key: "a", version: "v", at: wall(7))
            let second = RequestRecord(id: "r2", fingerprint: 1, key: "b", version: "w", at: wall(8))
            let queued = QueuedWrite(
                number: 4, cause: .clockAhead, row: register("q", "x", 1, at: 1), queuedAt: wall(9))
            do {
                let database = try scratch.store().database
                var writer = RegisterWriter()
                try database.commit([
                    [.promised(HybridTimestamp(wall: wall(600))), .promised(HybridTimestamp(wall: wall(300)))],
                    [.floor(floor), .request(request), .queued(queued), .expiredThrough(55), .expiredThrough(44)],
                    writer.put("a", "1", at: 1_000) + writer.put("a", "2", at: 1_001),
                    [
                        .request(second),
                        .queued(QueuedWrite(number: 5, cause: .beforeFloor, row: queued.row, queuedAt: wall(9))),
                    ],
                    [.dequeued([5])],
                ])
                do {
                    let reader = try database.openReader()
                    #expect(try reader.queued(limit: 10).entries == [queued])
                    #expect(try reader.queued(after: 4, limit: 10).entries.isEmpty)
                }
            }
            let (database, recovery) = try scratch.store(epoch: 101)
            let recovered = recovery.recovered
            #expect(recovered.promised == HybridTimestamp(wall: wall(600)))
            #expect(recovered.store.floor == floor)
            #expect(recovered.requests == [request, second])
            #expect(recovered.queuedCount == 1)
            #expect(recovered.queuedLast == 5)
            #expect(recovered.expiredThrough == 44)
            #expect(recovered.revision == 2)
            do {
                let reader = try database.openReader()
                try reader.exportSnapshot(begin: { #expect($0.floor == floor) }, row: { _ in })
            }
        }
    }

    @Test("a removed row is gone and its events are not; a replaced context forgets what it leaves out")
    func removal() throws {
        try withScratch { scratch in
            do {
                let database = try scratch.store().database
                let row = register("a", nil, 1, at: 1)
                try database.commit([[.row(row), .row(register("b", "v", 1, at: 2, by: bob))], [.rowRemoved(row.id)]])
            }
            do {
                let (database, recovery) = try scratch.store(epoch: 101)
                #expect(recovery.recovered.store.rowCount == 1)
                #expect(recovery.recovered.store.context.contains(Dot(actor: alice, counter: 1)))
                #expect(recovery.recovered.store.clock.seen >= HybridTimestamp(wall: wall(2)))
                var only = CausalContext()
                only.insert(Dot(actor: bob, counter: 1))
                try database.commit([[.contextReplaced(only)]])
            }
            let context = try scratch.store(epoch: 102).recovery.recovered.store.context
            #expect(context.entries.map(\.actor) == [bob])
        }
    }

    @Test(
        "a reset takes rows, context, floor and history away in one step with what follows it",
        arguments: [false, true])
    func reset(isSnapshot: Bool) throws {
        let row = register("z", "new", 1, at: 5, by: bob)
        var taken = Store(actor: alice)
        let isLoaded = taken.load(row)
        #expect(isLoaded)
        let record = isSnapshot ? StoreRecord.rows(RowSnapshot(of: taken)) : .row(row)
        try withScratch { scratch in
            do {
                let database = try scratch.store().database
                var writer = RegisterWriter()
                try database.commit([writer.put("a", "1", at: 1_000), [.floor(floor)]])
                try database.commit([
                    [
                        .row(register("gone", "x", 9, at: 1)), .reset(revision: 50), record,
                    ]
                ])
                do {
                    let reader = try database.openReader()
                    #expect(try reader.history(of: "a", limit: 10).entries.isEmpty)
                    #expect(try reader.changes(after: 1, limit: 10) == .gone(since: 50))
                    #expect(try reader.changes(after: 50, limit: 10) == .changes([]))
                    #expect(throws: StoreReadFailure.historyGone(since: 50)) {
                        try reader.view(of: "a", at: .revision(1))
                    }
                }
            }
            let recovered = try scratch.store(epoch: 101).recovery.recovered
            #expect(recovered.store.rowCount == 1)
            #expect(recovered.store.row(RowID(key: "z", part: .register)) != nil)
            #expect(recovered.store.context.entries.map(\.actor) == [bob])
            #expect(recovered.store.floor == .none)
            #expect(recovered.revision == 50)
        }
    }

    @Test("a reset lowers a clock and an expiry that ran ahead, and forgets answered requests")
    func resetOfClock() throws {
        try withScratch { scratch in
            let ahead = UInt64(1) << 44
            do {
                let database = try scratch.store().database
                var writer = RegisterWriter()
                let request = { (id: String) in
                    StoreRecord.request(RequestRecord(id: id, fingerprint: 1, key: "a", version: "v", at: wall(7)))
                }
                try database.commit([writer.put("a", "1", at: ahead) + [.expiredThrough(ahead), request("old")]])
                try database.commit([
                    [
                        .reset(revision: 50), .row(register("z", "new", 1, at: 2_000, by: bob)),
                        .expiredThrough(3_000), request("new"),
                    ]
                ])
            }
            let recovered = try scratch.store(epoch: 101).recovery.recovered
            #expect(recovered.store.clock.seen == HybridTimestamp(wall: wall(2_000)))
            #expect(recovered.expiredThrough == 3_000)
            #expect(recovered.requests.map(\.id) == ["new"])
        }
    }

    @Test("a file of a newer version is refused with a sentence and left as it is")
    func newer() throws {
        try withScratch { scratch in
            _ = try scratch.store()
            try scratch.sql("PRAGMA user_version = 99")
            let failure = try #require(throws: PersistenceFailure.self) { try scratch.store() }
            #expect(
                failure
                    == .newerSchema(file: scratch.data + "/store.db", version: 99, supported: 2))
            #expect(failure.description.contains("has schema 99, and this version knows schemas up to 2"))
            #expect(!scratch.names().contains { $0.contains("corrupt") })
        }
    }

    @Test("a file of version 0 is brought to the present version")
    func migration() throws {
        try withScratch { scratch in
            _ = mkdir(scratch.data, 0o700)
            // An empty SQLite file, as a first start leaves it that died before its schema.
            try scratch.sql("PRAGMA journal_mode = WAL; VACUUM;")
            let (database, recovery) = try scratch.store()
            #expect(recovery.warnings.isEmpty)
            try database.commit([[.row(register("a", "1", 1, at: 1))]])
            #expect(try scratch.sql("PRAGMA user_version") == "2")
            #expect(try scratch.sql("PRAGMA application_id") == "1735618609")
            #expect(try scratch.sql("PRAGMA journal_mode") == "wal")
        }
    }
}
