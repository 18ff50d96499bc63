// SPDX-License-Identifier: Apache-2.0
// Owns the tests of a node that keeps its id and has lost the strict group's log: it must not take part.

import ClusterTypes
import Glibc
import RaftCore
import StrictGroup
import Synchronization
import Testing

@testable import Persistence

@Suite("A lost log of the strict group")
struct StrictAmnesiaTests {
    private let founding = FoundingState(promised: FoundingBallot(round: 1, proposer: NodeID(high: 0, low: 7)))

    /// One start of a node: its directory and its disk, both closed at the end as by a death.
    private func start<Result>(
        _ scratch: Scratch, _ body: (DataDirectory, StrictDisk, StrictRestored) throws -> Result
    ) throws -> Result {
        let directory = try DataDirectory.open(scratch.data)
        let (disk, restored) = try StrictDisk.open(
            directory: scratch.data, keeper: StrictLogKeeper(directory),
            options: StrictDisk.Options(segmentBytes: 4_096), failed: { Issue.record("\($0)") })
        defer { disk.close(isOrderly: false) }
        return try body(directory, disk, restored)
    }

    private func write(_ disk: StrictDisk, _ number: UInt64 = 1) throws {
        let write = StrictWrite(number: number, founding: founding, needsSync: true)
        let _: Bool = try StrictBench.answer { done in disk.write(write) { done(true) } }
    }

    private func removeLog(_ scratch: Scratch) {
        for name in scratch.names(in: "strict") { unlink(scratch.data + "/strict/" + name) }
        rmdir(scratch.data + "/strict")
        unlink(scratch.data + "/strict-log")
    }

    private func isMissing(_ error: any Error) -> Bool {
        if case .missingStrictLog(let directory)? = error as? PersistenceFailure { !directory.isEmpty } else { false }
    }

    @Test("the identity says that there is a log before anything of it is answered, and nothing before there is one")
    func record() throws {
        try withScratch { scratch in
            try start(scratch) { directory, disk, _ in
                #expect(directory.identity.strictLog == nil)
                try write(disk)
                let log = try #require(directory.identity.strictLog)
                #expect(try scratch.text("strict-log") == Hex.string(log) + "\n")
                #expect(try scratch.text("identity").contains("\nstrict_log \(Hex.string(log))\n"))
            }
            try start(scratch) { directory, _, restored in
                #expect(directory.identity.strictLog != nil)
                #expect(restored.founding == founding)
            }
        }
    }

    @Test("a node that never wrote a log starts again")
    func unwritten() throws {
        try withScratch { scratch in
            for _ in 0..<3 { try start(scratch) { directory, _, _ in #expect(directory.identity.strictLog == nil) } }
            removeLog(scratch)
            try start(scratch) { _, disk, _ in try write(disk) }
        }
    }

    @Test("with its id and without its log a node does not start, again and again, until the log is back")
    func refused() throws {
        try withScratch { scratch in
            try start(scratch) { _, disk, _ in try write(disk) }
            let aside = scratch.path + "/aside"
            #expect(mkdir(aside, 0o700) == 0)
            for name in ["strict", "strict-log"] { #expect(rename(scratch.data + "/" + name, aside + "/" + name) == 0) }
            for _ in 0..<3 {
                #expect {
                    try start(scratch) { _, _, _ in }
                } throws: {
                    isMissing($0)
                }
            }
            #expect(!scratch.exists("strict"))
            for name in ["strict", "strict-log"] { #expect(rename(aside + "/" + name, scratch.data + "/" + name) == 0) }
            try start(scratch) { _, _, restored in #expect(restored.founding == founding) }
        }
    }

    @Test("without the identity as well it is a new node")
    func renewed() throws {
        try withScratch { scratch in
            let old = try start(scratch) { directory, disk, _ in
                try write(disk)
                return directory.identity.id
            }
            removeLog(scratch)
            unlink(scratch.data + "/identity")
            try start(scratch) { directory, disk, restored in
                #expect(directory.identity.id != old)
                #expect(restored.founding == FoundingState())
                try write(disk)
            }
        }
    }

    @Test("a directory of a former program gets the record when it is opened")
    func former() throws {
        try withScratch { scratch in
            // Its identity says nothing of the log.
            let bench = try StrictBench(scratch)
            try bench.write(founding: founding)
            bench.kill()
            try start(scratch) { directory, _, restored in
                #expect(restored.founding == founding)
                let log = try #require(directory.identity.strictLog)
                #expect(try scratch.text("strict-log") == Hex.string(log) + "\n")
            }
            removeLog(scratch)
            #expect {
                try start(scratch) { _, _, _ in }
            } throws: {
                isMissing($0)
            }
        }
    }

    @Test("death after the first frame and before the record leaves a log that is taken up, and nothing was answered")
    func between() throws {
        try withScratch { scratch in
            let failures = StrictBench.Failures()
            let keeper = StrictLogKeeper(known: nil) { _ throws(PersistenceFailure) in
                throw PersistenceFailure.system(operation: "rename", path: "identity", errno: EIO)
            }
            _ = try DataDirectory.open(scratch.data)
            let (disk, _) = try StrictDisk.open(
                directory: scratch.data, keeper: keeper, options: StrictDisk.Options(segmentBytes: 4_096),
                failed: { failures.add($0) })
            let answered = Mutex(false)
            disk.write(StrictWrite(number: 1, founding: founding, needsSync: true)) { answered.withLock { $0 = true } }
            disk.close(isOrderly: false)
            #expect(failures.all.count == 1)
            #expect(!answered.withLock { $0 })
            try start(scratch) { directory, _, restored in
                #expect(restored.founding == founding)
                #expect(directory.identity.strictLog != nil)
            }
        }
    }

    @Test("a log that is another node's is refused, though its own mark came along")
    func another() throws {
        try withScratch { other in
            try start(other) { _, disk, _ in try write(disk) }
            try withScratch { scratch in
                try start(scratch) { _, disk, _ in try write(disk) }
                removeLog(scratch)
                for name in ["strict", "strict-log"] {
                    #expect(rename(other.data + "/" + name, scratch.data + "/" + name) == 0)
                }
                #expect {
                    try start(scratch) { _, _, _ in }
                } throws: {
                    if case .corruptStrictLog? = $0 as? PersistenceFailure { true } else { false }
                }
            }
        }
    }

    @Test("that a node was removed from the group is in its log for good")
    func removed() throws {
        try withScratch { scratch in
            var state = founding
            state.founded = StrictFounding(group: 255, voters: [NodeID(high: 0, low: 7)])
            state.removedFrom = 255
            try start(scratch) { _, disk, _ in
                let write = StrictWrite(number: 1, founding: state, needsSync: true)
                let _: Bool = try StrictBench.answer { done in disk.write(write) { done(true) } }
            }
            for _ in 0..<2 { try start(scratch) { _, _, restored in #expect(restored.founding == state) } }
        }
    }
}
