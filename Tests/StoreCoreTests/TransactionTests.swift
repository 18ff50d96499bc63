// SPDX-License-Identifier: Apache-2.0
// Owns the tests of whole requests: all or nothing, conditions, what is said of a write.

import ClusterTypes
import StoreCore
import Testing

@Suite struct TransactionTests {
    static func filled() throws -> Store {
        var a = store(1)
        _ = try a.put(bytes("v"), for: "r", wall: wall(0))
        _ = try a.add(bytes("x"), to: "s", wall: wall(0))
        _ = try a.add(bytes("y"), to: "s", wall: wall(0))
        _ = try a.increment("c", by: 5, wall: wall(0))
        return a
    }

    @Test("A request with several rows gets one stamp and consecutive dots, and each row names all of them")
    func severalRows() throws {
        var a = try Self.filled()
        let first = a.nextCounter
        let options = WriteOptions(user: "root", reason: "roll out")
        let mutation = try a.write(
            [
                .put(key: "r", value: bytes("w")), .remove(key: "s", element: bytes("absent")),
                .add(key: "s", element: bytes("z")), .increment(key: "c", by: 2), .delete(key: "s"),
            ], options: options, wall: wall(1))
        #expect(mutation.rows.count == 5, "r, z, c, and the elements x and y that the delete removes")
        let transaction = EventDetails.Transaction(first: first, count: 5)
        for (index, row) in mutation.rows.enumerated() {
            #expect(row.versions.last == Dot(actor: actor(1), counter: first + UInt64(index)))
            #expect(row.version == mutation.version)
            #expect(row.details == EventDetails(user: "root", reason: "roll out", transaction: transaction))
            #expect(row.defect == nil && a.row(row.id) == row)
        }
        #expect(Set(mutation.rows.map(\.id)).count == 5)
        #expect(mutation.changes.allSatisfy { $0.details.user == "root" && $0.details.transaction == transaction })
        #expect(a.text("r") == "w" && a.count("c") == 7 && a.read("s") == nil)
        #expect(a.nextCounter == first + 5 && a.holds([Dot(actor: actor(1), counter: first + 4)]))
        #expect(!a.holds([Dot(actor: actor(1), counter: first), Dot(actor: actor(1), counter: first + 5)]))
        a.checkInvariants()
        var b = store(2)
        b.pull(from: a)
        #expect(b.root == a.root && b.list() == a.list())
    }

    @Test("A single row stands alone")
    func singleRow() throws {
        var a = try Self.filled()
        #expect(try a.put([], for: "r", wall: wall(1)).rows[0].details == .none)
        let twice = try a.write(
            [.put(key: "r", value: [1]), .put(key: "r", value: [2])], options: .none, wall: wall(1))
        #expect(twice.rows.count == 1 && twice.rows[0].details.transaction == nil)
        #expect(twice.rows[0].content == .register([2]))
    }

    @Test("Writes of one request see each other, and the last one to a row wins")
    func inOrder() throws {
        var a = try Self.filled()
        let mutation = try a.write(
            [
                .delete(key: "r"), .add(key: "r", element: bytes("e")), .add(key: "r", element: bytes("e")),
                .remove(key: "r", element: bytes("e")), .add(key: "r", element: bytes("f")),
                .increment(key: "n", by: .max), .increment(key: "n", by: -5), .delete(key: "n"),
                .increment(key: "n", by: 3), .put(key: "new", value: [1]), .delete(key: "new"),
            ], options: .none, wall: wall(1))
        #expect(Set(mutation.rows.map(\.id)).count == mutation.rows.count && mutation.rows.count == 5)
        #expect(a.elements("r") == ["f"] && a.count("n") == 3 && a.read("new") == nil)
        a.checkInvariants()
        var b = store(2)
        b.mergeAll(mutation.rows.reversed() + mutation.rows)
        #expect(b.elements("r") == ["f"] && b.count("n") == 3)
    }

