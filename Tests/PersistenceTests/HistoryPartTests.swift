// SPDX-License-Identifier: Apache-2.0
// Owns the tests of a history that spans several parts of its index.

import ClusterTypes
import Persistence
import StoreCore
import Testing

@Suite("Store history in parts")
struct HistoryPartTests {
    private static let keys = ["k0", "k1", "k2", "p/k3"]

    /// Registers written at revisions with gaps within a part, across one and across several, and what they showed.
    private struct Writing {
        var writer = RegisterWriter()
        var rng: SeededGenerator
        var past: [(revision: UInt64, shown: [String: String])] = [(0, [:])]
        var entries: [String: [UInt64]] = [:]

        mutating func next() -> [StoreRecord] {
            let gap = [0, 0, 0, 7, 30_000, 65_535, 65_536, 300_000].randomElement(using: &rng) ?? 0
            writer.revision += UInt64(gap)
            let key = HistoryPartTests.keys.randomElement(using: &rng) ?? "k0"
            var shown = past[past.count - 1].shown
            let value = shown[key] != nil && Int.random(in: 0..<4, using: &rng) == 0 ? nil : "\(past.count)"
            let records = writer.put(key, value, at: 1_000 + UInt64(past.count))
            shown[key] = value
            past.append((writer.revision, shown))
            entries[key, default: []].insert(writer.revision, at: 0)
            return records
        }
    }

