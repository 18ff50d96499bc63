// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the queue that gossip is taken from.

import ClusterTypes
import Testing

@Suite struct DisseminationQueueTests {
    typealias Queue = DisseminationQueue<String, String>

    static func take(_ queue: inout Queue, budget: Int = 1_000, limit: Int = 3) -> [String] {
        var taken: [String] = []
        let used = queue.take(budget: budget, limit: limit, into: &taken)
        #expect(used <= budget)
        queue.checkInvariants()
        return taken
    }

    @Test("The update sent least goes first, among equals the newest")
    func order() {
        var queue = Queue()
        for name in ["a", "b", "c"] { queue.enqueue(name, for: name, bytes: 10) }
        #expect(Self.take(&queue, budget: 20) == ["c", "b"])
        queue.enqueue("d", for: "d", bytes: 10)
        #expect(Self.take(&queue, budget: 20) == ["d", "a"])
        #expect(queue.freshCount == 0 && !queue.hasFresh)
    }

    @Test("An update leaves after it was sent as often as the limit says")
    func limit() {
        var queue = Queue()
        queue.enqueue("a", for: "a", bytes: 10)
        for _ in 0..<3 { #expect(Self.take(&queue) == ["a"]) }
        #expect(Self.take(&queue).isEmpty && queue.isEmpty)
    }

    @Test("An update with a short form is sent whole first, then short, as often as the limit says in all")
    func later() {
        var queue = Queue()
        queue.enqueue("whole", for: "a", bytes: 300, later: .init("short", bytes: 40, after: 2))
        let sent = (0..<6).flatMap { _ in Self.take(&queue, limit: 5) }
        #expect(sent == ["whole", "whole", "short", "short", "short"] && queue.isEmpty)
        queue.enqueue("whole", for: "a", bytes: 300, later: .init("short", bytes: 40, after: 1))
        #expect(Self.take(&queue, budget: 100).isEmpty && queue.hasFresh)
        #expect(Self.take(&queue) == ["whole"])
        #expect(Self.take(&queue, budget: 100) == ["short"] && !queue.hasFresh)
        queue.enqueue("new", for: "a", bytes: 300)
        let anew = (0..<3).flatMap { _ in Self.take(&queue) }
        #expect(anew == ["new", "new", "new"])
    }

    @Test("A newer update takes its subject's slot and starts anew")
    func supersedes() {
        var queue = Queue()
        queue.enqueue("old", for: "a", bytes: 10)
        queue.enqueue("other", for: "b", bytes: 10)
        _ = Self.take(&queue)
        queue.enqueue("new", for: "a", bytes: 10)
        #expect(queue.count == 2 && queue.peek("a") == "new" && queue.freshCount == 1)
        #expect(Self.take(&queue, budget: 10) == ["new"])
        queue.remove("a")
        #expect(Self.take(&queue) == ["other"] && queue.peek("a") == nil)
    }

    @Test("What does not fit is passed over, but not for ever")
    func budget() {
        var queue = Queue()
        queue.enqueue("small", for: "small", bytes: 10)
        for index in 0..<3 { queue.enqueue("large", for: "large\(index)", bytes: 500) }
        #expect(Self.take(&queue, budget: 100) == ["small"])
        var taken: [String] = []
        queue.enqueue("tiny", for: "tiny", bytes: 1)
        for index in 3..<6 { queue.enqueue("large", for: "large\(index)", bytes: 500) }
        _ = queue.take(budget: 100, limit: 3, scanMax: 2, into: &taken)
        #expect(taken.isEmpty, "two updates that do not fit end the search")
    }

    @Test("A full queue drops what was sent most")
    func capacity() {
        var queue = Queue(capacity: 2)
        queue.enqueue("a", for: "a", bytes: 10)
        _ = Self.take(&queue)
        queue.enqueue("b", for: "b", bytes: 10)
        queue.enqueue("c", for: "c", bytes: 10)
        #expect(queue.count == 2 && queue.peek("a") == nil)
        queue.checkInvariants()
    }

    @Test("A queue that nobody takes from stays small")
    func untaken() {
        var queue = Queue()
        for index in 0..<10_000 {
            queue.enqueue("\(index)", for: "s\(index % 4)", bytes: 10)
            #expect(queue.ticketCount <= 2 * queue.count + Queue.voidTicketsMin)
        }
        #expect(Self.take(&queue) == ["9999", "9998", "9997", "9996"])
    }

    @Test("Agrees with a plain list", arguments: Array(1...10) as [UInt64])
    func model(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        var queue = Queue()
        var sent: [String: Int] = [:]
        for step in 0..<600 {
            let subject = "s\(rng.index(below: 8))"
            switch rng.index(below: 4) {
            case 0, 1:
                queue.enqueue(subject, for: subject, bytes: 10)
                sent[subject] = 0
            case 2:
                queue.remove(subject)
                sent[subject] = nil
            case _:
                let taken = Self.take(&queue, budget: 10 * rng.index(below: 6), limit: 4)
                let least = taken.compactMap { sent[$0] }
                #expect(least == least.sorted() && least.count == taken.count, "seed \(seed), step \(step)")
                let left = sent.filter { !taken.contains($0.key) }.values.min() ?? .max
                #expect((least.last ?? 0) <= left, "seed \(seed), step \(step)")
                for subject in taken { sent[subject] = (sent[subject] ?? 0) + 1 == 4 ? nil : (sent[subject] ?? 0) + 1 }
            }
            queue.checkInvariants()
            #expect(queue.count == sent.count, "seed \(seed), step \(step)")
            #expect(queue.freshCount == sent.values.count { $0 == 0 }, "seed \(seed), step \(step)")
            #expect(queue.hasFresh == sent.values.contains(0))
        }
    }
}
