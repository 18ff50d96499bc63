// SPDX-License-Identifier: Apache-2.0
// Owns the proof that the short way of a strict group's rows comes to what `merge` comes to.

import ClusterTypes
import StoreCore
import Testing

@Suite("Rows of a strict group that follow each other")
struct FollowTests {
    private static let group = ActorID.strictFeed(group: 7)
    private static let other = ActorID.strictFeed(group: 8)
    private static let node = ActorID(node: NodeID(high: 3, low: 4), epoch: 1)
    private static let wall = WallTime(milliseconds: 1_700_000_000_000)

    private func store() -> Store { Store(actor: ActorID(node: NodeID(high: 1, low: 2), epoch: 1)) }

    private func row(
        _ key: String, _ value: [UInt8]?, _ counter: UInt64, by author: ActorID = group, time: UInt64 = 5,
        _ details: EventDetails? = nil
    ) -> Row {
        Row(
            id: RowID(key: key, part: .register), versions: [Dot(actor: author, counter: counter)],
            stamp: HybridTimestamp(rawValue: time << 16 | counter & 0xffff), author: author, content: .register(value),
            details: details ?? EventDetails(index: author.isStrictFeed ? counter : 0))
    }

    /// What the short way did, or else `merge`; true: it was the short one.
    private func take(_ row: Row, _ store: inout Store) -> (outcome: MergeOutcome, isShort: Bool) {
        switch store.follow(row) {
        case .applied(let change): (.applied(change.map { [$0] } ?? []), true)
        case .unknown: (store.merge(row, wall: Self.wall), false)
        }
    }

    @Test(
        "Any sequence of rows leaves what merging leaves, and tells the same changes",
        arguments: 1...20 as ClosedRange<UInt64>)
    func sameAsMerge(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        var (short, long) = (store(), store())
        var counter: UInt64 = 0
        var shorts = 0
        for step in 0..<400 {
            counter += 1
            let key = "strict/\(Int.random(in: 0..<24, using: &rng))"
            let value: [UInt8]? =
                rng.next() % 4 == 0 ? nil : [UInt8](repeating: UInt8(rng.next() % 3), count: step % 40)
            var next = row(key, value, counter, time: UInt64(step / 7))
            switch rng.next() % 100 {
            case 0: next = row(key, value, max(1, counter / 2), time: UInt64(step / 14))
            case 1: next = row(key, value, counter, by: Self.other, time: UInt64(step))
            case 2: next = row(key, value, counter, by: Self.node, time: UInt64(step))
            case 3:
                next.id = RowID(key: key, part: .element([1]))
                next.content = .element([ElementEntry(actor: Self.group, added: counter, removed: 0)])
            case 4: next.details.transaction = EventDetails.Transaction(first: counter, count: 2)
            case 5: next.details.index = Dot.counterMax + 1
            case 6: next.details.user = "ann"
            case 7: next.details = EventDetails(expiresAt: 1, index: counter)
            default: break
            }
            let taken = take(next, &short)
            #expect(taken.outcome == long.merge(next, wall: Self.wall), "step \(step)")
            #expect(short.root == long.root && short.context == long.context && short.bytes == long.bytes)
            if taken.isShort { shorts += 1 }
        }
        #expect(shorts > 40, "the short way was taken \(shorts) times")
        short.checkInvariants()
        #expect(short.deadCount == long.deadCount && short.liveKeyCount == long.liveKeyCount)
    }

    @Test("A row of the same group that follows takes the short way; anything else does not")
    func conditions() {
        var store = store()
        #expect(store.follow(row("a", [1], 1)) == .unknown, "the first row of a key")
        _ = store.merge(row("a", [1], 1), wall: Self.wall)
        #expect(store.follow(row("a", [2], 1)) == .unknown, "no later event")
        #expect(store.follow(row("a", [2], 2, by: Self.other)) == .unknown, "another group")
        #expect(store.follow(row("a", [2], 2, by: Self.node)) == .unknown, "no group at all")
        guard case .applied(let change?) = store.follow(row("a", [2], 2)) else {
            Issue.record("the short way was not taken")
            return
        }
        #expect(change.kind == .put([2]) && change.old == .register([1]) && change.shownVersion == "2")
        guard case .applied(let deletion?) = store.follow(row("a", nil, 3)) else {
            Issue.record("a delete did not take the short way")
            return
        }
        #expect(deletion.kind == .delete && deletion.old == .register([2]))
        #expect(store.follow(row("a", nil, 4)) == .applied(nil))
        store.checkInvariants()
    }
}