    @Test("history, views, differences and changes are right across parts", arguments: 1...4)
    func whole(seed: Int) throws {
        try withScratch { scratch in
            var writing = Writing(rng: SeededGenerator(seed: UInt64(seed)))
            let database = try scratch.store().database
            for _ in 0..<60 { try database.commit([writing.next()]) }
            do {
                let reader = try database.openReader()
                for key in Self.keys {
                    #expect(
                        try reader.history(of: key, limit: 99).entries.map(\.revision)
                            == writing.entries[key, default: []])
                }
                for (revision, shown) in writing.past {
                    for key in Self.keys {
                        #expect(
                            try reader.view(of: key, at: .revision(revision))?.content == shown[key].map(text),
                            "\(key) at \(revision)")
                    }
                }
                let (from, to) = (writing.past[20], writing.past[50])
                for prefix in ["", "k", "p/"] {
                    let differing = Self.keys.filter { key in
                        key.hasPrefix(prefix) && from.shown[key] != to.shown[key]
                    }
                    let diff = try reader.diff(
                        prefix: prefix, from: .revision(from.revision), to: .revision(to.revision), limit: 99)
                    #expect(diff.entries.map(\.key) == differing)
                }
                guard case .changes(let changes) = try reader.changes(after: from.revision, limit: 999) else {
                    Issue.record("gone")
                    return
                }
                #expect(changes.map(\.revision) == writing.past[21...].map(\.revision))
                for change in changes {
                    guard case .put(let value) = change.change.kind else { continue }
                    let shown = writing.past.first { $0.revision == change.revision }?.shown[change.change.key]
                    #expect(String(decoding: value, as: UTF8.self) == shown)
                }
            }
        }
    }

    @Test("of each key the newest entries stay, in whichever parts they lie", arguments: 11...14)
    func pruned(seed: Int) throws {
        try withScratch { scratch in
            var writing = Writing(rng: SeededGenerator(seed: UInt64(seed)))
            let limits = HistoryLimits(countPerKey: 4, changesKept: 1)
            let database = try scratch.store(history: limits).database
            for step in 0..<120 {
                try database.commit([writing.next()])
                if step % 7 == 0 { while try database.prune(now: wall(2_000)) {} }
            }
            while try database.prune(now: wall(2_000)) {}
            do {
                let reader = try database.openReader()
                for key in Self.keys {
                    let kept = writing.entries[key, default: []].prefix(4)
                    #expect(try reader.history(of: key, limit: 99).entries.map(\.revision) == Array(kept))
                    for (revision, shown) in writing.past {
                        do {
                            let view = try reader.view(of: key, at: .revision(revision))
                            #expect(view?.content == shown[key].map(text), "\(key) at \(revision)")
                        } catch StoreReadFailure.historyGone(let since) {
                            #expect(revision < since && kept.last.map { revision < $0 } ?? true)
                        }
                    }
                }
            }
        }
    }

    private func count(_ scratch: Scratch) throws -> Int {
        Int(try scratch.sql("SELECT count(*) FROM history") ?? "") ?? -1
    }

    @Test("far behind, keys that are written again and again are found first, and all the others when there is time")
    func behind() throws {
        try withScratch { scratch in
            let limits = HistoryLimits(countPerKey: 2, changesKept: 100)
            let database = try scratch.store(history: limits).database
            var writer = RegisterWriter()
            // Ten keys that are written all the time, and 3 000 five times each.
            for number in 0..<15_000 {
                let records =
                    writer.put("hot\(number % 10)", "v", at: 1_000) + writer.put("k\(number % 3_000)", "v", at: 1_000)
                try database.commit([records])
            }
            var steps = 0
            while try database.prune(now: wall(2_000)) { steps += 1 }
            // 512 entries a step would be 43 for the entries that are far behind.
            #expect(steps < 10)
            #expect(try count(scratch) < 24_000)
            while try database.prune(now: wall(4_000)) { steps += 1 }
            // Fifty changes of hot keys are among the last hundred, which are kept for watches.
            #expect(try count(scratch) == 2 * 3_000 + 50)
            #expect(try database.prune(now: wall(4_000)) == false)
        }
    }

    @Test("a step asks few parts, however many there are")
    func manyParts() throws {
        try withScratch { scratch in
            let limits = HistoryLimits(countPerKey: 2, changesKept: 1)
            let database = try scratch.store(history: limits).database
            var writer = RegisterWriter()
            for number in 0..<300 {
                writer.revision += 70_000
                try database.commit([writer.put("k\(number % 100)", "v", at: 1_000)])
            }
            var steps = 0
            while try database.prune(now: wall(2_000)) { steps += 1 }
            // Each key is looked for in up to 300 parts.
            #expect(steps > 20)
            #expect(try count(scratch) == 200)
        }
    }

    @Test("an entry of a revision that there cannot be is damage, and nobody goes round in it")
    func negative() throws {
        try withScratch { scratch in
            let database = try scratch.store(history: HistoryLimits(countPerKey: 2, changesKept: 1)).database
            var writer = RegisterWriter()
            try database.commit([writer.put("a", "1", at: 1_000), writer.put("a", "2", at: 1_001)])
            try scratch.sql(
                "INSERT INTO history SELECT -5, key, type, kind, before_type, before, detail, value, stamp, author, user, reason,"
                    + " expires, transaction_first, transaction_count, applied_at FROM history WHERE revision = 1")
            do {
                let reader = try database.openReader()
                #expect(throws: StoreReadFailure.self) { try reader.history(of: "a", limit: 9) }
            }
            try database.commit([writer.put("a", "3", at: 1_002), writer.put("a", "4", at: 1_003)])
            #expect(throws: PersistenceFailure.self) {
                while try database.prune(now: wall(2_000)) {}
            }
        }
    }

    @Test(
        "differences since any place in a part are right",
        arguments: [3, 300, 32_767, 32_768, 65_000, 65_534, 65_535, 65_536])
    func differences(place: UInt64) throws {
        try withScratch { scratch in
            let database = try scratch.store().database
            var writer = RegisterWriter()
            try database.commit([writer.put("a", "1", at: 1_000), writer.put("z", "1", at: 1_000)])
            writer.revision = max(place, writer.revision) - 1
            var changed: Set<String> = []
            for key in ["p/é", "a", "p/b", "z", "p/b"] {
                try database.commit([writer.put(key, "n\(writer.revision)", at: 2_000)])
                if writer.revision > place { changed.insert(key) }
                writer.revision += key == "p/b" ? 90_000 : 0
            }
            do {
                let reader = try database.openReader()
                let from = HistoryPoint.revision(max(place, 2))
                let diff = try reader.diff(prefix: "", from: from, limit: 99)
                #expect(diff.entries.map(\.key) == changed.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
                var paged: [String] = []
                var after: String?
                repeat {
                    let page = try reader.diff(prefix: "p/", from: from, after: after, limit: 1)
                    paged += page.entries.map(\.key)
                    after = page.next
                } while after != nil
                #expect(paged == ["p/b", "p/é"].filter(changed.contains))
            }
        }
    }

    @Test("a database with an index by key alone is brought to one by parts")
    func migration() throws {
        try withScratch { scratch in
            var writer = RegisterWriter()
            do {
                let database = try scratch.store().database
                try database.commit([writer.put("a", "1", at: 1_000), writer.put("a", "2", at: 1_001)])
                database.finish()
            }
            try scratch.sql(
                "DROP INDEX history_part_key; CREATE INDEX history_key ON history (key); PRAGMA user_version = 1")
            var migrations: [Int] = []
            let (database, recovery) = try StoreDatabase.open(
                directory: scratch.data, actor: fresh(101), migrating: { migrations += [$0, $1] })
            #expect(recovery.warnings.isEmpty && recovery.setAside == nil && migrations == [1, 2])
            try database.commit([writer.put("a", "3", at: 1_002)])
            #expect(
                try scratch.sql(
                    "SELECT group_concat(name) FROM sqlite_schema WHERE tbl_name = 'history' AND type = 'index'")
                    == "history_part_key")
            do {
                let reader = try database.openReader()
                #expect(try reader.history(of: "a", limit: 9).entries.map(\.revision) == [3, 2, 1])
            }
        }
    }
}
