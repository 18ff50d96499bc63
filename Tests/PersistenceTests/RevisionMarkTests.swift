// SPDX-License-Identifier: Apache-2.0
// Owns the tests of databases that are older than they should be.

import ClusterTypes
import Glibc
import Persistence
import StoreCore
import Testing

@Suite("Revision mark")
struct RevisionMarkTests {
    /// How an older database comes to be.
    enum Cause: CaseIterable {
        case olderCopy
        case damagedLog
    }

    /// Leaves a database of revision 1 or so that was at revision 20.
    private func age(_ scratch: Scratch, _ cause: Cause) throws -> String {
        var copy: [UInt8] = []
        var log: [UInt8] = []
        let storeID: String
        do {
            let (database, recovery) = try scratch.store()
            storeID = recovery.storeID
            var writer = RegisterWriter()
            try database.commit([writer.put("a", "1", at: 1_000)])
            if cause == .olderCopy { copy = try scratch.whole("store.db") }
            log = try scratch.whole("store.db-wal")
            let kept = log.count
            for number in 2...20 { try database.commit([writer.put("a", "\(number)", at: 1_000)]) }
            database.noteRevision()
            if cause == .damagedLog {
                copy = try scratch.whole("store.db")
                log = try scratch.whole("store.db-wal")
                // In the first frame behind the first commit.
                log[kept + 200] ^= 0x55
            }
        }
        try scratch.write("store.db", copy)
        try scratch.write("store.db-wal", log)
        return storeID
    }

    @Test("an older database is noticed: new store id, revisions that were never given out", arguments: Cause.allCases)
    func older(_ cause: Cause) throws {
        try withScratch { scratch in
            let storeID = try age(scratch, cause)
            do {
                let (database, recovery) = try scratch.store(epoch: 101)
                #expect(recovery.storeID != storeID)
                #expect(database.storeID == recovery.storeID)
                #expect(recovery.recovered.revision == 1_000_020)
                #expect(recovery.recovered.store.rowCount == 1)
                #expect(recovery.setAside == nil)
                #expect(recovery.warnings.count == 1)
                #expect(
                    recovery.warnings.first?.contains("ends at revision 1, but revision 20 had been given out") == true)
                let row = register("b", "x", 1, at: 2_000, by: bob)
                try database.commit([[.row(row), .change(row.change(1_000_021, .put([0x78])))]])
                let reader = try database.openReader()
                #expect(try reader.changes(after: 20, limit: 9) == .gone(since: 1_000_020))
                guard case .changes(let changes) = try reader.changes(after: 1_000_020, limit: 9) else {
                    Issue.record("gone")
                    return
                }
                #expect(changes.map(\.revision) == [1_000_021])
                #expect(throws: StoreReadFailure.historyGone(since: 1_000_020)) {
                    try reader.view(of: "a", at: .revision(15))
                }
            }
            let again = try scratch.store(epoch: 102).recovery
            #expect(again.warnings.isEmpty)
            #expect(again.recovered.revision == 1_000_021)
        }
    }

    /// What makes a database look as if it were new.
    enum Loss: CaseIterable {
        case emptied
        case removed
        case withoutLog
        case damaged
    }

    @Test(
        "a database that is suddenly empty is told of, and revisions go on above those of before",
        arguments: Loss.allCases)
    func lost(_ loss: Loss) throws {
        try withScratch { scratch in
            var file: [UInt8] = []
            let storeID: String
            do {
                let (database, recovery) = try scratch.store()
                storeID = recovery.storeID
                var writer = RegisterWriter()
                for number in 1...20 { try database.commit([writer.put("a", "\(number)", at: 1_000)]) }
                database.noteRevision()
                // Nothing has been folded yet: all of it is in the log.
                file = try scratch.whole("store.db")
            }
            unlink(scratch.data + "/store.db-wal")
            switch loss {
            case .emptied: try scratch.write("store.db", [])
            case .removed: unlink(scratch.data + "/store.db")
            case .withoutLog: try scratch.write("store.db", file)
            case .damaged: try scratch.write("store.db", [UInt8](repeating: 0x55, count: 8_192))
            }
            do {
                let recovery = try scratch.store(epoch: 101).recovery
                #expect(recovery.storeID != storeID)
                #expect(recovery.recovered.revision == 1_000_020)
                #expect(recovery.recovered.store.rowCount == 0)
                #expect((recovery.setAside != nil) == (loss == .damaged))
                #expect(recovery.warnings.count == 1)
                let reason = loss == .damaged ? "is damaged" : "is empty, but revision 20 had been given out"
                #expect(recovery.warnings.first?.contains(reason) == true, "\(recovery.warnings)")
            }
            let again = try scratch.store(epoch: 102).recovery
            #expect(again.warnings.isEmpty)
            #expect(again.recovered.revision == 1_000_020)
        }
    }

    @Test("a mark of another store, a damaged one and none at all are nothing to warn of", arguments: 0..<3)
    func useless(_ how: Int) throws {
        try withScratch { scratch in
            let storeID = try age(scratch, .olderCopy)
            var mark = try scratch.read("revision")
            switch how {
            case 0:
                try withScratch { other in
                    _ = try age(other, .olderCopy)
                    mark = try other.read("revision")
                }
            case 1: mark[20] ^= 1
            case _: mark = []
            }
            try scratch.write("revision", mark)
            let recovery = try scratch.store(epoch: 101).recovery
            #expect(recovery.storeID == storeID)
            #expect(recovery.warnings.isEmpty)
        }
    }

    @Test("forgetting writes the mark down, a second time not before its interval is over")
    func written() throws {
        try withScratch { scratch in
            let database = try scratch.store().database
            #expect(try scratch.text("revision").contains(" 0\n"))
            var writer = RegisterWriter()
            try database.commit([writer.put("a", "1", at: 1_000)])
            _ = try database.prune(now: wall(1_000))
            // The opening wrote it just now.
            #expect(try scratch.text("revision").contains(" 0\n"))
            database.noteRevision()
            #expect(try scratch.text("revision").contains(" 1\n"))
            #expect(try scratch.mode(scratch.data + "/revision") == 0o600)
        }
    }
}
