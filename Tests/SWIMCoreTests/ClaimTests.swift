// SPDX-License-Identifier: Apache-2.0
// Owns the tests of claims: alive, suspect, failed, left, forgotten, and claims of a node about itself.

import ClusterTypes
import SWIMCore
import Testing

@Suite("Claims")
struct ClaimTests {
    @Test("alive: new -> join")
    func aliveNew() {
        var bench = Bench()
        bench.hear(alive(2))
        #expect(bench.kinds(2) == [.joined])
        #expect(bench.state(2) == .alive)
        #expect(bench.queued(2) == alive(2))
    }

    @Test("alive: clears suspicion")
    func aliveClearsSuspicion() {
        var bench = Bench.knowing(2...5)
        bench.hear(suspect(4, by: 2))
        bench.pass(.seconds(1))
        bench.hear(alive(4, 1), from: 4)
        #expect(bench.state(4) == .suspect, "the same incarnation is no refutation")
        bench.hear(alive(4, 2), from: 4)
        #expect(bench.state(4) == .alive)
        #expect(bench.kinds(4).last == .alive(previously: .suspect, after: .seconds(1)))
        bench.pass(.seconds(30))
        #expect(!bench.kinds(4).contains { if case .failed(let evidence, _) = $0 { !evidence.isLocal } else { false } })
    }

    @Test("alive: is idempotent")
    func aliveIdempotent() {
        var bench = Bench()
        bench.hear(alive(2))
        let before = bench.machine.table.fingerprint
        bench.clear()
        bench.machine.forgetQueue()
        for _ in 0..<3 { bench.hear(alive(2)) }
        #expect(bench.events.isEmpty && bench.queued(2) == nil)
        #expect(bench.machine.table.fingerprint == before)
    }

    @Test("alive: tag change -> update")
    func tagChange() {
        var bench = Bench.knowing(2...2)
        bench.hear(alive(2, 2, tags: [Tag(name: "role", value: "db")]))
        #expect(bench.kinds(2) == [.updated(from: info(2))])
        #expect(bench.machine.table[id(2)]?.info.tags == [Tag(name: "role", value: "db")])
        #expect(bench.state(2) == .alive)
    }

    @Test("alive: an address change is an update and probes follow it")
    func addressChange() throws {
        var bench = Bench.knowing(2...2)
        let moved = MemberInfo(name: "n2", address: address(77), tags: [], protocolVersion: 1)
        bench.hear(MemberUpdate(subject: id(2), incarnation: 2, claim: .alive(moved)))
        #expect(bench.kinds(2) == [.updated(from: info(2))])
        bench.pass(.seconds(1))
        #expect(bench.sent.contains { $0.to == address(77) })
    }

    @Test(
        "alive: refutes claims about self",
        arguments: [suspect(1, by: 2), failed(1, by: 2), forgotten(1, by: 2), left(1)])
    func refutesClaimsAboutSelf(claim: MemberUpdate) {
        var bench = Bench.knowing(2...2)
        bench.hear(claim)
        #expect(bench.state(1) == .alive)
        #expect(bench.incarnation(1) == 2)
        #expect(bench.queued(1) == alive(1, 2))
        #expect(bench.machine.statistics.refutations == 1)
        #expect(bench.machine.awareness.score == 1)
        // What is older than the refutation needs none.
        bench.hear(claim)
        #expect(bench.incarnation(1) == 2)
        #expect(bench.machine.statistics.refutations == 1)
    }

    @Test("alive: a claim of an earlier process that outran the fence is overtaken")
    func overtakesEarlierSelf() {
        var bench = Bench.knowing(2...2)
        bench.hear(alive(1, 1))
        #expect(bench.incarnation(1) == 1, "our own claim coming back changes nothing")
        bench.hear(alive(1, 5_000))
        #expect(bench.incarnation(1) == 5_001)
        #expect(bench.events.isEmpty)
    }

    @Test("address and name conflict: both stay visible and it is told")
    func nameConflict() {
        var bench = Bench.knowing(2...2)
        bench.hear(alive(3, name: "n2"))
        #expect(bench.kinds(3) == [.joined, .nameConflict(with: id(2))])
        #expect(bench.machine.table.active(named: "n2") == [id(2), id(3)])
        bench.hear(alive(4, name: "n1"))
        #expect(bench.kinds(4).contains(.nameConflict(with: id(1))))
        bench.hearFailed(2, by: 3)
        #expect(bench.machine.table.active(named: "n2") == [id(3)])
    }

    @Test("suspect: unknown ignored")
    func suspectUnknown() {
        var bench = Bench()
        bench.hear(suspect(9, by: 2))
        #expect(bench.state(9) == nil && bench.events.isEmpty && bench.queued(9) == nil)
    }

