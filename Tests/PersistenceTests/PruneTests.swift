// SPDX-License-Identifier: Apache-2.0
// Owns the tests of forgetting: history by age and count, requests, the log of changes.

import ClusterTypes
import Persistence
import StoreCore
import Testing

@Suite("Store pruning")
struct PruneTests {
    private func pruneAll(_ database: StoreDatabase, now: UInt64) throws -> Int {
        var steps = 0
        while try database.prune(now: wall(now)) {
            steps += 1
            if steps > 1_000 { break }
        }
        return steps
    }

    @Test("of each key the newest entries stay, and what is asked beyond them is gone")
    func count() throws {
        try withScratch { scratch in
            let database = try scratch.store(history: HistoryLimits(countPerKey: 3, changesKept: 2)).database
            var writer = RegisterWriter()
            for number in 1...10 {
                try database.commit([writer.put("hot", "\(number)", at: 1_000 + UInt64(number))])
            }
            try database.commit([writer.put("cold", "c", at: 2_000), writer.put("cold", "d", at: 2_001)])
            #expect(try pruneAll(database, now: 3_000) > 0)
            #expect(try database.prune(now: wall(3_000)) == false)
            do {
                let reader = try database.openReader()
                #expect(try reader.history(of: "hot", limit: 99).entries.map(\.revision) == [10, 9, 8])
                #expect(try reader.history(of: "cold", limit: 99).entries.map(\.revision) == [12, 11])
                #expect(try reader.view(of: "hot", at: .revision(7))?.content == text("7"))
                #expect(throws: StoreReadFailure.historyGone(since: 7)) {
                    try reader.view(of: "hot", at: .revision(6))
                }
                #expect(throws: StoreReadFailure.historyGone(since: 7)) { try reader.view(of: "hot", at: .time(1_003)) }
                #expect(try reader.view(of: "cold", at: .revision(2)) == nil)
                #expect(try reader.changes(after: 6, limit: 9) == .gone(since: 7))
                guard case .changes(let changes) = try reader.changes(after: 7, limit: 9) else {
                    Issue.record("gone")
                    return
                }
                #expect(changes.map(\.revision) == [8, 9, 10, 11, 12])
                let diff = try reader.diff(prefix: "", from: .revision(2), limit: 9)
                #expect(diff.entries.map(\.isOldGone) == [false, true])
            }
        }
    }

    @Test("old entries go, but never among the last changes")
    func age() throws {
        try withScratch { scratch in
            let limits = HistoryLimits(ageMilliseconds: 1_000, countPerKey: 100, changesKept: 3)
            let database = try scratch.store(history: limits).database
            var writer = RegisterWriter()
            for number in 1...8 {
                try database.commit([writer.put("k\(number % 2)", "\(number)", at: 1_000 + UInt64(number))])
            }
            #expect(try pruneAll(database, now: 2_003) > 0)
            do {
                let reader = try database.openReader()
                // 2 003 - 1 000: the entries of 1 001 and 1 002 are too old.
                #expect(try reader.changes(after: 1, limit: 9) == .gone(since: 2))
                #expect(try reader.view(of: "k0", at: .revision(2))?.content == text("2"))
                #expect(throws: StoreReadFailure.historyGone(since: 2)) { try reader.view(of: "k0", at: .revision(1)) }
                #expect(throws: StoreReadFailure.historyGone(since: 2)) { try reader.view(of: "k0", at: .time(1_001)) }
                #expect(throws: StoreReadFailure.historyGone(since: 2)) {
                    try reader.diff(prefix: "", from: .revision(1), limit: 9)
                }
            }
            _ = try pruneAll(database, now: 1 << 40)
            do {
                let reader = try database.openReader()
                #expect(try reader.history(of: "k0", limit: 9).entries.map(\.revision) == [8, 6])
                #expect(try reader.history(of: "k1", limit: 9).entries.map(\.revision) == [7])
            }
            #expect(database.statistics.historySince == 5)
        }
    }

    @Test("of large values fewer changes are kept for watches, also after a restart")
    func keptBytes() throws {
        try withScratch { scratch in
            let limits = HistoryLimits(countPerKey: 1, changesKept: 100, changesKeptBytes: 3_500)
            var writer = RegisterWriter()
            let value = String(repeating: "v", count: 1_000)
            do {
                let database = try scratch.store(history: limits).database
                for _ in 1...10 { try database.commit([writer.put("k", value, at: 1_000)]) }
                _ = try pruneAll(database, now: 2_000)
                // Each entry from the second on holds the value before it.
                #expect(database.statistics.historySince == 7)
                try database.commit([writer.put("k", value, at: 1_000)])
                _ = try pruneAll(database, now: 2_000)
                #expect(database.statistics.historySince == 8)
            }
            let database = try scratch.store(epoch: 101, history: limits).database
            _ = try pruneAll(database, now: 2_000)
            #expect(database.statistics.historySince == 8)
            try database.commit((1...3).map { _ in writer.put("k", value, at: 1_000) })
            _ = try pruneAll(database, now: 2_000)
            #expect(database.statistics.historySince == 11)
        }
    }

    @Test("entries applied while the clock was ahead do not hold back those behind them")
    func ahead() throws {
        try withScratch { scratch in
            let limits = HistoryLimits(ageMilliseconds: 1_000, countPerKey: 10_000, changesKept: 1)
            let database = try scratch.store(history: limits).database
            var writer = RegisterWriter()
            let first = writer.put("first", "1", at: 1_000)
            // More than one step looks at.
            let future = (0..<700).map { _ in writer.put("k", "v", at: 1 << 45) }
            try database.commit([first] + future)
            let request = RequestRecord(id: "ahead", fingerprint: 1, key: "a", version: "v", at: wall(1 << 45))
            let old = RequestRecord(id: "old", fingerprint: 1, key: "a", version: "v", at: wall(1_000))
            try database.commit([[.request(request), .request(old)]])
            _ = try pruneAll(database, now: 2_500)
            #expect(database.statistics.historySince == 1)
            // The clock is right again: the new entries are too young, and then too old.
            try database.commit((1...3).map { writer.put("k\($0)", "v", at: 3_000) })
            _ = try pruneAll(database, now: 3_500)
            #expect(database.statistics.historySince == 1)
            _ = try pruneAll(database, now: 4_001)
            #expect(database.statistics.historySince == 703)
            _ = try pruneAll(database, now: 1_001 + 24 * 3_600_000)
            #expect(try scratch.sql("SELECT group_concat(id) FROM request") == nil)
        }
    }

    @Test("a key that was not written since is known at any time, though its history is gone")
    func unchanged() throws {
        try withScratch { scratch in
            let limits = HistoryLimits(ageMilliseconds: 1_000, countPerKey: 100, changesKept: 1)
            let database = try scratch.store(history: limits).database
            var writer = RegisterWriter()
            try database.commit([writer.put("old", "v", at: 1_000), writer.put("new", "w", at: 9_000)])
            _ = try pruneAll(database, now: 1 << 40)
            do {
                let reader = try database.openReader()
                #expect(try reader.view(of: "old", at: .time(1_500))?.content == text("v"))
                #expect(try reader.view(of: "old", at: .revision(2))?.content == text("v"))
            }
        }
    }

    @Test("after pruning and more writes the past that is kept is still right", arguments: 1...5)
    func afterPruning(seed: Int) throws {
        try withScratch { scratch in
            var rng = SeededGenerator(seed: UInt64(seed))
            let limits = HistoryLimits(ageMilliseconds: 50, countPerKey: 4, changesKept: 5)
            let database = try scratch.store(history: limits).database
            var writer = RegisterWriter()
            var past: [[String: String]] = [[:]]
            for step in 1...120 {
                let key = "k\(Int.random(in: 0..<3, using: &rng))"
                var now = past[step - 1]
                let value = now[key] != nil && Bool.random(using: &rng) ? nil : "\(step)"
                now[key] = value
                past.append(now)
                try database.commit([writer.put(key, value, at: UInt64(1_000 + step))])
                if Int.random(in: 0..<5, using: &rng) == 0 { _ = try database.prune(now: wall(UInt64(1_000 + step))) }
            }
            _ = try pruneAll(database, now: 1_120)
            var known = 0
            do {
                let reader = try database.openReader()
                for (revision, keys) in past.enumerated() {
                    for key in ["k0", "k1", "k2"] {
                        do {
                            let view = try reader.view(of: key, at: .revision(UInt64(revision)))
                            #expect(view?.content == keys[key].map(text), "\(key) at \(revision)")
                            known += 1
                        } catch StoreReadFailure.historyGone(let since) {
                            #expect(UInt64(revision) < since)
                        }
                    }
                }
            }
            #expect(known >= 15)
        }
    }

    @Test("answered requests go after a day and beyond their bound")
    func requests() throws {
        try withScratch { scratch in
            do {
                let database = try scratch.store().database
                let old = RequestRecord(id: "old", fingerprint: 1, key: "a", version: "v", at: wall(1_000))
                let new = RequestRecord(id: "new", fingerprint: 1, key: "a", version: "v", at: wall(80_000_000))
                try database.commit([[.request(old), .request(new)]])
                _ = try pruneAll(database, now: 1_000 + 24 * 3_600_000)
                #expect(try scratch.sql("SELECT count(*) FROM request") == "2")
                _ = try pruneAll(database, now: 1_001 + 24 * 3_600_000)
                #expect(try scratch.sql("SELECT id FROM request") == "new")
                let many = (0..<Bounds.requestsMax).map {
                    StoreRecord.request(
                        RequestRecord(id: "r\($0)", fingerprint: 1, key: "a", version: "v", at: wall(80_000_000)))
                }
                try database.commit([many])
                _ = try pruneAll(database, now: 80_000_001)
            }
            let requests = try scratch.store(epoch: 101).recovery.recovered.requests
            #expect(requests.count == Bounds.requestsMax)
            #expect(requests.first?.id == "r0")
        }
    }

    @Test("the log of changes stays bounded, also while a reader holds on to the past")
    func log() throws {
        try withScratch { scratch in
            let database = try scratch.store().database
            let reader = try database.openReader()
            var number: UInt64 = 0
            func write(_ megabytes: Int) throws {
                for _ in 0..<(megabytes * 1_000_000 / 400_000) {
                    number += 1
                    // SQLite leaves out pages that stay the same.
                    let value = String(repeating: "\(number % 10)", count: 400_000)
                    try database.commit([[.row(register("k\(number % 8)", value, number, at: number))]])
                }
            }
            try write(60)
            #expect(database.statistics.walBytes < 20 << 20)
            // 300 MB go by while the reader looks at its first row.
            var rows = 0
            #expect(throws: StoreReadFailure.evicted) {
                try reader.exportSnapshot(
                    begin: { _ in },
                    row: { _ in
                        rows += 1
                        if rows == 1 { try write(300) }
                    })
            }
            #expect(rows == 1)
            try write(1)
            #expect(database.statistics.walBytes < 20 << 20)
            try reader.exportSnapshot(begin: { _ in }, row: { _ in rows += 1 })
            #expect(rows == 9)
        }
    }
}
