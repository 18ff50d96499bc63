// SPDX-License-Identifier: Apache-2.0
// Owns a network in virtual time of kernels with their seals: every datagram is sealed and opened, streams need a shared key.

import ClusterTypes
import NodeKernel
import SWIMCore
import Sealing
import Testing
import WireProtocol

@testable import Transport

/// Nodes 1...n. Datagrams and frames take a millisecond, the disk one to twenty; a crash loses what was not on it.
final class SealedCluster {
    final class Node {
        let number: Int
        var kernel: NodeKernel
        var seal: NodeSeal
        var isUp = true
        var process = 0
        var fence: UInt64 = 0
        var peers: [RememberedPeer] = []
        var ring: RingBytes?
        var replies: [CommandID: Reply] = [:]
        var commands: UInt64 = 0
        /// Members that it called failed since the last look.
        var failed: [Int] = []

        init(_ number: Int, _ kernel: NodeKernel, _ seal: NodeSeal) {
            self.number = number
            self.kernel = kernel
            self.seal = seal
        }

        var keyRing: KeyRing { ring.flatMap { try? KeyRing(encoded: $0.secretBytes) } ?? KeyRing() }
    }

    private struct End: Hashable {
        var node: Int
        var stream: StreamID
    }

    private enum Event {
        case input(Int, process: Int, Input)
        case datagram([UInt8], from: Int, to: Int)
        case connect(End, to: Int, key: ClusterKey?)
        case durable(Int, process: Int, PersistToken, [DurableRecord])
    }

    private(set) var nodes: [Node] = []
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    /// Those on one side of a partition hear nobody on the other.
    var cut: Set<Int> = []
    /// Of a thousand datagrams.
    var lossPerMille = 0
    private var rng: SeededGenerator
    private let grace: Interval
    private var queue: [Int64: [Event]] = [:]
    private var times: [Int64] = []
    private var ends: [End: End] = [:]
    private var accepted: UInt64 = 1

    static let cluster = ClusterID(name: "sealed")
    static let datagramBytesMax = Bounds.datagramBytesMin

    init(_ keys: [[ClusterKey]], seed: UInt64, grace: Interval = KeyRing.graceDefault) {
        rng = SeededGenerator(seed: seed)
        self.grace = grace
        for (index, keys) in keys.enumerated() { nodes.append(make(index + 1, keys, nil)) }
        for node in nodes { handle(.start, at: node) }
    }

    subscript(number: Int) -> Node { nodes[number - 1] }

    var wall: UInt64 { 1_795_000_000_000 + UInt64(now.nanoseconds / 1_000_000) }

    private func address(_ number: Int) -> Address { Address(ipv4: 0x0a00_0000 + UInt32(number), port: 7_946) }

    private func id(_ number: Int) -> NodeID { NodeID(high: 7, low: UInt64(number)) }

    /// A process with what the disk holds and the keys of its file, as the daemon starts it.
    private func make(_ number: Int, _ file: [ClusterKey], _ former: Node?) -> Node {
        var ring = former?.keyRing ?? KeyRing()
        ring.merge(KeyRing(keys: file))
        _ = ring.expire(at: wall, grace: grace)
        var configuration = KernelConfiguration(cluster: Self.cluster, sizes: PacketCodec.sizes)
        configuration.seeds = number == 1 ? [] : [address(1).description]
        configuration.rememberedPeers = former?.peers ?? []
        configuration.ringRules = .sealing(grace: grace)
        configuration.ring = Ring(ring)
        configuration.ringMode = .required
        configuration.datagramBytesMax = Self.datagramBytesMax - SealedLayout.overheadBytes
        let kernel = NodeKernel(
            configuration: configuration,
            identity: KernelIdentity(
                id: id(number), name: "n\(number)", address: address(number), tags: [],
                incarnationFence: former?.fence ?? 0, storeEpoch: UInt32((former?.process ?? 0) + 2)), clock: clock)
        let seal = NodeSeal(
            settings: SealSettings(keys: ring.accepted), cluster: Self.cluster, datagramBytesMax: Self.datagramBytesMax,
            counters: CounterBox()
        ) { _, _ in }
        let node = Node(number, kernel, seal)
        node.process = (former?.process ?? 0) + 1
        node.fence = former?.fence ?? 0
        node.peers = former?.peers ?? []
        node.ring = RingBytes(ring.encoded())
        return node
    }

