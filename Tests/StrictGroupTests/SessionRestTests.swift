// SPDX-License-Identifier: Apache-2.0
// Owns the tests of a client whom the group gives no session.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup
import Testing

@Suite("A group without room for sessions")
struct SessionRestTests {
    /// A client, and the leader that it asks, played by hand: it answers at once.
    struct Bench {
        var client: StrictNode
        var rng = SeededGenerator(seed: 5)
        var clock = Clock(now: Instant(nanoseconds: 1_000_000_000), wall: WallTime(milliseconds: 1_700_000_000_000))
        var registrations: [Instant] = []
        var replies: [UInt64: StrictReply] = [:]
        var hasRoom = false

        init() {
            let configuration = StrictConfiguration(prefixes: ["s/"], isEligible: false)
            client = StrictNode(
                configuration: configuration, id: node(4), restoring: StrictRestored(), clock: clock, using: &rng)
            let voters = (1...3).map(node)
            handle(.start)
            handle(.view(voters.map { StrictPeer(id: $0, name: "n\($0.low)", isAlive: true, isEligible: true) }))
            tellMark()
        }

        mutating func tellMark() {
            let wall = clock.wall.milliseconds
            handle(
                .mark(
                    StrictMark(group: 5, term: 2, leader: node(1), changes: 0, wall: wall, voters: (1...3).map(node))))
        }

        mutating func handle(_ input: StrictInput) {
            var actions: [StrictAction] = []
            client.handle(input, clock: clock, using: &rng, into: &actions)
            client.checkInvariants()
            for action in actions {
                switch action {
                case .send(.forward(let id, .change(let stamp, let operation)), let leader):
                    var answer = StrictAnswer.put(version: 1, modified: 9)
                    if operation == .registerSession {
                        #expect(stamp == nil)
                        registrations.append(clock.now)
                        answer = hasRoom ? .session(7) : .refused(.tooManySessions)
                    }
                    handle(.message(.forwarded(id: id, .reply(.answer(answer))), from: leader))
                case .reply(let id, let reply): replies[id] = reply
                case .send, .persist, .makeSnapshot, .readSnapshot, .loadSnapshot, .compact, .changed, .event: break
                }
            }
        }

        mutating func put(_ id: UInt64, within time: Interval) {
            handle(.call(id: id, .change(.put(key("s/a"), value: [1], lease: 0)), deadline: clock.now + time))
        }

        mutating func pass(_ time: Interval) {
            let end = clock.now + time
            while clock.now < end {
                clock.now = clock.now + .milliseconds(10)
                clock.wall = WallTime(milliseconds: clock.wall.milliseconds + 10)
                if let deadline = client.nextDeadline, deadline <= clock.now { handle(.tick) }
            }
        }
    }

    @Test("a refused session is asked for again after a rest that grows, and not at once")
    func rest() throws {
        var bench = Bench()
        bench.put(1, within: .seconds(100))
        #expect(bench.registrations.count == 1)
        bench.put(2, within: .seconds(100))
        #expect(bench.registrations.count == 1, "who asks meanwhile waits as well")
        bench.pass(.seconds(60))
        // 0.1 s, doubled up to 10 s, each from half to one and a half of it.
        #expect((9...24).contains(bench.registrations.count), "\(bench.registrations.count) requests in a minute")
        let rests = zip(bench.registrations.dropFirst(), bench.registrations).map { $0 - $1 }
        #expect(rests.allSatisfy { $0 >= .milliseconds(50) && $0 <= .milliseconds(15_100) } && Set(rests).count > 5)
        bench.hasRoom = true
        bench.tellMark()
        bench.pass(.seconds(16))
        for id in [1, 2] as [UInt64] { #expect(bench.replies[id] == .answer(.put(version: 1, modified: 9))) }
    }

    @Test("who gets no session in time is told that the group is busy, and that nothing was done")
    func deadline() {
        var bench = Bench()
        bench.put(1, within: .seconds(3))
        bench.pass(.seconds(4))
        #expect(bench.replies[1] == .failed(.tooManyCalls))
        bench.pass(.seconds(60))
        #expect(bench.registrations.count < 10, "nobody waits any more")
    }
}
