// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what the group keeps beside plain keys: leases, locks, the feed, snapshots, and later formats.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup
import Testing

@Suite("The state of the strict group")
struct StateTests {
    private func formed(nodes: Int = 4, seed: UInt64, raft: RaftConfiguration = RaftConfiguration()) -> Village {
        var village = Village(nodes: nodes, seed: seed, raft: raft)
        #expect(village.run(within: .seconds(3)) { $0.leader != nil })
        village.run(for: .seconds(1))
        return village
    }

    private func lease(_ village: inout Village, _ milliseconds: UInt64) -> LeaseID {
        guard case .answer(.lease(let id, _)) = village.get(.change(.grantLease(milliseconds: milliseconds)), on: node(4))
        else {
            Issue.record("no lease")
            return 0
        }
        return id
    }

    @Test("a lease ends by the log when nobody renews it, its keys with it, also under a new leader")
    func leases() throws {
        var village = formed(seed: 1)
        let id = lease(&village, 2_000)
        _ = village.get(.change(.put(key("s/l"), value: [1], lease: id)), on: node(4))
        for _ in 0..<4 {
            village.run(for: .milliseconds(1_500))
            #expect(village.get(.change(.keepAlive(id)), on: node(4)) == .answer(.lease(id, milliseconds: 2_000)))
        }
        let leader = try #require(village.leader)
        village.crash(leader)
        village.run(for: .milliseconds(1_000))
        // A new leader gives it its whole time.
        #expect(village.value("s/l", on: node(4)) != nil)
        village.run(for: .milliseconds(2_500))
        #expect(village.value("s/l", on: node(4)) == nil)
        #expect(village.get(.read(.lease(id)), on: node(4)).map { if case .found(.lease(nil), _) = $0 { true } else { false } } == true)
        #expect(village.judge.fedThrough == 2)
    }

    @Test("a lock goes to the next one when the holder's lease ends, and every replica tells of it")
    func locks() {
        var village = formed(seed: 2)
        let (first, second) = (lease(&village, 1_000), lease(&village, 60_000))
        let name = key("s/lock")
        guard
            case .answer(.locked(let token)) = village.get(
                .change(.acquire(lock: name, lease: first, mayWait: true)), on: node(4)),
            case .answer(.waiting(ahead: 1)) = village.get(
                .change(.acquire(lock: name, lease: second, mayWait: true)), on: node(1))
        else {
            Issue.record("not locked")
            return
        }
        village.run(for: .seconds(3))
        guard
            case .answer(.locked(let next)) = village.get(
                .change(.acquire(lock: name, lease: second, mayWait: true)), on: node(1)),
            case .found(.locks(let held), _) = village.get(.read(.locks(after: nil, limit: 10)), on: node(4))
        else {
            Issue.record("not handed on")
            return
        }
        #expect(next > token && held.map(\.name) == [name] && held.map(\.lock.holder.token) == [next])
        // Two changes on three replicas.
        #expect(village.judge.locks.count == 6)
    }

    @Test("a member that was away takes a snapshot, and goes on from there")
    func snapshots() throws {
        var raft = RaftConfiguration()
        raft.snapshotLogBytes = 2_000
        raft.entriesKept = 2
        raft.snapshotChunkBytesMax = 300
        var village = formed(seed: 3, raft: raft)
        let away = try #require([1, 2, 3].map(node).first { $0 != village.leader })
        village.crash(away)
        for number in 0..<60 { _ = village.put("s/\(number % 20)", "value \(number)", on: node(4)) }
        village.restart(away)
        #expect(village.run(within: .seconds(10)) { $0.isSettled })
        let hasInstalled = village.judge.events.contains { event in
            if event.node == away, case .raft(.snapshotInstalled) = event.event { true } else { false }
        }
        #expect(hasInstalled && village.judge.fedThrough == 60)
        #expect(village.machine(away)?.changeCount == 60)
        _ = village.put("s/0", "after", on: node(4))
        village.run(for: .seconds(1))
        #expect(village.isSettled && village.judge.violations.isEmpty)
        // From its own disk, too.
        village.crash(away)
        village.restart(away)
        #expect(village.run(within: .seconds(10)) { $0.isSettled })
    }

    @Test("a snapshot whose bytes are broken is fetched again, and the node counts only when it is whole")
    func brokenSnapshot() throws {
        var raft = RaftConfiguration()
        raft.snapshotLogBytes = 2_000
        raft.entriesKept = 2
        var village = formed(seed: 4, raft: raft)
        let away = try #require([1, 2, 3].map(node).first { $0 != village.leader })
        village.crash(away)
        for number in 0..<40 { _ = village.put("s/\(number % 20)", "value \(number)", on: node(4)) }
        village.breaksNextSnapshot = true
        village.restart(away)
        #expect(village.run(within: .seconds(10)) { !$0.breaksNextSnapshot })
        #expect(village.run(within: .seconds(20)) { $0.isSettled && $0.hosts[away]?.node?.raft?.isRefetching == false })
        #expect(village.judge.violations.isEmpty)
    }

    @Test("an entry of a later program stops a replica, which says so; the others go on")
    func unknownFormat() throws {
        var village = formed(seed: 5)
        _ = village.put("s/a", "1", on: node(4))
        let leader = try #require(village.leader)
        let raft = try #require(village.hosts[leader]?.node?.raft)
        // As a leader of a later version would.
        let other = try #require([1, 2, 3].map(node).first { $0 != leader })
        let entry = LogEntry(
            term: raft.term, index: raft.lastPosition.index + 1, payload: .command([99, 0, 0]))
        let append = AppendRequest(previous: raft.lastPosition, commit: entry.index, entries: [entry])
        let message = RaftMessage(from: leader, to: other, term: raft.term, body: .append(append))
        let group = try #require(village.hosts[leader]?.node?.founding.founded?.group)
        village.cuts = [[leader, other], [other, leader]]
        village.handle(.message(.raft(group: group, message), from: leader), on: other)
        village.run(for: .milliseconds(100))
        #expect(village.judge.events.contains { $0.node == other && $0.event == .unknownFormat(99) })
        guard case .failed(.unknownFormat(99)) = village.get(.read(.entry(key("s/a"))), on: other, within: .seconds(1))
        else {
            Issue.record("it answers what it cannot know")
            return
        }
    }
}
