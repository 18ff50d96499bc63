// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the checkers: on made-up histories that break each rule, and on the nearest ones that do not.

import ClusterTypes
import NodeKernel
import Simulator
import StoreCore
import Testing

private let alice = NodeID(high: 1, low: 1)
private let bob = NodeID(high: 2, low: 2)
private let first = DotCheck.Process(node: 0, number: 1)
private let second = DotCheck.Process(node: 0, number: 2)
private let other = DotCheck.Process(node: 1, number: 1)

private func actor(_ id: NodeID, _ epoch: UInt32 = 1) -> ActorID { ActorID(node: id, epoch: epoch) }

private func register(
    _ key: String, _ value: String?, dots: [Dot], stamp: UInt64, author: ActorID? = nil
) -> Row {
    Row(
        id: RowID(key: key, part: .register), versions: dots, stamp: HybridTimestamp(rawValue: stamp),
        author: author ?? dots[0].actor, content: .register(value.map { Array($0.utf8) }))
}

private func element(_ entries: [ElementEntry], dots: [Dot], stamp: UInt64) -> Row {
    Row(
        id: RowID(key: "set", part: .element([1])), versions: dots, stamp: HybridTimestamp(rawValue: stamp),
        author: dots[0].actor, content: .element(entries))
}

@Suite("The check of dots")
struct DotCheckTests {
    private let dot = Dot(actor: actor(alice), counter: 1)

    /// Alice wrote `x` durably; nothing is wrong yet.
    private func afterOneWrite() -> DotCheck {
        var check = DotCheck(nodes: 2)
        let row = register("x", "1", dots: [dot], stamp: 1)
        check.persisting(row, id: alice, process: first)
        check.persisted(row, process: first)
        check.sent(row, process: first)
        check.persisting(row, id: bob, process: other)
        check.persisted(row, process: other)
        check.sent(row, process: other)
        return check
    }

    @Test("An honest history is accepted")
    func honest() {
        let check = afterOneWrite()
        #expect(check.violations.count == 0)
        #expect(check.dotsSeen == 1)
    }

    @Test("A dot used for two rows is found")
    func twoRows() {
        var check = afterOneWrite()
        check.persisting(register("y", "1", dots: [dot], stamp: 1), id: alice, process: first)
        #expect(check.violations.first.contains { $0.contains("was used twice: for 'x' and for 'y'") })
    }

    @Test("A dot made again with another value is found")
    func twoValues() {
        var check = afterOneWrite()
        check.persisting(register("x", "2", dots: [dot], stamp: 1), id: alice, process: first)
        #expect(check.violations.first.contains { $0.contains("differ in content") })
    }

    @Test("A restarted process that goes on under the old actor is found; one with a new epoch is not")
    func restart() {
        var check = afterOneWrite()
        check.ended(node: 0)
        let honest = register("x", "2", dots: [Dot(actor: actor(alice, 2), counter: 1)], stamp: 2)
        check.persisting(honest, id: alice, process: second)
        #expect(check.violations.count == 0)
        let wrong = register("x", "3", dots: [Dot(actor: actor(alice), counter: 2)], stamp: 3)
        check.persisting(wrong, id: alice, process: second)
        #expect(check.violations.first.contains { $0.contains("its actor belongs to process 1") })
    }

    @Test("A dot that its author never made is found")
    func invented() {
        var check = afterOneWrite()
        check.persisting(
            register("x", "9", dots: [Dot(actor: actor(alice), counter: 9)], stamp: 9), id: bob, process: other)
        #expect(check.violations.first.contains { $0.contains("which its author never made") })
    }

    @Test("A row sent before the disk confirmed it is found")
    func tooEarly() {
        var check = afterOneWrite()
        let row = register("x", "2", dots: [Dot(actor: actor(alice), counter: 2)], stamp: 2)
        check.persisting(row, id: alice, process: first)
        check.sent(row, process: first)
        #expect(
            check.violations.first.contains { $0.contains("its own event") && $0.contains("before its disk confirmed") }
        )
    }

    @Test("A row that an earlier process of the node had made durable is the later one's to send once it found it")
    func foundByRestart() {
        var check = afterOneWrite()
        check.ended(node: 1)
        check.recovered([register("x", "1", dots: [dot], stamp: 1)], node: 1)
        check.sent(register("x", "1", dots: [dot], stamp: 1), process: DotCheck.Process(node: 1, number: 2))
        #expect(check.violations.count == 0)
    }

    @Test("A row that a later process did not find on its disk is not its to send")
    func forgottenByRestart() {
        var check = afterOneWrite()
        check.ended(node: 1)
        check.sent(register("x", "1", dots: [dot], stamp: 1), process: DotCheck.Process(node: 1, number: 2))
        #expect(check.violations.count == 1)
    }
}

