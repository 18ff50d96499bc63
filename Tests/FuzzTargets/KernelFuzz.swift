// SPDX-License-Identifier: Apache-2.0
// Owns the fuzz target of a whole kernel: packets on datagrams and streams, timers, a disk that answers.

import ClusterTypes
import NodeKernel
import RaftCore
import StrictCore
import StrictGroup
import WireProtocol

/// Bytes are cut into steps: a length of two bytes, a byte that says what it is, and the step's own bytes.
enum KernelFuzz {
    static let cluster = ClusterID(name: "fuzz")
    static let stepsMax = 64
    /// The step that orders the kernel to go on without a majority.
    static let recovery: UInt8 = 0x07

    /// What the kernel is to the strict group.
    enum Part {
        /// Strict keys are off.
        case none
        /// It founds a group of its own before the first step, and leads it.
        case leader
        /// Its disk held what a voter of three has; the others are not there.
        case voter
    }

    static func feed(_ bytes: [UInt8], as part: Part = .none) throws(FuzzFailure) {
        var driver = KernelFuzzDriver(part)
        try driver.take(.start)
        if case .leader = part { try driver.leads() }
        try driver.take(.streamAccepted(KernelFuzzDriver.accepted, from: KernelFuzzDriver.peer))
        var rest = bytes[...]
        for _ in 0..<stepsMax {
            guard rest.count >= 3 else { break }
            let length = Int(rest[rest.startIndex]) << 8 | Int(rest[rest.startIndex + 1])
            let kind = rest[rest.startIndex + 2]
            rest = rest.dropFirst(3)
            let body = Array(rest.prefix(length))
            rest = rest.dropFirst(length)
            try driver.step(kind, body)
        }
    }
}

/// Answers the disk at once, connects every stream, and fires timers as time passes.
private struct KernelFuzzDriver {
    static let own = NodeID(high: 1, low: 1)
    static let peer = Address(ipv4: 0x0a00_0002, port: 7946)
    /// A peer's; the kernel's own have even numbers.
    static let accepted = StreamID(rawValue: 1)
    static let streamsMax = 16
    /// Inputs that follow from one step. A disk that answers at once may be asked again by the answer; this only ends a
    /// runaway.
    static let inputsMax = 10_000

    private var kernel: NodeKernel
    private var rng = SeededGenerator(seed: 7)
    private var clock = Clock(now: .origin, wall: WallTime(milliseconds: 1_795_000_000_000))
    private var timers: [(at: Instant, token: TimerToken)] = []
    /// Open ones; the accepted one first.
    private var streams = [accepted]
    private var commands: UInt64 = 0
    /// What the kernel asked the others last, to whom an answer comes.
    private var survey: UInt64?

    init(_ part: KernelFuzz.Part) {
        var configuration = KernelConfiguration(cluster: KernelFuzz.cluster, sizes: PacketCodec.sizes)
        var restored: StrictRestored?
        switch part {
        case .none: break
        case .leader: configuration.strict = StrictConfiguration(prefixes: ["strict/"], voters: .names(["fuzz-1"]))
        case .voter:
            configuration.strict = StrictConfiguration(prefixes: ["strict/"])
            restored = StrictFuzzSeeds.restored
        }
        // Snapshots after few entries.
        configuration.strict.raft.snapshotLogBytes = 400
        configuration.strict.raft.entriesKept = 2
        kernel = NodeKernel(
            configuration: configuration,
            identity: KernelIdentity(
                id: Self.own, name: "fuzz-1", address: Address(ipv4: 0x0a00_0001, port: 7946), tags: [],
                incarnationFence: 0, storeEpoch: 1),
            strictRestored: restored, clock: clock)
    }

    /// The lowest two bits of `kind` say what it is: a datagram, a frame on the stream chosen by the other bits, time that
    /// passes, the end of the accepted stream and a new one or, of `KernelFuzz.recovery`, an order.
    mutating func step(_ kind: UInt8, _ body: [UInt8]) throws(FuzzFailure) {
        switch kind & 3 {
        case 0, 1:
            guard var packet = try? PacketCodec.decode(body).packet else { return }
            // Else nearly every packet would be one of another cluster.
            packet.cluster = KernelFuzz.cluster
            addressToGroup(&packet)
            if kind & 3 == 0 {
                try take(.packet(packet, from: Self.peer))
            } else {
                try take(.streamPacket(streams[Int(kind >> 2) % streams.count], packet))
            }
        case 2:
            try pass(.milliseconds(Int(kind) * 20))
        case _ where kind == KernelFuzz.recovery:
            commands += 1
            let isBold = body.first.map { $0 & 1 == 1 } ?? false
            try take(
                .command(
                    CommandID(rawValue: commands),
                    .strict(.operate(.recover(evenIfBehind: isBold)), within: .seconds(10))))
        default:
            try take(.streamClosed(Self.accepted, .reset))
            try take(.streamAccepted(Self.accepted, from: Self.peer))
        }
    }

