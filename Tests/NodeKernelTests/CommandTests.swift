// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what clients ask.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Commands")
struct CommandTests {
    /// The one answer to a command, as text.
    private func answer(_ bench: inout KernelBench, _ command: Command) -> String {
        let id = bench.command(command)
        let answers = bench.answers(to: id)
        return answers.count == 1 ? "\(answers[0])" : "\(answers.count) answers"
    }

    private func failure(_ bench: inout KernelBench, _ command: Command) -> CommandFailure? {
        let id = bench.command(command)
        guard case .failure(let failure)? = bench.answers(to: id).first else { return nil }
        return failure
    }

    @Test("A node tells its peers that it speaks the version which its packets have")
    func protocolVersion() {
        let bench = KernelBench.knowing(2...4)
        #expect(bench.kernel.membership.me.info.protocolVersion == ProtocolVersion.current)
    }

    @Test("explain: the member with its history, oldest first, and nobody else's")
    func explain() {
        var bench = KernelBench.knowing(2...4)
        bench.hearVerdicts([failed(3, by: 2), failed(4, by: 2)], from: 2)
        let id = bench.command(.explain("n3"))
        guard case .explanation(let explanation)? = bench.answers(to: id).first else {
            Issue.record("\(bench.replies)")
            return
        }
        #expect(explanation.view.member.id == NodeID(high: 0x1111_0003, low: 3))
        #expect(explanation.view.member.state == .failed)
        #expect(explanation.timeline.map(\.what.name) == ["joined", "suspected", "called failed", "failed"])
        #expect(explanation.timeline.allSatisfy { $0.what.event.map { $0.id == explanation.view.member.id } ?? true })
        #expect(explanation.timeline.allSatisfy { $0.incarnation == 1 })
    }

    @Test("explain tells what was tried, who says the same, and by which way an answer came")
    func findings() throws {
        var bench = KernelBench.knowing(2...4)
        func claim(_ by: Int) -> Message {
            .update(MemberUpdate(subject: id(3), incarnation: 1, claim: .suspect(by: id(by))))
        }
        bench.hear([claim(2)], from: 2)
        bench.hear([claim(4)], from: 4)
        var explanation = try #require(explain(&bench, "n3"))
        #expect(explanation.accusers == [id(2), id(4)])
        #expect(explanation.timeline.map(\.what.name) == ["joined", "suspected", "accused"])
        // Nobody answers for n3, over no way; equal findings share an entry.
        bench.passAnswering(.milliseconds(1_500), except: 3)
        explanation = try #require(explain(&bench, "n3"))
        let failures = explanation.timeline.filter { $0.what.name == "probe failed" }
        #expect(failures.count == 1)
        #expect((failures.first?.times ?? 0) >= 1)
        #expect(explanation.accusers.contains(id(1)))
        bench.hear([alive(3, 2)], from: 3)
        explanation = try #require(explain(&bench, "n3"))
        #expect(explanation.timeline.last?.what.name == "alive")
        #expect(explanation.timeline.last?.incarnation == 2)
        #expect(explanation.accusers.isEmpty)
    }

    @Test("one member that flaps pushes out nothing of another, and what is reaped is forgotten")
    func timelinePerMember() throws {
        var bench = KernelBench.knowing(2...4) { $0.swim.failedRetention = .seconds(60) }
        bench.hear([.update(MemberUpdate(subject: id(4), incarnation: 1, claim: .left))], from: 2)
        for incarnation in 1..<200 as Range<UInt64> {
            bench.hear([failed(3, incarnation, by: 2), alive(3, incarnation + 1)], from: 2)
        }
        let flapping = try #require(explain(&bench, "n3"))
        #expect(flapping.timeline.count == 32)
        #expect(flapping.timeline.last?.incarnation == 200)
        #expect(try #require(explain(&bench, "n4")).timeline.map(\.what.name) == ["joined", "left"])
        bench.passAnswering(.seconds(130))
        #expect(explain(&bench, "n4") == nil)
        bench.hear([alive(4, 2)], from: 4)
        #expect(try #require(explain(&bench, "n4")).timeline.map(\.what.name) == ["joined"])
    }

