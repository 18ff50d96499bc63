// SPDX-License-Identifier: Apache-2.0
// Owns the bench for one membership machine: virtual time, its timers, its outputs, peers that the test plays itself.

import ClusterTypes
import SWIMCore

/// What a test calls a node: `id(1)` is the node under test, the others are played by hand.
func id(_ number: Int) -> NodeID { NodeID(high: 0, low: UInt64(number)) }

func address(_ number: Int) -> Address { Address(ipv4: 0x0a00_0000 + UInt32(number), port: 7946) }

func info(_ number: Int, name: String? = nil, tags: [Tag] = []) -> MemberInfo {
    MemberInfo(name: name ?? "n\(number)", address: address(number), tags: tags, protocolVersion: 1)
}

func alive(_ number: Int, _ incarnation: UInt64 = 1, name: String? = nil, tags: [Tag] = []) -> MemberUpdate {
    MemberUpdate(subject: id(number), incarnation: incarnation, claim: .alive(info(number, name: name, tags: tags)))
}

func suspect(_ number: Int, _ incarnation: UInt64 = 1, by accuser: Int) -> MemberUpdate {
    MemberUpdate(subject: id(number), incarnation: incarnation, claim: .suspect(by: id(accuser)))
}

func failed(_ number: Int, _ incarnation: UInt64 = 1, by accuser: Int) -> MemberUpdate {
    MemberUpdate(subject: id(number), incarnation: incarnation, claim: .failed(by: id(accuser)))
}

func left(_ number: Int, _ incarnation: UInt64 = 1) -> MemberUpdate {
    MemberUpdate(subject: id(number), incarnation: incarnation, claim: .left(nil))
}

func forgotten(_ number: Int, _ incarnation: UInt64 = 1, by node: Int) -> MemberUpdate {
    MemberUpdate(subject: id(number), incarnation: incarnation, claim: .forgotten(by: id(node)))
}

func entry(
    _ number: Int, _ incarnation: UInt64 = 1, _ state: MemberState, age: UInt32 = 0
) -> MemberTableEntry {
    MemberTableEntry(id: id(number), incarnation: incarnation, state: state, ageSeconds: age, info: info(number))
}

/// The machine did not send what the test waits for.
struct NothingSent: Error {}

/// One membership machine in virtual time. Timers fire on their own as time goes by; nothing is sent anywhere.
struct Bench {
    struct Timer {
        var at: Instant
        var order: Int
        var timer: SWIMTimer
    }

    struct Sent: Equatable {
        var messages: [SWIMMessage]
        var to: Address
    }

    let number: Int
    var machine: Membership
    var rng: SeededGenerator
    var now: Instant
    /// A fence is durable at once; otherwise `persistFence()` says when.
    var persistsAtOnce = true
    var timers: [Timer] = []
    var sent: [Sent] = []
    var streams: [(sequence: UInt32, target: NodeID)] = []
    var events: [MemberEvent] = []
    var awareness: [Int] = []
    var notes: [(of: NodeID, note: MemberNote)] = []
    var fences: [UInt64] = []
    var answers: [(sequence: UInt32, roundTrip: Interval?)] = []
    var departed: [(acknowledged: Int, asked: Int)] = []
    var doubles: [Address] = []
    var otherSelves: [Address] = []
    var evictedBy: [NodeID] = []
    var clocks: [(id: NodeID, wall: UInt64, roundTrip: Interval)] = []
    private var timersSet = 0
    private var fencesPersisted = 0

    static let start = Instant(nanoseconds: 1_000_000_000_000)

    init(
        _ number: Int = 1, fence: UInt64 = 0, seed: UInt64 = 1, now: Instant = Bench.start,
        starts: Bool = true, authorship: Authorship? = nil, pins: [NodeID: AuthorKey] = [:],
        configure: (inout SWIMConfiguration) -> Void = { _ in }
    ) {
        var configuration = SWIMConfiguration()
        configure(&configuration)
        self.number = number
        self.now = now
        rng = SeededGenerator(seed: seed)
        machine = Membership(
            configuration: configuration, id: id(number), info: info(number), incarnationFence: fence,
            clock: Self.clock(now), authorship: authorship, pins: pins, updateBytes: { _ in 40 })
        if starts { start() }
    }

    static func clock(_ now: Instant) -> Clock {
        Clock(now: now, wall: WallTime(milliseconds: 1_700_000_000_000 + UInt64(now.nanoseconds / 1_000_000)))
    }

    var clock: Clock { Self.clock(now) }