    // MARK: Faults and wishes

    func crash(_ number: Int) {
        self[number].isUp = false
        for (end, other) in ends where end.node == number {
            ends[end] = nil
            ends[other] = nil
            push(.input(other.node, process: self[other.node].process, .streamClosed(other.stream, .reset)), after: 1)
        }
    }

    func restart(_ number: Int, file: [ClusterKey]) {
        nodes[number - 1] = make(number, file, self[number])
        handle(.start, at: self[number])
    }

    /// What an operator does on one node; the refusal, if there was one.
    @discardableResult
    func change(_ number: Int, _ body: (inout KeyRing, UInt64) throws(KeyRingRefusal) -> Void) -> KeyRingRefusal? {
        let node = self[number]
        guard case .ring(let view)? = command(.ring(.read), at: node), let held = view.ring,
            var ring = try? KeyRing(encoded: held.bytes.secretBytes)
        else {
            Issue.record("node \(number) has no ring")
            return nil
        }
        do throws(KeyRingRefusal) { try body(&ring, wall) } catch { return error }
        _ = command(.ring(.join(RingBytes(ring.encoded()))), at: node)
        return nil
    }

    private func command(_ command: Command, at node: Node) -> Reply? {
        node.commands += 1
        let id = CommandID(rawValue: node.commands)
        handle(.command(id, command), at: node)
        return node.replies.removeValue(forKey: id)
    }

    // MARK: Time

    private var clock: Clock { Clock(now: now, wall: WallTime(milliseconds: wall)) }

    private func push(_ event: Event, after milliseconds: Int) { push(event, at: now + .milliseconds(milliseconds)) }

    private func push(_ event: Event, at time: Instant) {
        let key = max(time.nanoseconds, now.nanoseconds)
        if queue[key] == nil {
            let index = times.firstIndex { $0 < key } ?? times.endIndex
            times.insert(key, at: index)
        }
        queue[key, default: []].append(event)
    }

    func run(_ interval: Interval) {
        let end = now + interval
        while let next = times.last, next <= end.nanoseconds {
            now = Instant(nanoseconds: next)
            while let events = queue.removeValue(forKey: next) {
                times.removeAll { $0 == next }
                for event in events { take(event) }
            }
        }
        now = end
    }

    private func take(_ event: Event) {
        switch event {
        case .input(let number, let process, let input):
            let node = self[number]
            if node.isUp, node.process == process { handle(input, at: node) }
        case .datagram(let bytes, let from, let to):
            let node = self[to]
            guard node.isUp, isReachable(from, to) else { return }
            let opened = bytes.withUnsafeBytes { node.seal.open($0, from: address(from)) }
            guard case .opened(let plain) = opened, let decoded = try? PacketCodec.decode(plain) else { return }
            handle(.packet(decoded.packet, from: address(from)), at: node)
        case .connect(let end, let to, let key):
            connect(end, to, key)
        case .durable(let number, let process, let token, let records):
            let node = self[number]
            guard node.isUp, node.process == process else { return }
            for record in records {
                switch record {
                case .incarnationFence(let fence): node.fence = max(node.fence, fence)
                case .peers(let peers): node.peers = peers
                case .ring(let ring): node.ring = ring
                case .store: break
                }
            }
            handle(.persisted(token), at: node)
        }
    }

    private func isReachable(_ a: Int, _ b: Int) -> Bool { cut.contains(a) == cut.contains(b) }

    private func connect(_ end: End, _ to: Int, _ key: ClusterKey?) {
        let (opener, target) = (self[end.node], self[to])
        guard opener.isUp else { return }
        func closed(_ reason: StreamEnd) { handle(.streamClosed(end.stream, reason), at: opener) }
        guard target.isUp else { return closed(.refused) }
        guard isReachable(end.node, to) else { return closed(.timedOut) }
        guard let key, target.seal.settings.keys.contains(where: { $0.id == key.id }) else {
            opener.seal.streamFailed(to: address(to), wasSealed: key != nil)
            return closed(.reset)
        }
        opener.seal.streamOpened(to: address(to), under: key)
        accepted += 2
        let other = End(node: to, stream: StreamID(rawValue: accepted))
        ends[end] = other
        ends[other] = end
        let source = Address(ipv4: 0x0a00_0000 + UInt32(end.node), port: 40_000)
        handle(.streamAccepted(other.stream, from: source, isSealed: true), at: target)
        handle(.streamOpened(end.stream, isSealed: true), at: opener)
    }

