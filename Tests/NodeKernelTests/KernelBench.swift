// SPDX-License-Identifier: Apache-2.0
// Owns the bench for one kernel: virtual time, its timers, its outputs; the test plays disk, network and clients.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import StrictCore
import StrictGroup

/// Where Testing has a `Tag` of its own.
typealias MemberTag = Tag

func id(_ number: Int) -> NodeID { NodeID(high: 0x1111_0000 + UInt64(number), low: UInt64(number)) }

func address(_ number: Int) -> Address { Address(ipv4: 0x0a00_0000 + UInt32(number), port: 7946) }

func info(_ number: Int, name: String? = nil) -> MemberInfo {
    MemberInfo(name: name ?? "n\(number)", address: address(number), tags: [], protocolVersion: 1)
}

func alive(_ number: Int, _ incarnation: UInt64 = 1, name: String? = nil) -> Message {
    .update(MemberUpdate(subject: id(number), incarnation: incarnation, claim: .alive(info(number, name: name))))
}

func failed(_ number: Int, _ incarnation: UInt64 = 1, by accuser: Int) -> Message {
    .update(MemberUpdate(subject: id(number), incarnation: incarnation, claim: .failed(by: id(accuser))))
}

func forgotten(_ number: Int, _ incarnation: UInt64 = 1, by node: Int) -> Message {
    .update(MemberUpdate(subject: id(number), incarnation: incarnation, claim: .forgotten(by: id(node))))
}

/// Sizes that are about those of the codec: what counts is that the kernel keeps to them.
enum FakeSizes {
    static let header = 28

    static func size(of message: Message) -> Int {
        switch message {
        case .ping: 23
        case .ack, .nack: 7
        case .indirectPing: 34
        case .digest: 27
        case .update(let update):
            if case .alive(let info) = update.claim {
                60 + info.name.utf8.count
                    + info.tags.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 2 }
            } else {
                40
            }
        case .row(let row): row.estimatedBytes
        case .announcement(let dots): 4 + 28 * dots.count
        case .memberTable(let part): 6 + 100 * part.entries.count
        case .floorMark, .confirmRequest, .confirmed, .collectRequest, .collectAnswer, .floor, .rowRequest, .ranges,
            .coordinate, .viewRequest, .viewAnswer, .ringMark:
            64
        case .keyRing(let ring): 3 + ring.secretBytes.count
        case .padding(let count): 5 + count
        case .userEvent(let notice): 60 + notice.event.name.utf8.count + notice.event.payload.count
        case .userEventMarks(let marks): 5 + 40 * marks.marks.count
        case .sentinel: 4
        case .strict(.forward(_, .change(_, .put(_, let value, _)))): 200 + value.count
        case .strict: 200
        case .strictMark: 100
        case .storeRequest(let request): 13 + 40 * request.context.entries.count
        case .storeComplete(let context): 4 + 40 * context.entries.count
        case .storeBatchEnd, .storeContinue: 3
        }
    }

    static let wire = WireSizes(header: header) { size(of: $0) }
}

/// One kernel in virtual time.
struct KernelBench {
    struct Timer {
        var at: Instant
        var order: Int
        var token: TimerToken
    }

    let number: Int
    var kernel: NodeKernel
    var rng: SeededGenerator
    var now: Instant
    var persistsAtOnce = true
    /// How far this host's wall clock is off, in milliseconds.
    var wallOffset: UInt64 = 0

    var timers: [Timer] = []
    /// Every action in order, for tests that look at order.
    var log: [Action] = []
    var sent: [(packet: Packet, to: Address)] = []
    var opened: [(id: StreamID, to: Address)] = []
    var written: [(id: StreamID, packet: Packet)] = []
    var closed: [StreamID] = []
    var kept: [StreamID] = []
    var events: [KernelEvent] = []
    /// Told among the events.
    var changes: [ChangeRecord] {
        events.flatMap { event -> [ChangeRecord] in if case .keysChanged(let records) = event { records } else { [] } }
    }
    var replies: [(id: CommandID, reply: Reply)] = []
    var resolving: [String] = []
    var persists: [(token: PersistToken, records: [DurableRecord])] = []
    var stopped: [LeaveOutcome] = []
    private(set) var persisted = 0
    /// What earlier processes of this node had made durable.
    var former: [[DurableRecord]] = []
    private var timersSet = 0
    private var nextCommand: UInt64 = 0
    private var nextAccepted: UInt64 = 1_001