    @Test("suspect: no double")
    func suspectNoDouble() {
        var bench = Bench.knowing(2...5)
        bench.hear(suspect(4, by: 2))
        let ends = bench.suspicionEnds(4)
        bench.pass(.milliseconds(100))
        bench.hear(suspect(4, by: 2))
        #expect(bench.kinds(4).count == 1)
        #expect(bench.suspicionEnds(4) == ends)
    }

    @Test("suspect: old incarnation ignored")
    func suspectOld() {
        var bench = Bench.knowing(2...5)
        bench.hear(alive(4, 7), from: 4)
        bench.clear()
        bench.hear(suspect(4, 6, by: 2))
        #expect(bench.state(4) == .alive && bench.events.isEmpty)
    }

    @Test("dead: unknown ignored", arguments: [failed(9, by: 2), left(9), forgotten(9, by: 2)])
    func deadUnknown(claim: MemberUpdate) {
        var bench = Bench()
        bench.hear(claim)
        #expect(bench.state(9) == nil && bench.events.isEmpty && bench.queued(9) == nil)
    }

    @Test("dead: left differs from dead")
    func leftDiffers() {
        var bench = Bench.knowing(2...5)
        bench.hear(left(4))
        bench.hearFailed(5, by: 2)
        #expect(bench.state(4) == .left && bench.kinds(4) == [.left])
        #expect(bench.state(5) == .failed && bench.kinds(5).last?.isFailed == true)
        bench.hear(failed(4, by: 2))
        #expect(bench.state(4) == .left, "whoever left is not called failed afterwards")
        bench.hear(left(5))
        #expect(bench.state(5) == .left, "who left outranks who failed")
    }

    @Test("dead: old ignored", arguments: [failed(4, 6, by: 2), left(4, 6), forgotten(4, 6, by: 2)])
    func deadOld(claim: MemberUpdate) {
        var bench = Bench.knowing(2...5)
        bench.hear(alive(4, 7), from: 4)
        bench.clear()
        bench.hear(claim)
        #expect(bench.state(4) == .alive && bench.events.isEmpty)
    }

    @Test(
        "dead: a replayed alive does not revive",
        arguments: [failed(4, by: 2), left(4), forgotten(4, by: 2)])
    func replayedAlive(claim: MemberUpdate) {
        var bench = Bench.knowing(2...5)
        bench.hear(claim)
        bench.pass(.milliseconds(500))
        let state = bench.state(4)
        #expect(state?.isActive == false)
        bench.clear()
        bench.hear(alive(4, 1), from: 3)
        #expect(bench.state(4) == state && bench.events.isEmpty)
        bench.hear(alive(4, 2), from: 4)
        #expect(bench.state(4) == .alive)
    }

    @Test("dead: stale news of a healthy member is refuted and nobody is told that it failed")
    func staleVerdict() {
        var bench = Bench.knowing(2...5)
        bench.hear(failed(4, by: 2))
        #expect(bench.state(4) == .suspect)
        #expect(bench.queued(4) == suspect(4, by: 2), "what is passed on is the suspicion, not the verdict")
        bench.pass(.milliseconds(499))
        bench.hear(alive(4, 2), from: 4)
        bench.pass(.milliseconds(2))
        #expect(bench.state(4) == .alive && bench.incarnation(4) == 2)
        #expect(bench.kinds(4).filter(\.isFailed).isEmpty)
        bench.hear(failed(4, by: 2))
        #expect(bench.state(4) == .alive, "what was refuted is no news")
    }

    @Test("dead: nobody refutes within a probe's time, so the verdict stands")
    func verdictStands() {
        var bench = Bench.knowing(2...5)
        let begin = bench.now
        bench.hear(failed(4, by: 2))
        #expect(bench.suspicionEnds(4) == begin + .milliseconds(500))
        bench.pass(.milliseconds(499))
        #expect(bench.state(4) == .suspect)
        bench.pass(.milliseconds(1))
        guard case .failed(let evidence, let after)? = bench.kinds(4).last else {
            Issue.record("no failure was told")
            return
        }
        #expect(!evidence.isLocal && evidence.accuser == id(2) && after == .milliseconds(500))
        #expect(bench.state(4) == .failed && bench.kinds(4).filter(\.isFailed).count == 1)
        #expect(bench.queued(4).map { $0.claim.rank } == MemberState.failed.rawValue)
    }

    @Test("dead: whoever has suspected for a probe's time agrees at once", arguments: [499, 500, 2_000])
    func agreesAtOnce(milliseconds: Int) {
        var bench = Bench.knowing(2...9)
        bench.hear(suspect(4, by: 3))
        bench.pass(.milliseconds(milliseconds))
        #expect(bench.state(4) == .suspect)
        bench.hear(failed(4, by: 2))
        #expect((bench.state(4) == .failed) == (milliseconds >= 500))
        bench.pass(.milliseconds(1))
        #expect(bench.state(4) == .failed)
        #expect(bench.machine.statistics.stalls == 0)
    }

