// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the strict group's disk when it is full, when it fails, and when the process is killed at work.

import ClusterTypes
import Glibc
import Persistence
import RaftCore
import StrictCore
import StrictGroup
import Synchronization
import Testing

/// Makes operations on files whose names begin with a text fail, while armed; counts the times.
private final class FileFault: Sendable {
    private struct State {
        var armed: (operation: StorageOperation, prefix: String, code: CInt)?
        var count = 0
    }

    private let state = Mutex(State())

    var count: Int { state.withLock { $0.count } }

    func arm(_ operation: StorageOperation, _ prefix: String, _ code: CInt) {
        state.withLock { $0.armed = (operation, prefix, code) }
    }

    func disarm() { state.withLock { $0.armed = nil } }

    var hook: StorageFault {
        { [self] operation, file in
            state.withLock { state in
                guard let armed = state.armed, armed.operation == operation, file.hasPrefix(armed.prefix) else {
                    return nil
                }
                state.count += 1
                return armed.code
            }
        }
    }
}

@Suite("Strict disk, full and failing")
struct StrictFaultTests {
    private final class Log: Sendable {
        let answers = Monitor<[UInt64]>([])
        let conditions = Monitor<[DiskCondition]>([])
        let failures = Monitor<[PersistenceFailure]>([])
    }

    private func open(_ scratch: Scratch, _ fault: FileFault) throws -> (StrictDisk, Log) {
        let log = Log()
        var options = StrictDisk.Options(segmentBytes: 4_096, fault: fault.hook)
        options.retryMilliseconds = 1
        let disk = try StrictDisk.open(
            directory: scratch.data, options: options,
            condition: { condition in log.conditions.withLock { $0.append(condition) } },
            failed: { failure in log.failures.withLock { $0.append(failure) } }
        ).0
        return (disk, log)
    }

    private func write(_ disk: StrictDisk, _ log: Log, _ numbers: ClosedRange<UInt64>) {
        for number in numbers {
            var raft = Persistence(number: number)
            raft.entries = [entry(1, number, String(repeating: "v", count: 300))]
            raft.hardState = HardState(term: 1)
            raft.needsSync = true
            disk.write(StrictWrite(number: number, raft: raft, needsSync: true)) {
                log.answers.withLock { $0.append(number) }
            }
        }
    }

    @Test("without room nothing is answered, it is told, and all goes on in order once there is room")
    func full() throws {
        try withScratch { scratch in
            let fault = FileFault()
            let (disk, log) = try open(scratch, fault)
            write(disk, log, 1...5)
            #expect(log.answers.wait(milliseconds: 20_000) { $0.count == 5 ? true : nil } != nil)
            fault.arm(.write, "", ENOSPC)
            write(disk, log, 6...100)
            #expect(log.conditions.wait(milliseconds: 20_000) { $0.last == .full ? true : nil } != nil)
            while fault.count < 10 { sched_yield() }
            let answered = log.answers.withLock { $0 }
            #expect(answered == Array(1...UInt64(answered.count)) && answered.count < 100)
            fault.disarm()
            #expect(log.answers.wait(milliseconds: 20_000) { $0.count == 100 ? $0 : nil } == Array(1...100))
            #expect(log.conditions.wait(milliseconds: 20_000) { $0.last == .ok ? true : nil } != nil)
            disk.close()
            #expect(log.failures.withLock { $0.isEmpty })
            #expect(try StrictBench(scratch).restored.raft?.entries.map(\.index) == Array(1...100))
        }
    }

