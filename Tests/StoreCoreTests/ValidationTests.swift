// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what is refused: keys, rows from peers, writes beyond the bounds.

import ClusterTypes
import StoreCore
import Testing

@Suite struct ConfigurationKeyTests {
    @Test(
        "Keys keep the rules",
        arguments: [
            ("a", nil), ("web/port", nil), ("ä/ß/日本", nil), ("a b/c", nil), ("-/.", nil),
            (String(repeating: "x", count: 512), nil), (String(repeating: "ä", count: 256), nil),
            ("", .empty), (String(repeating: "x", count: 513), .tooLong),
            (String(repeating: "ä", count: 257), .tooLong),
            ("/", .emptySegment), ("/a", .emptySegment), ("a/", .emptySegment), ("a//b", .emptySegment),
            ("a\nb", .controlCharacter), ("a\u{0}", .controlCharacter), ("a\u{7f}", .controlCharacter),
            ("a\u{85}b", .controlCharacter), ("a//\tb", .controlCharacter), ("a\u{a0}b", nil),
        ] as [(String, KeyDefect?)])
    func rules(key: String, defect: KeyDefect?) {
        #expect(ConfigurationKey.defect(of: key) == defect)
    }

    @Test("Keys are compared as bytes, not as canonically equivalent text")
    func bytesOrder() throws {
        let composed = "caf\u{e9}"
        let decomposed = "cafe\u{301}"
        #expect(composed == decomposed, "String takes them for equal")
        #expect(!ConfigurationKey.equal(composed, decomposed))
        #expect(ConfigurationKey.precedes(decomposed, composed))
        #expect(RowID(key: composed, part: .register) != RowID(key: decomposed, part: .register))
        var a = store(1)
        var b = store(2)
        let one = try a.put(bytes("1"), for: composed, wall: wall(0))
        let two = try a.put(bytes("2"), for: decomposed, wall: wall(0))
        b.mergeAll(two.rows + one.rows)
        #expect(a.text(composed) == "1" && a.text(decomposed) == "2")
        #expect(a.rowCount == 2 && a.root == b.root && a.list() == b.list())
    }

    @Test("The order of keys is that of their bytes", arguments: Array(1...5) as [UInt64])
    func order(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        let alphabet = ["a", "b", "/", "é", "日", "aaaaaaaa"]
        let keys = (0..<60).map { _ in
            (0..<rng.index(below: 6)).map { _ in alphabet[rng.index(below: 6)] }.joined()
        }
        for a in keys {
            for b in keys {
                #expect(
                    ConfigurationKey.precedes(a, b) == Array(a.utf8).lexicographicallyPrecedes(Array(b.utf8)),
                    "seed \(seed), \(a), \(b)")
                #expect(ConfigurationKey.equal(a, b) == (Array(a.utf8) == Array(b.utf8)), "seed \(seed), \(a), \(b)")
            }
        }
    }
}

@Suite struct RowValidationTests {
    static let one = actor(1)
    static let two = actor(2)

    static func row(
        _ part: RowID.Part = .register, _ content: RowContent = .register([1]), key: String = "k",
        versions: [Dot] = [Dot(actor: one, counter: 3)], author: ActorID = one
    ) -> Row {
        Row(
            id: RowID(key: key, part: part), versions: versions, stamp: HybridTimestamp(wall: wall(0)), author: author,
            content: content)
    }

    static func element(_ entries: [ElementEntry]) -> Row {
        row(
            .element([1]), .element(entries), versions: [Dot(actor: one, counter: 3), Dot(actor: two, counter: 5)])
    }

    static func counter(_ owner: ActorID, _ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64) -> Row {
        row(
            .counter(owner),
            .counter(CounterEntry(increments: a, decrements: b, resetIncrements: c, resetDecrements: d)))
    }

