// SPDX-License-Identifier: Apache-2.0
// Owns the small cluster of the tests: nodes, disks that lose what was not synced, a network with faults, clients, one clock.

import ClusterTypes
import Linearizability
import RaftCore
import StrictCore
import StrictGroup

func node(_ number: Int) -> NodeID { NodeID(high: 0, low: UInt64(number)) }
func key(_ text: String) -> StrictKey {
    guard let key = StrictKey(text) else { preconditionFailure("\(text) is no key") }
    return key
}

/// Everything that happens is in the order of time and, at one time, of cause: one seed, one run.
struct Village {
    struct Host {
        var id: NodeID
        /// nil: the process is down.
        var node: StrictNode?
        /// Of the process: what comes for an earlier one is dropped.
        var life = 0
        var disk: StrictTestDisk
        var rng: SeededGenerator
        var configuration: StrictConfiguration
        /// Handed to the disk and not durable, oldest first.
        var writes: [(at: Instant, write: StrictWrite)] = []
        var isDiskStalled = false
        var wallOffset: Int64 = 0
        /// The feed of this process: the number of its last change.
        var fed: UInt64?
        var tickAt: Instant?
        var canVote = true
    }

    enum Event {
        case message(StrictMessage, from: NodeID, to: NodeID)
        case input(StrictInput, to: NodeID, life: Int)
        case disk(NodeID, life: Int)
        case tick(NodeID, life: Int)
        case makeSnapshot(StrictSnapshotWriter, LogPosition, RaftMembership, NodeID, life: Int)
        case gossip

        var target: NodeID? {
            switch self {
            case .message(_, from: _, let to), .input(_, let to, life: _): to
            case .disk(let id, life: _), .tick(let id, life: _), .makeSnapshot(_, _, _, let id, life: _): id
            case .gossip: nil
            }
        }
    }

    struct Due {
        var at: Instant
        var order: Int
        var event: Event
    }

    struct Faults {
        var loss = 0.0
        var duplication = 0.0
        var latencyMax = Interval.milliseconds(1)
        var diskMax = Interval.milliseconds(1)
        /// Planted: the disk says at once that it has what it has not yet.
        var acknowledgesEarly = false
        /// Planted: reads are answered from the node's own state.
        var readsStale = false
    }

    var hosts: [NodeID: Host] = [:]
    var order: [NodeID] = []
    var queue: [Due] = []
    var cuts: Set<[NodeID]> = []
    var faults = Faults()
    var rng: SeededGenerator
    var now = Instant(nanoseconds: 1_000_000_000)
    var sends = 0
    var handled = 0
    var judge = Judge()
    var clients = Clients()
    var actions: [StrictAction] = []
    var configuration: StrictConfiguration
    /// Nodes that others no longer know of.
    var forgotten: Set<NodeID> = []
    var checksEvery = 16
    /// Views and marks get around.
    var gossips = true
    var gossipInterval = Interval.milliseconds(75)
    /// The next snapshot that is taken over has other bytes than were sent.
    var breaksNextSnapshot = false
    /// What waits for processes that stand still, in the order in which it came.
    var paused: [NodeID: [Event]] = [:]
    static let wallStart: Int64 = 1_700_000_000_000

    init(nodes: Int, voters: StrictVoters = .count(3), seed: UInt64, raft: RaftConfiguration = RaftConfiguration()) {
        rng = SeededGenerator(seed: seed)
        configuration = StrictConfiguration(prefixes: ["s/"], voters: voters)
        configuration.raft = raft
        for number in 1...nodes { add(node(number)) }
        schedule(.gossip, after: .milliseconds(1))
    }

    mutating func add(_ id: NodeID, isEligible: Bool = true) {
        var configuration = configuration
        configuration.isEligible = isEligible
        hosts[id] = Host(
            id: id, node: nil, disk: StrictTestDisk(owner: id), rng: rng.split(), configuration: configuration)
        order.append(id)
        restart(id)
    }

    // MARK: Time

    mutating func schedule(_ event: Event, after delay: Interval) {
        sends += 1
        let due = Due(at: now + delay, order: sends, event: event)
        // Latest first, so that the next one is taken from the end.
        var low = 0
        var high = queue.count
        while low < high {
            let middle = (low + high) / 2
            if (queue[middle].at, queue[middle].order) > (due.at, due.order) { low = middle + 1 } else { high = middle }
        }
        queue.insert(due, at: low)
    }

    mutating func run(for time: Interval) { run(until: now + time) { _ in false } }

    /// - Returns: Whether it came to that.
    @discardableResult
    mutating func run(within time: Interval, until isDone: (Village) -> Bool) -> Bool {
        run(until: now + time, isDone)
    }

