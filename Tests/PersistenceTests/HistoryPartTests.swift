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

    @Test("far behind, a part of the entries is looked at, and no key keeps too many in the end")
    func behind() throws {
        try withScratch { scratch in
            let limits = HistoryLimits(countPerKey: 3, changesKept: 2)
            let database = try scratch.store(history: limits).database
            var writer = RegisterWriter()
            for _ in 0..<20 {
                try database.commit((0..<1_000).map { writer.put("k\($0 % 3)", "v", at: 1_000) })
            }
            var steps = 0
            while try database.prune(now: wall(2_000)) { steps += 1 }
            // 512 entries a step would be 40.
            #expect(steps <= 20)
            do {
                let reader = try database.openReader()
                for key in ["k0", "k1", "k2"] {
                    #expect(try reader.history(of: key, limit: 99).entries.count == 3)
                }
            }
            #expect(try scratch.sql("SELECT count(*) FROM history") == "9")
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
            let (database, recovery) = try scratch.store(epoch: 101)
            #expect(recovery.warnings.isEmpty && recovery.setAside == nil)
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