    private func explain(_ bench: inout KernelBench, _ name: String) -> MemberExplanation? {
        let id = bench.command(.explain(name))
        guard case .explanation(let explanation)? = bench.answers(to: id).first else { return nil }
        return explanation
    }

    @Test("the history of all members together is bounded, the oldest goes first")
    func timelineBound() throws {
        var bench = KernelBench.knowing(2...60) { $0.timelineEventsMax = 100 }
        for number in 2...60 { bench.hear([failed(number, by: 61), alive(number, 2)], from: 61) }
        let all = try (2...60).flatMap { try #require(explain(&bench, "n\($0)")).timeline }
        #expect((75...100).contains(all.count), "\(all.count)")
        #expect(try #require(explain(&bench, "n60")).timeline.count >= 3)
        #expect(try #require(explain(&bench, "n2")).timeline.isEmpty)
    }

    @Test("a member is found by name, id or the beginning of its id")
    func find() {
        var bench = KernelBench.knowing(2...4)
        let text = "00000000111100030000000000000003"
        for wanted in ["n3", text, String(text.prefix(16))] {
            #expect(answer(&bench, .explain(wanted)).hasPrefix("explanation"), "\(wanted)")
        }
        #expect(failure(&bench, .explain("nobody")) == .noSuchMember("nobody"))
        #expect(failure(&bench, .explain("")) == .noSuchMember(""))
    }

    @Test("a name that is another member's id stands for nobody else")
    func nameLikeAnID() {
        var bench = KernelBench.knowing(2...4)
        let text = "00000000111100030000000000000003"
        bench.hear([alive(9, 1, name: text)], from: 2)
        let id = bench.command(.explain(text))
        guard case .explanation(let explanation)? = bench.answers(to: id).first else {
            Issue.record("\(bench.replies)")
            return
        }
        #expect(explanation.view.member.info.name == "n3")
    }

    @Test("ambiguous names are refused with the candidates; the active one is meant when there is one")
    func ambiguous() {
        var bench = KernelBench.knowing(2...4)
        bench.hear([alive(8, name: "n3")], from: 2)
        let candidates = [3, 8].map { NodeID(high: 0x1111_0000 + UInt64($0), low: UInt64($0)) }
        #expect(failure(&bench, .explain("n3")) == .ambiguousMember("n3", candidates: candidates))
        #expect(failure(&bench, .forget("n3")) == .ambiguousMember("n3", candidates: candidates))
        bench.hearVerdicts([failed(3, by: 2)], from: 2)
        #expect(answer(&bench, .explain("n3")).contains("explanation"))
        #expect(failure(&bench, .explain("00000000")) != nil, "a prefix that fits several is ambiguous")
        let members = bench.command(.members)
        guard case .members(let views)? = bench.answers(to: members).first else { return }
        #expect(views.filter(\.hasNameConflict).isEmpty)
    }

    @Test("forget: an active member -> failure, a failed one is gone from the list")
    func forget() {
        var bench = KernelBench.knowing(2...4)
        #expect(failure(&bench, .forget("n3")) == .memberIsActive("n3"))
        #expect(failure(&bench, .forget("n1")) == .memberIsSelf("n1"))
        #expect(failure(&bench, .forget("n9")) == .noSuchMember("n9"))
        bench.hearVerdicts([failed(3, by: 2)], from: 2)
        #expect(answer(&bench, .forget("n3")) == "done")
        let members = bench.command(.members)
        guard case .members(let views)? = bench.answers(to: members).first else {
            Issue.record("\(bench.replies)")
            return
        }
        #expect(views.map(\.member.info.name).sorted() == ["n1", "n2", "n4"])
        #expect(views.filter(\.isSelf).count == 1)
        #expect(failure(&bench, .forget("n3")) == .noSuchMember("n3"))
    }

    @Test("tags: set, unset, and their bounds")
    func tags() {
        var bench = KernelBench.knowing(2...3)
        bench.command(.changeTags(set: [Tag(name: "a", value: "1"), Tag(name: "b", value: "2")], unset: []))
        let id = bench.command(.changeTags(set: [Tag(name: "b", value: "3")], unset: ["a", "zzz"]))
        guard case .tags(let tags)? = bench.answers(to: id).first else {
            Issue.record("\(bench.replies)")
            return
        }
        #expect(tags == [Tag(name: "b", value: "3")])
        #expect(bench.kernel.membership.me.incarnation == 3)
        let refused: [[MemberTag]] = [
            [Tag(name: "", value: "x")],
            [Tag(name: "x", value: String(repeating: "x", count: Bounds.tagBytesMax))],
            [Tag(name: "x", value: "1"), Tag(name: "x", value: "2")],
            (0...Bounds.tagsMax).map { Tag(name: "t\($0)", value: "") },
        ]
        for set in refused {
            guard case .invalidTags? = failure(&bench, .changeTags(set: set, unset: [])) else {
                Issue.record("\(set.count) tags were taken")
                continue
            }
        }
        #expect(bench.kernel.membership.me.info.tags == tags)
    }

    @Test("ping: answered with the round trip")
    func ping() {
        var bench = KernelBench.knowing(2...3)
        bench.clear()
        let id = bench.command(.ping("n2"))
        guard case .ping(let ping)? = bench.messages(to: 2).first else {
            Issue.record("no ping was sent")
            return
        }
        bench.pass(.milliseconds(4))
        bench.hear([.ack(Ack(sequence: ping.sequence))], from: 2)
        guard case .pinged(let member, let roundTrip)? = bench.answers(to: id).first else {
            Issue.record("\(bench.replies)")
            return
        }
        #expect(member.member.info.name == "n2" && roundTrip == .milliseconds(4))
        #expect(answer(&bench, .ping("n1")).hasPrefix("pinged"))
        #expect(failure(&bench, .ping("n9")) == .noSuchMember("n9"))
    }

    @Test("ping timeout")
    func pingTimeout() {
        var bench = KernelBench.knowing(2...3)
        let id = bench.command(.ping("n2"))
        bench.pass(.milliseconds(999))
        #expect(bench.answers(to: id).isEmpty)
        bench.pass(.milliseconds(1))
        guard case .failure(let failure)? = bench.answers(to: id).first else {
            Issue.record("\(bench.replies)")
            return
        }
        #expect(failure == .pingTimedOut("n2", after: .seconds(1)))
        bench.pass(.seconds(5))
        #expect(bench.answers(to: id).count == 1)
    }

    @Test("leave -> stopped with outcome; a second leave and later ones are answered too")
    func leave() {
        var bench = KernelBench.knowing(2...4)
        let first = bench.command(.leave(deadline: .seconds(1)))
        let second = bench.command(.leave(deadline: .seconds(9)))
        #expect(bench.events.contains(.leaving))
        bench.pass(.milliseconds(999))
        #expect(bench.stopped.isEmpty)
        bench.pass(.milliseconds(1))
        #expect(bench.stopped == [LeaveOutcome(acknowledged: 0, asked: 3)])
        let third = bench.command(.leave(deadline: .seconds(1)))
        for id in [first, second, third] { #expect(bench.answers(to: id).count == 1) }
        #expect(bench.stopped.count == 1)
    }

    @Test("a quorum of acknowledgements ends a leave at once")
    func leaveQuorum() {
        var bench = KernelBench.knowing(2...4)
        bench.clear()
        bench.command(.leave(deadline: .seconds(5)))
        for number in [2, 3] {
            for case .ping(let ping) in bench.messages(to: number) {
                bench.hear([.ack(Ack(sequence: ping.sequence))], from: number)
            }
        }
        #expect(bench.stopped == [LeaveOutcome(acknowledged: 2, asked: 3)])
        #expect(bench.stopped[0].isQuorum)
    }

    @Test("whoever has left is silent, and clients that wait are answered")
    func silentAfterLeaving() {
        var bench = KernelBench.knowing(2...4)
        bench.persistsAtOnce = false
        let write = bench.command(.put(key: "a", value: [1]))
        let ping = bench.command(.ping("n2"))
        let join = bench.command(.join(["10.0.0.9:7946"]))
        let stream = bench.accept(from: 2)
        bench.command(.leave(deadline: .milliseconds(100)))
        bench.pass(.milliseconds(100))
        #expect(bench.stopped.count == 1)
        #expect(bench.closed.contains(stream))
        #expect(bench.answers(to: ping).count == 1 && bench.answers(to: join).count == 1)
        bench.sent.removeAll()
        bench.opened.removeAll()
        bench.hear([.ping(Ping(sequence: 1, target: id(1)))], from: 2)
        bench.hear([.row(.register("k", [1], by: 2, counter: 1))], from: 2)
        bench.persistAll()
        bench.pass(.seconds(60))
        #expect(bench.sent.isEmpty && bench.opened.isEmpty)
        #expect(bench.answers(to: write).count == 1, "it is durable, and its client still waits")
        #expect(failure(&bench, .put(key: "b", value: [1])) == .notReady)
        #expect(answer(&bench, .status).contains("isLeaving: true"))
    }

    @Test("a leave before the start ends it")
    func leaveBeforeStart() {
        var bench = KernelBench { $0.seeds = ["10.0.0.2:7946"] }
        bench.persistsAtOnce = false
        bench.handle(.start)
        let leave = bench.command(.leave(deadline: .seconds(1)))
        #expect(bench.answers(to: leave).count == 1 && bench.stopped.count == 1)
        bench.persistAll()
        bench.pass(.seconds(60))
        #expect(bench.sent.isEmpty && bench.opened.isEmpty && bench.timers.isEmpty)
    }

    @Test("the store's commands and their failures")
    func store() {
        var bench = KernelBench.knowing(2...3)
        #expect(failure(&bench, .read(key: "a")) == .noSuchKey("a"))
        #expect(failure(&bench, .delete(key: "a")) == .noSuchKey("a"))
        #expect(failure(&bench, .removeElement([1], key: "s")) == .noSuchElement(key: "s"))
        bench.command(.put(key: "a", value: [1]))
        bench.command(.addElement([1], key: "s"))
        bench.command(.increment(key: "c", by: 5))
        #expect(
            failure(&bench, .increment(key: "a", by: 1))
                == .typeConflict(key: "a", existing: .register, requested: .counter))
        #expect(failure(&bench, .removeElement([2], key: "s")) == .noSuchElement(key: "s"))
        #expect(failure(&bench, .increment(key: "c", by: .max)) == .counterOverflow(key: "c"))
        for command in [
            Command.put(key: "", value: []), .put(key: "a//b", value: []), .increment(key: "c", by: 0),
            .put(key: "big", value: [UInt8](repeating: 0, count: Bounds.valueBytesMax + 1)),
            .addElement([UInt8](repeating: 0, count: Bounds.elementBytesMax + 1), key: "s"),
        ] {
            guard case .invalid? = failure(&bench, command) else {
                Issue.record("a command out of bounds was taken")
                continue
            }
        }
        let read = bench.command(.read(key: "a"))
        guard case .key(let view, let author)? = bench.answers(to: read).first else {
            Issue.record("\(bench.replies)")
            return
        }
        #expect(view.content == .register([1]) && author.name == "n1")
        let list = bench.command(.list(prefix: "", after: nil, limit: 2))
        guard case .keys(let entries, let next)? = bench.answers(to: list).first else {
            Issue.record("\(bench.replies)")
            return
        }
        #expect(entries.map(\.view.key) == ["a", "c"] && next != nil)
        #expect(answer(&bench, .delete(key: "a")).hasPrefix("written"))
        #expect(failure(&bench, .read(key: "a")) == .noSuchKey("a"))
    }
}

extension TimelineEntry.What {
    /// For tests that look at the order of things.
    var name: String {
        switch self {
        case .event(let event):
            switch event.kind {
            case .joined: "joined"
            case .alive: "alive"
            case .suspected: "suspected"
            case .failed: "failed"
            case .left: "left"
            default: "other"
            }
        case .note(.probeFailed): "probe failed"
        case .note(.probeRescued): "probe rescued"
        case .note(.probeNotSent): "probe not sent"
        case .note(.accused): "accused"
        case .note(.calledFailed): "called failed"
        }
    }

    var event: MemberEvent? { if case .event(let event) = self { event } else { nil } }
}
