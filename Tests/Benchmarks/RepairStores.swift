// SPDX-License-Identifier: Apache-2.0
// Owns pairs of kernels whose stores differ, and the exchange that makes them equal, counted frame by frame.

import ClusterTypes
import NodeKernel
import SWIMCore
import Simulator
import StoreCore
import WireProtocol

enum RepairWay: String, CaseIterable {
    case contexts, ranges, fresh
}

struct RepairFigures {
    var way: RepairWay
    var differences: Int
    /// A frame that answers another one comes one step after it; two steps make a round trip.
    var roundTrips = 0
    var frames = 0
    /// Of all frames of the first exchange with their length prefix, both ways.
    var bytes = 0
    /// Of the exchanges that followed or were begun by the other side at the same time.
    var furtherBytes = 0
    var rows = 0
    /// Of the rows among them.
    var rowBytes = 0
    /// Keys and values of those rows.
    var contentBytes = 0
    var cpuMilliseconds = 0.0
}

/// A store of many rows and everything that pairs are made of.
struct RepairStores {
    private static let wall = Fixture.wall
    private let store: Store
    private let rows: Int
    private let valueBytes: Int

    init(rows: Int, valueBytes: Int) throws {
        self.rows = rows
        self.valueBytes = valueBytes
        var store = Store(actor: Self.actor(9))
        for number in 0..<rows {
            _ = try store.put(Self.value(number, valueBytes), for: Self.key(number), wall: Self.wall)
        }
        self.store = store
    }

    private static func actor(_ node: Int) -> ActorID { ActorID(node: Fixture.id(node), epoch: 1) }

    private static func key(_ number: Int) -> String {
        // Keys that lie apart differ: a prime's multiples.
        let spread = UInt32(truncatingIfNeeded: number) &* 2_654_435_761
        return "app/service-\(Hex.string(UInt8(truncatingIfNeeded: spread)))/limit-\(Hex.string(spread))"
    }

    private static func value(_ number: Int, _ count: Int) -> [UInt8] {
        var rng = SeededGenerator(seed: UInt64(number))
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: rng.next()) }
    }

    /// A context too large to be sent when one difference is to be found: 256 writers, all of them overwritten.
    private static func withManyActors(_ store: Store) throws -> Store {
        var store = store
        let entries = (0..<256).map {
            CausalContext.Entry(actor: actor(100 + $0), contiguous: 1, cloud: [])
        }
        guard let context = CausalContext(entries: entries.sorted { $0.actor < $1.actor }),
            case .adopted = store.adopt(context: context)
        else { throw WrongResult(description: "the context of 256 actors was not adopted") }
        return store
    }

    /// One exchange between a node that holds everything and one that lacks `count` rows.
    func repair(_ count: Int, by way: RepairWay) throws -> RepairFigures {
        var full = store
        let lacking: Store
        switch way {
        case .contexts, .ranges:
            if way == .ranges { full = try Self.withManyActors(full) }
            lacking = full
            for number in 0..<count {
                _ = try full.put(
                    Self.value(rows + number, valueBytes), for: Self.key(number * 7_919 % rows), wall: Self.wall)
            }
        case .fresh:
            lacking = Store(actor: Self.actor(8))
        }
        var exchange = RepairExchange(full: full, lacking: lacking)
        return try exchange.run(RepairFigures(way: way, differences: count))
    }
}

/// Two kernels in virtual time. Datagrams bring the difference to light, one stream settles it.
struct RepairExchange {
    private enum Event {
        case input(node: Int, Input)
        /// A frame and the steps of talk that led to it.
        case frame(node: Int, StreamID, Packet, step: Int)
    }

    private var kernels: [NodeKernel]
    private var queue = EventQueue<Event>()
    private var rng = SeededGenerator(seed: 5)
    private var now = Fixture.clock(milliseconds: 0).now
    private var figures = RepairFigures(way: .contexts, differences: 0)
    /// The other end of each stream, by the node that names it.
    private var ends: [[StreamID: StreamID]] = [[:], [:]]
    private var steps: [[StreamID: Int]] = [[:], [:]]
    /// The stream of the first exchange of stores, as its initiator names it.
    private var first: (node: Int, id: StreamID)?
    private var accepted: UInt64 = 1

    init(full: Store, lacking: Store) {
        var configuration = KernelConfiguration(cluster: ClusterID(name: "bench"), sizes: PacketCodec.sizes)
        configuration.swim.probeInterval = .seconds(1)
        kernels = [full, lacking].enumerated().map { node, store in
            NodeKernel(
                configuration: configuration,
                identity: KernelIdentity(
                    id: Fixture.id(node), name: "web-\(node)", address: Fixture.address(node), tags: [],
                    incarnationFence: 0, storeEpoch: 1),
                recovered: RecoveredStore(store: store), clock: Fixture.clock(milliseconds: 0))
        }
    }