    @discardableResult
    private mutating func run(until end: Instant, _ isDone: (Village) -> Bool) -> Bool {
        while true {
            if isDone(self) { return true }
            guard let due = queue.last, due.at <= end else { break }
            queue.removeLast()
            now = max(now, due.at)
            happen(due.event)
        }
        now = end
        return false
    }

    private mutating func happen(_ event: Event) {
        if let target = event.target, paused[target] != nil {
            paused[target]?.append(event)
            return
        }
        switch event {
        case .message(let message, let from, let to): handle(.message(message, from: from), on: to)
        case .input(let input, let to, let life): if hosts[to]?.life == life { handle(input, on: to) }
        case .disk(let id, let life): finishWrites(id, life)
        case .tick(let id, let life):
            guard hosts[id]?.life == life, let at = hosts[id]?.tickAt, at <= now else { return }
            hosts[id]?.tickAt = nil
            handle(.tick, on: id)
        case .makeSnapshot(var writer, let position, let membership, let id, let life):
            guard hosts[id]?.life == life else { return }
            var bytes: [UInt8] = []
            while let piece = writer.next(bytesMin: 4_096) { bytes += piece }
            let metadata = SnapshotMetadata(
                position: position, membership: membership, bytes: UInt64(bytes.count), digest: writer.digest)
            hosts[id]?.disk.keep(bytes, metadata)
            handle(.snapshotMade(position, bytes: metadata.bytes, digest: metadata.digest), on: id)
        case .gossip: gossip()
        }
    }

    /// The process stands still (SIGSTOP); its sockets take what comes.
    mutating func pause(_ id: NodeID) { paused[id] = [] }

    mutating func resume(_ id: NodeID) {
        for (place, event) in (paused.removeValue(forKey: id) ?? []).enumerated() {
            schedule(event, after: .microseconds(1 + place))
        }
    }

    // MARK: Nodes

    mutating func handle(_ input: StrictInput, on id: NodeID) {
        guard var host = hosts[id], var node = host.node else { return }
        // Moved out, so that nothing is copied.
        hosts[id]?.node = nil
        host.node = nil
        let wall = UInt64(max(Self.wallStart + now.nanoseconds / 1_000_000 + host.wallOffset, 0))
        var actions = self.actions
        self.actions = []
        actions.removeAll(keepingCapacity: true)
        node.handle(
            input, clock: Clock(now: now, wall: WallTime(milliseconds: wall)), using: &host.rng, into: &actions)
        handled += 1
        if handled % checksEvery == 0 { node.checkInvariants() }
        judge.note(node)
        let deadline = node.nextDeadline
        host.node = node
        hosts[id] = host
        for action in actions { perform(action, on: id) }
        self.actions = actions
        // A timer that is due at once still lets time pass.
        if let deadline {
            let at = max(deadline, now + .microseconds(100))
            if hosts[id]?.tickAt.map({ at < $0 }) ?? true {
                hosts[id]?.tickAt = at
                schedule(.tick(id, life: host.life), after: at - now)
            }
        }
    }

    private mutating func perform(_ action: StrictAction, on id: NodeID) {
        guard let life = hosts[id]?.life else { return }
        switch action {
        case .send(let message, let to): send(message, from: id, to: to)
        case .persist(let write):
            let disk = Interval(nanoseconds: 1 + Int64(rng.next(upperBound: UInt64(faults.diskMax.nanoseconds))))
            let last = hosts[id]?.writes.last?.at ?? now
            let at = max(now + disk, last)
            hosts[id]?.writes.append((at, write))
            schedule(.disk(id, life: life), after: at - now)
            if faults.acknowledgesEarly {
                schedule(.input(.persisted(write.number), to: id, life: life), after: .microseconds(1))
            }
        case .makeSnapshot(let writer, let position, let membership):
            schedule(
                .makeSnapshot(writer, position, membership, id, life: life), after: .milliseconds(rng.index(below: 20)))
        case .readSnapshot(let order):
            let bytes = hosts[id]?.disk.snapshotBytes[order.metadata.digest]
            let chunk = bytes.map { bytes in
                let start = min(Int(order.offset), bytes.count)
                let part = Array(bytes[start..<min(bytes.count, start + order.bytesMax)])
                return SnapshotChunk(
                    metadata: order.metadata, offset: order.offset, bytes: part,
                    checksum: SnapshotChunk.checksum(of: part))
            }
            schedule(.input(.snapshotRead(order, chunk), to: id, life: life), after: .microseconds(100))
        case .loadSnapshot(let metadata):
            var machine = hosts[id]?.disk.machine(of: metadata)
            if breaksNextSnapshot {
                breaksNextSnapshot = false
                machine = nil
                hosts[id]?.disk.dropSnapshot()
            }
            schedule(.input(.snapshotLoaded(metadata, machine), to: id, life: life), after: .milliseconds(2))
        case .compact(let keepFrom, let snapshots): hosts[id]?.disk.compact(from: keepFrom, snapshots)
        case .reply(let call, let reply): clients.take(reply, for: call, now: now, &judge)
        case .changed(let changes):
            let last = hosts[id]?.fed
            hosts[id]?.fed = judge.note(changes, of: id, after: last)
        case .event(let event): judge.note(event, of: id, group: hosts[id]?.node?.founding.founded?.group)
        }
    }