    /// A machine that knows `peers` (numbers) as alive, with its outputs cleared.
    static func knowing(
        _ peers: ClosedRange<Int>, seed: UInt64 = 1, configure: (inout SWIMConfiguration) -> Void = { _ in }
    ) -> Bench {
        var bench = Bench(seed: seed, configure: configure)
        for peer in peers { bench.hear(alive(peer)) }
        bench.clear()
        return bench
    }

    mutating func start() { perform { machine, _, _, actions in machine.start(into: &actions) } }

    /// Runs one call on the machine and takes in what it asks for.
    @discardableResult
    mutating func perform<Result>(
        _ body: (inout Membership, Clock, inout SeededGenerator, inout [SWIMAction]) -> Result
    ) -> Result {
        var actions: [SWIMAction] = []
        let result = body(&machine, clock, &rng, &actions)
        for action in actions { take(action) }
        machine.checkInvariants()
        if persistsAtOnce { persistFence() }
        return result
    }

    private mutating func take(_ action: SWIMAction) {
        switch action {
        case .send(let messages, let to): sent.append(Sent(messages: messages, to: to))
        case .openProbeStream(let sequence, let target, _): streams.append((sequence, target))
        case .setTimer(let timer, let at):
            timersSet += 1
            timers.append(Timer(at: at, order: timersSet, timer: timer))
        case .persistFence(let fence): fences.append(fence)
        case .event(let event): events.append(event)
        case .awarenessChanged(_, let to): awareness.append(to)
        case .note(let note, let id, _): notes.append((id, note))
        case .pingAnswered(let sequence, let roundTrip): answers.append((sequence, roundTrip))
        case .identityInUse(let address): doubles.append(address)
        case .otherSelf(let address): otherSelves.append(address)
        case .evicted(let by): evictedBy.append(by)
        case .clockSample(let id, let wall, let roundTrip): clocks.append((id, wall, roundTrip))
        case .left(let acknowledged, let asked): departed.append((acknowledged, asked))
        }
    }

    /// The fences asked for so far are durable.
    mutating func persistFence() {
        while fencesPersisted < fences.count {
            let fence = fences[fencesPersisted]
            fencesPersisted += 1
            perform { $0.onFencePersisted(fence, clock: $1, using: &$2, into: &$3) }
        }
    }

    mutating func hear(_ message: SWIMMessage, from sender: Int = 2) {
        perform { $0.onMessage(message, from: id(sender), at: address(sender), clock: $1, using: &$2, into: &$3) }
    }

    mutating func hear(_ update: MemberUpdate, from sender: Int = 2) { hear(.update(update), from: sender) }

    /// Hears that a node has failed and lets the time pass in which it could refute.
    mutating func hearFailed(_ number: Int, _ incarnation: UInt64 = 1, by accuser: Int) {
        hear(failed(number, incarnation, by: accuser))
        pass(machine.configuration.probeTimeout)
    }

    /// Says what became of the stream of a probe.
    mutating func report(_ outcome: StreamProbeOutcome, _ sequence: UInt32) {
        perform { $0.onStreamProbe(sequence: sequence, outcome: outcome, clock: $1, into: &$3) }
    }

    mutating func merge(_ entries: [MemberTableEntry], from peer: Int) {
        perform { $0.merge(entries, from: id(peer), clock: $1, using: &$2, into: &$3) }
    }

    /// Lets `interval` pass; each timer fires at its moment.
    mutating func pass(_ interval: Interval) { pass(until: now + interval) }

    mutating func pass(until end: Instant) {
        while let index = nextTimer, timers[index].at <= end {
            let timer = timers.remove(at: index)
            now = max(now, timer.at)
            perform { $0.onTimer(timer.timer, clock: $1, using: &$2, into: &$3) }
        }
        now = max(now, end)
    }

    /// The process is stopped for `interval`: nothing fires meanwhile, everything that is due fires late.
    mutating func stall(_ interval: Interval) {
        now = now + interval
        pass(.zero)
    }

    private var nextTimer: Int? {
        timers.indices.min { (timers[$0].at, timers[$0].order) < (timers[$1].at, timers[$1].order) }
    }

    /// Forgets what was sent and told so far.
    mutating func clear() {
        sent.removeAll()
        streams.removeAll()
        events.removeAll()
        awareness.removeAll()
        answers.removeAll()
    }

    /// Lets time pass until the machine pings `number` directly; returns the ping's sequence number. Everybody else
    /// answers at once.
    mutating func passUntilProbe(of number: Int, within limit: Interval = .seconds(60)) -> UInt32? {
        let end = now + limit
        while let index = nextTimer, timers[index].at <= end {
            let fresh = sent.count
            pass(until: timers[index].at)
            var found: UInt32?
            for datagram in sent[fresh...] {
                for case .ping(let ping) in datagram.messages {
                    if ping.target == id(number) {
                        found = ping.sequence
                    } else {
                        hear(.ack(Ack(sequence: ping.sequence)), from: Int(ping.target.low))
                    }
                }
            }
            if let found { return found }
        }
        return nil
    }

