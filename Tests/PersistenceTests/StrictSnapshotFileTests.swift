// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the strict group's snapshot files: made, sent, received in parts, damaged, forgotten.

import ClusterTypes
import Glibc
import Persistence
import RaftCore
import StrictCore
import StrictGroup
import Testing

@Suite("Strict snapshots on the disk")
struct StrictSnapshotFileTests {
    private let voters = RaftMembership(voters: [member(1), member(2)], learners: [member(3)], retired: [member(9)])

    /// A log of so many entries in small segments, and a snapshot of the state at 30.
    private func bench(_ scratch: Scratch, entries: LogIndex = 40) throws -> (StrictBench, SnapshotMetadata) {
        let bench = try StrictBench(scratch)
        for index in 1...entries {
            try bench.write([entry(2, index, String(repeating: "v", count: 200))], hard: HardState(term: 2))
        }
        let made = try bench.make(try machine(30, valueBytes: 500), LogPosition(term: 2, index: 30), voters)
        return (bench, made)
    }

    private func logs(_ scratch: Scratch) -> [String] { scratch.names(in: "strict").filter { $0.hasPrefix("log-") } }
    private func snapshots(_ scratch: Scratch) -> [String] {
        scratch.names(in: "strict").filter { $0.hasPrefix("snapshot-") }
    }

    @Test("the log begins behind a snapshot, old segments go, and the state comes back")
    func compaction() throws {
        try withScratch { scratch in
            var (bench, made) = try bench(scratch)
            let state = try machine(30, valueBytes: 500)
            #expect(made.bytes == UInt64(state.snapshot.count) && made.digest == state.digest)
            #expect(made.membership == voters)
            let before = logs(scratch).count
            try bench.compact(31, [made])
            let older = try bench.make(try machine(10), LogPosition(term: 2, index: 10), voters)
            try bench.compact(31, [made])
            // A later one is about to be named.
            let later = try bench.make(try machine(35), LogPosition(term: 2, index: 35), voters)
            try bench.compact(31, [made])
            try bench.settle()
            bench.disk.close()
            #expect(logs(scratch).count < before - 1)
            #expect(!snapshots(scratch).contains("snapshot-2-10-\(older.digest)"))
            #expect(snapshots(scratch).count == 2)

            bench = try StrictBench(scratch)
            let raft = try #require(bench.restored.raft)
            // The latest that the log goes on from.
            #expect(raft.snapshot == later && raft.applied == 35)
            #expect(raft.entries.map(\.index) == [36, 37, 38, 39, 40])
            #expect(bench.restored.machine.digest == (try machine(35)).digest)
            #expect(snapshots(scratch).count == 1)
        }
    }