    // MARK: The driver

    private func handle(_ input: Input, at node: Node) {
        var actions: [Action] = []
        node.kernel.handle(input, clock: clock, using: &rng, into: &actions)
        node.kernel.checkInvariants()
        for action in actions { carryOut(action, at: node) }
    }

    private func number(at address: Address) -> Int? { nodes.first { self.address($0.number) == address }?.number }

    private func carryOut(_ action: Action, at node: Node) {
        switch action {
        case .send(let packet, let target): send(packet, from: node, to: target)
        case .openStream(let id, let target, _):
            let end = End(node: node.number, stream: id)
            if let to = number(at: target) {
                push(.connect(end, to: to, key: node.seal.streamKey(to: target)), after: 2)
            }
        case .writeStream(let id, let packet), .offerStream(let id, let packet):
            guard let other = ends[End(node: node.number, stream: id)], isReachable(node.number, other.node) else {
                return
            }
            push(.input(other.node, process: self[other.node].process, .streamPacket(other.stream, packet)), after: 1)
        case .closeStream(let id):
            guard let other = ends.removeValue(forKey: End(node: node.number, stream: id)) else { return }
            ends[other] = nil
            push(
                .input(other.node, process: self[other.node].process, .streamClosed(other.stream, .finished)), after: 1)
        case .setTimer(let token, let at):
            push(.input(node.number, process: node.process, .timer(token)), at: at)
        case .persist(let token, let records):
            // In order, as the disk does.
            push(.durable(node.number, process: node.process, token, records), after: 5)
        case .resolve(let seed):
            let found = Address(seed).map { [$0] } ?? []
            push(.input(node.number, process: node.process, .resolved(seed: seed, found)), after: 1)
        case .reply(let id, let reply): node.replies[id] = reply
        case .event(.member(let event)):
            if case .failed = event.kind { node.failed.append(Int(event.id.low)) }
        case .ringChanged(let bytes):
            guard let ring = try? KeyRing(encoded: bytes.secretBytes) else {
                Issue.record("node \(node.number) has a ring that is none")
                return
            }
            node.seal.update(SealSettings(keys: ring.accepted))
        case .keepStream, .event, .stopped, .refused, .strict: break
        }
    }

    private func send(_ packet: Packet, from node: Node, to target: Address) {
        guard let to = number(at: target), var plain = try? PacketCodec.encode(packet, limit: Self.datagramBytesMax)
        else {
            Issue.record("node \(node.number) sent what cannot be sent")
            return
        }
        plain.withUnsafeMutableBytes { raw in
            _ = node.seal.forms(of: raw, to: target) { form in
                if form.count > Self.datagramBytesMax { Issue.record("a datagram of \(form.count) bytes") }
                if Int(rng.next() % 1_000) >= lossPerMille {
                    push(.datagram(Array(form), from: node.number, to: to), after: 1)
                }
                return true
            }
        }
    }

    // MARK: What must hold

    /// Nil when all running nodes have the same ring, seal with the same key and hold each other for alive; else what is not so.
    var disagreement: String? {
        let running = nodes.filter(\.isUp)
        let rings = Set(running.map { $0.keyRing.fingerprint })
        if rings.count != 1 { return "\(rings.count) rings" }
        let used = Set(running.map { $0.seal.settings.keys.first?.id })
        if used.count != 1 { return "keys \(used.map { "\($0.map(\.description) ?? "-")" }.sorted()) are used" }
        for node in running {
            for other in running where node.kernel.membership.table[id(other.number)]?.state != .alive {
                return "n\(node.number) does not hold n\(other.number) for alive"
            }
        }
        return nil
    }

    /// Runs until nothing disagrees; what still does after `limit`.
    func settle(within limit: Interval) -> String? {
        let end = now + limit
        while let what = disagreement {
            if now >= end { return what }
            run(.milliseconds(500))
        }
        return nil
    }
}
