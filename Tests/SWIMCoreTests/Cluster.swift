// SPDX-License-Identifier: Apache-2.0
// Owns the small cluster that scenarios run in: several machines, one virtual clock, a network with faults.

import ClusterTypes
import SWIMCore

/// Up to 26 membership machines `a`, `b`, `c`... that really talk to each other: datagrams take one millisecond, each
/// carries gossip as the kernel's do, fresh gossip leaves at once.
struct Cluster {
    enum Fate {
        case up
        /// The process is gone, the host answers for it: streams are refused.
        case crashed
        /// The host is gone: nothing answers.
        case vanished
        /// The process stands still until then; what arrives waits in its socket.
        case stalled(until: Instant)
    }

    private struct Delivery {
        var at: Instant
        var order: Int
        var from: Int
        var to: Int
        var messages: [SWIMMessage]
    }

    private(set) var nodes: [Bench] = []
    private var fates: [Fate] = []
    /// What waits in the socket of a stalled node.
    private var sockets: [[Delivery]] = []
    private var flights: [Delivery] = []
    private var cuts: Set<[Int]> = []
    private var udpBlocked: Set<Int> = []
    private var told: [Int] = []
    private var gossipAt: [Instant?] = []
    /// Fresh news that an answer carried first still leaves to the others at once.
    private var owesGossip: [Bool] = []
    private var sends = 0
    private(set) var now = Bench.start
    /// What happened, a line each.
    private(set) var story: [String] = []
    var tellsAwareness = false

    static let latency = Interval.milliseconds(1)

    /// `count` nodes that know each other already.
    init(_ count: Int, seed: UInt64, configure: (inout SWIMConfiguration) -> Void = { _ in }) {
        for number in 1...count {
            nodes.append(Bench(number, seed: seed &* 1_000 &+ UInt64(number), configure: configure))
            fates.append(.up)
            sockets.append([])
            told.append(0)
            gossipAt.append(nil)
            owesGossip.append(false)
        }
        for index in nodes.indices {
            for number in 1...count where number != index + 1 { nodes[index].hear(alive(number), from: number) }
            nodes[index].machine.forgetQueue()
            nodes[index].clear()
        }
    }

    mutating func set(_ fate: Fate, of number: Int) { fates[number - 1] = fate }

    mutating func stall(_ number: Int, for interval: Interval) { fates[number - 1] = .stalled(until: now + interval) }

    /// Nothing gets from `from` to `to`.
    mutating func cut(from: Int, to: Int) { cuts.insert([from, to]) }

    mutating func blockUDP(of number: Int) { udpBlocked.insert(number) }

    mutating func heal() {
        cuts.removeAll()
        udpBlocked.removeAll()
    }

    /// Something is done to one node from outside.
    mutating func act(on number: Int, _ body: (inout Bench) -> Void) {
        nodes[number - 1].now = now
        body(&nodes[number - 1])
        settle(number - 1)
    }

    /// Both nodes exchange their tables.
    mutating func synchronise(_ first: Int, _ second: Int) {
        let request = nodes[first - 1].machine.entries(now: now)
        act(on: second) { $0.merge(request, from: first) }
        let reply = nodes[second - 1].machine.entries(now: now)
        act(on: first) { $0.merge(reply, from: second) }
    }

    mutating func run(for interval: Interval) {
        let end = now + interval
        while let next = nextMoment(), next <= end {
            now = max(now, next)
            wakeStalled()
            deliverDue()
            for index in nodes.indices where canRun(index) {
                nodes[index].pass(until: now)
                settle(index)
                if let at = gossipAt[index], at <= now {
                    gossipAt[index] = nil
                    gossip(index)
                }
            }
        }
        now = end
        for index in nodes.indices where canRun(index) { nodes[index].now = end }
    }

    private func canRun(_ index: Int) -> Bool { if case .up = fates[index] { true } else { false } }

    private func nextMoment() -> Instant? {
        var moments = flights.map(\.at)
        for index in nodes.indices {
            switch fates[index] {
            case .up:
                moments += nodes[index].timers.map(\.at)
                if let at = gossipAt[index] { moments.append(at) }
            case .stalled(let until): moments.append(until)
            case .crashed, .vanished: break
            }
        }
        return moments.min()
    }

    private mutating func wakeStalled() {
        for index in nodes.indices {
            guard case .stalled(let until) = fates[index], until <= now else { continue }
            fates[index] = .up
            // A real event loop may run its timers before it reads the socket: the worse order.
            nodes[index].now = now
            nodes[index].pass(.zero)
            settle(index)
            let waiting = sockets[index]
            sockets[index].removeAll()
            for delivery in waiting { receive(delivery) }
        }
    }

