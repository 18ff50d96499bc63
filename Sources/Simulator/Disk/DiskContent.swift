// SPDX-License-Identifier: Apache-2.0
// Owns what is durable on a simulated disk, and what recovery makes of it.

import ClusterTypes
import NodeKernel
import StoreCore

/// What survives the process, the power and, as a copy, the disk. A value: copies are snapshots, backups and clones.
package struct DiskContent: Sendable {
    package private(set) var incarnationFence: UInt64 = 0
    package private(set) var peers: [RememberedPeer] = []
    package private(set) var rows: [RowID: Row] = [:]
    /// Every event recorded as seen: those of all rows ever written, overwritten and removed ones too, and others.
    package private(set) var context = CausalContext()
    package private(set) var floor = CollectionFloor.none
    package private(set) var promised = HybridTimestamp.zero
    package private(set) var revision: UInt64 = 0
    package private(set) var requests: [RequestRecord] = []
    /// The import queue.
    package private(set) var queued: [UInt64: QueuedWrite] = [:]
    package private(set) var queuedLast: UInt64 = 0
    package private(set) var expiredThrough: UInt64 = 0
    package private(set) var ring: RingBytes?
    /// The highest stamp ever written.
    package private(set) var clock = HybridTimestamp.zero

    /// The log of the strict group.
    package var strict = StrictDiskContent()

    package init() {}

    package mutating func apply(_ record: DurableRecord) {
        switch record {
        case .incarnationFence(let fence): incarnationFence = max(incarnationFence, fence)
        case .peers(let peers): self.peers = peers
        case .store(let record): apply(record)
        case .ring(let ring): self.ring = ring
        }
    }

    private mutating func put(_ row: Row) {
        rows[row.id] = row
        for dot in row.versions { context.insert(dot) }
        clock = max(clock, row.stamp)
    }

    private mutating func apply(_ record: StoreRecord) {
        switch record {
        case .row(let row): put(row)
        case .rows(let snapshot): snapshot.forEach { put($0) }
        case .fed(let fed):
            for row in fed.rows { put(row) }
            context.formUnion(fed.events)
            for change in fed.changes { revision = max(revision, change.revision) }
        case .rowRemoved(let id): rows[id] = nil
        case .context(let context): self.context.formUnion(context)
        case .contextReplaced(let context): self.context = context
        case .floor(let floor):
            self.floor = floor
            clock = max(clock, floor.cutoff)
        case .promised(let cutoff): promised = max(promised, cutoff)
        case .change(let change): revision = max(revision, change.revision)
        case .request(let request):
            requests.append(request)
            if requests.count > Bounds.requestsMax { requests.removeFirst() }
        case .queued(let write):
            queued[write.number] = write
            queuedLast = max(queuedLast, write.number)
        case .dequeued(let numbers):
            for number in numbers { queued[number] = nil }
        case .expiredThrough(let wall): expiredThrough = wall
        case .reset(let revision):
            rows = [:]
            context = CausalContext()
            floor = .none
            requests = []
            clock = .zero
            expiredThrough = 0
            self.revision = max(self.revision, revision)
        }
    }

    /// What the next process is given; nil when nothing was ever written. The second is what could not be loaded.
    package func recovered(_ configuration: StoreConfiguration) -> (store: RecoveredStore?, refused: [RowID]) {
        guard !rows.isEmpty || !context.isEmpty || floor != .none || revision > 0 || promised != .zero else {
            return (nil, [])
        }
        // The kernel takes an actor of its own before it writes.
        var store = Store(
            actor: .folded, configuration: configuration, floor: floor, context: context,
            expiredThrough: expiredThrough)
        store.observe(clock)
        var refused: [RowID] = []
        for row in rows.values.sorted(by: { $0.id < $1.id }) where !store.load(row) { refused.append(row.id) }
        let recovered = RecoveredStore(
            store: store, revision: revision, promised: promised, requests: requests, queuedCount: queued.count,
            queuedLast: queuedLast, expiredThrough: expiredThrough)
        return (recovered, refused)
    }
}
