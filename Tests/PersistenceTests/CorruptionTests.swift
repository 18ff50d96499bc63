// SPDX-License-Identifier: Apache-2.0
// Owns the tests of damaged databases: noticed, moved aside whole, replaced by an empty one.

import ClusterTypes
import Glibc
import Persistence
import StoreCore
import Testing

@Suite("Damaged store database")
struct CorruptionTests {
    /// A database with 2 000 rows and some history, folded into one file.
    private func written(_ scratch: Scratch) throws -> String {
        let (database, recovery) = try scratch.store()
        var writer = RegisterWriter()
        try database.commit((0..<2_000).map { writer.put("key/\($0)", "value of \($0)", at: 1_000) })
        try scratch.sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return recovery.storeID
    }

    private func overwrite(_ scratch: Scratch, at offset: Int, with bytes: [UInt8]) throws {
        let file = open(scratch.data + "/store.db", O_WRONLY)
        try #require(file >= 0)
        defer { close(file) }
        try #require(pwrite(file, bytes, bytes.count, off_t(offset)) == bytes.count)
    }

    /// Opens and expects the damaged file aside, byte by byte as it was.
    private func expectSetAside(_ scratch: Scratch, _ storeID: String, naming reason: String? = nil) throws {
        let before = try scratch.whole("store.db")
        let (database, recovery) = try scratch.store(epoch: 101)
        let aside = try #require(recovery.setAside)
        #expect(recovery.recovered.store.rowCount == 0)
        #expect(recovery.storeID != storeID)
        #expect(recovery.warnings.count == 1)
        if let reason { #expect(recovery.warnings[0].contains(reason), "\(recovery.warnings)") }
        let name = String(aside.split(separator: "/").last ?? "")
        #expect(name.wholeMatch(of: /store\.db\.corrupt-\d{8}T\d{6}Z/) != nil)
        #expect(try scratch.whole(name) == before)
        #expect(!scratch.exists("store.db.damaged"))
        try database.commit([[.row(register("new", "1", 1, at: 1))]])
        let again = try scratch.store(epoch: 102).recovery
        #expect(again.setAside == nil && again.recovered.store.rowCount == 1)
    }

    @Test("a file that is no database, cut short or full of noise is moved aside", arguments: 0..<4)
    func noDatabase(kind: Int) throws {
        try withScratch { scratch in
            let storeID = try written(scratch)
            switch kind {
            case 0: try scratch.write("store.db", "this is a letter, not a database".utf8)
            case 1: try #require(truncate(scratch.data + "/store.db", 40_000) == 0)
            case 2: try overwrite(scratch, at: 0, with: [UInt8](repeating: 7, count: 100))
            case _: try overwrite(scratch, at: 4_096, with: [UInt8](repeating: 0xff, count: 16_384))
            }
            try expectSetAside(scratch, storeID)
        }
    }

    @Test("the database of another program is moved aside")
    func foreign() throws {
        try withScratch { scratch in
            _ = mkdir(scratch.data, 0o700)
            try scratch.sql("CREATE TABLE mail (id INTEGER PRIMARY KEY)")
            try expectSetAside(scratch, "", naming: "another program")
        }
    }

    @Test("one flipped bit in any value is noticed", arguments: [1, 500, 1_999])
    func flippedBit(row: Int) throws {
        try withScratch { scratch in
            let storeID = try written(scratch)
            let bytes = try scratch.whole("store.db")
            let value = Array("value of \(row)".utf8)
            let offset = try #require(
                (0..<(bytes.count - value.count)).first { bytes[$0..<($0 + value.count)].elementsEqual(value) })
            try overwrite(scratch, at: offset, with: [bytes[offset] ^ 1])
            try expectSetAside(scratch, storeID, naming: "checksum")
        }
    }

    @Test(
        "numbers that were changed by hand, missing tables and wrong columns are noticed",
        arguments: [
            "UPDATE meta SET revision = 7", "DROP TABLE context", "UPDATE context SET last = 0",
            "UPDATE row SET key = 'other' WHERE key = 'key/7'",
            "UPDATE row SET data = x'0102' WHERE key = 'key/7'", "INSERT INTO floor VALUES (1, x'01')",
            "DROP TABLE history",
        ])
    func tampered(sql: String) throws {
        try withScratch { scratch in
            let storeID = try written(scratch)
            try scratch.sql(sql + "; PRAGMA wal_checkpoint(TRUNCATE)")
            try expectSetAside(scratch, storeID)
        }
    }

    @Test("damage that a running daemon came upon is not opened again, with its log")
    func damageAtWork() throws {
        try withScratch { scratch in
            do {
                let (database, _) = try scratch.store()
                var writer = RegisterWriter()
                try database.commit((0..<2_000).map { writer.put("key/\($0)", "value", at: 1_000) })
                // A torn page under the history, where an opening does not look.
                let root =
                    Int(try scratch.sql("SELECT rootpage FROM sqlite_schema WHERE name = 'history_part_key'") ?? "")
                    ?? 0
                try #require(root > 0)
                try scratch.sql("PRAGMA wal_checkpoint(TRUNCATE)")
                try overwrite(scratch, at: (root - 1) * 4_096, with: [UInt8](repeating: 0xee, count: 4_096))
                // Another connection's cache must not hide it.
                let reopened = try scratch.store(epoch: 101).database
                let failure = try #require(throws: PersistenceFailure.self) {
                    try reopened.commit([writer.put("key/7", "w", at: 1_001)])
                }
                guard case .corrupt = failure else {
                    Issue.record("\(failure)")
                    return
                }
                #expect(throws: failure) { try reopened.commit([[.row(register("a", "1", 1, at: 1))]]) }
                #expect(scratch.exists("store.db.damaged"))
            }
            let recovery = try scratch.store(epoch: 102).recovery
            let aside = try #require(recovery.setAside)
            #expect(recovery.recovered.store.rowCount == 0)
            #expect(access(aside, F_OK) == 0)
            #expect(try scratch.store(epoch: 103).recovery.setAside == nil)
        }
    }
}
