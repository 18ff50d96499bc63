// SPDX-License-Identifier: Apache-2.0
// Owns the tests of a strict log that is torn, damaged, incomplete or another's.

import ClusterTypes
import Glibc
import Persistence
import RaftCore
import StrictCore
import StrictGroup
import Testing

@Suite("Strict log, torn and damaged")
struct StrictDamageTests {
    private static let first = "strict/log-0000000000000001"
    private static let last = HardState(term: 3, votedFor: member(2), commit: 2)

    /// Four writes in one segment, by a process that dies; gives where the frames begin and end.
    private func history(_ scratch: Scratch, closes: Bool = false) throws -> (model: [StrictModel], ends: [Int]) {
        let bench = try StrictBench(scratch)
        var model = StrictModel()
        model.founding.founded = StrictFounding(group: 5, voters: [member(1), member(2)])
        try bench.write(founding: model.founding)
        var models = [model]
        var ends = [try written(scratch)]
        let writes: [(HardState, [LogEntry])] = [
            (HardState(term: 1), [entry(1, 1, "a"), entry(1, 2, "b")]),
            (HardState(term: 2, votedFor: member(1), commit: 2), [entry(2, 3, "c"), entry(2, 4, "d")]),
            (Self.last, [entry(3, 4, "e"), entry(3, 5, "f"), entry(3, 6, "g")]),
        ]
        for (hard, entries) in writes {
            var raft = Persistence(number: 1)
            raft.hardState = hard
            raft.entries = entries
            raft.needsSync = true
            try bench.write(raft)
            model.apply(raft)
            models.append(model)
            ends.append(try written(scratch))
        }
        if closes { bench.disk.close() }
        return (models, ends)
    }

    private func written(_ scratch: Scratch) throws -> Int {
        let bytes = try scratch.whole(Self.first)
        let end = bytes.lastIndex { $0 != 0 } ?? 0
        return (end + 8) / 8 * 8
    }

    /// The disk goes on from there.
    private func checkGoesOn(_ scratch: Scratch, from model: StrictModel) throws {
        var model = model
        let bench = try StrictBench(scratch)
        var raft = Persistence(number: 1)
        raft.hardState = HardState(term: 9, votedFor: member(1))
        raft.entries = [entry(9, model.last.index + 1, "on")]
        raft.needsSync = true
        try bench.write(raft)
        bench.kill()
        model.apply(raft)
        model.check(try StrictBench(scratch).restored)
    }

    @Test("a last write that is cut at any byte, or is there in part, never was", arguments: [0, 1, 2])
    func torn(way: Int) throws {
        try withScratch { scratch in
            let (models, ends) = try history(scratch)
            let whole = try scratch.whole(Self.first)
            let begin = ends[2]
            for at in begin..<ends[3] {
                var bytes = whole
                switch way {
                case 0: bytes.removeLast(bytes.count - at)
                // As much as the disk had written, and zeros as before.
                case 1: for place in at..<bytes.count { bytes[place] = 0 }
                // The rear part came first. From where on nothing but zeros differs it is whole.
                case _: for place in begin...at { bytes[place] = 0 }
                }
                if way == 1, bytes == whole { continue }
                try scratch.write(Self.first, bytes)
                let bench = try StrictBench(scratch)
                models[2].check(bench.restored)
                if at % 16 == 0 {
                    bench.disk.close()
                    try checkGoesOn(scratch, from: models[2])
                }
            }
        }
    }

    @Test("whatever byte before the last write changes, no promise is lost and the loss of entries is known")
    func damage() throws {
        try withScratch { scratch in
            let (models, ends) = try history(scratch)
            let whole = try scratch.whole(Self.first)
            var outcomes: [String: Int] = [:]
            for at in 0..<ends[2] {
                var bytes = whole
                bytes[at] ^= 0x41
                try scratch.write(Self.first, bytes)
                let outcome = try self.outcome(scratch, models)
                outcomes[outcome, default: 0] += 1
                // Zeros between frames say nothing, and neither does a segment's head whose name tells the same, nor a
                // first frame that repeats what was before a log's first write.
                let mayBeHarmless = at < 64 + 168 || ends.contains { (0..<8).contains($0 - at) }
                #expect(outcome != "unharmed" || mayBeHarmless, "byte \(at)")
                for name in scratch.names(in: "strict") { unlink(scratch.data + "/strict/" + name) }
            }
            #expect(outcomes["refetch", default: 0] > 300)
            // The frame with the founding.
            #expect(outcomes["refused", default: 0] > 150)
        }
    }

