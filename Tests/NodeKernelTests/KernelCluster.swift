// SPDX-License-Identifier: Apache-2.0
// Owns a perfect in-memory network for a few kernels; the real simulator, with faults and codec, lives elsewhere.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore

/// Kernels 1...n that talk to each other. Datagrams, connects and frames take one millisecond; nothing is lost.
struct KernelCluster {
    private enum Delivery {
        case datagram(Packet, from: Address)
        case opened(StreamID)
        case accepted(StreamID, from: Address)
        case frame(StreamID, Packet)
        case closed(StreamID, StreamEnd)
    }

    private struct Flight {
        var at: Instant
        var order: Int
        var to: Int
        var delivery: Delivery
    }

    private struct End: Hashable {
        var node: Int
        var stream: StreamID
    }

    var nodes: [KernelBench] = []
    private(set) var now = KernelBench.start
    private(set) var crashed: Set<Int> = []
    /// Those on one side of a partition hear nobody on the other.
    var cut: Set<Int> = []
    private var epochs: [Int: UInt32] = [:]
    /// The other end of each stream.
    private var ends: [End: End] = [:]
    private var flights: [Flight] = []
    private var flown = 0
    private var accepted: UInt64 = 1
    private(set) var datagrams = 0
    private(set) var connects = 0

    init(_ count: Int, seed: UInt64 = 1, configure: (Int, inout KernelConfiguration) -> Void = { _, _ in }) {
        for number in 1...count {
            nodes.append(
                KernelBench(number, seed: seed) { configuration in
                    if number > 1 { configuration.seeds = [address(1).description] }
                    configure(number, &configuration)
                })
        }
    }

    subscript(number: Int) -> KernelBench { nodes[number - 1] }

    mutating func start() {
        for number in 1...nodes.count { act(on: number) { $0.handle(.start) } }
    }

    mutating func crash(_ number: Int) { crashed.insert(number) }

    /// The process comes back with what it had made durable: its fence, its rows, a new epoch.
    mutating func restart(_ number: Int) {
        crashed.remove(number)
        let former = nodes[number - 1]
        var fence: UInt64 = 0
        for case .incarnationFence(let value) in former.persists.flatMap(\.records) { fence = max(fence, value) }
        nodes[number - 1] = KernelBench(number, now: now, fence: fence) { $0 = former.kernel.configuration }
        act(on: number) { $0.handle(.start) }
    }

    /// The process comes back with everything that it had made durable.
    mutating func recover(_ number: Int) {
        crashed.remove(number)
        let former = nodes[number - 1]
        var disk = FakeDisk()
        for batch in former.durable { disk.write(batch) }
        epochs[number, default: 1] += 1
        let epoch = epochs[number, default: 1]
        let actor = ActorID(node: id(number), epoch: epoch)
        nodes[number - 1] = KernelBench(
            number, seed: UInt64(epoch), now: now, fence: disk.fence,
            recovered: disk.recovered(actor: actor, configuration: former.kernel.configuration.store),
            storeEpoch: epoch, wallOffset: former.wallOffset
        ) {
            $0 = former.kernel.configuration
            $0.rememberedPeers = disk.peers
        }
        nodes[number - 1].former = former.durable
        act(on: number) { $0.handle(.start) }
    }

    /// Whether a word of `a` reaches `b`.
    private func isReachable(_ a: Int, _ b: Int) -> Bool { cut.contains(a) == cut.contains(b) }

    mutating func act(on number: Int, _ body: (inout KernelBench) -> Void) {
        nodes[number - 1].now = max(now, nodes[number - 1].now)
        body(&nodes[number - 1])
        collect(number)
    }

    mutating func command(_ command: Command, on number: Int) -> CommandID {
        var id = CommandID(rawValue: 0)
        act(on: number) { id = $0.command(command) }
        return id
    }

    mutating func run(_ interval: Interval) {
        let end = now + interval
        while let next = nextMoment(), next <= end {
            now = max(now, next)
            let due = flights.filter { $0.at <= now }.sorted { ($0.at, $0.order) < ($1.at, $1.order) }
            flights.removeAll { $0.at <= now }
            for flight in due where !crashed.contains(flight.to) { deliver(flight) }
            for number in 1...nodes.count where !crashed.contains(number) {
                while let timer = nodes[number - 1].takeTimer(before: now) {
                    act(on: number) { $0.handle(.timer(timer.token)) }
                }
            }
        }
        now = end
    }

    private func nextMoment() -> Instant? {
        let timers = (1...nodes.count).filter { !crashed.contains($0) }.compactMap { nodes[$0 - 1].nextTimer }
        return (timers + flights.map(\.at)).min()
    }

    private mutating func deliver(_ flight: Flight) {
        let input: Input
        switch flight.delivery {
        case .datagram(let packet, let from): input = .packet(packet, from: from)
        case .opened(let id): input = .streamOpened(id)
        case .accepted(let id, let from): input = .streamAccepted(id, from: from)
        case .frame(let id, let packet): input = .streamPacket(id, packet)
        case .closed(let id, let reason): input = .streamClosed(id, reason)
        }
        act(on: flight.to) { $0.handle(input) }
    }

    private mutating func fly(_ delivery: Delivery, to number: Int, delay: Int = 1) {
        flown += 1
        flights.append(Flight(at: now + .milliseconds(delay), order: flown, to: number, delivery: delivery))
    }

    /// Carries out what a node asked for since the last time.
    private mutating func collect(_ number: Int) {
        let actions = nodes[number - 1].log
        nodes[number - 1].log.removeAll()
        for action in actions {
            switch action {
            case .send(let packet, let to):
                datagrams += 1
                if let target = self.number(at: to), isReachable(number, target) {
                    fly(.datagram(packet, from: address(number)), to: target)
                }
            case .openStream(let id, let to, _):
                connects += 1
                connect(End(node: number, stream: id), to: self.number(at: to))
            case .writeStream(let id, let packet), .offerStream(let id, let packet):
                if let other = ends[End(node: number, stream: id)], isReachable(number, other.node) {
                    fly(.frame(other.stream, packet), to: other.node)
                }
            case .closeStream(let id):
                if let other = ends.removeValue(forKey: End(node: number, stream: id)) {
                    ends[other] = nil
                    fly(.closed(other.stream, .finished), to: other.node)
                }
            case .keepStream, .setTimer, .persist, .resolve, .reply, .event, .ringChanged, .strict, .stopped, .refused:
                break
            }
        }
    }

    private mutating func connect(_ end: End, to target: Int?) {
        if let target, !isReachable(end.node, target) {
            fly(.closed(end.stream, .timedOut), to: end.node, delay: 1_000)
            return
        }
        guard let target, !crashed.contains(target) else {
            fly(.closed(end.stream, .refused), to: end.node)
            return
        }
        accepted += 2
        let other = End(node: target, stream: StreamID(rawValue: accepted))
        ends[end] = other
        ends[other] = end
        fly(.accepted(other.stream, from: Address(ipv4: 0x0a00_0000 + UInt32(end.node), port: 40_000)), to: target)
        fly(.opened(end.stream), to: end.node, delay: 2)
    }

    private func number(at address: Address) -> Int? {
        nodes.first { $0.kernel.membership.me.info.address == address }?.number
    }

    /// Whether all running nodes have equal tables and stores.
    var isAgreed: Bool {
        let running = nodes.filter { !crashed.contains($0.number) }
        return Set(running.map(\.kernel.digest)).count == 1
    }
}