    @Test("members in another order than they are written in are damage, not sorted")
    func memberOrder() {
        func numbers(_ values: [UInt64]) -> [UInt8] {
            values.flatMap { value in (0..<8).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) } }
        }
        func body(_ voters: [UInt64], _ learners: [UInt64]) -> [UInt8] {
            var lists: [UInt8] = []
            for ids in [voters, learners, []] {
                lists += [0, 0, 0, UInt8(ids.count)]
                for id in ids { lists += numbers([0, id]) }
            }
            let fields = numbers([2, 7]) + [2] + lists
            return [1, 0, 0, 0, UInt8(fields.count)] + fields
        }
        let right = body([1, 2], [3, 4])
        #expect(StrictLogInspection.rewritten(body: right) == right)
        for wrong in [body([2, 1], []), body([1], [4, 3]), body([1, 1], [])] {
            #expect(StrictLogInspection.rewritten(body: wrong) == nil)
        }
    }

    @Test("compaction keeps what it was told to keep, and what the present snapshot needs")
    func keeps() throws {
        try withScratch { scratch in
            let (bench, made) = try bench(scratch)
            let before = logs(scratch)
            try bench.compact(2, [made])
            try bench.settle()
            #expect(logs(scratch) == before)
            bench.disk.close()
            let again = try StrictBench(scratch)
            #expect(again.restored.raft?.entries.map(\.index) == Array(31...40))
        }
    }

    @Test("a segment that is no longer needed is used again, and its former frames are not seen")
    func recycled() throws {
        try withScratch { scratch in
            let (bench, made) = try bench(scratch)
            try bench.compact(31, [made])
            var model = StrictModel()
            model.hasBegun = true
            model.hard = HardState(term: 2)
            model.base = made.position
            model.entries = (31...40).map { entry(2, $0, String(repeating: "v", count: 200)) }
            for index in UInt64(41)...90 {
                var raft = Persistence(number: index)
                raft.entries = [entry(3, index, String(repeating: "w", count: 40))]
                raft.hardState = HardState(term: 3)
                raft.needsSync = true
                try bench.write(raft)
                model.apply(raft)
                if index % 10 == 0 { try Self.checkCrash(scratch, model) }
                if index == 60 {
                    let next = try bench.make(try machine(55), LogPosition(term: 3, index: 55), voters)
                    try bench.compact(56, [next])
                    model.compact(to: next.position)
                }
            }
            #expect(bench.failures.all.isEmpty)
        }
    }

    /// What a crash now would leave is what the model says.
    private static func checkCrash(_ scratch: Scratch, _ model: StrictModel) throws {
        try withScratch { copy in
            mkdir(copy.data, 0o700)
            mkdir(copy.data + "/strict", 0o700)
            for name in ["strict-log"] + scratch.names(in: "strict").map({ "strict/" + $0 }) {
                // Another thread may just have given it another name, or done with it.
                guard let bytes = try? scratch.whole(name) else { continue }
                try copy.write(name, bytes)
            }
            model.check(try StrictBench(copy).restored)
        }
    }

    @Test("chunks of any size make the same snapshot on another node, which goes on after a start in between")
    func transfer() throws {
        try withScratch { sender in
            try withScratch { receiver in
                let (from, made) = try bench(sender)
                var to = try StrictBench(receiver)
                try to.write([entry(1, 1), entry(1, 2)], hard: HardState(term: 1))
                var offset: UInt64 = 0
                var starts = 0
                while offset < made.bytes {
                    let chunk = try #require(try from.read(made, at: offset, 700))
                    #expect(chunk.isIntact && chunk.offset == offset)
                    var raft = Persistence(number: 1)
                    raft.snapshotChunks = [chunk]
                    raft.needsSync = true
                    offset += UInt64(chunk.bytes.count)
                    if offset == made.bytes {
                        raft.installs = made
                        raft.hardState = HardState(term: 2)
                    }
                    try to.write(raft)
                    if offset < made.bytes, offset % 2_100 == 0 {
                        to.disk.close(isOrderly: starts % 2 == 0)
                        to = try StrictBench(receiver)
                        starts += 1
                        #expect(to.restored.raft?.incoming == IncomingSnapshot(metadata: made, received: offset))
                        #expect(to.restored.raft?.entries.count == 2)
                    }
                }
                #expect(starts > 3)
                let state = try #require(try to.load(made))
                #expect(state.digest == made.digest)
                try to.write([entry(2, 31)])
                to.disk.close()
                let again = try StrictBench(receiver)
                #expect(again.restored.raft?.snapshot == made)
                #expect(again.restored.raft?.entries == [entry(2, 31)])
                #expect(again.restored.raft?.incoming == nil)
                #expect(again.restored.machine.digest == made.digest)
                #expect(!receiver.exists("strict/incoming"))
                // It can send it on.
                #expect(try again.read(made, at: 0, 1 << 20)?.bytes.count == Int(made.bytes))
            }
        }
    }

    @Test("a snapshot that turned out to be no state is dropped, and can be taken over once more")
    func again() throws {
        try withScratch { scratch in
            var rng = SeededGenerator(seed: 9)
            let raft = try StrictLogTests.installation(beyond: 20, term: 4, &rng)
            let metadata = try #require(raft.installs)
            let bench = try StrictBench(scratch)
            try bench.write(raft)
            let name = "strict/" + (try #require(snapshots(scratch).first))
            var bytes = try scratch.whole(name)
            bytes[bytes.count - 1] ^= 1
            try scratch.write(name, bytes)
            let none = try bench.load(metadata)
            #expect(none == nil)
            #expect(!scratch.exists(name))
            try bench.write(raft)
            #expect(try bench.load(metadata)?.digest == metadata.digest)
            #expect(bench.failures.all.isEmpty)
            bench.kill()
            #expect(try StrictBench(scratch).restored.raft?.snapshot == metadata)
        }
    }

    @Test("a snapshot whose bytes are others than announced ends the process, and the next one asks for it anew")
    func wrongBytes() throws {
        try withScratch { scratch in
            var rng = SeededGenerator(seed: 5)
            var raft = try StrictLogTests.installation(beyond: 20, term: 4, &rng)
            raft.snapshotChunks[2].bytes[7] ^= 1
            let bench = try StrictBench(scratch)
            try bench.write([entry(1, 1)], hard: HardState(term: 1))
            let answered = Monitor(false)
            bench.disk.write(StrictWrite(number: 2, raft: raft, needsSync: true)) { answered.withLock { $0 = true } }
            bench.disk.write(StrictWrite(number: 3, needsSync: true)) { answered.withLock { $0 = true } }
            bench.disk.close()
            #expect(answered.wait(milliseconds: 0) { $0 ? true : nil } == nil)
            #expect(bench.failures.all == [.corruptSnapshot(file: scratch.data + "/strict/incoming")])
            let again = try StrictBench(scratch)
            #expect(again.restored.raft?.incoming == nil)
            #expect(again.restored.raft?.entries == [entry(1, 1)])
            #expect(again.restored.raft?.hardState == HardState(term: 1))
        }
    }

    @Test("a snapshot is not sent once its bytes on the disk have changed or are gone")
    func damagedWhenSent() throws {
        try withScratch { scratch in
            let (bench, made) = try bench(scratch)
            #expect(try bench.read(made, at: 0, 0)?.bytes == [])
            #expect(try bench.read(made, at: 0, 50)?.bytes.count == 50)
            #expect(try bench.read(made, at: made.bytes, 50)?.bytes == [])
            #expect(try bench.read(made, at: made.bytes + 1, 50) == nil)
            var other = made
            other.digest.low ^= 1
            #expect(try bench.read(other, at: 0, 10) == nil)
            let name = "strict/" + (try #require(snapshots(scratch).first))
            var bytes = try scratch.whole(name)
            bytes[bytes.count - 1_000] ^= 1
            try scratch.write(name, bytes)
            #expect(try bench.read(made, at: 0, 50) == nil)
            unlink(scratch.data + "/" + name)
            #expect(try bench.read(made, at: 50, 10) == nil)
            #expect(bench.failures.all.isEmpty)
        }
    }

    @Test("without the snapshot that the log begins behind everything is fetched again, and the node does not vote")
    func baseLost() throws {
        for isRemoved in [true, false] {
            try withScratch { scratch in
                let (bench, made) = try bench(scratch)
                try bench.compact(31, [made])
                try bench.settle()
                bench.disk.close()
                let name = "strict/" + (try #require(snapshots(scratch).first))
                if isRemoved {
                    unlink(scratch.data + "/" + name)
                } else {
                    var bytes = try scratch.whole(name)
                    bytes[bytes.count - 1_000] ^= 1
                    try scratch.write(name, bytes)
                }
                let again = try StrictBench(scratch)
                let raft = try #require(again.restored.raft)
                #expect(raft.mayHaveAcknowledged == 40)
                #expect(raft.snapshot.position == .zero && raft.entries == [] && raft.applied == 0)
                #expect(raft.hardState == HardState(term: 2, refetch: Refetch(through: 40, term: 2)))
                #expect(raft.defect == nil)
                #expect(scratch.exists(name + ".damaged") == !isRemoved)
                again.disk.close()
                #expect(try StrictBench(scratch).restored.raft?.hardState == raft.hardState)
            }
        }
    }
}