    private func outcome(_ scratch: Scratch, _ models: [StrictModel]) throws -> String {
        let model = try #require(models.last)
        let found: StrictRestored
        do {
            let bench = try StrictBench(scratch)
            found = bench.restored
            bench.disk.close()
        } catch let failure as PersistenceFailure {
            guard case .corruptStrictLog = failure else { throw failure }
            return "refused"
        }
        #expect(found.founding == model.founding)
        let raft = try #require(found.raft)
        guard let lost = raft.mayHaveAcknowledged else {
            model.check(found)
            return "unharmed"
        }
        #expect(lost >= model.last.index)
        #expect(raft.defect == nil)
        #expect(raft.hardState.term == model.hard.term && raft.hardState.votedFor == model.hard.votedFor)
        #expect(raft.hardState.refetch == Refetch(through: lost, term: model.hard.term))
        // What is left is a state that the log was in.
        #expect(models.contains { $0.entries == raft.entries })
        // The next start knows as much.
        let again = try StrictBench(scratch)
        let second = try #require(again.restored.raft)
        #expect(second.mayHaveAcknowledged == nil)
        #expect(second.hardState == raft.hardState)
        #expect(second.entries == raft.entries)
        #expect(again.restored.founding == model.founding)
        again.disk.close()
        return "refetch"
    }

    @Test("after an orderly end damage to the very last write is known as such")
    func damageBeforeEnd() throws {
        try withScratch { scratch in
            let (models, ends) = try history(scratch, closes: true)
            var bytes = try scratch.whole(Self.first)
            bytes[ends[3] - 20] ^= 1
            try scratch.write(Self.first, bytes)
            let bench = try StrictBench(scratch)
            #expect(bench.restored.raft?.mayHaveAcknowledged == 6)
            #expect(bench.restored.raft?.entries == models[2].entries)
            #expect(bench.restored.raft?.hardState.votedFor == Self.last.votedFor)
            #expect(bench.disk.warnings.count == 2)
            #expect(scratch.exists(Self.first + ".damaged"))
        }
    }

    @Test("a damaged log can be used, is damaged again, and never forgets what it lost")
    func twice() throws {
        try withScratch { scratch in
            let (_, ends) = try history(scratch, closes: true)
            var bytes = try scratch.whole(Self.first)
            bytes[ends[1] + 200] ^= 1
            try scratch.write(Self.first, bytes)
            let bench = try StrictBench(scratch)
            #expect(bench.restored.raft?.entries.count == 2)
            try bench.write([entry(3, 3, "fetched")])
            try bench.write([entry(3, 4, "fetched")])
            bench.disk.close()
            let name = "strict/log-0000000000000002"
            bytes = try scratch.whole(name)
            let place = try #require(bytes.indices.first { bytes[$0...].starts(with: Array("3/3 fetched".utf8)) })
            bytes[place] ^= 1
            try scratch.write(name, bytes)
            let again = try #require(try StrictBench(scratch).restored.raft)
            #expect(again.mayHaveAcknowledged == 6)
            #expect(again.entries.map(\.index) == [1, 2])
            #expect(again.hardState.refetch?.through == 6)
        }
    }

    /// Writes until there are some segments.
    private func long(_ scratch: Scratch) throws -> StrictModel {
        var model = StrictModel()
        model.founding.founded = StrictFounding(group: 5, voters: [member(1)])
        let bench = try StrictBench(scratch)
        try bench.write(founding: model.founding)
        for index in UInt64(1)...40 {
            var raft = Persistence(number: index)
            raft.hardState = HardState(term: 2, votedFor: member(1))
            raft.entries = [entry(2, index, String(repeating: "v", count: 200))]
            raft.needsSync = true
            try bench.write(raft)
            model.apply(raft)
        }
        return model
    }

    private func segments(_ scratch: Scratch) -> [String] {
        scratch.names(in: "strict").filter { $0.hasPrefix("log-") }.map { "strict/" + $0 }
    }

    @Test("a missing or emptied segment in the middle costs entries, not promises", arguments: [true, false])
    func middle(isRemoved: Bool) throws {
        try withScratch { scratch in
            let model = try long(scratch)
            let name = try #require(segments(scratch).dropFirst().first)
            if isRemoved {
                unlink(scratch.data + "/" + name)
            } else {
                try scratch.write(name, [UInt8](repeating: 0, count: 4_096))
            }
            let raft = try #require(try StrictBench(scratch).restored.raft)
            #expect(raft.mayHaveAcknowledged == 40)
            #expect(raft.entries == Array(model.entries.prefix(raft.entries.count)))
            #expect(!raft.entries.isEmpty && raft.entries.count < 20)
            #expect(raft.hardState.votedFor == member(1) && raft.hardState.term == 2)
        }
    }

