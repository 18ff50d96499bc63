// SPDX-License-Identifier: Apache-2.0
// Owns the benchmarks of whole turns of the kernel, between two nodes that know each other.

import ClusterTypes
import NodeKernel
import SWIMCore
import Simulator
import StoreCore
import WireProtocol

enum KernelBenchmarks {
    static var all: [Benchmark] {
        [
            Benchmark(
                name: "kernel/probe", unit: .nanosecondsPerOperation,
                meaning:
                    "One probe between two kernels: the prober's period, the peer's answer, the prober's ack, and the "
                    + "timers of the probe that mean nothing any more."
            ) {
                var pair = try KernelPair()
                return { try pair.probeRound(10_000) }
            },
            Benchmark(
                name: "kernel/answer-ping", unit: .nanosecondsPerOperation,
                meaning: "One turn: a ping with a digest comes in, an ack with a digest goes out."
            ) {
                var pair = try KernelPair()
                return { try pair.answerRound(50_000) }
            },
            Benchmark(
                name: "kernel/put", unit: .nanosecondsPerOperation,
                meaning:
                    "A client's write at one kernel: the command, the record for the disk, then the reply, the event "
                    + "and the datagram with the change (which also carries the three changes before it)."
            ) {
                var pair = try KernelPair()
                return { try pair.putRound(5_000, toPeer: false) }
            },
            Benchmark(
                name: "kernel/put-to-peer", unit: .nanosecondsPerOperation,
                meaning: "The same, and the turns of the peer that takes the datagram in and makes the change durable."
            ) {
                var pair = try KernelPair()
                return { try pair.putRound(5_000, toPeer: true) }
            },
        ]
    }
}

/// Two kernels that know each other, in virtual time, with a network that delivers at once and a disk that takes no
/// time. Encoding is not part of it.
struct KernelPair {
    private var kernels: [NodeKernel]
    private var queue = EventQueue<(node: Int, input: Input)>()
    private var rng = SeededGenerator(seed: 5)
    private var actions: [Action] = []
    private var milliseconds = 0
    private var streams = 0
    private var nextCommand: UInt64 = 1

    init() throws {
        var configuration = KernelConfiguration(cluster: ClusterID(name: "bench"), sizes: PacketCodec.sizes)
        configuration.swim.probeInterval = .seconds(1)
        kernels = (0..<2).map { node in
            NodeKernel(
                configuration: configuration,
                identity: KernelIdentity(
                    id: Fixture.id(node), name: "web-\(node)", address: Fixture.address(node), tags: [],
                    incarnationFence: 0, storeEpoch: 1),
                clock: Fixture.clock(milliseconds: 0))
        }
        for node in 0..<2 { feed(.start, to: node) }
        run(milliseconds: 10)
        for node in 0..<2 { introduce(node, to: 1 - node) }
        run(milliseconds: 10_000)
        try WrongResult.unless(
            kernels[0].digest == kernels[1].digest && kernels.allSatisfy { $0.membership.table.count == 2 },
            "the two kernels do not know each other")
    }

    /// What a node says of itself, as gossip.
    private mutating func introduce(_ node: Int, to peer: Int) {
        let me = kernels[node].membership.me
        let update = MemberUpdate(subject: me.id, incarnation: me.incarnation, claim: .alive(me.info))
        feed(.packet(packet(from: node, [.update(update)]), from: Fixture.address(node)), to: peer)
    }

    private func packet(from node: Int, _ messages: [Message]) -> Packet {
        Packet(cluster: ClusterID(name: "bench"), sender: Fixture.id(node), messages: messages)
    }

    private mutating func handle(_ input: Input, at node: Int, _ clock: Clock) {
        actions.removeAll(keepingCapacity: true)
        kernels[node].handle(input, clock: clock, using: &rng, into: &actions)
    }

