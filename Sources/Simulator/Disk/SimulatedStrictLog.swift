// SPDX-License-Identifier: Apache-2.0
// Owns the simulated disk of the strict log: what waits for a sync, what a sync takes with it, what a crash leaves.

import ClusterTypes
import NodeKernel
import RaftCore
import StrictCore
import StrictGroup

/// Work for the strict log's disk between its request and its end. Its content is a part of `DiskContent`.
package struct SimulatedStrictLog: Sendable {
    enum Work: Sendable {
        case write(StrictWrite)
        case snapshot(SnapshotMetadata, bytes: [UInt8])
        case read(SnapshotChunkOrder)
        case load(SnapshotMetadata)
        case compact(keepFrom: LogIndex, snapshots: [SnapshotMetadata])
    }

    private var working: [Work] = []
    private var waiting: [Work] = []

    var isWorking: Bool { !working.isEmpty }

    mutating func add(_ work: Work) { waiting.append(work) }

    /// What waits begins, all of it together; false: nothing does, or something is under way.
    mutating func begin() -> Bool {
        guard working.isEmpty, !waiting.isEmpty else { return false }
        swap(&working, &waiting)
        return true
    }

    /// What is under way is done; the answers, in order.
    mutating func finish(_ content: inout StrictDiskContent) -> [StrictDiskResult] {
        var done: [Work] = []
        swap(&done, &working)
        var results: [StrictDiskResult] = []
        for work in done {
            for step in Self.steps(of: work) { content.apply(step) }
            switch work {
            case .write(let write): results.append(.persisted(write.number))
            case .snapshot(let metadata, _):
                results.append(
                    .snapshotMade(metadata.position, bytes: metadata.bytes, digest: metadata.digest))
            case .read(let order): results.append(.snapshotRead(order, content.chunk(order)))
            case .load(let metadata): results.append(.snapshotLoaded(metadata, content.machine(of: metadata)))
            case .compact(let keepFrom, let snapshots): content.compact(keepFrom: keepFrom, snapshots: snapshots)
            }
        }
        return results
    }

    private static func steps(of work: Work) -> [StrictDiskContent.Step] {
        switch work {
        case .write(let write): StrictDiskContent.steps(of: write)
        case .snapshot(let metadata, let bytes): [.snapshot(metadata, bytes)]
        case .read, .load, .compact: []
        }
    }

    /// The process is gone. Of what was not answered a beginning is on the disk, drawn by `rng`, which may end within a
    /// write: nothing of it was acknowledged. Returns how many steps that is.
    mutating func crash(
        _ content: inout StrictDiskContent, keepsSome: Bool, using rng: inout SeededGenerator
    ) -> Int {
        let steps = (working + waiting).flatMap { Self.steps(of: $0) }
        working = []
        waiting = []
        guard keepsSome, !steps.isEmpty else { return 0 }
        let kept = rng.index(below: steps.count + 1)
        for step in steps.prefix(kept) { content.apply(step) }
        return kept
    }
}
