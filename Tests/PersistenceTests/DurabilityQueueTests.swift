// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the storage thread.

import Glibc
import Persistence
import Synchronization
import Testing

/// What the queue did, in order; and a gate that holds the first round until the test opens it.
private final class Recorder: Sendable {
    let rounds = Mutex<[[Int]]>([])
    let completions = Mutex<[(token: Int, succeeded: Bool)]>([])
    private let gate = Gate()

    func open() { gate.open() }

    func commit(_ batches: [Int]) throws(PersistenceFailure) {
        gate.wait()
        rounds.withLock { $0.append(batches) }
        if batches.contains(-1) { throw .system(operation: "fsync", path: "journal", errno: EIO) }
    }

    func completed(_ token: Int, _ result: Result<Void, PersistenceFailure>) {
        let succeeded = if case .success = result { true } else { false }
        completions.withLock { $0.append((token, succeeded)) }
    }
}

/// Closed until opened, then open for good.
///
/// `@unchecked Sendable`: a semaphore is made for threads; its address is fixed from `init` to `deinit`.
private final class Gate: @unchecked Sendable {
    private let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        semaphore = .allocate(capacity: 1)
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func open() { sem_post(semaphore) }

    func wait() {
        while sem_wait(semaphore) != 0 {}
        sem_post(semaphore)
    }
}

@Suite("Durability queue")
struct DurabilityQueueTests {
    private func queue(
        _ recorder: Recorder, capacity: Int = 1_024, roundMax: Int = 256
    ) throws -> DurabilityQueue<Int, Int> {
        try DurabilityQueue(
            capacity: capacity, roundMax: roundMax,
            commit: { batches throws(PersistenceFailure) in try recorder.commit(batches) },
            completed: { recorder.completed($0, $1) })
    }

    @Test("batches that wait together are made durable in one round, in order")
    func groupCommit() throws {
        let recorder = Recorder()
        let queue = try queue(recorder, roundMax: 4)
        for index in 1...10 { try queue.enqueue(index, token: index * 100) }
        recorder.open()
        queue.stop()
        let rounds = recorder.rounds.withLock { $0 }
        #expect(rounds.flatMap { $0 } == Array(1...10))
        // The first round holds what was there when the thread came to look; the rest went in full rounds.
        #expect(rounds.count <= 4)
        #expect(rounds.allSatisfy { (1...4).contains($0.count) })
        let completions = recorder.completions.withLock { $0 }
        #expect(completions.map(\.token) == (1...10).map { $0 * 100 })
        #expect(completions.allSatisfy { $0.succeeded })
    }

    @Test("after a failure nothing is committed any more and every later batch fails")
    func failure() throws {
        let recorder = Recorder()
        let queue = try queue(recorder, roundMax: 1)
        for (token, batch) in [1, -1, 3, 4].enumerated() { try queue.enqueue(batch, token: token) }
        recorder.open()
        queue.stop()
        #expect(recorder.rounds.withLock { $0 } == [[1], [-1]])
        let completions = recorder.completions.withLock { $0 }
        #expect(completions.map(\.token) == [0, 1, 2, 3])
        #expect(completions.map(\.succeeded) == [true, false, false, false])
    }

    @Test("a full queue refuses, and what it took is still carried out")
    func bound() throws {
        let recorder = Recorder()
        let queue = try queue(recorder, capacity: 2, roundMax: 1)
        // The thread may hold one batch in its hands beside the two that wait.
        var taken = 0
        var refusals = 0
        while refusals == 0, taken < 10 {
            do throws(PersistenceFailure) {
                try queue.enqueue(taken, token: taken)
                taken += 1
            } catch {
                #expect(error == .queueFull(limit: 2))
                refusals += 1
            }
        }
        #expect((2...3).contains(taken))
        recorder.open()
        queue.stop()
        #expect(recorder.rounds.withLock { $0 }.flatMap { $0 } == Array(0..<taken))
    }

    @Test("a stopped queue takes nothing, and stopping twice is harmless")
    func stop() throws {
        let recorder = Recorder()
        recorder.open()
        let queue = try queue(recorder)
        queue.stop()
        queue.stop()
        #expect(throws: PersistenceFailure.stopped) { try queue.enqueue(1, token: 1) }
        #expect(recorder.completions.withLock { $0.isEmpty })
    }