    static let start = Instant(nanoseconds: 1_000_000_000_000)
    static let cluster = ClusterID(name: "test")

    init(
        _ number: Int = 1, seed: UInt64 = 1, now: Instant = KernelBench.start, fence: UInt64 = 0,
        address own: Address? = nil, recovered: RecoveredStore? = nil, storeEpoch: UInt32 = 1, wallOffset: UInt64 = 0,
        configure: (inout KernelConfiguration) -> Void = { _ in }
    ) {
        var configuration = KernelConfiguration(cluster: Self.cluster, sizes: FakeSizes.wire)
        // Tests of streams count them; those of sentinels ask for theirs.
        configuration.sentinels = 0
        configure(&configuration)
        self.number = number
        self.now = now
        self.wallOffset = wallOffset
        rng = SeededGenerator(seed: seed &* 1_000 &+ UInt64(number))
        kernel = NodeKernel(
            configuration: configuration,
            identity: KernelIdentity(
                id: id(number), name: "n\(number)", address: own ?? address(number), tags: [],
                incarnationFence: fence, storeEpoch: storeEpoch),
            recovered: recovered, clock: Clock(now: now, wall: WallTime(milliseconds: 0)))
    }

    /// A kernel that has started and knows `peers` as alive, with its outputs cleared.
    static func knowing(
        _ peers: ClosedRange<Int>, configure: (inout KernelConfiguration) -> Void = { _ in }
    ) -> KernelBench {
        var bench = KernelBench(configure: configure)
        bench.handle(.start)
        bench.hear(peers.map { alive($0) }, from: peers.lowerBound)
        bench.pass(.seconds(0))
        bench.settleGossip()
        bench.clear()
        return bench
    }

    var clock: Clock {
        Clock(
            now: now,
            wall: WallTime(milliseconds: 1_700_000_000_000 &+ wallOffset &+ UInt64(now.nanoseconds / 1_000_000)))
    }

    mutating func handle(_ input: Input) {
        var actions: [Action] = []
        kernel.handle(input, clock: clock, using: &rng, into: &actions)
        kernel.checkInvariants()
        for action in actions { take(action) }
        if persistsAtOnce { persistAll() }
    }

    private mutating func take(_ action: Action) {
        log.append(action)
        switch action {
        case .send(let packet, let to): sent.append((packet, to))
        case .openStream(let id, let to, _): opened.append((id, to))
        case .writeStream(let id, let packet), .offerStream(let id, let packet): written.append((id, packet))
        case .closeStream(let id): closed.append(id)
        case .keepStream(let id): kept.append(id)
        case .setTimer(let token, let at):
            timersSet += 1
            timers.append(Timer(at: at, order: timersSet, token: token))
        case .persist(let token, let records): persists.append((token, records))
        case .resolve(let seed): resolving.append(seed)
        case .ringChanged, .strict: break
        case .reply(let id, let reply): replies.append((id, reply))
        case .event(let event): events.append(event)
        case .stopped(let outcome): stopped.append(outcome)
        case .refused: break
        }
    }

    /// The disk catches up: everything asked for is durable.
    mutating func persistAll() {
        while persisted < persists.count {
            let token = persists[persisted].token
            persisted += 1
            handle(.persisted(token))
        }
    }

    /// All batches that are durable.
    var durable: [[DurableRecord]] { former + persists.prefix(persisted).map(\.records) }

    @discardableResult
    mutating func command(_ command: Command) -> CommandID {
        nextCommand += 1
        let id = CommandID(rawValue: nextCommand)
        handle(.command(id, command))
        return id
    }

    /// This node's answer to a ping: it tells its wall clock.
    func ack(_ sequence: UInt32) -> Message { .ack(Ack(sequence: sequence, wall: clock.wall.milliseconds)) }

    func answers(to id: CommandID) -> [Reply] { replies.filter { $0.id == id }.map(\.reply) }

    mutating func hear(_ messages: [Message], from sender: Int, at source: Address? = nil) {
        let packet = Packet(cluster: Self.cluster, sender: id(sender), messages: messages)
        handle(.packet(packet, from: source ?? address(sender)))
    }

    /// A peer opens a stream.
    /// Hears that members have failed, and lets the time pass that they have to refute it.
    mutating func hearVerdicts(_ messages: [Message], from sender: Int) {
        hear(messages, from: sender)
        passAnswering(SWIMConfiguration().probeTimeout + .milliseconds(10))
    }