    @Test("dead: a verdict on a newer incarnation gives it a probe's time of its own")
    func verdictOnNewerIncarnation() {
        var bench = Bench.knowing(2...9)
        bench.hear(suspect(4, 1, by: 3))
        bench.pass(.seconds(2))
        bench.hear(failed(4, 2, by: 3))
        #expect(bench.state(4) == .suspect && bench.incarnation(4) == 2)
        bench.hear(alive(4, 3), from: 4)
        bench.pass(.milliseconds(500))
        #expect(bench.state(4) == .alive)
    }

    @Test("whoever is thought to be gone hears so when it pings, and refutes")
    func tellsTheDead() {
        var bench = Bench.knowing(2...5)
        bench.hearFailed(4, by: 2)
        bench.clear()
        bench.hear(.ping(Ping(sequence: 3, target: id(1))), from: 4)
        #expect(bench.messages(to: 4) == [ack(3, bench), .update(failed(4, by: 1))])
    }

    @Test("a node that comes back after its row was dropped hears so and can return")
    func returnsAfterReaping() {
        var bench = Bench.knowing(2...5) { $0.failedRetention = .seconds(100) }
        bench.hearFailed(4, 3, by: 2)
        bench.pass(.seconds(200))
        #expect(bench.state(4) == nil)
        bench.clear()
        bench.hear(.ping(Ping(sequence: 3, target: id(1))), from: 4)
        #expect(bench.messages(to: 4) == [ack(3, bench), .update(failed(4, 3, by: 1))])
        bench.hear(alive(4, 3), from: 4)
        #expect(bench.state(4) == nil)
        bench.hear(alive(4, 4), from: 4)
        #expect(bench.state(4) == .alive)
    }

    @Test(
        "limits rejected",
        arguments: [
            MemberUpdate(subject: .unknown, incarnation: 1, claim: .alive(info(9))),
            alive(9, Bounds.incarnationMax + 1),
            alive(9, name: ""),
            alive(9, name: String(repeating: "x", count: 65)),
            alive(9, tags: (0..<65).map { Tag(name: "t\($0)", value: "") }),
            alive(9, tags: [Tag(name: "t", value: String(repeating: "x", count: Bounds.tagBytesMax))]),
            alive(9, tags: [Tag(name: "", value: "x")]),
            alive(9, tags: [Tag(name: String(repeating: "n", count: 65), value: "")]),
            alive(9, tags: [Tag(name: "t", value: "1"), Tag(name: "t", value: "2")]),
        ])
    func limits(claim: MemberUpdate) {
        var bench = Bench.knowing(2...2)
        bench.hear(claim)
        #expect(bench.machine.table.count == 2)
        #expect(bench.machine.statistics.claimsRefused == 1)
        #expect(bench.events.isEmpty)
    }

    @Test("what keeps to the limits exactly is taken in")
    func withinLimits() {
        var bench = Bench()
        var tags = (0..<63).map { Tag(name: "t\($0)", value: "") }
        let rest = Bounds.tagBytesMax - 1 - tags.reduce(0) { $0 + $1.name.utf8.count }
        tags.append(Tag(name: "u", value: String(repeating: "x", count: rest)))
        bench.hear(alive(9, Bounds.incarnationMax, name: String(repeating: "x", count: 64), tags: tags))
        #expect(bench.state(9) == .alive)
    }

    @Test("changed tags travel under a new incarnation")
    func ownTags() {
        var bench = Bench.knowing(2...2)
        bench.perform { $0.replaceTags([Tag(name: "a", value: "b")], clock: $1, into: &$3) }
        #expect(bench.incarnation(1) == 2)
        #expect(bench.queued(1) == alive(1, 2, tags: [Tag(name: "a", value: "b")]))
        #expect(bench.kinds(1) == [.updated(from: info(1))])
        bench.perform { $0.replaceTags([Tag(name: "a", value: "b")], clock: $1, into: &$3) }
        #expect(bench.incarnation(1) == 2, "the same tags are no news")
    }

    @Test("a member that fails and returns again and again takes one turn in a round")
    func flappingMember() {
        var bench = Bench.knowing(2...20) { $0.indirectProbes = 0 }
        for incarnation in 1..<100 as Range<UInt64> {
            bench.hearFailed(4, incarnation, by: 2)
            bench.hear(alive(4, incarnation + 1), from: 4)
        }
        var turns = 0
        for _ in 0..<380 {
            let before = bench.sent.count
            bench.pass(.milliseconds(100))
            for datagram in bench.sent[before...] {
                for case .ping(let ping) in datagram.messages {
                    bench.hear(.ack(Ack(sequence: ping.sequence)), from: Int(ping.target.low))
                    if ping.target == id(4) { turns += 1 }
                }
            }
        }
        #expect(turns <= 4, "19 peers in 38 seconds: two turns each, not \(turns)")
    }
}
