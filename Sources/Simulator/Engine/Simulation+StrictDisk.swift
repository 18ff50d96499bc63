// SPDX-License-Identifier: Apache-2.0
// Owns the strict log's part of the disks: what kernels ask for, and when it is done.

import ClusterTypes
import NodeKernel
import RaftCore
import StrictCore
import StrictGroup

extension Simulation {
    mutating func carryOut(_ action: StrictDiskAction, node: Int, process: Int32) {
        let work: SimulatedStrictLog.Work
        switch action {
        case .persist(let write): work = .write(write)
        case .makeSnapshot(let writer, let position, let membership):
            var writer = writer
            var bytes: [UInt8] = []
            while let piece = writer.next(bytesMin: 4_096) { bytes += piece }
            work = .snapshot(
                SnapshotMetadata(
                    position: position, membership: membership, bytes: UInt64(bytes.count), digest: writer.digest),
                bytes: bytes)
        case .readSnapshot(let order): work = .read(order)
        case .loadSnapshot(let metadata): work = .load(metadata)
        case .compact(let keepFrom, let snapshots): work = .compact(keepFrom: keepFrom, snapshots: snapshots)
        }
        nodes[node].disk.strictLog.add(work)
        beginStrictWork(node, process: process)
    }

    private mutating func beginStrictWork(_ node: Int, process: Int32) {
        guard let due = nodes[node].disk.beginStrict(at: now) else { return }
        queue.push(.strictCommit(node: node, process: process), at: due)
    }

    mutating func strictCommit(_ node: Int, process: Int32) {
        guard nodes[node].process == process, nodes[node].isRunning, nodes[node].disk.strictLog.isWorking else {
            return
        }
        if nodes[node].disk.stalledUntil > now {
            queue.push(.strictCommit(node: node, process: process), at: nodes[node].disk.stalledUntil)
            return
        }
        if nodes[node].disk.isFull {
            queue.push(.strictCommit(node: node, process: process), at: now + SimulatedDisk.retryInterval)
            return
        }
        let results = nodes[node].disk.finishStrict()
        beginStrictWork(node, process: process)
        for result in results { deliver(.strict(result), to: node, process: process) }
    }
}
