// SPDX-License-Identifier: Apache-2.0
// Owns what is durable of the strict log on a simulated disk, and what recovery makes of it.

import ClusterTypes
import NodeKernel
import RaftCore
import StrictCore
import StrictGroup

/// The strict log, its snapshots and what was promised when the group was founded. A value, as all of a disk's content.
package struct StrictDiskContent: Sendable {
    package private(set) var founding = FoundingState()
    /// nil: no log was ever begun.
    private var hardState: HardState?
    /// Whole snapshots: made here, or arrived.
    private var snapshots: [(metadata: SnapshotMetadata, bytes: [UInt8])] = []
    /// Ascending without a gap.
    package private(set) var entries: [LogEntry] = []
    private var incoming: (metadata: SnapshotMetadata, bytes: [UInt8])?
    /// A record in the middle does not match its checksum: what this node may have acknowledged.
    private var damagedThrough: LogIndex?

    package init() {}

    package var isEmpty: Bool { hardState == nil && entries.isEmpty && founding == FoundingState() }

    /// One durable step of a write, in the order in which a write takes them.
    enum Step {
        case founding(FoundingState)
        case chunk(SnapshotChunk)
        case installs(SnapshotMetadata)
        case hardState(HardState)
        case entry(LogEntry)
        case snapshot(SnapshotMetadata, [UInt8])
    }

    static func steps(of write: StrictWrite) -> [Step] {
        var steps: [Step] = []
        if let founding = write.founding { steps.append(.founding(founding)) }
        guard let raft = write.raft else { return steps }
        steps += raft.snapshotChunks.map { .chunk($0) }
        if let metadata = raft.installs { steps.append(.installs(metadata)) }
        if let hardState = raft.hardState { steps.append(.hardState(hardState)) }
        return steps + raft.entries.map { .entry($0) }
    }

    mutating func apply(_ step: Step) {
        switch step {
        case .founding(let state): founding = state
        case .chunk(let chunk):
            if incoming?.metadata != chunk.metadata { incoming = (chunk.metadata, []) }
            guard let received = incoming?.bytes.count, UInt64(received) == chunk.offset else { return }
            incoming?.bytes += chunk.bytes
        case .installs(let metadata):
            guard let whole = incoming, whole.metadata == metadata, UInt64(whole.bytes.count) == metadata.bytes else {
                return
            }
            incoming = nil
            add(metadata, whole.bytes)
            entries.removeAll()
        case .hardState(let state):
            hardState = state
            if state.refetch != nil { damagedThrough = nil }
        case .entry(let entry):
            if let last = entries.last, entry.index <= last.index { entries.removeAll { $0.index >= entry.index } }
            entries.append(entry)
        case .snapshot(let metadata, let bytes): add(metadata, bytes)
        }
    }

    private mutating func add(_ metadata: SnapshotMetadata, _ bytes: [UInt8]) {
        snapshots.removeAll { $0.metadata == metadata }
        snapshots.append((metadata, bytes))
        snapshots.sort { $0.metadata.position.index < $1.metadata.position.index }
    }

    mutating func compact(keepFrom: LogIndex, snapshots kept: [SnapshotMetadata]) {
        guard let base = snapshots.last?.metadata.position.index else { return }
        entries.removeAll { $0.index < keepFrom && $0.index <= base }
        snapshots.removeAll { snapshot in
            snapshot.metadata.position.index != base && !kept.contains(snapshot.metadata)
        }
    }

    /// nil: its bytes are gone.
    func chunk(_ order: SnapshotChunkOrder) -> SnapshotChunk? {
        guard let bytes = bytes(of: order.metadata), order.offset <= UInt64(bytes.count) else { return nil }
        let piece = Array(bytes.dropFirst(Int(order.offset)).prefix(order.bytesMax))
        return SnapshotChunk(
            metadata: order.metadata, offset: order.offset, bytes: piece, checksum: Self.checksum(of: piece))
    }

    func bytes(of metadata: SnapshotMetadata) -> [UInt8]? {
        snapshots.first { $0.metadata.position == metadata.position && $0.metadata.digest == metadata.digest }?.bytes
    }

    func machine(of metadata: SnapshotMetadata) -> StrictMachine? {
        bytes(of: metadata).flatMap { try? StrictMachine(snapshot: $0) }
    }

    static func checksum(of bytes: [UInt8]) -> UInt64 {
        var hasher = StableHasher()
        hasher.absorb(counted: bytes)
        return hasher.finalize().low
    }

    /// One record of the log, drawn by `rng`, no longer matches its checksum; false when there is none.
    mutating func damage(using rng: inout SeededGenerator) -> Bool {
        guard let last = entries.last?.index else { return false }
        entries.removeSubrange(rng.index(below: entries.count)...)
        damagedThrough = max(last, damagedThrough ?? 0)
        return true
    }

    /// What the next process of this node is given; nil when there was never anything. Who is no founder begins with nobody:
    /// the log tells it who belongs to the group.
    package func restored(for owner: NodeID) -> StrictRestored? {
        if isEmpty { return nil }
        var restored = StrictRestored(founding: founding)
        let base = snapshots.last
        if hardState != nil || !entries.isEmpty || base != nil {
            let founders = founding.founded?.voters ?? []
            let first = founders.contains(owner) ? RaftMembership(voters: founders) : .empty
            let metadata = base?.metadata ?? SnapshotMetadata(position: .zero, membership: first)
            let following = entries.filter { $0.index > metadata.position.index }
            let isConnected = following.first.map { $0.index == metadata.position.index + 1 } ?? true
            restored.raft = RestoredState(
                hardState: hardState ?? HardState(), snapshot: metadata, entries: isConnected ? following : [],
                applied: metadata.position.index,
                incoming: incoming.map { IncomingSnapshot(metadata: $0.metadata, received: UInt64($0.bytes.count)) },
                mayHaveAcknowledged: damagedThrough)
        }
        if let base, let machine = try? StrictMachine(snapshot: base.bytes) { restored.machine = machine }
        return restored
    }
}