    static let cases: [(Row, RowDefect?)] = [
        (row(), nil),
        (row(.register, .register(nil)), nil),
        (row(key: ""), .invalidKey(.empty)),
        (row(key: "a//b"), .invalidKey(.emptySegment)),
        (row(.register, .register(Array(repeating: 0, count: Bounds.valueBytesMax))), nil),
        (
            row(.register, .register(Array(repeating: 0, count: Bounds.valueBytesMax + 1))),
            .valueTooLarge(bytes: Bounds.valueBytesMax + 1)
        ),
        (
            row(
                .element(Array(repeating: 0, count: Bounds.elementBytesMax + 1)),
                .element([ElementEntry(actor: one, added: 1, removed: 0)])),
            .elementTooLarge(bytes: Bounds.elementBytesMax + 1)
        ),
        (row(.register, .counter(.zero)), .contentMismatch),
        (row(.element([1]), .register([1])), .contentMismatch),
        (row(.counter(one), .element([])), .contentMismatch),
        (row(versions: [Dot(actor: .folded, counter: 1), Dot(actor: one, counter: 3)]), .foldedVersion),
        (row(versions: [Dot(actor: two, counter: 1), Dot(actor: one, counter: 1)]), .unsortedVersions),
        (row(versions: [Dot(actor: one, counter: 1), Dot(actor: one, counter: 2)]), .unsortedVersions),
        (row(versions: (1...1_024).map { Dot(actor: actor($0), counter: 1) }), nil),
        (row(versions: (1...1_025).map { Dot(actor: actor($0), counter: 1) }), .tooManyActors),
        (row(versions: [Dot(actor: one, counter: 0)]), .counterOutOfRange),
        (row(versions: [Dot(actor: one, counter: Dot.counterMax + 1)]), .counterOutOfRange),
        (row(author: actor(3)), nil),
        (element([ElementEntry(actor: .folded, added: 1 << 32, removed: 1 << 32)]), nil),
        (element([ElementEntry(actor: .folded, added: (1 << 32) + 1, removed: 0)]), .impossibleEntry),
        (
            element([ElementEntry(actor: one, added: 3, removed: 3), ElementEntry(actor: two, added: 1, removed: 0)]),
            nil
        ),
        (element([]), .impossibleEntry),
        (element([ElementEntry(actor: one, added: 0, removed: 0)]), .impossibleEntry),
        (element([ElementEntry(actor: one, added: 2, removed: 3)]), .impossibleEntry),
        (element([ElementEntry(actor: one, added: 4, removed: 0)]), .impossibleEntry),
        (element([ElementEntry(actor: actor(3), added: 1, removed: 0)]), .impossibleEntry),
        (
            element([ElementEntry(actor: two, added: 1, removed: 0), ElementEntry(actor: one, added: 1, removed: 0)]),
            .unsortedEntries
        ),
        (counter(one, 5, 4, 5, 0), nil),
        (counter(one, 5, 4, 6, 0), .impossibleCounter),
        (counter(one, 5, 4, 0, 5), .impossibleCounter),
        (counter(two, 5, 4, 0, 0), .impossibleCounter),
    ]

    @Test("Rows that no store makes are refused and change nothing", arguments: 0..<cases.count)
    func table(index: Int) {
        let (row, defect) = Self.cases[index]
        #expect(row.defect == defect)
        var replica = store(9_999)
        let outcome = replica.merge(row, wall: wall(0))
        if let defect {
            #expect(outcome == .invalid(defect))
            #expect(replica.rowCount == 0 && replica.context.isEmpty && replica.clock.seen == .zero)
            #expect(replica.root == .zero)
        } else {
            #expect(outcome != .known)
            replica.checkInvariants()
            #expect(replica.row(row.id) == row)
        }
    }
}

@Suite struct RefusalTests {
    @Test("An author whose events are known has one on the row")
    func unknownAuthor() throws {
        var a = store(1)
        a.mergeAll([registerRow("k", "v", author: actor(2))])
        var row = registerRow("l", "v", author: actor(3))
        row.author = actor(2)
        #expect(a.merge(row, wall: wall(0)) == .invalid(.unknownAuthor))
        #expect(a.rowCount == 1)
        row.author = actor(4)
        a.mergeAll([row])
        #expect(a.row(row.id) == row, "an actor of whom nothing is known may be folded")
    }

    @Test("A clock far ahead is quarantined and harmless")
    func quarantine() throws {
        var a = store(1, StoreConfiguration(clockSkewMaxMilliseconds: 500))
        let ahead = registerRow("k", "poison", author: actor(2), at: 501)
        #expect(a.merge(ahead, wall: wall(0)) == .quarantined(aheadMilliseconds: 501))
        #expect(a.rowCount == 0 && a.context.isEmpty && a.clock.seen == .zero && a.root == .zero)
        let put = try a.put(bytes("v"), for: "k", wall: wall(0))
        #expect(put.version?.stamp == HybridTimestamp(wall: wall(0)), "the clock was not moved")
        a.mergeAll([registerRow("other", "v", author: actor(2), at: 500)])
        #expect(a.merge(ahead, wall: wall(1)) != .quarantined(aheadMilliseconds: 500), "time has caught up")
        #expect(a.text("k") == "poison")
    }

    @Test(
        "A stamp beyond the end of time is refused whatever the configuration says; at the end the clock stands still")
    func endOfTime() throws {
        var a = store(1, StoreConfiguration(clockSkewMaxMilliseconds: .max))
        var row = registerRow("k", author: actor(2))
        row.stamp = HybridTimestamp(rawValue: .max)
        #expect(a.merge(row, wall: WallTime(milliseconds: .max)) == .invalid(.stampOutOfRange))
        let isLoaded = a.load(row)
        #expect(!isLoaded && a.clock.seen == .zero)
        row.stamp = HybridClock.stampMax
        a.loadAll([row])
        a.noteClock(HybridTimestamp(rawValue: .max))
        #expect(a.clock.seen == HybridClock.stampMax)
        _ = try a.put([], for: "j", wall: wall(0))
        #expect(a.clock.seen == HybridClock.stampMax)
        a.checkInvariants()
    }

