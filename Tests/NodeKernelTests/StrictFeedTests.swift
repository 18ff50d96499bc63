// SPDX-License-Identifier: Apache-2.0
// Owns the tests of how changes of strict keys reach the store's disk: together, and the first one at once.

import ClusterTypes
import NodeKernel
import RaftCore
import StoreCore
import StrictCore
import StrictGroup
import Testing

@Suite("The strict feed's way to the disk")
struct StrictFeedTests {
    /// The only voter of a group that has formed, with a log that is durable at once.
    private struct Voter {
        var bench = KernelBench {
            $0.strict = StrictConfiguration(prefixes: ["lock/"], voters: .count(1))
        }
        private var logged = 0

        init() {
            bench.handle(.start)
            for _ in 0..<40 where bench.kernel.strictNode?.status.role != .leader {
                bench.pass(.milliseconds(100))
                settleLog()
            }
            // The first entry of the term, and the client's session.
            put("lock/first")
            bench.pass(.milliseconds(100))
            settleLog()
            bench.persistAll()
        }

        private mutating func settleLog() {
            while logged < bench.log.count {
                let action = bench.log[logged]
                logged += 1
                if case .strict(.persist(let write)) = action { bench.handle(.strict(.persisted(write.number))) }
            }
        }

        mutating func put(_ key: String) {
            guard let key = StrictKey(key) else { return }
            bench.command(.strict(.change(.put(key, value: [1], lease: 0)), within: .seconds(3)))
            settleLog()
        }

        /// The author of the group's rows.
        var feed: ActorID? { bench.kernel.strictNode?.knownGroup.map { .strictFeed(group: $0) } }

        func fed(from first: Int) -> [FedChanges] {
            bench.persists.dropFirst(first).flatMap(\.records).compactMap {
                if case .store(.fed(let fed)) = $0 { fed } else { nil }
            }
        }

        /// How many changes each commit of the store from number `first` on has.
        func commits(from first: Int) -> [Int] {
            bench.persists.dropFirst(first).map { batch in
                batch.records.reduce(0) { if case .store(.fed(let fed)) = $1 { $0 + fed.changes.count } else { $0 } }
            }
        }
    }

    @Test(
        "Changes that follow each other closely share a commit of the store, and the first after a pause does not wait")
    func sharesCommits() {
        var voter = Voter()
        #expect(voter.bench.kernel.strictNode?.status.role == .leader && voter.bench.value("lock/first") == [1])
        let first = voter.bench.persists.count
        for number in 0..<10 { voter.put("lock/\(number)") }
        #expect(voter.commits(from: first) == [1])
        #expect(voter.bench.value("lock/9") == [1], "what was answered is read before it is on the store's disk")
        voter.bench.pass(.milliseconds(25))
        #expect(voter.commits(from: first) == [1, 9])
        voter.bench.pass(.milliseconds(500))
        voter.put("lock/later")
        #expect(voter.commits(from: first) == [1, 9, 1])
    }

    @Test("While a commit of the feed is under way the changes behind it wait for its end, however long it takes")
    func waitsForDisk() {
        var voter = Voter()
        let first = voter.bench.persists.count
        voter.bench.persistsAtOnce = false
        for number in 0..<3 { voter.put("lock/\(number)") }
        voter.bench.pass(.milliseconds(200))
        #expect(voter.commits(from: first) == [1])
        voter.bench.persistAll()
        voter.bench.pass(.milliseconds(25))
        #expect(voter.commits(from: first) == [1, 2])
    }

    @Test(
        "Under load commits come less often, each with all changes and the last row of each key, and load ends at once")
    func growsWithLoad() throws {
        var voter = Voter()
        let first = voter.bench.persists.count
        let events = voter.bench.kernel.store.context.contiguous(of: try #require(voter.feed))
        for number in 0..<100 { voter.put("lock/\(number % 3)") }
        voter.bench.pass(.milliseconds(25))
        #expect(voter.commits(from: first) == [1, 99])
        for number in 0..<200 { voter.put("lock/\(number % 3)") }
        voter.bench.pass(.milliseconds(25))
        #expect(voter.commits(from: first) == [1, 99], "the pause has grown")
        voter.bench.pass(.milliseconds(25))
        #expect(voter.commits(from: first) == [1, 99, 200])
        let last = try #require(voter.fed(from: first).last)
        #expect(last.rows.map(\.id.key) == ["lock/0", "lock/1", "lock/2"])
        let revisions = voter.fed(from: first).flatMap { $0.changes.map(\.revision) }
        #expect(zip(revisions, revisions.dropFirst()).allSatisfy { $1 == $0 + 1 } && revisions.count == 300)
        voter.bench.checkDisk()
        let disk = voter.bench.disk.context
        #expect((1...300).allSatisfy { disk.contains(Dot(actor: last.rows[0].author, counter: events + $0)) })
        // So many do not wait.
        for number in 0..<2_100 { voter.put("lock/\(number)") }
        voter.bench.pass(.milliseconds(1))
        #expect(voter.commits(from: first).dropFirst(3) == [2_048])
        voter.bench.pass(.milliseconds(1_000))
        voter.put("lock/later")
        voter.put("lock/later")
        voter.bench.pass(.milliseconds(25))
        #expect(voter.commits(from: first).suffix(2) == [1, 1], "with little to do the pause is short again")
    }
}
