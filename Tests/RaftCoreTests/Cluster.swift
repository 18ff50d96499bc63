// SPDX-License-Identifier: Apache-2.0
// Owns the small cluster of the tests: machines, disks that lose what was not synced, a network with faults, one clock.

import ClusterTypes
import RaftCore

/// Everything that happens is in the order of time and, at one time, of cause: one seed, one run.
struct Cluster {
    struct Node {
        var id: NodeID
        /// nil: the process is down.
        var raft: Raft?
        var disk: TestDisk
        var rng: SeededGenerator
        /// Handed to the disk and not durable, oldest first, with the time when each will be.
        var writes: [(at: Instant, ready: Ready)] = []
        var isDiskStalled = false
        /// Stands still until then; what arrives waits.
        var pausedUntil: Instant?
        var tickAt: Instant
        var seenCommit: LogIndex = 0
        /// By token: what was committed when it was asked for.
        var reads: [UInt64: LogIndex] = [:]
    }

    struct Flight {
        var at: Instant
        var order: Int
        var message: RaftMessage
    }

    /// What goes wrong by itself.
    struct Faults {
        var loss = 0.0
        var duplication = 0.0
        var latencyMax = Interval.milliseconds(1)
        var diskMax = Interval.milliseconds(1)
        /// Planted: what must follow persistence does not wait for it.
        var sendsTooEarly = false
        /// Planted: a damaged log is taken for a whole one.
        var hidesDamage = false
    }

    var nodes: [NodeID: Node] = [:]
    var order: [NodeID] = []
    var flights: [Flight] = []
    var cuts: Set<[NodeID]> = []
    var faults = Faults()
    var checker = Checker()
    var rng: SeededGenerator
    var now = Instant(nanoseconds: 1_000_000_000)
    var story: [String] = []
    var configuration: RaftConfiguration
    var nextToken: UInt64 = 1
    var tellsChunks = false
    private var sends = 0
    var settled = 0
    static let start = Instant(nanoseconds: 1_000_000_000)

    init(voters: Int, seed: UInt64, configuration: RaftConfiguration = RaftConfiguration()) {
        rng = SeededGenerator(seed: seed)
        self.configuration = configuration
        let founders = RaftMembership(voters: (1...voters).map(id))
        for number in 1...voters { add(id(number), membership: founders) }
    }

    /// A node that joins knows nobody.
    mutating func add(_ id: NodeID, membership: RaftMembership = .empty) {
        let disk = TestDisk(snapshot: SnapshotMetadata(position: .zero, membership: membership))
        nodes[id] = Node(id: id, raft: nil, disk: disk, rng: rng.split(), tickAt: now)
        order.append(id)
        restart(id)
    }

    // MARK: Processes

    /// A crash loses what was not synced, or tears it anywhere.
    mutating func crash(_ id: NodeID, mayTear: Bool = false) {
        guard var node = nodes[id], node.raft != nil else { return }
        node.raft = nil
        if mayTear {
            for write in node.writes {
                guard let batch = write.ready.persistence else { continue }
                if rng.chance(0.5) {
                    node.disk.write(batch)
                } else {
                    node.disk.write(batch, tornAt: rng.index(below: 4))
                    break
                }
            }
        }
        node.writes.removeAll()
        node.reads.removeAll()
        node.pausedUntil = nil
        node.isDiskStalled = false
        nodes[id] = node
    }

    /// - Parameter cutAt: The log is found damaged from this index on.
    mutating func restart(_ id: NodeID, cutAt: LogIndex? = nil) {
        guard var node = nodes[id], node.raft == nil else { return }
        if let cutAt {
            let last = node.disk.entries.last?.index ?? node.disk.snapshot.position.index
            let cutAt = max(cutAt, node.disk.state.applied + 1)
            node.disk.entries.removeAll { $0.index >= cutAt }
            var restored = node.disk.restored
            if !faults.hidesDamage {
                restored.mayHaveAcknowledged = last
            } else {
                restored.hardState.commit = min(restored.hardState.commit, cutAt - 1)
            }
            node.raft = try? Raft(
                configuration: configuration, id: id, restoring: restored, now: now, using: &node.rng)
        } else {
            node.raft = try? Raft(
                configuration: configuration, id: id, restoring: node.disk.restored, now: now, using: &node.rng)
        }
        precondition(node.raft != nil, "\(name(id)) does not start: \(String(describing: node.disk.restored.defect))")
        node.seenCommit = node.raft?.commitIndex ?? 0
        nodes[id] = node
        settle(id)
    }

    /// Something is done to one running node, and what comes of it happens.
    @discardableResult
    mutating func act<Result>(_ id: NodeID, _ body: (inout Raft, inout SeededGenerator) -> Result) -> Result? {
        guard var node = nodes[id], var raft = node.raft else { return nil }
        nodes[id]?.raft = nil
        let result = body(&raft, &node.rng)
        node.raft = raft
        nodes[id] = node
        settle(id)
        return result
    }