    /// Time passes until it leads.
    mutating func leads() throws(FuzzFailure) {
        for _ in 0..<200 where kernel.strictNode?.raft?.isLeader != true { try pass(.milliseconds(50)) }
        try require(kernel.strictNode?.raft?.isLeader == true, "nobody leads a group of one")
    }

    /// Else nearly every message would be one of another group, or of somebody else.
    private func addressToGroup(_ packet: inout Packet) {
        guard let group = kernel.strictNode?.founding.founded?.group else { return }
        for place in packet.messages.indices {
            guard case .strict(let message) = packet.messages[place] else { continue }
            switch message {
            case .raft(_, var raft):
                raft.from = packet.sender
                raft.to = Self.own
                packet.messages[place] = .strict(.raft(group: group, raft))
            case .removed(StrictFuzzSeeds.group): packet.messages[place] = .strict(.removed(group: group))
            case .survey(let id, StrictFuzzSeeds.group):
                packet.messages[place] = .strict(.survey(id: id, group: group))
            case .surveyed(let id, var answer):
                if answer.group == StrictFuzzSeeds.group { answer.group = group }
                packet.messages[place] = .strict(.surveyed(id: survey ?? id, answer))
            case .forward, .forwarded, .founding, .removed, .survey: break
            }
        }
    }

    private mutating func pass(_ time: Interval) throws(FuzzFailure) {
        clock.now = clock.now + time
        clock.wall.milliseconds += UInt64(time.milliseconds)
        let due = timers.filter { $0.at <= clock.now }
        timers.removeAll { $0.at <= clock.now }
        for timer in due { try take(.timer(timer.token)) }
    }

    mutating func take(_ input: Input) throws(FuzzFailure) {
        var inputs = [input]
        var left = Self.inputsMax
        while !inputs.isEmpty {
            left -= 1
            try require(left > 0, "the kernel never comes to rest")
            var actions: [Action] = []
            kernel.handle(inputs.removeFirst(), clock: clock, using: &rng, into: &actions)
            for action in actions {
                if let answer = try answer(action) { inputs.append(answer) }
            }
        }
        kernel.checkInvariants()
    }

    private mutating func answer(_ action: Action) throws(FuzzFailure) -> Input? {
        switch action {
        case .persist(let token, _): return .persisted(token)
        case .setTimer(let token, let at): timers.append((at, token))
        case .send(let packet, _):
            let bytes = try? PacketCodec.encode(packet, limit: 1_400)
            try require(bytes != nil, "the kernel sends a datagram that cannot be encoded: \(packet)")
        case .writeStream(_, let packet), .offerStream(_, let packet):
            for case .strict(.survey(let id, _)) in packet.messages { survey = id }
            let bytes = try? PacketCodec.encode(packet, limit: Bounds.frameBytesMax)
            try require(bytes != nil, "the kernel writes a frame that cannot be encoded: \(packet)")
        case .openStream(let stream, _, _):
            guard streams.count < Self.streamsMax else { return .streamClosed(stream, .localLimit) }
            streams.append(stream)
            return .streamOpened(stream)
        case .closeStream(let stream):
            if stream != Self.accepted { streams.removeAll { $0 == stream } }
        case .resolve(let seed): return .resolved(seed: seed, [])
        case .strict(let action): return Self.done(action).map { .strict($0) }
        case .keepStream, .reply, .event, .stopped, .refused, .ringChanged: break
        }
        return nil
    }

    /// A disk that keeps no bytes: snapshots are made, and are gone when they are asked for.
    private static func done(_ action: StrictDiskAction) -> StrictDiskResult? {
        switch action {
        case .persist(let write): return .persisted(write.number)
        case .makeSnapshot(let writer, let position, _):
            var writer = writer
            var bytes: UInt64 = 0
            while let piece = writer.next(bytesMin: 4_096) { bytes += UInt64(piece.count) }
            return .snapshotMade(position, bytes: bytes, digest: writer.digest)
        case .readSnapshot(let order): return .snapshotRead(order, nil)
        case .loadSnapshot(let metadata): return .snapshotLoaded(metadata, nil)
        case .compact: return nil
        }
    }
}
