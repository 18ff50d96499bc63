// SPDX-License-Identifier: Apache-2.0
// Owns a node's disk in tests: what is durable of the strict group, and what a crash leaves of a write.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup

struct StrictTestDisk {
    var founding = FoundingState()
    var hasLog = false
    var hardState = HardState()
    var snapshot = SnapshotMetadata(position: .zero, membership: .empty)
    var entries: [LogEntry] = []
    var incoming: IncomingSnapshot?
    var incomingBytes: [UInt8] = []
    var snapshotBytes: [Hash128: [UInt8]] = [:]

    /// - Parameter tornAt: So many of the write's parts are written, and no more; nil: all.
    mutating func write(_ write: StrictWrite, tornAt: Int? = nil) {
        var left = tornAt ?? .max
        func mayWrite() -> Bool {
            left -= 1
            return left >= 0
        }
        if let state = write.founding, mayWrite() { founding = state }
        guard let batch = write.raft else { return }
        for chunk in batch.snapshotChunks where mayWrite() {
            if chunk.offset == 0 { incomingBytes = [] }
            precondition(UInt64(incomingBytes.count) == chunk.offset, "a gap at \(chunk.offset)")
            incomingBytes += chunk.bytes
            incoming = IncomingSnapshot(metadata: chunk.metadata, received: UInt64(incomingBytes.count))
        }
        if let installed = batch.installs, mayWrite() {
            snapshotBytes[installed.digest] = incomingBytes
            snapshot = installed
            entries = []
            incoming = nil
            incomingBytes = []
            hasLog = true
        }
        if let hard = batch.hardState, mayWrite() {
            if !hasLog, let founded = founding.founded {
                let isFounder = founded.voters.contains(owner)
                snapshot.membership = isFounder ? RaftMembership(voters: founded.voters) : .empty
            }
            hardState = hard
            hasLog = true
        }
        for entry in batch.entries where mayWrite() {
            hasLog = true
            if let last = entries.last, last.index >= entry.index {
                entries.removeSubrange((entries.firstIndex { $0.index >= entry.index } ?? entries.count)...)
            }
            entries.append(entry)
        }
    }

    var owner: NodeID

    init(owner: NodeID) { self.owner = owner }

    mutating func keep(_ bytes: [UInt8], _ metadata: SnapshotMetadata) {
        snapshotBytes[metadata.digest] = bytes
        if metadata.position.index > snapshot.position.index { snapshot = metadata }
    }

    mutating func compact(from keepFrom: LogIndex, _ snapshots: [SnapshotMetadata]) {
        entries.removeAll { $0.index < keepFrom && $0.index <= snapshot.position.index }
        let named = Set(snapshots.map(\.digest)).union([snapshot.digest])
        snapshotBytes = snapshotBytes.filter { named.contains($0.key) }
    }

    /// Its bytes turned out to be no snapshot.
    mutating func dropSnapshot() {
        snapshot = SnapshotMetadata(position: .zero, membership: snapshot.membership)
        entries = []
        hardState.commit = 0
    }

    func machine(of metadata: SnapshotMetadata) -> StrictMachine? {
        if metadata.position == .zero { return StrictMachine() }
        guard let bytes = snapshotBytes[metadata.digest] else { return nil }
        return try? StrictMachine(snapshot: bytes)
    }

    /// What a process finds that starts on it.
    var restored: StrictRestored {
        guard hasLog else { return StrictRestored(founding: founding) }
        let state = RestoredState(
            hardState: hardState, snapshot: snapshot,
            entries: entries.filter { $0.index > snapshot.position.index }, applied: snapshot.position.index,
            incoming: incoming)
        return StrictRestored(founding: founding, raft: state, machine: machine(of: snapshot) ?? StrictMachine())
    }

    static func checksum(_ bytes: [UInt8]) -> UInt64 {
        var hasher = StableHasher()
        hasher.absorb(counted: bytes)
        return hasher.finalize().low
    }
}
