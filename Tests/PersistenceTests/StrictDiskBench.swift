// SPDX-License-Identifier: Apache-2.0
// Owns what the tests of the strict group's disk share: a disk that is waited for, and writes as a group makes them.

import ClusterTypes
import Glibc
import Persistence
import RaftCore
import StrictCore
import StrictGroup
import Synchronization
import Testing

func member(_ number: UInt64) -> NodeID { NodeID(high: 0x5172_1c70_0000_0000, low: number) }

/// A disk, and a way to wait for each of its answers. Dropped, it leaves the folder as a process that dies.
final class StrictBench {
    struct Unanswered: Error {}

    let disk: StrictDisk
    let restored: StrictRestored
    let failures: Failures
    private var number: UInt64 = 0

    final class Failures: Sendable {
        private let list = Mutex<[PersistenceFailure]>([])
        var all: [PersistenceFailure] { list.withLock { $0 } }
        func add(_ failure: PersistenceFailure) { list.withLock { $0.append(failure) } }
    }

    deinit { kill() }

    func kill() { disk.close(isOrderly: false) }

    init(_ scratch: Scratch, segmentBytes: Int = 4_096, fault: StorageFault? = nil) throws {
        let failures = Failures()
        self.failures = failures
        (disk, restored) = try StrictDisk.open(
            directory: scratch.data, options: StrictDisk.Options(segmentBytes: segmentBytes, fault: fault),
            failed: { failures.add($0) })
    }

    /// Waits for what `start` is given to call.
    static func answer<Value: Sendable>(_ start: (@escaping @Sendable (Value) -> Void) -> Void) throws -> Value {
        let box = Monitor<Value?>(nil)
        start { value in box.withLock { $0 = value } }
        guard let value = box.wait(milliseconds: 20_000, { $0 }) else { throw Unanswered() }
        return value
    }

    func write(_ raft: Persistence? = nil, founding: FoundingState? = nil) throws {
        number += 1
        let write = StrictWrite(number: number, founding: founding, raft: raft, needsSync: raft?.needsSync ?? true)
        let _: Bool = try Self.answer { done in disk.write(write) { done(true) } }
    }

    func write(_ entries: [LogEntry], hard: HardState? = nil) throws {
        var raft = Persistence(number: 1)
        raft.entries = entries
        raft.hardState = hard
        raft.needsSync = true
        try write(raft)
    }

    func make(_ machine: StrictMachine, _ position: LogPosition, _ membership: RaftMembership) throws
        -> SnapshotMetadata
    {
        try Self.answer { done in disk.makeSnapshot(StrictSnapshotWriter(machine), position, membership) { done($0) } }
    }

    func compact(_ keepFrom: LogIndex, _ snapshots: [SnapshotMetadata]) throws {
        let _: Bool = try Self.answer { done in
            disk.compact(keepFrom: keepFrom, snapshots: snapshots) { done(true) }
        }
    }

    /// Waits for what compactions removed to be gone.
    func settle() throws {
        _ = try load(SnapshotMetadata(position: .zero, membership: .empty))
    }

    func read(_ metadata: SnapshotMetadata, at offset: UInt64, _ count: Int) throws -> SnapshotChunk? {
        let order = SnapshotChunkOrder(to: member(2), term: 1, metadata: metadata, offset: offset, bytesMax: count)
        return try Self.answer { done in disk.readSnapshot(order) { done($0) } }
    }

    func load(_ metadata: SnapshotMetadata) throws -> StrictMachine? {
        try Self.answer { done in disk.loadSnapshot(metadata) { done($0) } }
    }
}

func entry(_ term: Term, _ index: LogIndex, _ text: String = "") -> LogEntry {
    LogEntry(term: term, index: index, payload: .command(Array("\(term)/\(index) \(text)".utf8)))
}

/// A state that has applied `count` entries.
func machine(_ count: LogIndex, valueBytes: Int = 10) throws -> StrictMachine {
    var machine = StrictMachine()
    for index in 1...count {
        let key = try #require(StrictKey("key/\(index)"))
        let value = [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: valueBytes)
        _ = machine.apply(StrictCommand(time: 1_000 + index, .put(key, value: value, lease: 0)), at: index)
    }
    return machine
}

/// What a disk must hold: the simplest thing that could be right.
struct StrictModel {
    var founding = FoundingState()
    var hard = HardState()
    var base = LogPosition.zero
    var entries: [LogEntry] = []
    var hasBegun = false

    var last: LogPosition { entries.last?.position ?? base }

    mutating func apply(_ write: Persistence) {
        hasBegun = true
        if let installed = write.installs {
            base = installed.position
            entries = []
        }
        if let hard = write.hardState { self.hard = hard }
        for entry in write.entries {
            entries.removeAll { $0.index >= entry.index }
            entries.append(entry)
        }
    }

    mutating func compact(to position: LogPosition) {
        base = position
        entries.removeAll { $0.index <= position.index }
    }

    func check(_ restored: StrictRestored, location: SourceLocation = #_sourceLocation) {
        #expect(restored.founding == founding, sourceLocation: location)
        #expect((restored.raft != nil) == hasBegun, sourceLocation: location)
        guard let raft = restored.raft else { return }
        #expect(raft.hardState == hard, sourceLocation: location)
        #expect(raft.snapshot.position == base, sourceLocation: location)
        #expect(raft.entries == entries, sourceLocation: location)
        #expect(raft.applied == base.index, sourceLocation: location)
        #expect(raft.mayHaveAcknowledged == nil, sourceLocation: location)
        #expect(raft.defect == nil, sourceLocation: location)
    }
}