    /// Hands one input over and carries out what follows.
    private mutating func feed(_ input: Input, to node: Int) {
        let clock = Fixture.clock(milliseconds: milliseconds)
        handle(input, at: node, clock)
        for action in actions {
            switch action {
            case .send(let packet, let address):
                let peer = address == Fixture.address(0) ? 0 : 1
                queue.push((peer, .packet(packet, from: Fixture.address(node))), at: clock.now)
            case .setTimer(let token, let at):
                queue.push((node, .timer(token)), at: max(at, clock.now))
            case .persist(let token, _):
                queue.push((node, .persisted(token)), at: clock.now)
            case .openStream(let id, _, _):
                streams += 1
                queue.push((node, .streamClosed(id, .refused)), at: clock.now)
            case .writeStream, .offerStream, .closeStream, .keepStream, .resolve, .reply, .event, .ringChanged,
                .stopped, .refused,
                .strict:
                break
            }
        }
    }

    private mutating func run(milliseconds duration: Int) {
        let end = milliseconds + duration
        while let (time, event) = queue.pop(until: Fixture.clock(milliseconds: end).now) {
            milliseconds = max(
                milliseconds, Int((time - Fixture.clock(milliseconds: 0).now).nanoseconds / 1_000_000))
            feed(event.input, to: event.node)
        }
        milliseconds = end
    }

    private var probes: Int {
        kernels.reduce(0) { $0 + Int($1.membership.statistics.probesAcknowledged) }
    }

    mutating func probeRound(_ count: Int) throws -> Double {
        let (before, streamsBefore) = (probes, streams)
        let begin = Measure.threadNanoseconds()
        while probes - before < count { run(milliseconds: 10_000) }
        let took = Measure.threadNanoseconds() - begin
        try WrongResult.unless(streams == streamsBefore, "a stream was opened: a probe was not answered")
        return took / Double(probes - before)
    }

    mutating func answerRound(_ count: Int) throws -> Double {
        let clock = Fixture.clock(milliseconds: milliseconds)
        let ping = packet(
            from: 0, [.ping(Ping(sequence: 1, target: Fixture.id(1))), .digest(kernels[0].digest)])
        var acks = 0
        let sample = Measure.nanoseconds(count) {
            for _ in 0..<count {
                handle(.packet(ping, from: Fixture.address(0)), at: 1, clock)
                acks += actions.count
            }
        }
        try WrongResult.unless(acks == count, "\(acks) actions follow \(count) pings")
        return sample
    }

    mutating func putRound(_ count: Int, toPeer: Bool) throws -> Double {
        let keys = (0..<1_000).map(StoreFixture.key)
        let value = StoreFixture.value(1)
        var replies = 0
        let before = kernels[1].statistics.rowsApplied
        let sample = Measure.nanoseconds(count) {
            for number in 0..<count { replies += put(value, keys[number % keys.count], toPeer: toPeer) }
        }
        try WrongResult.unless(replies == count, "\(replies) of \(count) writes were answered")
        let applied = kernels[1].statistics.rowsApplied - before
        try WrongResult.unless(
            applied == (toPeer ? UInt64(count) : 0), "the peer took in \(applied) of \(count) changes")
        return sample
    }

    /// The number of answers: one.
    private mutating func put(_ value: [UInt8], _ key: String, toPeer: Bool) -> Int {
        // Far enough apart for each change to leave at once.
        milliseconds += 10
        let clock = Fixture.clock(milliseconds: milliseconds)
        nextCommand += 1
        handle(.command(CommandID(rawValue: nextCommand), .put(key: key, value: value)), at: 0, clock)
        persisted(at: 0, clock)
        var replies = 0
        var sent: Packet?
        for action in actions {
            switch action {
            case .reply(_, .written): replies += 1
            case .send(let packet, _): sent = packet
            default: break
            }
        }
        if toPeer, let sent {
            handle(.packet(sent, from: Fixture.address(0)), at: 1, clock)
            persisted(at: 1, clock)
        }
        return replies
    }

    private mutating func persisted(at node: Int, _ clock: Clock) {
        var token: PersistToken?
        for case .persist(let wanted, _) in actions { token = wanted }
        if let token { handle(.persisted(token), at: node, clock) }
    }
}
