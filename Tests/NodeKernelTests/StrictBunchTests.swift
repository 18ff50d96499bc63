// SPDX-License-Identifier: Apache-2.0
// Owns the tests of calls that come to the kernel together: one write for all of them, and one answer for each.

import ClusterTypes
import NodeKernel
import RaftCore
import StrictCore
import StrictGroup
import Testing

@Suite("Calls of the strict group that come together")
struct StrictBunchTests {
    private static func put(_ id: UInt64, _ key: String, within: Interval = .seconds(3)) throws -> StrictAsked {
        StrictAsked(
            id: CommandID(rawValue: id), call: .change(.put(try #require(StrictKey(key)), value: [1], lease: 0)),
            within: within)
    }

    /// A group of one, whose disk is the test's.
    private struct Voter {
        var bench = KernelBench { $0.strict = StrictConfiguration(prefixes: ["lock/"], voters: .count(1)) }
        private var settled = 0

        init() {
            bench.handle(.start)
            for _ in 0..<40 where bench.kernel.strictNode?.status.role != .leader {
                bench.pass(.milliseconds(100))
                settle()
            }
            // The first call opens the session of this node's clients.
            if let key = StrictKey("lock/first") {
                bench.command(.strict(.change(.put(key, value: [1], lease: 0)), within: .seconds(3)))
            }
            settle()
            bench.pass(.milliseconds(100))
            settle()
        }

        /// The disk has all it was given.
        mutating func settle() {
            while settled < bench.log.count {
                let action = bench.log[settled]
                settled += 1
                if case .strict(.persist(let write)) = action { bench.handle(.strict(.persisted(write.number))) }
            }
        }

        var writes: Int {
            bench.log.count { if case .strict(.persist) = $0 { true } else { false } }
        }
    }

    @Test("They go to the disk in one write, and each has its own answer", arguments: [1, 2, 50])
    func oneWrite(count: Int) throws {
        var voter = Voter()
        #expect(voter.bench.kernel.strictNode?.status.role == .leader)
        let before = voter.writes
        let ids = (0..<UInt64(count)).map { 1_000 + $0 }
        voter.bench.handle(.calls(try ids.map { try Self.put($0, "lock/\($0)") }))
        #expect(voter.writes == before + 1)
        #expect(ids.allSatisfy { voter.bench.answers(to: CommandID(rawValue: $0)).isEmpty })
        voter.settle()
        var versions: Set<UInt64> = []
        for id in ids {
            let answers = voter.bench.answers(to: CommandID(rawValue: id))
            guard answers.count == 1, case .strict(.answer(.put(_, let modified)))? = answers.first else {
                Issue.record("\(id) was answered with \(answers)")
                continue
            }
            versions.insert(modified)
            #expect(voter.bench.value("lock/\(id)") == [1])
        }
        #expect(versions.count <= count && !versions.isEmpty)
    }

    @Test("A read that asks for it is told when the entry was written")
    func time() throws {
        var voter = Voter()
        let key = try #require(StrictKey("lock/first"))
        let other = try #require(StrictKey("lock/none"))
        let asked = [(1_000, key, true), (1_001, key, false), (1_002, other, true)].map { id, key, tells in
            StrictAsked(
                id: CommandID(rawValue: id), call: .read(.entry(key)), within: .seconds(3), tellsTime: tells)
        }
        voter.bench.handle(.calls(asked))
        voter.settle()
        let answers = asked.compactMap { voter.bench.answers(to: $0.id).first }
        guard answers.count == 3, case .strictEntry(key, let entry?, let writtenAt?) = answers[0],
            case .strict(.found(.entry(let same), at: _)) = answers[1],
            case .strictEntry(other, nil, writtenAt: nil) = answers[2]
        else {
            Issue.record("\(answers)")
            return
        }
        #expect(entry == same && entry.value == [1])
        #expect(writtenAt <= voter.bench.clock.wall && writtenAt.milliseconds > 0)
    }

    @Test("Each is answered as if it had come by itself when there is no group, no leader, or no node any more")
    func failures() throws {
        func answers(_ bench: KernelBench, _ id: UInt64) -> [Reply] { bench.answers(to: CommandID(rawValue: id)) }

        var stranger = KernelBench.knowing(2...3)
        stranger.handle(.calls([try Self.put(1_001, "lock/a"), try Self.put(1_002, "lock/b")]))
        for id: UInt64 in [1_001, 1_002] {
            guard case .strict(.failed(.notConfigured))? = answers(stranger, id).first else {
                Issue.record("\(answers(stranger, id))")
                continue
            }
        }

        var client = KernelBench.knowing(2...5) {
            $0.strict = StrictConfiguration(prefixes: ["lock/"], voters: .names(["n2", "n3", "n4"]), isEligible: false)
        }
        client.handle(
            .calls([
                try Self.put(1_001, "lock/a", within: .seconds(1)), try Self.put(1_002, "lock/b", within: .seconds(4)),
            ]))
        client.pass(.seconds(2))
        #expect(answers(client, 1_001).count == 1 && answers(client, 1_002).isEmpty)
        client.pass(.seconds(3))
        for id: UInt64 in [1_001, 1_002] {
            guard answers(client, id).count == 1, case .strict(.failed)? = answers(client, id).first else {
                Issue.record("\(answers(client, id))")
                continue
            }
        }
        let leaving = client.command(.leave(deadline: .seconds(5)))
        client.pass(.seconds(20))
        #expect(!client.answers(to: leaving).isEmpty)
        client.handle(.calls([try Self.put(1_003, "lock/a"), try Self.put(1_004, "lock/b")]))
        for id: UInt64 in [1_003, 1_004] {
            guard answers(client, id).count == 1, case .failure? = answers(client, id).first else {
                Issue.record("\(answers(client, id))")
                continue
            }
        }
    }
}