    @Test(
        "A request with one write that is refused changes nothing and names the write",
        arguments: [
            (.put(key: "s", value: []), .typeConflict(existing: .set)),
            (.add(key: "new", element: []), .typeConflict(existing: .register)),
            (.increment(key: "c", by: .max), .counterOverflow), (.increment(key: "c", by: 0), .zeroIncrement),
            (.delete(key: "nothing"), .notFound), (.delete(key: "gone"), .notFound),
            (.put(key: "/", value: []), .invalidKey(.emptySegment)),
            (
                .put(key: "k", value: Array(repeating: 0, count: Bounds.valueBytesMax + 1)),
                .valueTooLarge(bytes: Bounds.valueBytesMax + 1)
            ),
            (
                .remove(key: "s", element: Array(repeating: 0, count: Bounds.elementBytesMax + 1)),
                .elementTooLarge(bytes: Bounds.elementBytesMax + 1)
            ),
        ] as [(StoreWrite, StoreFailure)])
    func atomic(write: StoreWrite, failure: StoreFailure) throws {
        var a = try Self.filled()
        _ = try a.put([], for: "gone", wall: wall(0))
        _ = try a.delete("gone", wall: wall(0))
        let before = (a.root, a.context, a.clock)
        let error = #expect(throws: StoreFailure.self) {
            try a.write(
                [.put(key: "r", value: [1]), .put(key: "new", value: [1]), write], options: .none, wall: wall(1))
        }
        #expect(error == .ofWrite(index: 2, key: write.key, failure))
        #expect(error?.failedKey == write.key && error?.reason == failure)
        #expect((a.root, a.context, a.clock) == before)
        // Alone it fails without the wrapper, except for what only the request made impossible.
        if write.key != "new" {
            #expect(throws: failure) { try a.write([write], options: .none, wall: wall(1)) }
        }
        #expect((a.root, a.context, a.clock) == before)
        a.checkInvariants()
    }

    @Test("Requests beyond the bounds are refused as a whole")
    func bounds() throws {
        var a = store(1, StoreConfiguration(rowsMax: 2))
        let many = (0...Bounds.transactionWritesMax).map { StoreWrite.increment(key: "k", by: Int64($0) + 1) }
        #expect(throws: StoreFailure.transactionTooLarge) { try a.write(many, options: .none, wall: wall(0)) }
        let value = Array(repeating: UInt8(0), count: Bounds.valueBytesMax)
        let large = (0...32).map { StoreWrite.put(key: "k/\($0)", value: value) }
        #expect(throws: StoreFailure.transactionTooLarge) { try a.write(large, options: .none, wall: wall(0)) }
        let three = (0..<3).map { StoreWrite.put(key: "k/\($0)", value: []) }
        #expect(throws: StoreFailure.ofWrite(index: 2, key: "k/2", .storeFull)) {
            try a.write(three, options: .none, wall: wall(0))
        }
        let long = WriteOptions(reason: String(repeating: "x", count: Bounds.reasonBytesMax + 1))
        #expect(throws: StoreFailure.reasonTooLong) { try a.write([three[0]], options: long, wall: wall(0)) }
        #expect(a.rowCount == 0 && a.context.isEmpty && a.clock.seen == .zero)
        #expect(try a.write([], options: .none, wall: wall(0)).rows.isEmpty)
        let user = String(repeating: "ä", count: 40)
        let put = try a.write([three[0]], options: WriteOptions(user: user), wall: wall(0))
        #expect(put.rows[0].details.user == String(repeating: "ä", count: 32), "cut, never refused")
    }

    @Test("A large set is deleted at once, but not as one transaction")
    func largeDelete() throws {
        var a = store(1)
        for part in 0..<2 {
            let adds = (0..<10_000).map { StoreWrite.add(key: "s", element: bytes("\(part)/\($0)")) }
            _ = try a.write(adds, options: .none, wall: wall(0))
        }
        let mutation = try a.delete("s", wall: wall(1))
        #expect(mutation.rows.count == 20_000 && mutation.rows.allSatisfy { $0.details.transaction == nil })
        #expect(a.read("s") == nil && a.deadCount == 20_000)
    }

    @Test("A condition is judged on what the key shows")
    func conditions() throws {
        var a = store(1)
        func put(_ a: inout Store, _ condition: WriteCondition) throws -> String? {
            let options = WriteOptions(condition: condition)
            return try a.write([.put(key: "k", value: [1])], options: options, wall: wall(0)).version?.description
        }
        #expect(throws: StoreFailure.conditionFailed(current: nil)) { try put(&a, .version("x")) }
        #expect(a.rowCount == 0)
        let first = try #require(try put(&a, .absent))
        #expect(throws: StoreFailure.conditionFailed(current: first)) { try put(&a, .absent) }
        let second = try #require(try put(&a, .version(first)))
        #expect(throws: StoreFailure.conditionFailed(current: second)) { try put(&a, .version(first)) }
        let deleted = try #require(try a.delete("k", wall: wall(1)).version?.description)
        #expect(throws: StoreFailure.conditionFailed(current: nil)) { try put(&a, .version(deleted)) }
        _ = try put(&a, .absent)
        a.checkInvariants()
    }

    @Test("A change says what the key showed before and what goes along with the write")
    func oldValues() throws {
        var a = store(1)
        let options = WriteOptions(user: "u", reason: "r")
        func change(_ write: StoreWrite) throws -> Change {
            try #require(try a.write([write], options: options, wall: wall(0)).changes.first)
        }
        #expect(try change(.put(key: "k", value: [1])).old == nil)
        let second = try change(.put(key: "k", value: [2]))
        #expect(second.old == .register([1]) && second.details == EventDetails(user: "u", reason: "r"))
        #expect(try change(.delete(key: "k")).old == .register([2]))
        #expect(try change(.increment(key: "k", by: 3)).old == nil)
        #expect(try change(.increment(key: "k", by: 4)).old == .counter(3))
        #expect(try change(.delete(key: "k")).old == .counter(7))
        #expect(try change(.add(key: "k", element: [1])).old == nil)
        #expect(try change(.remove(key: "k", element: [1])).old == nil)
    }
}

