// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the kernel's part in strict keys: streams on demand, marks, the feed, and what is kept out of them.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import StrictCore
import StrictGroup
import Testing

@Suite("Strict keys in the kernel")
struct StrictKernelTests {
    private static let group: UInt64 = 77
    private static let feed = ActorID.strictFeed(group: group)

    private static func mark(changes: UInt64, wall: UInt64 = 1_700_000_000_000, term: UInt64 = 1) -> StrictMark {
        StrictMark(
            group: group, term: term, leader: id(2), changes: changes, wall: wall, voters: [id(2), id(3), id(4)])
    }

    private static func change(_ number: UInt64, index: UInt64, _ key: String, _ value: [UInt8]?) throws
        -> StrictFeedChange
    {
        StrictFeedChange(
            number: number, index: index, time: 1_700_000_000_000, key: try #require(StrictKey(key)), value: value)
    }

    /// A client of the group: it has the prefix, and other nodes vote.
    private func client() -> KernelBench {
        KernelBench.knowing(2...5) {
            $0.strict = StrictConfiguration(prefixes: ["lock/"], voters: .names(["n2", "n3", "n4"]), isEligible: false)
        }
    }

    private func put(_ key: String) throws -> StrictCall {
        .change(.put(try #require(StrictKey(key)), value: [1], lease: 0))
    }

    @Test("A client waits the longer for news of the leader the more members there are")
    func patience() throws {
        let bench = client()
        let few = try #require(bench.kernel.strictNode)
        let interval = bench.kernel.configuration.swim.probeInterval
        #expect(few.leaderPatience == interval * 9)
        let many = KernelBench.knowing(2...40) { $0.strict = StrictConfiguration(prefixes: ["lock/"]) }
        #expect(many.kernel.strictNode?.leaderPatience == interval * 12)
    }

    @Test("An ordinary write of a strict key is refused, whatever it is, and others are not")
    func ordinaryWrites() throws {
        var bench = client()
        for command in [
            Command.put(key: "lock/a", value: [1]), .delete(key: "lock/a"), .addElement([1], key: "lock/a"),
            .increment(key: "lock/a", by: 1),
            .write([.put(key: "app/a", value: [1]), .put(key: "lock/a", value: [1])], .none),
        ] {
            let asked = bench.command(command)
            guard case .failure(.strictKey("lock/a"))? = bench.answers(to: asked).first else {
                Issue.record("\(command) was answered with \(bench.answers(to: asked))")
                continue
            }
        }
        let allowed = bench.command(.put(key: "lockout", value: [1]))
        guard case .written? = bench.answers(to: allowed).first else {
            Issue.record("a key beside the prefix was refused")
            return
        }
    }

    @Test("A peer's row of a strict key is taken from the group's log alone, others are counted")
    func foreignRows() {
        var bench = client()
        bench.hear([.row(.register("lock/a", [1], by: 3, counter: 1))], from: 3)
        #expect(bench.value("lock/a") == nil && bench.kernel.statistics.strictRowsRefused == 1)
        var row = Row.register("lock/a", [2], by: 3, counter: 1)
        row.author = Self.feed
        row.versions = [Dot(actor: Self.feed, counter: 1)]
        row.details = EventDetails(index: 9)
        bench.hear([.row(row)], from: 3)
        #expect(bench.value("lock/a") == [2])
        #expect(bench.kernel.store.read("lock/a")?.shownVersion == "9")
    }

    @Test("A call opens a stream to the leader that the mark names, and goes out when it is open")
    func callsLeader() throws {
        var bench = client()
        bench.hear([.strictMark(Self.mark(changes: 0))], from: 5)
        let asked = bench.command(.strict(try put("lock/a"), within: .seconds(3)))
        let stream = try #require(bench.opened.first?.id)
        #expect(bench.opened.map(\.to) == [address(2)] && bench.written.isEmpty)
        bench.handle(.streamOpened(stream))
        #expect(bench.kept == [stream])
        let said = bench.frames(on: stream)
        guard said.contains(where: { if case .strict(.forward) = $0 { true } else { false } }) else {
            Issue.record("it said \(said)")
            return
        }
        #expect(bench.answers(to: asked).isEmpty)
        bench.pass(.seconds(4))
        guard case .strict(.failed(.unavailable))? = bench.answers(to: asked).first else {
            Issue.record("answered with \(bench.answers(to: asked))")
            return
        }
        #expect(bench.answers(to: asked).count == 1)
    }

    @Test("A large question of a client gives way to other frames, a small one does not", arguments: [100, 100_000])
    func offers(bytes: Int) throws {
        var bench = client()
        bench.hear([.strictMark(Self.mark(changes: 0))], from: 5)
        let value = [UInt8](repeating: 1, count: bytes)
        bench.command(
            .strict(.change(.put(try #require(StrictKey("lock/a")), value: value, lease: 0)), within: .seconds(3)))
        let stream = try #require(bench.opened.first?.id)
        bench.handle(.streamOpened(stream))
        // The session first, which is small.
        let registration = try #require(bench.forwards().first)
        #expect(!registration.isOffered)
        bench.clear()
        bench.hear([.strict(.forwarded(id: registration.id, .reply(.answer(.session(7)))))], on: stream, from: 2)
        #expect(bench.forwards().map(\.isOffered) == [bytes > 16_384])
    }

    @Test("A refused stream is tried again after a while, not at once")
    func backsOff() throws {
        var bench = client()
        bench.hear([.strictMark(Self.mark(changes: 0))], from: 5)
        bench.command(.strict(try put("lock/a"), within: .seconds(10)))
        let first = try #require(bench.opened.first?.id)
        bench.handle(.streamClosed(first, .refused))
        #expect(bench.opened.count == 1)
        bench.passAnswering(.seconds(3))
        let again = bench.opened.filter { $0.to == address(2) }.count
        #expect((2...12).contains(again), "it was tried \(again) times")
    }

    @Test("A node without strict prefixes refuses calls and streams, and passes marks on")
    func bystander() throws {
        var bench = KernelBench.knowing(2...5)
        let asked = bench.command(.strict(.status, within: .seconds(1)))
        guard case .strict(.failed(.notConfigured))? = bench.answers(to: asked).first else {
            Issue.record("answered with \(bench.answers(to: asked))")
            return
        }
        let mark = Self.mark(changes: 3)
        bench.hear([.strictMark(mark), .ping(Ping(sequence: 9, target: id(1)))], from: 5)
        #expect(bench.messages(to: 5).contains(.strictMark(mark)))
        // An older one takes nothing back.
        bench.clear()
        bench.hear([.strictMark(Self.mark(changes: 2)), .ping(Ping(sequence: 10, target: id(1)))], from: 4)
        #expect(bench.messages(to: 4).contains(.strictMark(mark)))
        let stream = bench.accept(from: 3)
        bench.hear([.strict(.founding(.prepare(FoundingBallot(round: 1, proposer: id(3)))))], on: stream, from: 3)
        #expect(bench.frames(on: stream) == [.sentinel(.farewell)] && bench.closed.contains(stream))
    }

    @Test("The age of local reads is that of the newest mark whose changes are all here")
    func age() throws {
        var bench = client()
        func age() throws -> StrictAge {
            let asked = bench.command(.strictAge)
            guard case .strictAge(let age)? = bench.answers(to: asked).first else {
                throw Unexpected(what: "\(bench.answers(to: asked))")
            }
            return age
        }
        #expect(try age().milliseconds == nil)
        let wall = bench.clock.wall.milliseconds
        bench.hear([.strictMark(Self.mark(changes: 0, wall: wall - 500))], from: 2)
        #expect(try age() == StrictAge(milliseconds: 500, changes: 0, known: 0))
        bench.hear([.strictMark(Self.mark(changes: 1, wall: wall - 100))], from: 2)
        #expect(try age() == StrictAge(milliseconds: 500, changes: 0, known: 1))
        let rows = NodeKernel.rows(of: [try Self.change(1, index: 4, "lock/a", [1])], by: Self.feed)
        bench.hear(rows.map { .row($0) }, from: 2)
        #expect(try age() == StrictAge(milliseconds: 100, changes: 1, known: 1))
    }

    @Test("Changes of one entry are one transaction, and of two rows of one millisecond the later change wins")
    func feedRows() throws {
        let rows = NodeKernel.rows(
            of: [
                try Self.change(1, index: 4, "lock/a", [1]), try Self.change(2, index: 5, "lock/a", [2]),
                try Self.change(3, index: 5, "lock/b", nil),
            ], by: Self.feed)
        #expect(rows.map(\.details.transaction) == [nil, .init(first: 2, count: 2), .init(first: 2, count: 2)])
        #expect(rows.map(\.details.index) == [4, 5, 5])
        #expect(rows.allSatisfy { $0.defect == nil })
        // The stamps' low bits come round after 65 536 entries: the order of the log is that of its changes.
        let late = NodeKernel.rows(
            of: [try Self.change(9, index: 65_535, "k", [1]), try Self.change(10, index: 65_536, "k", [2])],
            by: Self.feed)
        #expect(late[1].stamp < late[0].stamp)
        #expect(Row.joined(late[0], late[1]) == late[1] && Row.joined(late[1], late[0]) == late[1])
    }

    @Test("A strict row from the future is taken, and tells no other write the time")
    func futureRows() throws {
        var bench = client()
        var change = try Self.change(1, index: 4, "lock/a", [1])
        change.time = bench.clock.wall.milliseconds + 7_200_000
        bench.hear(NodeKernel.rows(of: [change], by: Self.feed).map { .row($0) }, from: 2)
        #expect(bench.value("lock/a") == [1])
        bench.command(.put(key: "app/a", value: [1]))
        let stamp = try #require(bench.kernel.store.read("app/a")?.stamp)
        #expect(stamp.milliseconds <= bench.clock.wall.milliseconds)
    }

    @Test("The daemon's own tag is not a user's to change, and tells who may vote")
    func tag() {
        var bench = client()
        let set = bench.command(.changeTags(set: [NodeKernel.strictTag], unset: []))
        guard case .failure(.invalidTags)? = bench.answers(to: set).first else {
            Issue.record("answered with \(bench.answers(to: set))")
            return
        }
        #expect(!bench.kernel.membership.me.info.tags.contains(NodeKernel.strictTag))
        let voter = KernelBench { $0.strict = StrictConfiguration(prefixes: ["lock/"]) }
        #expect(voter.kernel.membership.me.info.tags == [NodeKernel.strictTag])
    }

    private struct Unexpected: Error { var what: String }
}

extension KernelBench {
    /// Clients' questions that went out, and whether they give way to other frames.
    fileprivate func forwards() -> [(id: UInt64, isOffered: Bool)] {
        log.flatMap { action -> [(id: UInt64, isOffered: Bool)] in
            let (packet, isOffered): (Packet, Bool)
            switch action {
            case .writeStream(_, let written): (packet, isOffered) = (written, false)
            case .offerStream(_, let offered): (packet, isOffered) = (offered, true)
            default: return []
            }
            return packet.messages.compactMap { message in
                if case .strict(.forward(let id, _)) = message { (id, isOffered) } else { nil }
            }
        }
    }
}