    @Test("An event of our own that we never made is refused until the actor is renewed")
    func foreignUse() throws {
        var a = store(1)
        let first = try a.put(bytes("v"), for: "k", wall: wall(0))
        #expect(a.merge(first.rows[0], wall: wall(0)) == .known, "our own event comes back")
        let lost = registerRow("lost", "v", author: actor(1), counter: 2)
        let dot = Dot(actor: actor(1), counter: 2)
        let root = a.root
        #expect(a.merge(lost, wall: wall(0)) == .foreignUseOfOwnActor(dot))
        var peer = CausalContext()
        peer.insert(dot)
        #expect(a.adopt(context: peer) == .foreignUseOfOwnActor(dot))
        #expect(a.root == root && a.nextCounter == 2)
        a.renewActor(to: actor(1, epoch: 2))
        #expect(a.nextCounter == 1)
        a.mergeAll([lost])
        #expect(a.adopt(context: peer) == .adopted)
        #expect(a.text("lost") == "v")
        let second = try a.put(bytes("w"), for: "k", wall: wall(0))
        #expect(
            second.rows[0].versions == [Dot(actor: actor(1), counter: 1), Dot(actor: actor(1, epoch: 2), counter: 1)])
    }

    @Test("A renewed actor steps over epochs whose events are known already")
    func claimedEpochs() {
        var a = store(1)
        a.mergeAll([2, 3, 5].map { registerRow("k/\($0)", "v", author: actor(1, epoch: $0)) })
        a.renewActor(to: actor(1, epoch: 2))
        #expect(a.actor == actor(1, epoch: 4) && a.nextCounter == 1)
    }

    @Test("Writes beyond the bounds are refused and change nothing")
    func bounds() throws {
        var a = store(1, StoreConfiguration(rowsMax: 2))
        _ = try a.put(bytes("v"), for: "k", wall: wall(0))
        _ = try a.add(bytes("v"), to: "s", wall: wall(0))
        let before = (a.root, a.context, a.clock)
        let long = Array(repeating: UInt8(0), count: Bounds.valueBytesMax + 1)
        #expect(throws: StoreFailure.valueTooLarge(bytes: long.count)) { try a.put(long, for: "k", wall: wall(1)) }
        #expect(throws: StoreFailure.elementTooLarge(bytes: long.count)) { try a.add(long, to: "s", wall: wall(1)) }
        #expect(throws: StoreFailure.elementTooLarge(bytes: long.count)) {
            try a.remove(long, from: "s", wall: wall(1))
        }
        #expect(throws: StoreFailure.invalidKey(.emptySegment)) { try a.put([], for: "/k", wall: wall(1)) }
        #expect(throws: StoreFailure.invalidKey(.empty)) { try a.delete("", wall: wall(1)) }
        #expect(throws: StoreFailure.invalidKey(.emptySegment)) { try a.increment("k/", by: 1, wall: wall(1)) }
        #expect(throws: StoreFailure.typeConflict(existing: .register)) {
            try a.add(bytes("x"), to: "k", wall: wall(1))
        }
        #expect(throws: StoreFailure.typeConflict(existing: .set)) { try a.increment("s", by: 1, wall: wall(1)) }
        #expect(throws: StoreFailure.storeFull) { try a.put([], for: "new", wall: wall(1)) }
        #expect(a.merge(registerRow("new", author: actor(2)), wall: wall(1)) == .storeFull)
        #expect((a.root, a.context, a.clock) == before)
        _ = try a.put(bytes("w"), for: "k", wall: wall(1))
        a.checkInvariants()
    }

    @Test("A row with many writers takes no new ones but still merges")
    func manyActors() throws {
        var a = store(0)
        var row = registerRow("k", "v", author: actor(1))
        row.versions = (1...Store.writtenActorsMax).map { Dot(actor: actor($0), counter: 1) }
        a.mergeAll([row])
        #expect(throws: StoreFailure.tooManyActors) { try a.put([], for: "k", wall: wall(1)) }
        a.mergeAll([registerRow("k", "w", author: actor(2_000), at: 5)])
        #expect(a.text("k") == "w")
        var wide = registerRow("k", "x", author: actor(3_001), at: 9)
        wide.versions = (3_001...3_300).map { Dot(actor: actor($0), counter: 1) }
        let root = a.root
        #expect(a.merge(wide, wall: wall(9)) == .invalid(.tooManyActors), "the join would be refused by every peer")
        #expect(a.root == root && !a.context.contains(wide.versions[0]))
    }
}