    mutating func accept(from number: Int) -> StreamID {
        let stream = StreamID(rawValue: nextAccepted)
        nextAccepted += 2
        handle(.streamAccepted(stream, from: Address(ipv4: 0x0a00_0000 + UInt32(number), port: 40_000)))
        return stream
    }

    mutating func hear(_ messages: [Message], on stream: StreamID, from sender: Int) {
        handle(.streamPacket(stream, Packet(cluster: Self.cluster, sender: id(sender), messages: messages)))
    }

    mutating func pass(_ interval: Interval) { pass(until: now + interval) }

    mutating func pass(until end: Instant) {
        while let timer = takeTimer(before: end) {
            now = max(now, timer.at)
            handle(.timer(timer.token))
        }
        now = max(now, end)
    }

    var nextTimer: Instant? { timers.map(\.at).min() }

    mutating func takeTimer(before end: Instant) -> Timer? {
        let next = timers.indices.min { (timers[$0].at, timers[$0].order) < (timers[$1].at, timers[$1].order) }
        guard let next, timers[next].at <= end else { return nil }
        return timers.remove(at: next)
    }

    /// Lets gossip that waits go out, acknowledging every ping meanwhile.
    mutating func settleGossip() {
        for _ in 0..<40 where !kernel.membership.queue.isEmpty {
            pass(.milliseconds(20))
            acknowledge()
        }
    }

    /// Every peer that was pinged answers.
    mutating func acknowledge(except silent: Int? = nil) {
        let datagrams = sent
        sent.removeAll()
        for (packet, _) in datagrams {
            for case .ping(let ping) in packet.messages where ping.target != silent.map(id) {
                handle(
                    .packet(
                        Packet(
                            cluster: Self.cluster, sender: ping.target,
                            messages: [.ack(Ack(sequence: ping.sequence))]),
                        from: kernel.membership.table[ping.target]?.info.address ?? address(99)))
            }
        }
    }

    /// Time passes, in small steps, and every peer answers its pings.
    mutating func passAnswering(_ interval: Interval, except silent: Int? = nil) {
        let end = now + interval
        while now < end {
            pass(until: min(end, now + .milliseconds(10)))
            acknowledge(except: silent)
        }
    }

    mutating func clear() {
        log.removeAll()
        kept.removeAll()
        sent.removeAll()
        opened.removeAll()
        written.removeAll()
        closed.removeAll()
        events.removeAll()
        replies.removeAll()
        stopped.removeAll()
    }

    func messages(to number: Int) -> [Message] { sent.filter { $0.to == address(number) }.flatMap(\.packet.messages) }

    func frames(on stream: StreamID) -> [Message] { written.filter { $0.id == stream }.flatMap(\.packet.messages) }

    /// How many timers of a kind wait.
    func waiting(_ isWanted: (TimerToken) -> Bool) -> Int { timers.filter { isWanted($0.token) }.count }

    func state(_ number: Int) -> MemberState? { kernel.membership.table[id(number)]?.state }

    func value(_ key: String) -> [UInt8]? {
        if case .register(let value)? = kernel.store.read(key)?.content { value } else { nil }
    }
}

/// `id(_:)` where that name means something else.
private func node(_ number: Int) -> NodeID { id(number) }

extension Row {
    /// A register as another node would send it.
    static func register(
        _ key: String, _ value: [UInt8], by number: Int, counter: UInt64, wall: UInt64 = 1_700_000_000_000,
        epoch: UInt32 = 1
    ) -> Row {
        let actor = ActorID(node: node(number), epoch: epoch)
        return Row(
            id: RowID(key: key, part: .register), versions: [Dot(actor: actor, counter: counter)],
            stamp: HybridTimestamp(wall: WallTime(milliseconds: wall)), author: actor, content: .register(value))
    }
}

extension KernelBench {
    /// Takes in rows and loses every datagram that would pass them on: from then on only the digest tells.
    mutating func mergeUnheard(_ rows: [Row]) {
        let kept = log
        for row in rows { hear([.row(row)], from: 99) }
        while let index = timers.firstIndex(where: { if case .gossip = $0.token { true } else { false } }) {
            handle(.timer(timers.remove(at: index).token))
        }
        log = kept + log.dropFirst(kept.count).filter { if case .send = $0 { false } else { true } }
        sent.removeAll()
    }
}
