// SPDX-License-Identifier: Apache-2.0
// Owns the disk of the kernel's tests: what records leave behind, and what a process finds of it.

import ClusterTypes
import NodeKernel
import StoreCore

/// Keeps what the records say, as a database would.
struct FakeDisk {
    private(set) var rows: [RowID: Row] = [:]
    private(set) var context = CausalContext()
    private(set) var floor = CollectionFloor.none
    private(set) var expiredThrough: UInt64 = 0
    private(set) var promised = HybridTimestamp.zero
    private(set) var revision: UInt64 = 0
    private(set) var queue: [QueuedWrite] = []
    private(set) var queuedLast: UInt64 = 0
    private(set) var fence: UInt64 = 0
    private(set) var peers: [RememberedPeer] = []

    mutating func write(_ batch: [DurableRecord]) {
        for record in batch {
            switch record {
            case .incarnationFence(let value): fence = max(fence, value)
            case .peers(let list): peers = list
            case .store(let record): write(record)
            case .ring: break
            }
        }
    }

    private mutating func write(_ record: StoreRecord) {
        switch record {
        case .row(let row): rows[row.id] = row
        case .rows(let snapshot): snapshot.forEach { rows[$0.id] = $0 }
        case .fed(let fed):
            for row in fed.rows { rows[row.id] = row }
            context.formUnion(fed.events)
            for change in fed.changes { revision = max(revision, change.revision) }
        case .rowRemoved(let id): rows[id] = nil
        case .context(let other): context.formUnion(other)
        case .contextReplaced(let other): context = other
        case .floor(let value): floor = value
        case .promised(let value): promised = max(promised, value)
        case .change(let change): revision = max(revision, change.revision)
        case .queued(let write):
            queue.append(write)
            queuedLast = max(queuedLast, write.number)
        case .dequeued(let numbers): queue.removeAll { numbers.contains($0.number) }
        case .reset(let next):
            rows = [:]
            context = CausalContext()
            floor = .none
            revision = max(revision, next)
        case .expiredThrough(let value): expiredThrough = value
        case .request: break
        }
    }

    func recovered(actor: ActorID, configuration: StoreConfiguration) -> RecoveredStore {
        var store = Store(
            actor: actor, configuration: configuration, floor: floor, context: context, expiredThrough: expiredThrough)
        for row in rows.values.sorted(by: { $0.id < $1.id }) {
            precondition(store.load(row), "the disk holds \(row)")
        }
        return RecoveredStore(
            store: store, revision: revision, promised: promised, queuedCount: queue.count, queuedLast: queuedLast)
    }
}

extension KernelBench {
    var disk: FakeDisk {
        var disk = FakeDisk()
        for batch in durable { disk.write(batch) }
        return disk
    }

    /// What a process with this node's disk would find: the same store as in memory. Of events that were overwritten
    /// elsewhere it may know less.
    func checkDisk() {
        let disk = self.disk
        let found = disk.recovered(
            actor: ActorID(node: id(number), epoch: 99), configuration: kernel.configuration.store)
        precondition(found.store.root == kernel.store.root, "n\(number) has other rows on disk")
        precondition(found.store.floor == kernel.store.floor, "n\(number) has another floor on disk")
        precondition(
            kernel.store.context.isSuperset(of: found.store.context)
                && kernel.store.context.highest(of: kernel.store.actor)
                    == found.store.context.highest(of: kernel.store.actor),
            "n\(number) has another context on disk")
        precondition(disk.revision <= kernel.revision, "n\(number) went back in revisions")
    }
}