    mutating func propose(_ text: String, on id: NodeID) -> RaftFailure? {
        let now = now
        return act(id) { raft, _ -> RaftFailure? in
            do throws(RaftFailure) {
                _ = try raft.propose(Array(text.utf8), now: now)
                return nil
            } catch {
                return error
            }
        } ?? nil
    }

    mutating func change(_ change: RaftMembership.Change, on id: NodeID) -> RaftFailure? {
        let now = now
        return act(id) { raft, _ -> RaftFailure? in
            do throws(RaftFailure) {
                _ = try raft.propose(change, now: now)
                return nil
            } catch {
                return error
            }
        } ?? nil
    }

    @discardableResult
    mutating func read(on id: NodeID) -> RaftFailure? {
        let token = nextToken
        nextToken += 1
        let now = now
        nodes[id]?.reads[token] = checker.committedTop
        return act(id) { raft, _ -> RaftFailure? in
            do throws(RaftFailure) {
                try raft.requestRead(token: token, now: now)
                return nil
            } catch {
                return error
            }
        } ?? nil
    }

    /// Makes a snapshot of the present state and drops the log before it.
    mutating func compact(_ id: NodeID, padding: Int = 0) {
        guard var node = nodes[id], var raft = node.raft, raft.appliedIndex > raft.latestSnapshot.position.index else {
            return
        }
        let bytes = node.disk.state.bytes + [UInt8](repeating: 7, count: padding)
        guard
            let metadata = try? raft.compact(
                at: raft.appliedIndex, bytes: UInt64(bytes.count), digest: TestDisk.digest(bytes))
        else { return }
        node.disk.snapshotBytes[metadata.digest] = bytes
        node.disk.snapshot = metadata
        node.disk.entries.removeAll { $0.index < raft.firstIndex }
        node.raft = raft
        nodes[id] = node
        settle(id)
    }

    // MARK: Time

    mutating func run(for interval: Interval) { run(until: now + interval) }

    mutating func run(until end: Instant) {
        while let next = nextMoment(), next <= end, checker.violations.isEmpty {
            now = max(now, next)
            step()
        }
        now = max(now, end)
    }

    private func nextMoment() -> Instant? {
        var next = flights.lazy.map(\.at).min()
        func consider(_ at: Instant) { next = next.map { min($0, at) } ?? at }
        for id in order {
            guard let node = nodes[id], node.raft != nil else { continue }
            if let until = node.pausedUntil {
                consider(until)
            } else {
                consider(node.tickAt)
                if !node.isDiskStalled, let write = node.writes.first { consider(write.at) }
            }
        }
        return next
    }

    /// One thing that is due: a node that wakes, a write, a message, or a timer.
    private mutating func step() {
        for id in order where nodes[id]?.raft != nil {
            if let until = nodes[id]?.pausedUntil, until <= now { nodes[id]?.pausedUntil = nil }
            guard nodes[id]?.pausedUntil == nil else { continue }
            if nodes[id]?.isDiskStalled == false, let write = nodes[id]?.writes.first, write.at <= now {
                finishWrite(id)
                return
            }
        }
        if let place = earliestFlight() {
            let message = flights.remove(at: place).message
            guard nodes[message.to]?.raft != nil else { return }
            if let until = nodes[message.to]?.pausedUntil {
                flights.append(Flight(at: until + .microseconds(1), order: sends, message: message))
                sends += 1
                return
            }
            let now = now
            act(message.to) { $0.onMessage(message, now: now, using: &$1) }
            return
        }
        for id in order {
            guard let node = nodes[id], node.raft != nil, node.pausedUntil == nil, node.tickAt <= now else { continue }
            let now = now
            act(id) { $0.onTick(now: now, using: &$1) }
            return
        }
    }

    private func earliestFlight() -> Int? {
        var best: Int?
        for place in flights.indices where flights[place].at <= now {
            if let found = best, (flights[found].at, flights[found].order) <= (flights[place].at, flights[place].order)
            {
                continue
            }
            best = place
        }
        return best
    }

    private mutating func finishWrite(_ id: NodeID) {
        guard var node = nodes[id], !node.writes.isEmpty else { return }
        let ready = node.writes.removeFirst().ready
        guard let batch = ready.persistence else { return }
        node.disk.write(batch)
        nodes[id] = node
        if batch.installs != nil { checker.noteState(node.disk.state, of: id) }
        if !faults.sendsTooEarly { for message in ready.messagesAfterPersistence { send(message) } }
        let now = now
        act(id) { $0.onPersisted(batch.number, now: now, using: &$1) }
    }

    mutating func send(_ message: RaftMessage) {
        if cuts.contains([message.from, message.to]) || rng.chance(faults.loss) { return }
        for _ in 0..<(rng.chance(faults.duplication) ? 2 : 1) {
            let spread = faults.latencyMax.nanoseconds - 999_999
            let latency = Interval.milliseconds(1) + Interval(nanoseconds: Int64(rng.next(upperBound: UInt64(spread))))
            flights.append(Flight(at: now + latency, order: sends, message: message))
            sends += 1
        }
    }
}