    /// As `passUntilProbe`, when there must be a probe.
    mutating func probe(of number: Int, within limit: Interval = .seconds(60)) throws(NothingSent) -> UInt32 {
        guard let sequence = passUntilProbe(of: number, within: limit) else { throw NothingSent() }
        return sequence
    }

    /// An operator's ping; returns its sequence number.
    mutating func ping(_ number: Int) throws(NothingSent) -> UInt32 {
        let sequence = perform { $0.ping(member: id(number), clock: $1, into: &$3) }
        guard let sequence else { throw NothingSent() }
        return sequence
    }

    @discardableResult
    mutating func forget(_ number: Int, isForced: Bool = false) -> Bool {
        perform { $0.forget(id(number), isForced: isForced, clock: $1, into: &$3) }
    }

    func state(_ number: Int) -> MemberState? { machine.table[id(number)]?.state }

    func incarnation(_ number: Int) -> UInt64? { machine.table[id(number)]?.incarnation }

    /// The kinds of the events about one node.
    func kinds(_ number: Int) -> [MemberEventKind] { events.filter { $0.id == id(number) }.map(\.kind) }

    func messages(to number: Int) -> [SWIMMessage] { sent.filter { $0.to == address(number) }.flatMap(\.messages) }

    /// Indirect pings sent, with the relay each went to.
    var indirect: [(relay: Address, request: IndirectPing)] {
        sent.flatMap { datagram in
            datagram.messages.compactMap {
                if case .indirectPing(let request) = $0 { (datagram.to, request) } else { nil }
            }
        }
    }

    /// When the timer that `isWanted` recognises will fire, the latest one that was set.
    func timer(_ isWanted: (SWIMTimer) -> Bool) -> Instant? { timers.last { isWanted($0.timer) }?.at }

    /// When the suspicion of a node runs out, as the last timer set for it says.
    func suspicionEnds(_ number: Int) -> Instant? {
        timer { if case .suspicion(id(number), _) = $0 { true } else { false } }
    }

    /// What waits for gossip about a node.
    func queued(_ number: Int) -> MemberUpdate? { machine.queue.peek(id(number)) }
}

extension MemberEventKind {
    var isSuspected: Bool { if case .suspected = self { true } else { false } }
    var isFailed: Bool { if case .failed = self { true } else { false } }
    var isRefuted: Bool { if case .refuted = self { true } else { false } }

    /// The case's name and what a reader of a scenario needs of its payload.
    var word: String {
        switch self {
        case .joined: "joined"
        case .alive(let previously, let after): "alive again, was \(previously) for \(after)"
        case .updated: "updated"
        case .suspected(let evidence): "suspected: \(evidence.words)"
        case .failed(let evidence, let after): "failed after \(after): \(evidence.words)"
        case .left: "left"
        case .forgotten(let by): "forgotten by \(name(of: by))"
        case .reaped: "reaped"
        case .udpRestored: "answers datagrams again"
        case .udpBlocked(let probes, _): "answers over streams alone, \(probes) probes"
        case .nameConflict(let other): "has the same name as \(name(of: other))"
        case .forged(let forgery): "a statement refused, incarnation \(forgery.incarnation)"
        case .equivocated(let found): "equivocated, incarnation \(found.incarnation)"
        case .refuted(let accuser, let incarnation): "refuted \(name(of: accuser)) with incarnation \(incarnation)"
        }
    }
}

/// Scenarios call node 1 `a`, node 2 `b` and so on.
func name(of node: NodeID) -> String {
    guard node.high == 0, (1...26).contains(node.low) else { return node.short }
    return String(UnicodeScalar(UInt8(96 + node.low)))
}

extension Evidence {
    var words: String {
        var words = isLocal ? "\(probes) probes over \(pathsFailed.map { "\($0)" }.joined(separator: ", "))" : "hearsay"
        if streamRefused { words += ", stream refused" }
        if isUnreachable { words += ", unreachable" }
        if isMute { words += ", mute" }
        if let hint { words += ", hint \(hint)" }
        words += ", accused by \(name(of: accuser))"
        if !confirmedBy.isEmpty { words += ", confirmed by \(confirmedBy.map(name(of:)).joined(separator: ", "))" }
        return words
    }
}

/// The answer to a ping: it tells the wall clock.
func ack(_ sequence: UInt32, _ bench: Bench) -> SWIMMessage {
    .ack(Ack(sequence: sequence, wall: bench.clock.wall.milliseconds))
}