@Suite struct DetailsTests {
    static let some = EventDetails(user: "u", reason: "r", expiresAt: 5)

    @Test("Details that differ anywhere give a row another hash, and none gives it the one it had")
    func hash() {
        let transaction = EventDetails.Transaction(first: 1, count: 2)
        let details = [
            .none, EventDetails(user: "u"), EventDetails(reason: "u"), EventDetails(expiresAt: 1),
            EventDetails(transaction: transaction),
            EventDetails(transaction: EventDetails.Transaction(first: 1, count: 3)),
            EventDetails(transaction: EventDetails.Transaction(first: 2, count: 2)),
            EventDetails(user: "u", reason: "r"), EventDetails(user: "ur"), Self.some,
        ]
        let hashes = details.map {
            var row = registerRow()
            row.details = $0
            return row.stableHash
        }
        #expect(Set(hashes).count == details.count && hashes[0] == registerRow().stableHash)
    }

    @Test("The newest event brings its details, and between two under one version all nodes choose alike")
    func join() {
        var old = registerRow("k", "v", author: actor(1), at: 1)
        old.details = Self.some
        let new = registerRow("k", "w", author: actor(2), at: 2)
        #expect(Row.joined(old, new).details == .none && Row.joined(new, old).details == .none)
        let variants = [
            EventDetails.none, Self.some, EventDetails(user: "z"), EventDetails(reason: "z"),
            EventDetails(transaction: EventDetails.Transaction(first: 1, count: 2)),
        ].map {
            var row = old
            row.details = $0
            return row
        }
        for a in variants {
            for b in variants {
                #expect(Row.joined(a, b) == Row.joined(b, a))
                for c in variants { #expect(Row.joined(Row.joined(a, b), c) == Row.joined(a, Row.joined(b, c))) }
            }
        }
        var a = store(5)
        var b = store(6)
        a.mergeAll(variants)
        b.mergeAll(variants.reversed())
        #expect(a.root == b.root)
        a.checkInvariants()
    }

    @Test(
        "Details beyond the rules are refused",
        arguments: [
            (EventDetails(user: String(repeating: "x", count: Bounds.userBytesMax)), true),
            (EventDetails(user: String(repeating: "x", count: Bounds.userBytesMax + 1)), false),
            (EventDetails(reason: String(repeating: "x", count: Bounds.reasonBytesMax + 1)), false),
            (EventDetails(transaction: .init(first: 3, count: 2)), true),
            (EventDetails(transaction: .init(first: 2, count: 2)), true),
            (EventDetails(transaction: .init(first: 4, count: 2)), false),
            (EventDetails(transaction: .init(first: 1, count: 2)), false),
            (EventDetails(transaction: .init(first: 3, count: 1)), false),
            (EventDetails(transaction: .init(first: 0, count: 9)), false),
            (EventDetails(transaction: .init(first: 1, count: .max)), false),
            (EventDetails(expiresAt: 1), true),
        ])
    func rules(details: EventDetails, isSound: Bool) {
        var row = registerRow("k", "v", counter: 3)
        row.details = details
        #expect(row.defect == (isSound ? nil : .impossibleDetails))
        row.content = .register(nil)
        #expect(row.defect == (isSound && details.expiresAt == 0 ? nil : .impossibleDetails))
        var a = store(9)
        if !isSound { #expect(a.merge(row, wall: wall(0)) == .invalid(.impossibleDetails)) }
    }

    @Test("A counter's later share replaces the earlier one whole")
    func generations() {
        func share(_ generation: UInt64, _ increments: UInt64, _ reset: UInt64) -> Row {
            Row(
                id: RowID(key: "c", part: .counter(actor(1))), versions: [Dot(actor: actor(1), counter: 9)],
                stamp: HybridTimestamp(wall: wall(0)), author: actor(1),
                content: .counter(
                    CounterEntry(
                        generation: generation, increments: increments, decrements: 0, resetIncrements: reset,
                        resetDecrements: 0)))
        }
        #expect(Row.joined(share(2, 100, 100), share(7, 1, 0)) == share(7, 1, 0))
        #expect(Row.joined(share(7, 1, 0), share(2, 100, 0)) == share(7, 1, 0))
        #expect(Row.joined(share(7, 5, 0), share(7, 3, 3)) == share(7, 5, 3))
        #expect(share(9, 1, 0).defect == nil && share(10, 1, 0).defect == .impossibleCounter)
        #expect(share(1, 1, 0).stableHash != share(2, 1, 0).stableHash)
    }
}