    func isCut(_ from: NodeID, _ to: NodeID) -> Bool { cuts.contains([from, to]) }

    private mutating func send(_ message: StrictMessage, from: NodeID, to: NodeID) {
        precondition(from != to, "\(message) to itself")
        guard hosts[to] != nil, !isCut(from, to), !rng.chance(faults.loss) else { return }
        for _ in 0..<(rng.chance(faults.duplication) ? 2 : 1) {
            let latency = Interval(nanoseconds: 1 + Int64(rng.next(upperBound: UInt64(faults.latencyMax.nanoseconds))))
            schedule(.message(message, from: from, to: to), after: latency)
        }
    }

    private mutating func finishWrites(_ id: NodeID, _ life: Int) {
        guard var host = hosts[id], host.life == life, !host.isDiskStalled else { return }
        var last: UInt64?
        while let write = host.writes.first, write.at <= now {
            host.disk.write(write.write)
            last = write.write.number
            host.writes.removeFirst()
        }
        hosts[id] = host
        if let last, !faults.acknowledgesEarly { handle(.persisted(last), on: id) }
    }

    mutating func stallDisk(_ id: NodeID, _ isStalled: Bool) {
        hosts[id]?.isDiskStalled = isStalled
        if !isStalled, let life = hosts[id]?.life { schedule(.disk(id, life: life), after: .microseconds(1)) }
    }

    /// Loses what was not synced, or tears it anywhere.
    mutating func crash(_ id: NodeID, mayTear: Bool = false) {
        guard var host = hosts[id], host.node != nil else { return }
        host.node = nil
        host.life += 1
        host.fed = nil
        host.tickAt = nil
        host.isDiskStalled = false
        if mayTear {
            for write in host.writes {
                if rng.chance(0.5) {
                    host.disk.write(write.write)
                } else {
                    host.disk.write(write.write, tornAt: rng.index(below: 5))
                    break
                }
            }
        }
        host.writes.removeAll()
        hosts[id] = host
        clients.lose(on: id)
        for other in order where other != id && !isCut(id, other) {
            guard let life = hosts[other]?.life else { continue }
            schedule(.input(.linkLost(id, isDead: true), to: other, life: life), after: .microseconds(200))
        }
    }

    mutating func restart(_ id: NodeID) {
        guard var host = hosts[id], host.node == nil else { return }
        let wall = UInt64(max(Self.wallStart + now.nanoseconds / 1_000_000 + host.wallOffset, 0))
        host.node = StrictNode(
            configuration: host.configuration, id: id, restoring: host.disk.restored,
            clock: Clock(now: now, wall: WallTime(milliseconds: wall)), using: &host.rng)
        hosts[id] = host
        handle(.start, on: id)
        tellView(id)
    }

    // MARK: What gossip tells

    private mutating func gossip() {
        for id in order where gossips && hosts[id]?.node != nil && paused[id] == nil {
            tellView(id)
            for _ in 0..<2 {
                let other = order[rng.index(below: order.count)]
                guard other != id, !isCut(id, other), paused[other] == nil, let mark = hosts[id]?.node?.mark else {
                    continue
                }
                handle(.mark(mark), on: other)
            }
        }
        schedule(.gossip, after: rng.jittered(gossipInterval, spread: 0.3))
    }

    mutating func tellView(_ id: NodeID) {
        let view = order.filter { !forgotten.contains($0) }.map { other in
            StrictPeer(
                id: other, name: "n\(other.low)",
                isAlive: hosts[other]?.node != nil && !isCut(other, id) && !isCut(id, other),
                isEligible: hosts[other]?.configuration.isEligible == true)
        }
        handle(.view(view), on: id)
    }

    // MARK: Looking

    /// The running leader of the latest term.
    var leader: NodeID? {
        var best: Raft?
        for id in order {
            if let raft = hosts[id]?.node?.raft, raft.isLeader, raft.term > best?.term ?? 0 { best = raft }
        }
        return best?.id
    }

    func machine(_ id: NodeID) -> StrictMachine? { hosts[id]?.node?.machine }

    /// Members that run and have all that is committed, in equal states.
    var isSettled: Bool {
        guard let leader, let lead = hosts[leader]?.node, let raft = lead.raft else { return false }
        return (raft.membership.voters + raft.membership.learners).allSatisfy { id in
            hosts[id]?.node?.machine.appliedIndex == raft.lastPosition.index && hosts[id]?.node?.machine == lead.machine
        }
    }
}