    @Test("many threads enqueue at once and each batch is completed exactly once")
    func concurrency() async throws {
        let recorder = Recorder()
        recorder.open()
        let queue = try queue(recorder, capacity: 10_000)
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for index in 0..<500 {
                        do {
                            try queue.enqueue(task, token: task * 1_000 + index)
                        } catch {
                            Issue.record("\(error)")
                        }
                    }
                }
            }
        }
        queue.stop()
        let tokens = recorder.completions.withLock { $0.map(\.token) }
        #expect(tokens.count == 4_000)
        #expect(Set(tokens).count == 4_000)
        for task in 0..<8 {
            let own = tokens.filter { $0 / 1_000 == task }
            #expect(own == own.sorted(), "the batches of one enqueuer stay in order")
        }
    }

    @Test("the queue drives a real data directory")
    func withDirectory() throws {
        try withScratch { scratch in
            let done = Mutex<[UInt64]>([])
            do {
                let directory = try DataDirectory.open(scratch.data)
                let queue = try DurabilityQueue<DataDirectoryUpdate, UInt64>(
                    commit: { updates throws(PersistenceFailure) in try directory.commit(updates) },
                    completed: { token, result in
                        if case .success = result { done.withLock { $0.append(token) } }
                    })
                for fence in UInt64(1)...50 {
                    try queue.enqueue(DataDirectoryUpdate(incarnationFence: fence), token: fence)
                }
                queue.stop()
            }
            #expect(done.withLock { $0 } == Array(1...50))
            #expect(try DataDirectory.open(scratch.data).identity.incarnationFence == 50)
        }
    }
}

/// A commit that finds no room or takes its time until the test says otherwise, and what the queue said of it.
private final class Disk: Sendable {
    private let room: Mutex<Bool>
    let conditions = Conditions()
    let attempts = Mutex(0)
    let committed = Mutex<[Int]>([])

    private let failure: PersistenceFailure

    init(hasRoom: Bool, failure: PersistenceFailure = .diskFull(file: "store.db")) {
        room = Mutex(hasRoom)
        self.failure = failure
    }

    func makeRoom() { room.withLock { $0 = true } }

    func commit(_ batches: [Int]) throws(PersistenceFailure) {
        attempts.withLock { $0 += 1 }
        if !room.withLock({ $0 }) { throw failure }
        committed.withLock { $0 += batches }
    }
}

/// Conditions as they come; a test waits for one.
private final class Conditions: Sendable {
    private let seen = Mutex<[DiskCondition]>([])
    private let gates: [DiskCondition: Gate] = [.full: Gate(), .slow: Gate(), .ok: Gate()]

    func add(_ condition: DiskCondition) {
        seen.withLock { $0.append(condition) }
        gates[condition]?.open()
    }

    func wait(for condition: DiskCondition) { gates[condition]?.wait() }

    var all: [DiskCondition] { seen.withLock { $0 } }
}

@Suite("Durability queue on a full or slow disk")
struct DurabilityQueueConditionTests {
    private typealias Queue = DurabilityQueue<Int, Int>

    @Test(
        "a full disk and another's lock keep the round, are told once, and it goes on in order when they are over",
        arguments: [
            (PersistenceFailure.diskFull(file: "store.db"), DiskCondition.full), (.busy(file: "store.db"), .slow),
        ])
    func full(failure: PersistenceFailure, condition: DiskCondition) throws {
        let disk = Disk(hasRoom: false, failure: failure)
        let recorder = Recorder()
        let queue = try Queue(
            timing: Queue.Timing(retryMilliseconds: 1),
            commit: { batches throws(PersistenceFailure) in try disk.commit(batches) },
            completed: { recorder.completed($0, $1) }, condition: { disk.conditions.add($0) })
        for index in 1...3 { try queue.enqueue(index, token: index) }
        disk.conditions.wait(for: condition)
        try queue.enqueue(4, token: 4)
        while disk.attempts.withLock({ $0 }) < 4 { sched_yield() }
        #expect(recorder.completions.withLock { $0.isEmpty })
        disk.makeRoom()
        disk.conditions.wait(for: .ok)
        queue.stop()
        #expect(disk.committed.withLock { $0 } == [1, 2, 3, 4])
        #expect(recorder.completions.withLock { $0.map(\.token) } == [1, 2, 3, 4])
        #expect(recorder.completions.withLock { $0.allSatisfy(\.succeeded) })
        #expect(disk.conditions.all == [condition, .ok])
    }