@Suite("The check of deletes")
struct ResurrectionCheckTests {
    private let one = Dot(actor: actor(alice), counter: 1)
    private let two = Dot(actor: actor(alice), counter: 2)
    private let three = Dot(actor: actor(alice), counter: 3)

    private func entry(added: UInt64, removed: UInt64) -> ElementEntry {
        ElementEntry(actor: actor(alice), added: added, removed: removed)
    }

    @Test("Write, delete and write again is accepted")
    func honest() {
        var check = ResurrectionCheck(nodes: 2)
        check.persisting(register("x", "1", dots: [one], stamp: 1), node: 0)
        check.persisting(register("x", nil, dots: [two], stamp: 2), node: 0)
        check.persisting(register("x", "3", dots: [three], stamp: 3), node: 0)
        #expect(check.violations.count == 0)
    }

    @Test("A deleted register whose old row returns is found")
    func registerReturns() {
        var check = ResurrectionCheck(nodes: 2)
        check.persisting(register("x", nil, dots: [two], stamp: 2), node: 0)
        check.persisting(register("x", "1", dots: [one], stamp: 1), node: 0)
        #expect(check.violations.first.contains { $0.contains("went back in 'x'") })
    }

    @Test("A deleted register whose old value returns under the delete's own version is found")
    func registerReturnsInDisguise() {
        var check = ResurrectionCheck(nodes: 2)
        check.persisting(register("x", nil, dots: [two], stamp: 2), node: 0)
        check.persisting(register("x", "1", dots: [two], stamp: 2), node: 0)
        #expect(check.violations.first.contains { $0.contains("has two contents") })
    }

    @Test("A removed element that is live again without a new add is found")
    func elementReturns() {
        var check = ResurrectionCheck(nodes: 2)
        check.persisting(element([entry(added: 1, removed: 1)], dots: [two], stamp: 2), node: 0)
        check.persisting(element([entry(added: 1, removed: 0)], dots: [two], stamp: 2), node: 0)
        #expect(check.violations.first.contains { $0.contains("an add or a remove") })
    }

    @Test("A removed element that is added anew is accepted")
    func elementAddedAgain() {
        var check = ResurrectionCheck(nodes: 2)
        check.persisting(element([entry(added: 1, removed: 1)], dots: [two], stamp: 2), node: 0)
        check.persisting(element([entry(added: 3, removed: 1)], dots: [three], stamp: 3), node: 0)
        #expect(check.violations.count == 0)
    }

    @Test("A counter that falls is found")
    func counter() {
        func row(_ increments: UInt64, _ dot: Dot) -> Row {
            Row(
                id: RowID(key: "c", part: .counter(actor(alice))), versions: [dot],
                stamp: HybridTimestamp(rawValue: dot.counter), author: actor(alice),
                content: .counter(
                    CounterEntry(increments: increments, decrements: 0, resetIncrements: 0, resetDecrements: 0)))
        }
        var check = ResurrectionCheck(nodes: 1)
        check.persisting(row(5, one), node: 0)
        check.persisting(row(4, two), node: 0)
        #expect(check.violations.first.contains { $0.contains("a counter's total fell") })
    }

    @Test("A node with another disk may start from an older row")
    func restart() {
        var check = ResurrectionCheck(nodes: 2)
        check.persisting(register("x", nil, dots: [two], stamp: 2), node: 0)
        check.forgotten(by: 0)
        check.persisting(register("x", "1", dots: [one], stamp: 1), node: 0)
        #expect(check.violations.count == 0)
    }

    @Test("A watcher that is told of an older value after a delete is a violation; of a newer one is not")
    func watchers() {
        func change(_ kind: Change.Kind, _ stamp: UInt64) -> Change {
            Change(
                key: "x", type: .register, kind: kind,
                version: Version(stamp: HybridTimestamp(rawValue: stamp), author: actor(alice)))
        }
        var check = ResurrectionCheck(nodes: 1)
        check.told(change(.put([1]), 1), node: 0)
        check.told(change(.delete, 2), node: 0)
        check.told(change(.put([3]), 3), node: 0)
        #expect(check.violations.count == 0)
        check.told(change(.delete, 4), node: 0)
        check.told(change(.put([1]), 1), node: 0)
        #expect(check.violations.first.contains { $0.contains("shows 'x' again") })
    }

