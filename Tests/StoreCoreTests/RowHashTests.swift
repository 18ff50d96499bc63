// SPDX-License-Identifier: Apache-2.0
// Owns the tests of a row's hash, which nodes of all versions must compute alike.

import ClusterTypes
import StoreCore
import Testing

@Suite struct RowHashTests {
    static let one = actor(1)
    static let two = actor(2)

    static func row(
        key: String = "k", part: RowID.Part = .register, versions: [Dot] = [Dot(actor: one, counter: 3)],
        stamp: UInt64 = 5, author: ActorID = one, content: RowContent = .register([1])
    ) -> Row {
        Row(
            id: RowID(key: key, part: part), versions: versions, stamp: HybridTimestamp(rawValue: stamp),
            author: author, content: content)
    }

    static func element(_ element: [UInt8] = [1], _ entries: (ActorID, UInt64, UInt64)...) -> Row {
        row(
            part: .element(element),
            content: .element(entries.map { ElementEntry(actor: $0.0, added: $0.1, removed: $0.2) }))
    }

    static func counter(_ owner: ActorID, _ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64) -> Row {
        row(
            part: .counter(owner),
            content: .counter(CounterEntry(increments: a, decrements: b, resetIncrements: c, resetDecrements: d)))
    }

    @Test("Rows that differ anywhere have different hashes")
    func sensitive() {
        let rows = [
            Self.row(), Self.row(key: "l"), Self.row(key: "kk"), Self.row(versions: [Dot(actor: Self.one, counter: 4)]),
            Self.row(versions: [Dot(actor: Self.two, counter: 3)]),
            Self.row(versions: [Dot(actor: actor(1, epoch: 2), counter: 3)]),
            Self.row(versions: [Dot(actor: Self.one, counter: 3), Dot(actor: Self.two, counter: 1)]),
            Self.row(stamp: 6), Self.row(author: Self.two), Self.row(content: .register(nil)),
            Self.row(content: .register([])), Self.row(content: .register([2])),
            Self.element([1], (Self.one, 3, 0)), Self.element([2], (Self.one, 3, 0)),
            Self.element([1], (Self.one, 3, 3)), Self.element([1], (Self.one, 2, 0)),
            Self.element([1], (Self.two, 3, 0)),
            Self.element([1], (Self.one, 3, 0), (Self.two, 1, 1)), Self.counter(Self.one, 1, 2, 3, 4),
            Self.counter(Self.two, 1, 2, 3, 4), Self.counter(Self.one, 9, 2, 3, 4), Self.counter(Self.one, 1, 9, 3, 4),
            Self.counter(Self.one, 1, 2, 9, 4), Self.counter(Self.one, 1, 2, 3, 9),
        ]
        #expect(Set(rows.map(\.stableHash)).count == rows.count)
    }

    /// A new value here is a new protocol version: old and new nodes would never agree on a root again.
    @Test(
        "The hash of a row never changes",
        arguments: [
            (row(), "224dccb568d48c0a25c049b257414218"),
            (element([1], (one, 3, 0), (two, 1, 1)), "15d5144388eaf0b66f2232248260d9cd"),
            (counter(one, 1, 2, 3, 4), "327d719d76296bcad343e336b8a95f50"),
        ])
    func golden(row: Row, hash: String) {
        #expect(row.stableHash.description == hash)
    }
}
