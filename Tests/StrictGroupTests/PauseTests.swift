// SPDX-License-Identifier: Apache-2.0
// Owns the tests of processes that stand still (SIGSTOP, a frozen host) and go on.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup
import Testing

@Suite("Processes that stand still")
struct PauseTests {
    private func formed(seed: UInt64) -> Village {
        var village = Village(nodes: 4, seed: seed)
        #expect(village.run(within: .seconds(3)) { $0.leader != nil })
        village.run(for: .seconds(1))
        return village
    }

    private func wall(_ village: Village) -> UInt64 {
        UInt64(Village.wallStart + village.now.nanoseconds / 1_000_000)
    }

    /// The leader stands still while answers to its heartbeats are on their way to it.
    private func pausedWithAnswers(_ village: inout Village) throws -> NodeID {
        let leader = try #require(village.leader)
        let hasAnswer = village.run(within: .seconds(1)) { village in
            village.queue.contains { due in
                if case .message(.raft(_, let message), from: _, to: leader) = due.event,
                    case .heartbeatResponse = message.body
                {
                    return true
                }
                return false
            }
        }
        #expect(hasAnswer)
        village.pause(leader)
        return leader
    }

    @Test("a leader that stood still is as current as what it sent before, whenever the answers are read")
    func confirmedTime() throws {
        var village = formed(seed: 21)
        let stopped = try pausedWithAnswers(&village)
        let since = wall(village)
        village.run(for: .seconds(10))
        #expect(village.leader != stopped)
        let client = node(4)
        guard case .answer = village.put("s/a", "new", on: client) else {
            Issue.record("not written")
            return
        }
        let events = try #require(village.paused[stopped])
        let answers = events.compactMap { event -> StrictInput? in
            guard case .message(let said, let from, to: stopped) = event, case .raft(_, let message) = said,
                case .heartbeatResponse = message.body
            else { return nil }
            return .message(said, from: from)
        }
        #expect(!answers.isEmpty)
        for answer in answers { village.handle(answer, on: stopped) }
        // It still takes itself for the leader, and must not say that it has all until now.
        #expect(village.hosts[stopped]?.node?.raft?.isLeader == true)
        let mark = try #require(village.hosts[stopped]?.node?.mark)
        #expect(mark.wall <= since && mark.wall + 200 > since, "\(Int64(mark.wall) - Int64(since)) ms after it stopped")
        village.resume(stopped)
        village.run(for: .seconds(2))
        #expect(village.value("s/a", on: stopped) == "new" && village.judge.violations.isEmpty)
    }

    @Test("what a leader says of the others' silence counts to now, though it stood still itself")
    func silence() throws {
        var village = formed(seed: 22)
        let leader = try #require(village.leader)
        village.pause(leader)
        village.run(for: .seconds(10))
        guard case .status(let status)? = village.get(.status, on: leader) else {
            Issue.record("no status")
            return
        }
        #expect(status.followers.count == 2)
        #expect(status.followers.allSatisfy { $0.silentFor > .milliseconds(9_900) }, "\(status.followers)")
        #expect(status.reachable == [leader])
    }

    @Test(
        "a leader says how current it is as soon as its term has begun for sure, and is never more than a round behind")
    func freshness() throws {
        var village = formed(seed: 23)
        for _ in 0..<3 {
            let leader = try #require(village.leader)
            for _ in 0..<20 {
                village.run(for: .milliseconds(17))
                let mark = try #require(village.hosts[leader]?.node?.mark)
                #expect(mark.wall <= wall(village) && mark.wall + 60 > wall(village))
            }
            let crashed = wall(village)
            village.crash(leader)
            #expect(village.run(within: .seconds(2)) { ($0.leader ?? leader) != leader })
            let next = try #require(village.leader)
            // What the one before committed may not be known yet.
            let began = try #require(village.hosts[next]?.node?.mark)
            #expect(began.leader == next && began.wall <= crashed)
            village.restart(leader)
            village.run(for: .seconds(1))
        }
    }

    private func failedTransfer(_ reply: StrictReply?) -> NodeID? {
        if case .failed(.transferFailed(to: let target)) = reply { target.id } else { nil }
    }

    @Test(
        "leadership that is sent to a voter that stands still stays, names it, and is not taken when it wakes",
        arguments: [Interval.zero, .milliseconds(100), .seconds(3)], [true, false])
    func transferToStopped(since: Interval, isAskedOfLeader: Bool) throws {
        var village = formed(seed: 24)
        let leader = try #require(village.leader)
        let stopped = try #require((1...3).map(node).first { $0 != leader })
        village.pause(stopped)
        village.run(for: since)
        let began = village.now
        let order = StrictCall.operate(.transfer(to: stopped))
        let reply = village.get(order, on: isAskedOfLeader ? leader : node(4))
        #expect(failedTransfer(reply) == stopped, "\(String(describing: reply))")
        #expect(village.now - began < .milliseconds(1_200))
        let elections = village.judge.elections
        village.run(for: .seconds(10))
        village.resume(stopped)
        village.run(for: .seconds(5))
        #expect(village.leader == leader && village.judge.elections == elections)
        #expect(village.judge.violations.isEmpty)
    }

    @Test("the leader's word to stand that was on its way when the voter stopped is not followed when it wakes")
    func staleWord() throws {
        var village = formed(seed: 25)
        let leader = try #require(village.leader)
        let target = try #require((1...3).map(node).first { $0 != leader })
        let order = village.ask(.operate(.transfer(to: target)), on: leader)
        let isAsked = village.run(within: .seconds(1)) { village in
            village.queue.contains { due in
                if case .message(.raft(_, let message), from: _, to: target) = due.event,
                    case .timeoutNow = message.body
                {
                    return true
                }
                return false
            }
        }
        #expect(isAsked)
        village.pause(target)
        village.run(for: .seconds(5))
        #expect(failedTransfer(village.clients.replies[order]) == target)
        let elections = village.judge.elections
        village.resume(target)
        village.run(for: .seconds(5))
        #expect(village.leader == leader && village.judge.elections == elections)
        guard case .done = village.get(.operate(.transfer(to: target)), on: node(4)) else {
            Issue.record("it does not take over when it is awake")
            return
        }
        #expect(village.leader == target && village.judge.violations.isEmpty)
    }
}