    @Test("stopping ends on a full disk, and what waited fails with the reason")
    func stopWhenFull() throws {
        let disk = Disk(hasRoom: false)
        let failures = Mutex<[PersistenceFailure]>([])
        let queue = try Queue(
            roundMax: 1, timing: Queue.Timing(retryMilliseconds: 3_600_000),
            commit: { batches throws(PersistenceFailure) in try disk.commit(batches) },
            completed: { _, result in
                if case .failure(let failure) = result { failures.withLock { $0.append(failure) } }
            },
            condition: { disk.conditions.add($0) })
        for index in 1...3 { try queue.enqueue(index, token: index) }
        disk.conditions.wait(for: .full)
        queue.stop()
        #expect(failures.withLock { $0 } == [PersistenceFailure](repeating: .diskFull(file: "store.db"), count: 3))
    }

    @Test("a commit that takes long is reported while it does, and once")
    func slow() throws {
        let disk = Disk(hasRoom: true)
        let recorder = Recorder()
        let queue = try Queue(
            timing: Queue.Timing(slowAfterMilliseconds: 1),
            commit: { batches throws(PersistenceFailure) in try recorder.commit(batches) },
            completed: { recorder.completed($0, $1) }, condition: { disk.conditions.add($0) })
        try queue.enqueue(1, token: 1)
        // The recorder holds the commit until it is opened.
        disk.conditions.wait(for: .slow)
        #expect(recorder.completions.withLock { $0.isEmpty })
        recorder.open()
        disk.conditions.wait(for: .ok)
        queue.stop()
        #expect(Array(disk.conditions.all.prefix(2)) == [.slow, .ok])
        #expect(recorder.completions.withLock { $0.map(\.token) } == [1])
    }

    @Test("idle work is done as well while there is always another batch waiting")
    func idleUnderLoad() throws {
        let done = Gate()
        let steps = Mutex(0)
        let link = Mutex<Queue?>(nil)
        let late = Mutex(false)
        let queue = try Queue(
            timing: Queue.Timing(busyMilliseconds: 1),
            commit: { batches throws(PersistenceFailure) in
                // The next batch is there before this one is done, until there were ten steps.
                if steps.withLock({ $0 }) >= 10 { return done.open() }
                if batches[0] > 1_000_000 {
                    late.withLock { $0 = true }
                    return done.open()
                }
                try link.withLock { $0 }?.enqueue(batches[0] + 1, token: 0)
            },
            completed: { _, _ in },
            idle: { () throws(PersistenceFailure) in
                steps.withLock { $0 += 1 }
                return false
            })
        link.withLock { $0 = queue }
        try queue.enqueue(1, token: 0)
        done.wait()
        link.withLock { $0 = nil }
        queue.stop()
        #expect(steps.withLock { $0 } >= 10)
        #expect(late.withLock { $0 } == false)
    }

    @Test("who writes one batch after another does not pay for idle work with each of them")
    func idleBetweenRounds() throws {
        let steps = Mutex(0)
        let turn = Monitor(0)
        let queue = try Queue(
            timing: Queue.Timing(busyMilliseconds: 600_000),
            commit: { _ throws(PersistenceFailure) in },
            completed: { _, _ in turn.withLock { $0 += 1 } },
            idle: { () throws(PersistenceFailure) in
                steps.withLock { $0 += 1 }
                return false
            })
        for batch in 1...100 {
            try queue.enqueue(batch, token: batch)
            #expect(turn.wait(milliseconds: 10_000) { $0 >= batch ? $0 : nil } == batch)
        }
        queue.stop()
        #expect(steps.withLock { $0 } == 0)
    }

    @Test("idle work is done in steps between rounds, and its failure is the next batch's")
    func idle() throws {
        let recorder = Recorder()
        recorder.open()
        let steps = Mutex(0)
        let done = Gate()
        let queue = try Queue(
            commit: { batches throws(PersistenceFailure) in try recorder.commit(batches) },
            completed: { recorder.completed($0, $1) },
            idle: { () throws(PersistenceFailure) in
                let step = steps.withLock { steps in
                    steps += 1
                    return steps
                }
                if step == 5 {
                    done.open()
                    throw .system(operation: "fsync", path: "store.db", errno: EIO)
                }
                return true
            })
        done.wait()
        try queue.enqueue(1, token: 1)
        queue.stop()
        #expect(steps.withLock { $0 } == 5)
        #expect(recorder.rounds.withLock { $0.isEmpty })
        #expect(recorder.completions.withLock { $0.map(\.succeeded) } == [false])
    }
}
