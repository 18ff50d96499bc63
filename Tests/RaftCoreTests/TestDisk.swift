// SPDX-License-Identifier: Apache-2.0
// Owns a node's disk and state machine in tests: what a crash leaves of them.

import ClusterTypes
import RaftCore

/// What the state machine came to: the commands in order, folded into one hash.
struct TestState: Hashable {
    var applied: LogIndex = 0
    var chain = Hash128.zero

    mutating func apply(_ entry: LogEntry) {
        precondition(entry.index == applied + 1, "entry \(entry.position) applied after \(applied)")
        applied = entry.index
        guard case .command(let command) = entry.payload else { return }
        var hasher = StableHasher()
        hasher.absorb(chain.high)
        hasher.absorb(chain.low)
        hasher.absorb(counted: command)
        chain = hasher.finalize()
    }

    /// Long enough for several chunks.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for value in [applied, chain.high, chain.low] {
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: value >> shift))
            }
        }
        return bytes
    }

    init() {}

    init(bytes: [UInt8]) {
        func number(_ at: Int) -> UInt64 { bytes[at..<at + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) } }
        applied = number(0)
        chain = Hash128(high: number(8), low: number(16))
    }
}

/// Everything that is durable on one node.
struct TestDisk {
    var hardState = HardState()
    var snapshot: SnapshotMetadata
    var entries: [LogEntry] = []
    var state = TestState()
    var incoming: IncomingSnapshot?
    var incomingBytes: [UInt8] = []
    /// By digest: what this node can send.
    var snapshotBytes: [Hash128: [UInt8]] = [:]

    /// Planted: the vote does not reach the disk.
    var forgetsVotes = false

    static func digest(_ bytes: [UInt8]) -> Hash128 {
        var hasher = StableHasher()
        hasher.absorb(counted: bytes)
        return hasher.finalize()
    }

    /// - Parameter tornAt: So many of the batch's parts are written, and no more; nil: all.
    mutating func write(_ batch: Persistence, tornAt: Int? = nil) {
        var left = tornAt ?? .max
        func mayWrite() -> Bool {
            left -= 1
            return left >= 0
        }
        for chunk in batch.snapshotChunks where mayWrite() {
            if chunk.offset == 0 { incomingBytes = [] }
            guard UInt64(incomingBytes.count) == chunk.offset else { preconditionFailure("a gap at \(chunk.offset)") }
            incomingBytes += chunk.bytes
            incoming = IncomingSnapshot(metadata: chunk.metadata, received: UInt64(incomingBytes.count))
        }
        if let installed = batch.installs, mayWrite() {
            precondition(Self.digest(incomingBytes) == installed.digest, "the snapshot's bytes are others")
            state = TestState(bytes: incomingBytes)
            precondition(state.applied == installed.position.index, "a snapshot of another index")
            snapshotBytes[installed.digest] = incomingBytes
            snapshot = installed
            entries = []
            incoming = nil
            incomingBytes = []
        }
        if let hard = batch.hardState, mayWrite() {
            let vote = forgetsVotes ? nil : hard.votedFor
            hardState = hard
            hardState.votedFor = vote
        }
        for entry in batch.entries where mayWrite() {
            if let first = entries.first, entry.index < first.index {
                preconditionFailure("overwrites compacted entries")
            }
            entries.removeAll { $0.index >= entry.index }
            entries.append(entry)
        }
    }

    /// Whether a change of the membership may not be committed yet.
    var isMembershipOpen: Bool {
        entries.contains { entry in
            if case .membership = entry.payload { entry.index > state.applied } else { false }
        }
    }

    /// What a process finds that starts on it. The log begins behind the snapshot, whatever was kept before.
    var restored: RestoredState {
        RestoredState(
            hardState: hardState, snapshot: snapshot,
            entries: entries.filter { $0.index > snapshot.position.index },
            applied: max(state.applied, snapshot.position.index), incoming: incoming)
    }
}
