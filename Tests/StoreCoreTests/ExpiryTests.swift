// SPDX-License-Identifier: Apache-2.0
// Owns the tests of values with a time to live.

import ClusterTypes
import Testing

@testable import StoreCore

@Suite struct ExpiryTests {
    static func put(_ a: inout Store, _ key: String, ttl: UInt64, at time: UInt64 = 0) throws -> Row {
        let options = WriteOptions(user: "u", ttlMilliseconds: ttl)
        return try a.write([.put(key: key, value: bytes(key))], options: options, wall: wall(time)).rows[0]
    }

    @Test("A value shows until its time is over, and then every node says so alike while rows stay as they are")
    func expires() throws {
        var a = store(1)
        var b = store(2)
        let row = try Self.put(&a, "k", ttl: 100)
        let other = try Self.put(&a, "j", ttl: 100)
        #expect(row.details.expiresAt == wall(100).milliseconds)
        b.mergeAll([other, row])
        let root = a.root
        #expect(a.nextExpiry == row.details.expiresAt)
        #expect(a.expire(through: wall(99)).isEmpty)
        #expect(a.text("k") == "k")
        let changes = a.expire(through: wall(100))
        #expect(b.expire(through: wall(3_000)) == changes)
        #expect(changes.map(\.key) == ["j", "k"])
        #expect(
            changes[1]
                == Change(
                    key: "k", type: .register, kind: .delete, version: row.version, old: .register(bytes("k")),
                    details: row.details))
        #expect(a.read("k") == nil && a.list().entries.isEmpty && a.liveKeyCount == 0 && a.deadCount == 2)
        #expect(a.root == root && b.root == root && a.row(row.id) == row && a.nextExpiry == nil)
        #expect(a.expire(through: wall(200)).isEmpty, "once is enough")
        a.checkInvariants()
        b.checkInvariants()
    }

    @Test("Values that a clock ahead took for over show again when it is set back, and are over in their time")
    func setBack() throws {
        var a = store(1)
        let j = try Self.put(&a, "j", ttl: 300)
        let k = try Self.put(&a, "k", ttl: 200)
        _ = try Self.put(&a, "past", ttl: 50)
        _ = a.expire(through: wall(100_000))
        // Judged by the wrong clock when it came in, not by the timer.
        var late = registerRow("late", "late", author: actor(2))
        late.details.expiresAt = wall(150_000).milliseconds
        _ = a.merge(late, wall: wall(200_000))
        #expect(a.liveKeyCount == 0)
        #expect(!a.expiredTooEarly(beyond: 60_000, of: wall(100_000)))
        #expect(a.expiredTooEarly(beyond: 60_000, of: wall(100)))
        let changes = a.setExpiryBack(to: wall(100))
        #expect(changes.map(\.key) == ["k", "j", "late"])
        #expect(
            changes.first
                == Change(
                    key: "k", type: .register, kind: .put(bytes("k")), version: k.version, details: k.details))
        #expect(a.text("k") == "k" && a.text("j") == "j" && a.text("late") == "late" && a.read("past") == nil)
        #expect(a.expiredThrough == wall(100).milliseconds && a.nextExpiry == k.details.expiresAt)
        #expect(a.setExpiryBack(to: wall(100)).isEmpty && !a.expiredTooEarly(beyond: 0, of: wall(100)))
        a.checkInvariants()
        #expect(a.expire(through: wall(300)).map(\.key) == ["k", "j"])
        #expect(a.row(j.id) == j)
        a.checkInvariants()
    }

    @Test("To a write an expired value is absent, and a put without a time to live brings the key back")
    func writes() throws {
        var a = store(1)
        _ = try Self.put(&a, "k", ttl: 10)
        _ = a.expire(through: wall(10))
        #expect(throws: StoreFailure.notFound) { try a.delete("k", wall: wall(11)) }
        let options = WriteOptions(condition: .absent)
        let put = try a.write([.put(key: "k", value: [1])], options: options, wall: wall(11))
        #expect(put.changes.map(\.kind) == [.put([1])] && put.changes[0].old == nil)
        #expect(a.nextExpiry == nil && a.deadCount == 0)
        #expect(a.expire(through: wall(9_999)).isEmpty)
        #expect(a.read("k")?.content == .register([1]))
        _ = try Self.put(&a, "s", ttl: 10, at: 20)
        _ = a.expire(through: wall(10_000))
        _ = try a.add(bytes("x"), to: "s", wall: wall(10_000))
        #expect(a.elements("s") == ["x"])
        a.checkInvariants()
    }

    @Test("A value that arrives or is loaded when its time is over never shows")
    func late() throws {
        var a = store(1)
        let old = try a.put(bytes("old"), for: "k", wall: wall(0)).rows[0]
        let row = try Self.put(&a, "k", ttl: 10, at: 1)
        var b = store(2)
        b.mergeAll([old])
        guard case .applied(let changes) = b.merge(row, wall: wall(11)) else {
            Issue.record("the row is news")
            return
        }
        #expect(changes.map(\.kind) == [.delete] && changes[0].old == .register(bytes("old")))
        #expect(b.expire(through: wall(50)).isEmpty)
        #expect(b.read("k") == nil && b.root == a.root)
        var c = store(3)
        #expect(c.merge(row, wall: wall(11)) == .applied([]))
        c.checkInvariants()
        var loaded = Store(
            actor: actor(4), configuration: StoreConfiguration(), floor: .none, context: a.context,
            expiredThrough: wall(11).milliseconds)
        loaded.loadAll([row])
        #expect(loaded.read("k") == nil && loaded.root == a.root)
        loaded.checkInvariants()
        var early = Store(
            actor: actor(4), configuration: StoreConfiguration(), floor: .none, context: a.context,
            expiredThrough: wall(10).milliseconds)
        early.loadAll([row])
        #expect(early.text("k") == "k")
        #expect(early.expire(through: wall(11)).count == 1)
    }

    @Test("A value under another type that shows expires unseen, and one that hid a set gives way to it")
    func types() throws {
        var a = store(1)
        var b = store(2)
        let set = try b.add(bytes("x"), to: "k", wall: wall(5)).rows[0]
        let hidden = try Self.put(&a, "k", ttl: 10)
        a.mergeAll([set])
        #expect(a.elements("k") == ["x"] && a.read("k")?.aside == [.register])
        #expect(a.expire(through: wall(10)).isEmpty)
        #expect(a.read("k")?.aside == [])
        var c = store(3)
        var shows = try Self.put(&c, "k", ttl: 10, at: 6)
        shows.author = actor(3)
        c.mergeAll([set])
        #expect(c.text("k") == "k")
        let changes = c.expire(through: wall(16))
        #expect(changes.map(\.kind) == [.add(bytes("x"))] && changes[0].old == .register(bytes("k")))
        #expect(c.elements("k") == ["x"])
        a.checkInvariants()
        c.checkInvariants()
        #expect(hidden.isLive, "the row itself keeps its value")
    }

    @Test(
        "Times to live out of range or for other writes are refused",
        arguments: [
            (StoreWrite.put(key: "k", value: []), 0), (.put(key: "k", value: []), Bounds.ttlMillisecondsMax + 1),
            (.put(key: "k", value: []), .max), (.add(key: "k", element: []), 5), (.delete(key: "k"), 5),
            (.increment(key: "k", by: 1), 5), (.remove(key: "k", element: []), 5),
        ] as [(StoreWrite, UInt64)])
    func refused(write: StoreWrite, ttl: UInt64) {
        var a = store(1)
        let options = WriteOptions(ttlMilliseconds: ttl)
        #expect(throws: StoreFailure.invalidTTL) { try a.write([write], options: options, wall: wall(0)) }
        #expect(throws: StoreFailure.invalidTTL) {
            try a.write([.put(key: "j", value: []), write], options: options, wall: wall(0))
        }
        #expect(a.rowCount == 0)
    }
}