    @Test("A reader that is shown what the rows do not hold is a violation")
    func readers() {
        func view(_ content: KeyView.Content, _ key: String) -> KeyView {
            KeyView(
                key: key, content: content,
                version: Version(stamp: HybridTimestamp(rawValue: 2), author: actor(alice)), aside: [])
        }
        var check = ResurrectionCheck(nodes: 1)
        check.persisting(register("x", nil, dots: [two], stamp: 2), node: 0)
        check.persisting(element([entry(added: 1, removed: 1)], dots: [two], stamp: 2), node: 0)
        check.shown(nil, node: 0)
        #expect(check.violations.count == 0)
        check.shown(view(.register([1]), "x"), node: 0)
        check.shown(view(.set([[1]]), "set"), node: 0)
        #expect(check.violations.count == 2)
    }
}

@Suite("The other checks")
struct OtherCheckTests {
    private let now = Instant.origin

    @Test("An answer that never comes, comes twice or was never asked for is found")
    func replies() {
        var check = ReplyCheck()
        let answered = check.issue("put a", node: 0, at: now)
        #expect(check.answer(answered, node: 0)?.name == "put a")
        #expect(check.violations.count == 0)
        #expect(check.answer(answered, node: 0) == nil)
        #expect(check.violations.count == 1)
        #expect(check.answer(CommandID(rawValue: 99), node: 0) == nil)
        #expect(check.violations.count == 2)
        _ = check.issue("put b", node: 0, at: now)
        check.finish(at: now + ReplyCheck.patience - .seconds(1))
        #expect(check.violations.count == 2)
        check.finish(at: now + ReplyCheck.patience)
        #expect(check.violations.first.last?.contains("never answered 'put b'") == true)
    }

    @Test("Nobody waits for the answers of a process that is gone, and a stalled one has more time")
    func excusedReplies() {
        var check = ReplyCheck()
        _ = check.issue("put a", node: 0, at: now)
        _ = check.issue("put b", node: 1, at: now)
        check.ended(node: 0)
        check.delayed(node: 1, by: .seconds(10))
        check.finish(at: now + ReplyCheck.patience)
        #expect(check.violations.count == 0)
        check.finish(at: now + ReplyCheck.patience + .seconds(10))
        #expect(check.violations.count == 1)
    }

    @Test("Calling a reachable node failed is false; a dead, separated or just restarted one is not")
    func falseFailures() {
        var topology = Topology()
        var check = FalseFailures()
        let late = now + .seconds(100)
        func judge(process: Int32 = 1, changedAt: Instant = .origin, running: [Bool] = [true, true, true]) -> Bool {
            check.judge(
                observer: 0, subject: 1, process: process, changedAt: changedAt, at: late, topology: topology,
                running: running)
        }
        #expect(!judge(running: [true, false, true]))
        #expect(!judge(process: 2, changedAt: late - .seconds(1)))
        #expect(judge(process: 2))
        #expect(judge())
        topology.raise(.cut(from: NodeMask([0], count: 3), to: NodeMask([1], count: 3)))
        #expect(judge(), "one relay is left")
        topology.heal()
        topology.raise(.partition([0, 1, 0]))
        #expect(!judge())
        check.topologyEnded(topology, at: late - .seconds(2))
        topology.heal()
        #expect(!judge(), "the partition ended just before")
        #expect(check.count == 3)
        #expect(check.subjectCount == 1)
    }

    @Test("Formation counts pairs of running nodes")
    func views() {
        var views = MembershipViews(nodes: 3)
        views.start(0)
        #expect(views.isFormed)
        views.start(1)
        views.set(.alive, of: 1, by: 0)
        #expect(!views.isFormed)
        views.set(.alive, of: 0, by: 1)
        #expect(views.isFormed)
        views.set(.suspect, of: 0, by: 1)
        #expect(views.isFormed)
        views.set(.failed, of: 0, by: 1)
        #expect(!views.isFormed && views.agree(on: [0], .failed))
        views.end(0)
        #expect(views.isFormed)
        views.start(0)
        #expect(!views.isFormed && views[0, 1] == .unknown)
    }
}