    private static let secondsMax = 600

    mutating func run(_ empty: RepairFigures) throws -> RepairFigures {
        figures = empty
        for node in 0..<2 { feed(.start, to: node, step: 0) }
        for node in 0..<2 {
            let me = kernels[node].membership.me
            let update = MemberUpdate(subject: me.id, incarnation: me.incarnation, claim: .alive(me.info))
            let packet = Packet(cluster: ClusterID(name: "bench"), sender: me.id, messages: [.update(update)])
            queue.push(.input(node: 1 - node, .packet(packet, from: Fixture.address(node))), at: now)
        }
        let begin = Measure.threadNanoseconds()
        let end = now + .seconds(Self.secondsMax)
        // A little longer than it takes to be equal: the end of the exchange is part of it.
        var quietUntil: Instant?
        while let (time, event) = queue.pop(until: quietUntil ?? end) {
            now = max(now, time)
            switch event {
            case .input(let node, let input): feed(input, to: node, step: 0)
            case .frame(let node, let id, let packet, let step):
                steps[node][id] = max(steps[node][id] ?? 0, step)
                feed(.streamPacket(id, packet), to: node, step: step)
            }
            if quietUntil == nil, isEqual { quietUntil = now + .seconds(3) }
        }
        figures.cpuMilliseconds = (Measure.threadNanoseconds() - begin) / 1e6
        try WrongResult.unless(
            isEqual, "the stores still differ after \(Self.secondsMax) s: \(kernels.map(\.store.rowCount)) rows")
        return figures
    }

    private var isEqual: Bool {
        kernels[0].store.root == kernels[1].store.root && now > Fixture.clock(milliseconds: 5_000).now
    }

    private static let latency = Interval.microseconds(500)

    private mutating func feed(_ input: Input, to node: Int, step: Int) {
        var actions: [Action] = []
        let clock = Fixture.clock(milliseconds: Int((now - Fixture.clock(milliseconds: 0).now).nanoseconds / 1_000_000))
        kernels[node].handle(
            input, clock: Clock(now: now, wall: clock.wall), using: &rng, into: &actions)
        for action in actions { carryOut(action, at: node) }
    }

    private mutating func carryOut(_ action: Action, at node: Int) {
        let peer = 1 - node
        switch action {
        case .send(let packet, _):
            queue.push(.input(node: peer, .packet(packet, from: Fixture.address(node))), at: now + Self.latency)
        case .setTimer(let token, let at):
            queue.push(.input(node: node, .timer(token)), at: max(at, now))
        case .persist(let token, _):
            queue.push(.input(node: node, .persisted(token)), at: now)
        case .openStream(let id, _, _):
            let other = StreamID(rawValue: accepted)
            accepted += 2
            ends[node][id] = other
            ends[peer][other] = id
            queue.push(.input(node: peer, .streamAccepted(other, from: Fixture.address(node))), at: now + Self.latency)
            queue.push(.input(node: node, .streamOpened(id)), at: now + Self.latency * 2)
        case .writeStream(let id, let packet), .offerStream(let id, let packet):
            guard let other = ends[node][id] else { return }
            let step = (steps[node][id] ?? 0) + 1
            count(packet, step, from: node, id, other)
            queue.push(.frame(node: peer, other, packet, step: step), at: now + Self.latency)
        case .closeStream(let id):
            guard let other = ends[node].removeValue(forKey: id) else { return }
            ends[peer][other] = nil
            queue.push(.input(node: peer, .streamClosed(other, .finished)), at: now + Self.latency)
        case .keepStream, .resolve, .reply, .event, .ringChanged, .stopped, .refused, .strict:
            break
        }
    }

    private mutating func count(_ packet: Packet, _ step: Int, from node: Int, _ id: StreamID, _ other: StreamID) {
        let isMembership = packet.messages.contains { if case .memberTable = $0 { true } else { false } }
        if isMembership { return }
        if first == nil { first = (node, id) }
        let bytes = StreamFrame.lengthBytes + PacketCodec.size(of: packet)
        guard let first, first == (node, id) || first == (1 - node, other) else { return figures.furtherBytes += bytes }
        figures.frames += 1
        figures.bytes += bytes
        figures.roundTrips = max(figures.roundTrips, (step + 1) / 2)
        for case .row(let row) in packet.messages {
            figures.rows += 1
            figures.rowBytes += PacketCodec.size(of: Message.row(row))
            figures.contentBytes += row.id.key.utf8.count
            if case .register(.some(let value)) = row.content { figures.contentBytes += value.count }
        }
    }
}