    @Test("a full disk in the midst of chunks and an installation loses and doubles nothing", arguments: 0..<8)
    func fullMidst(calls: Int) throws {
        try withScratch { scratch in
            let step = Mutex(0)
            let failing = Set((1...12).map { $0 * 17 + calls * 2 })
            let hook: StorageFault = { operation, _ in
                guard operation == .write else { return nil }
                return step.withLock { step in
                    step += 1
                    return failing.contains(step) ? ENOSPC : nil
                }
            }
            var options = StrictDisk.Options(segmentBytes: 4_096, fault: hook)
            options.retryMilliseconds = 1
            let disk = try StrictDisk.open(directory: scratch.data, options: options, failed: { Issue.record("\($0)") })
                .0
            var model = StrictModel()
            var rng = SeededGenerator(seed: 3)
            let answers = Monitor(0)
            defer { #expect(step.withLock { $0 } > 100) }
            for number in UInt64(1)...40 {
                var raft =
                    number % 10 == 0
                    ? try StrictLogTests.installation(beyond: model.last.index, term: 1, &rng) : Persistence(number: 1)
                let first = (raft.installs?.position.index ?? model.last.index) + 1
                raft.entries = (first..<first + 3).map { entry(1, $0, String(repeating: "v", count: 200)) }
                raft.hardState = HardState(term: 1)
                raft.needsSync = true
                model.apply(raft)
                disk.write(StrictWrite(number: number, raft: raft, needsSync: true)) {
                    answers.withLock { $0 += 1 }
                }
            }
            #expect(answers.wait(milliseconds: 60_000) { $0 == 40 ? true : nil } != nil)
            disk.close()
            model.check(try StrictBench(scratch).restored)
        }
    }

    @Test("after a failed sync nothing is answered any more, and the failure is told once", arguments: [EIO, ENOSPC])
    func failedSync(code: CInt) throws {
        try withScratch { scratch in
            let fault = FileFault()
            let (disk, log) = try open(scratch, fault)
            write(disk, log, 1...3)
            #expect(log.answers.wait(milliseconds: 20_000) { $0.count == 3 ? true : nil } != nil)
            fault.arm(.synchronise, "", code)
            write(disk, log, 4...5)
            let failures = log.failures.wait(milliseconds: 20_000) { $0.isEmpty ? nil : $0 }
            guard case .system(let operation, _, let found)? = failures?.first else {
                Issue.record("\(String(describing: failures))")
                return
            }
            #expect(operation.hasSuffix("sync") && found == code)
            fault.disarm()
            write(disk, log, 6...9)
            disk.close()
            #expect(log.answers.withLock { $0 } == [1, 2, 3])
            #expect(log.failures.withLock { $0.count } == 1)
        }
    }

    @Test("a snapshot waits for room, and says so")
    func fullSnapshot() throws {
        try withScratch { scratch in
            let fault = FileFault()
            let (disk, log) = try open(scratch, fault)
            write(disk, log, 1...5)
            #expect(log.answers.wait(milliseconds: 20_000) { $0.count == 5 ? true : nil } != nil)
            fault.arm(.write, "snapshot", ENOSPC)
            let made = Monitor<SnapshotMetadata?>(nil)
            let state = try machine(5)
            disk.makeSnapshot(
                StrictSnapshotWriter(state), LogPosition(term: 1, index: 5), RaftMembership(voters: [member(1)])
            ) { metadata in made.withLock { $0 = metadata } }
            #expect(log.conditions.wait(milliseconds: 20_000) { $0 == [.full] ? true : nil } != nil)
            #expect(!scratch.exists("strict/snapshot.tmp") || fault.count > 0)
            fault.disarm()
            #expect(made.wait(milliseconds: 20_000) { $0 }?.digest == state.digest)
            #expect(log.conditions.wait(milliseconds: 20_000) { $0 == [.full, .ok] ? true : nil } != nil)
            disk.close()
        }
    }
}

private let directoryVariable = "GOSSIPD_STRICT_TEST_DIRECTORY"

@Suite("Strict disk and sudden death", .serialized)
struct StrictKillTests {
    @Test(
        "what was acknowledged before kill -9 is there, and nothing that was not begun", arguments: [3, 30, 100, 300])
    func killed(milliseconds: Int) async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        setenv(directoryVariable, scratch.data, 1)
        setenv("GOSSIPD_STRICT_TEST_DELAY", String(milliseconds), 1)
        await #expect(processExitsWith: .signal(SIGKILL)) { try StrictKillTests.writeUntilKilled() }

        let acknowledged = try scratch.whole("acknowledged").count / 8
        let begun = try scratch.whole("begun").count / 8
        let bench = try StrictBench(scratch, segmentBytes: 64 * 1024)
        let raft = bench.restored.raft
        #expect(raft?.mayHaveAcknowledged == nil)
        let last = raft.map { Int($0.entries.last?.index ?? $0.snapshot.position.index) } ?? 0
        #expect(last >= acknowledged)
        #expect(last <= begun)
        #expect((raft?.hardState.term ?? 0) >= UInt64(acknowledged / 100))
        #expect(raft?.entries.allSatisfy { $0 == Self.entry($0.index) } ?? true)
        #expect(bench.restored.machine.appliedIndex == raft?.snapshot.position.index ?? 0)
    }

    private static func entry(_ index: LogIndex) -> LogEntry {
        let text = String(repeating: "\(index),", count: Int(index % 60))
        return LogEntry(term: index / 100 + 1, index: index, payload: .command(Array(text.utf8)))
    }

    /// With up to 64 writes under way, snapshots and compactions in between.
    private static func writeUntilKilled() throws {
        struct Missing: Error {}
        guard let path = getenv(directoryVariable).map({ String(cString: $0) }),
            let delay = getenv("GOSSIPD_STRICT_TEST_DELAY").flatMap({ Int(String(cString: $0)) })
        else { throw Missing() }
        mkdir(path, 0o700)
        let acknowledged = open(path + "/acknowledged", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        let begun = open(path + "/begun", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        let disk = try StrictDisk.open(
            directory: path, options: StrictDisk.Options(segmentBytes: 64 * 1024), failed: { _ in abort() }
        ).0
        var thread = pthread_t()
        // From another thread: it hits wherever the writers happen to be.
        pthread_create(
            &thread, nil,
            { argument in
                usleep(useconds_t(Int(bitPattern: argument) * 1_000))
                kill(getpid(), SIGKILL)
                return nil
            }, UnsafeMutableRawPointer(bitPattern: delay))
        let underWay = Monitor(0)
        var state = StrictMachine()
        for index in UInt64(1)...10_000_000 {
            _ = underWay.wait(milliseconds: 60_000) { $0 < 64 ? true : nil }
            underWay.withLock { $0 += 1 }
            var number = index
            guard write(begun, &number, 8) == 8 else { throw Missing() }
            var raft = Persistence(number: index)
            raft.entries = [entry(index)]
            raft.hardState = HardState(term: index / 100 + 1, votedFor: member(1))
            raft.needsSync = true
            disk.write(StrictWrite(number: index, raft: raft, needsSync: true)) {
                var number = index
                guard write(acknowledged, &number, 8) == 8 else { abort() }
                underWay.withLock { $0 -= 1 }
            }
            state.skip(through: index)
            if index % 500 == 0 {
                _ = underWay.wait(milliseconds: 60_000) { $0 == 0 ? true : nil }
                let position = LogPosition(term: index / 100 + 1, index: index)
                let done = Monitor(false)
                disk.makeSnapshot(
                    StrictSnapshotWriter(state), position, RaftMembership(voters: [member(1)])
                ) { made in
                    disk.compact(keepFrom: index - 100, snapshots: [made]) { done.withLock { $0 = true } }
                }
                _ = done.wait(milliseconds: 60_000) { $0 ? true : nil }
            }
        }
    }
}