    private mutating func deliverDue() {
        let due = flights.filter { $0.at <= now }.sorted { ($0.at, $0.order) < ($1.at, $1.order) }
        flights.removeAll { $0.at <= now }
        for delivery in due {
            switch fates[delivery.to - 1] {
            case .up: receive(delivery)
            case .stalled: sockets[delivery.to - 1].append(delivery)
            case .crashed, .vanished: break
            }
        }
    }

    private mutating func receive(_ delivery: Delivery) {
        act(on: delivery.to) { node in
            for message in delivery.messages { node.hear(message, from: delivery.from) }
        }
    }

    /// Takes what a node has put out: datagrams fly, streams are answered, events are told, fresh gossip leaves.
    private mutating func settle(_ index: Int) {
        let number = index + 1
        for datagram in nodes[index].sent { send(datagram.messages, from: number, to: datagram.to) }
        nodes[index].sent.removeAll()
        let streams = nodes[index].streams
        nodes[index].streams.removeAll()
        for (sequence, target) in streams { answerStream(sequence, of: number, target: Int(target.low)) }
        for event in nodes[index].events.dropFirst(told[index]) {
            story.append("\(seconds) \(name(of: id(number))): \(name(of: event.id)) \(event.kind.word)")
        }
        told[index] = nodes[index].events.count
        if tellsAwareness {
            for score in nodes[index].awareness {
                story.append("\(seconds) \(name(of: id(number))): health score \(score)")
            }
        }
        nodes[index].awareness.removeAll()
        for outcome in nodes[index].departed {
            story.append(
                "\(seconds) \(name(of: id(number))): has left, \(outcome.acknowledged) of \(outcome.asked) know")
        }
        nodes[index].departed.removeAll()
        if nodes[index].machine.queue.hasFresh || owesGossip[index] { gossip(index) }
    }

    private var seconds: String {
        let milliseconds = (now - Bench.start).nanoseconds / 1_000_000
        let fraction = String(milliseconds % 1_000)
        return "\(milliseconds / 1_000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)"
    }

    private mutating func gossip(_ index: Int) {
        var node = nodes[index]
        let peers = node.machine.gossipPeers(using: &node.rng)
        nodes[index] = node
        if peers.isEmpty { nodes[index].machine.forgetQueue() }
        for peer in peers { send([], from: index + 1, to: address(Int(peer.low))) }
        owesGossip[index] = false
        if !nodes[index].machine.queue.isEmpty, gossipAt[index] == nil {
            gossipAt[index] = now + nodes[index].machine.configuration.gossipInterval
        }
    }

    private mutating func send(_ messages: [SWIMMessage], from: Int, to: Address) {
        if nodes[from - 1].machine.queue.hasFresh { owesGossip[from - 1] = true }
        var updates: [MemberUpdate] = []
        _ = nodes[from - 1].machine.takeUpdates(budget: 1_000, into: &updates)
        let all = messages + updates.map { .update($0) }
        guard let target = nodes.indices.first(where: { address($0 + 1) == to }), !all.isEmpty else { return }
        if cuts.contains([from, target + 1]) || udpBlocked.contains(from) || udpBlocked.contains(target + 1) { return }
        sends += 1
        flights.append(
            Delivery(at: now + Self.latency, order: sends, from: from, to: target + 1, messages: all))
    }

    private mutating func answerStream(_ sequence: UInt32, of number: Int, target: Int) {
        // Members that only claims speak of are not there.
        guard fates.indices.contains(target - 1) else { return }
        let isCut = cuts.contains([number, target]) || cuts.contains([target, number])
        let outcome: StreamProbeOutcome? =
            switch fates[target - 1] {
            case .up: isCut ? nil : .acknowledged
            case .crashed: isCut ? nil : .refused
            // The host accepts for a process that stands still.
            case .stalled: isCut ? nil : .connected
            case .vanished: nil
            }
        guard let outcome else { return }
        act(on: number) { node in
            node.perform { $0.onStreamProbe(sequence: sequence, outcome: outcome, clock: $1, into: &$3) }
        }
    }

    mutating func takeStory() -> [String] {
        defer { story.removeAll() }
        return story
    }

    /// The table of one node, a line for each member in the order of names.
    func table(of number: Int) -> [String] {
        nodes[number - 1].machine.table.members.sorted { $0.id < $1.id }.map {
            "\(name(of: $0.id)) \($0.state) \($0.incarnation)"
        }
    }

    /// Whether all running nodes hold equal tables.
    var isAgreed: Bool {
        let running = nodes.indices.filter(canRun)
        return Set(running.map { nodes[$0].machine.table.fingerprint }).count <= 1
    }
}