    @Test("without the oldest segment there are no entries to go on from, and the node knows it")
    func oldest() throws {
        try withScratch { scratch in
            let model = try long(scratch)
            unlink(scratch.data + "/" + (try #require(segments(scratch).first)))
            let restored = try StrictBench(scratch).restored
            #expect(restored.raft?.mayHaveAcknowledged == 40)
            #expect(restored.raft?.entries == [])
            #expect(restored.founding == model.founding)
        }
    }

    @Test("a node does not start when nothing tells what it promised", arguments: 0..<6)
    func refuses(way: Int) throws {
        try withScratch { scratch in
            _ = try long(scratch)
            let names = segments(scratch)
            let newest = try #require(names.last)
            switch way {
            case 0: unlink(scratch.data + "/" + newest)
            case 1: try scratch.write(newest, [UInt8](repeating: 0, count: 4_096))
            case 2: try scratch.write(newest, [])
            case 3: for name in names { unlink(scratch.data + "/" + name) }
            case 4: for name in names { try scratch.write(name, [UInt8](repeating: 0x55, count: 4_096)) }
            case _: try scratch.write("strict-log", Array("00000000000000aa\n".utf8))
            }
            for _ in 0..<2 {
                #expect {
                    _ = try StrictBench(scratch)
                } throws: { error in
                    switch error as? PersistenceFailure {
                    case .corruptStrictLog: way != 3
                    case .missingStrictLog: way == 3
                    default: false
                    }
                }
            }
        }
    }

    @Test("death between the end of one segment and the first frame of the next loses nothing, then or later")
    func betweenSegments() throws {
        try withScratch { scratch in
            var model = try long(scratch)
            let newest = try #require(segments(scratch).last)
            var bytes = try scratch.whole(newest)
            for place in 64..<bytes.count { bytes[place] = 0 }
            try scratch.write(newest, bytes)
            let bench = try StrictBench(scratch)
            let raft = try #require(bench.restored.raft)
            #expect(raft.mayHaveAcknowledged == nil)
            #expect(raft.entries == Array(model.entries.prefix(raft.entries.count)) && raft.entries.count > 20)
            // The segments with the founding go.
            let last = try #require(raft.entries.last)
            let made = try bench.make(try machine(last.index), last.position, RaftMembership(voters: [member(1)]))
            try bench.compact(last.index + 1, [made])
            try bench.settle()
            bench.disk.close()
            #expect(segments(scratch) == [newest])
            model.entries = []
            model.base = last.position
            model.check(try StrictBench(scratch).restored)
        }
    }

    @Test("the log of a later version is left as it is")
    func newer() throws {
        try withScratch { scratch in
            _ = try long(scratch)
            let name = try #require(segments(scratch).first)
            var bytes = try scratch.whole(name)
            bytes[7] = 2
            Self.sealHead(&bytes)
            try scratch.write(name, bytes)
            #expect(throws: PersistenceFailure.newerFormat(file: scratch.data + "/" + name, version: "2")) {
                _ = try StrictBench(scratch)
            }
            #expect(try scratch.whole(name) == bytes)
        }
    }

    /// Makes the checksum of a segment's head right again.
    private static func sealHead(_ bytes: inout [UInt8]) {
        var hasher = StableHasher()
        hasher.absorb(raw: bytes[..<32])
        let sum = hasher.finalize().low
        for place in 0..<8 { bytes[32 + place] = UInt8(truncatingIfNeeded: sum >> UInt64(56 - 8 * place)) }
    }

    @Test("frames of a file's former use, of another log or in another place are never taken for this log's")
    func stale() throws {
        try withScratch { scratch in
            let (models, ends) = try history(scratch)
            let whole = try scratch.whole(Self.first)
            // The last frame's twin right behind it: whole, of this segment, but not the one that is due.
            var bytes = whole
            for place in ends[2]..<ends[3] { bytes[place - ends[2] + ends[3]] = whole[place] }
            try scratch.write(Self.first, bytes)
            models[3].check(try StrictBench(scratch).restored)
            // All of it once more in the next segment, as in one that was used before.
            try scratch.write(Self.first, whole)
            bytes = whole
            bytes[15] = 2
            Self.sealHead(&bytes)
            try scratch.write("strict/log-0000000000000002", bytes)
            models[3].check(try StrictBench(scratch).restored)
            try checkGoesOn(scratch, from: models[3])
        }
    }
}
