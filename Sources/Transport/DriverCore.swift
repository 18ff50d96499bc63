// SPDX-License-Identifier: Apache-2.0
// Owns the kernel while it runs: feeds it inputs one at a time and carries out its actions in order.

import ClusterTypes
import NIOCore
import NodeKernel
import SWIMCore
import Sealing
import StrictGroup

/// The part of a driver that lives on the event loop; nothing here is touched from elsewhere.
///
/// Inputs that arise while actions are carried out (a failed send, a refused stream) are queued and handled after
/// them, never nested: the kernel sees one input at a time and its actions happen in the order it gave them.
final class DriverCore {
    private var kernel: NodeKernel
    private var generator: SeededGenerator
    private let loop: any EventLoop
    private let host: any KernelHost
    private let counters: CounterBox
    private let progress: DriverProgress
    private let configuration: TransportConfiguration
    let seal: NodeSeal
    /// Set right after `init`; both need `self` to deliver to.
    private(set) var datagrams: DatagramSocket?
    private(set) var streams: StreamTable?
    private var resolver: SeedResolver?

    private var inputs: [Input] = []
    private var isDraining = false
    private var actions: [Action] = []
    private var replies: [CommandID: (Reply) -> Void] = [:]
    private var nextCommand: UInt64 = 1
    /// Calls of the strict group that came in bunches.
    private var calls: [CommandID: (tag: UInt64, sink: CallSink)] = [:]
    private(set) var isStopped = false
    /// A timer that is later than this says that the process was stopped or starved: half of a probe's direct wait.
    private let latenessTold: Interval

    init(
        kernel: NodeKernel, address: Address, configuration: TransportConfiguration, host: any KernelHost,
        loop: any EventLoop, counters: CounterBox, progress: DriverProgress
    ) {
        self.kernel = kernel
        self.configuration = configuration
        self.host = host
        self.loop = loop
        self.counters = counters
        self.progress = progress
        // The only use of the system's generator: everything the kernel decides by chance follows from this seed.
        var system = SystemRandomNumberGenerator()
        generator = SeededGenerator(seed: system.next())
        let cluster = kernel.configuration.cluster
        latenessTold = kernel.configuration.swim.probeTimeout / 2
        let seal = NodeSeal(
            settings: configuration.seal, cluster: cluster, datagramBytesMax: configuration.datagramBytesMax,
            counters: counters
        ) { host.refused($0, from: $1, clock: SystemClock.now()) }
        self.seal = seal
        datagrams = DatagramSocket(
            address: address, cluster: cluster, configuration: configuration, loop: loop, counters: counters,
            seal: seal
        ) { [weak self] in self?.feed($0) }
        streams = StreamTable(
            address: address, cluster: cluster, configuration: configuration, loop: loop, counters: counters,
            seal: seal
        ) { [weak self] in self?.feed($0) }
        resolver = SeedResolver(
            family: SocketFamily(boundTo: address), timeout: configuration.resolutionTimeout,
            pendingMax: configuration.resolutionsMax, loop: loop, counters: counters
        ) { [weak self] seed, addresses in self?.feed(.resolved(seed: seed, addresses)) }
    }

    /// Takes the sockets over and starts the kernel.
    func start(stream: CInt, datagram: CInt) -> EventLoopFuture<Void> {
        guard let streams, let datagrams else { return loop.makeSucceededVoidFuture() }
        do throws(TransportFailure) {
            try datagrams.start(datagram)
        } catch {
            return streams.start(stream).flatMap { [loop] in loop.makeFailedFuture(error) }
        }
        return streams.start(stream).assumeIsolated()
            .map { _ in
                if self.isStopped { return }
                self.feed(.start)
            }
            .nonisolated()
    }

    /// Closes the sockets and answers what waits; afterwards the kernel gets no input.
    func stop() -> EventLoopFuture<Void> {
        if isStopped { return loop.makeSucceededVoidFuture() }
        feed(.stopping)
        isStopped = true
        inputs.removeAll()
        let waiting = replies.sorted { $0.key < $1.key }
        replies.removeAll()
        for (_, answer) in waiting { answer(.failure(.notReady)) }
        answerCalls(calls.keys.sorted().map { .reply($0, Self.cutShort) })
        resolver?.stop()
        guard let streams, let datagrams else { return loop.makeSucceededVoidFuture() }
        datagrams.stop()
        return streams.stop()
    }

    /// From now on these keys hold, for streams that are open as well.
    func seal(with settings: SealSettings) {
        seal.update(settings)
        if !isStopped { streams?.endUnaccepted() }
    }

    /// Hands a command to the kernel; `answer` is called exactly once.
    func perform(_ command: Command, _ answer: @escaping (Reply) -> Void) {
        if isStopped { return answer(.failure(.notReady)) }
        guard replies.count < configuration.commandsMax else {
            counters.update { $0.commandsRefused += 1 }
            return answer(.failure(.invalid("\(replies.count) requests are waiting for an answer: try again later")))
        }
        let id = CommandID(rawValue: nextCommand)
        nextCommand += 1
        if case .strict = command {
            replies[id] = { [self] in answer(isStopped ? Self.cutShort : $0) }
        } else {
            replies[id] = answer
        }
        feed(.command(id, command))
    }

    /// Hands calls of the strict group to the kernel as one input; each is answered once, by its tag.
    func perform(_ bunch: [(tag: UInt64, call: StrictCall)], within: Interval, _ sink: CallSink) {
        if let failure = refusal(of: bunch.count) {
            for call in bunch { _ = sink.add(call.tag, failure) }
            return sink.flush()
        }
        let asked = bunch.map { tag, call in
            let id = CommandID(rawValue: nextCommand)
            nextCommand += 1
            calls[id] = (tag, sink)
            return StrictAsked(id: id, call: call, within: within, tellsTime: true)
        }
        feed(.calls(asked))
    }

    /// The strict group had been asked when this node stopped: what was asked may come about all the same.
    private static let cutShort = Reply.strict(.failed(.unavailable(missing: [], isOutcomeUnknown: true)))

    private func refusal(of count: Int) -> Reply? {
        if isStopped { return .failure(.notReady) }
        guard calls.count + count > configuration.callsMax else { return nil }
        counters.update { $0.commandsRefused += UInt64(count) }
        return .strict(.failed(.tooManyCalls))
    }

    /// Answers the calls first of all: their clients wait for nothing else of this turn.
    private func answerCalls(_ actions: [Action]) {
        guard !calls.isEmpty else { return }
        var sinks: [CallSink] = []
        for case .reply(let id, let reply) in actions {
            guard let (tag, sink) = calls.removeValue(forKey: id) else { continue }
            if sink.add(tag, reply) { sinks.append(sink) }
        }
        for sink in sinks { sink.flush() }
    }

    /// Hands one input to the kernel, now or after those that wait.
    func feed(_ input: Input) {
        guard !isStopped else { return }
        inputs.append(input)
        if !isDraining { drain() }
    }

    /// Inputs that one turn handles before sockets and other tasks of the loop get theirs.
    private static let inputsPerTurnMax = 1_024

    private func drain() {
        isDraining = true
        defer { isDraining = false }
        // Actions of one input rarely cause more than a few further inputs, so a plain array will do.
        var next = 0
        while next < inputs.count, !isStopped {
            if next == Self.inputsPerTurnMax {
                inputs.removeFirst(next)
                let core = NIOLoopBound(self, eventLoop: loop)
                return loop.execute { if !core.value.inputs.isEmpty { core.value.drain() } }
            }
            let input = inputs[next]
            next += 1
            handle(input)
        }
        inputs.removeAll(keepingCapacity: inputs.capacity <= 256)
    }

    private func handle(_ input: Input) {
        let clock = SystemClock.now()
        kernel.handle(input, clock: clock, using: &generator, into: &actions)
        // Taken out while they are carried out, so that the array has one owner and keeps its room.
        var batch: [Action] = []
        swap(&batch, &actions)
        answerCalls(batch)
        for action in batch {
            carryOut(action, clock)
            if isStopped { return }
        }
        streams?.flush()
        batch.removeAll(keepingCapacity: batch.capacity <= 1_024)
        swap(&batch, &actions)
    }

    private func carryOut(_ action: Action, _ clock: Clock) {
        switch action {
        case .send(let packet, let target):
            datagrams?.send(packet, to: target)
        case .openStream(let id, let target, let timeout):
            streams?.open(id, to: target, timeout: timeout)
        case .writeStream(let id, let packet):
            streams?.write(id, packet)
        case .offerStream(let id, let packet):
            streams?.offer(id, packet)
        case .closeStream(let id):
            streams?.close(id)
        case .keepStream(let id):
            streams?.keep(id)
        case .setTimer(let token, let at):
            setTimer(token, at)
        case .persist(let token, let records):
            persist(token, records)
        case .strict(let action):
            perform(action)
        case .ringChanged(let ring):
            use(ring, clock)
        case .resolve(let seed):
            resolver?.resolve(seed)
        case .reply(let id, let reply):
            replies.removeValue(forKey: id)?(reply)
        case .event(let event):
            host.report(event, clock: clock)
        case .stopped(let outcome):
            host.left(outcome)
        case .refused(doubleAt: let address):
            host.refused(doubleAt: address)
        }
    }

    /// Seals and opens with the ring's keys from now on.
    private func use(_ bytes: RingBytes, _ clock: Clock) {
        // The kernel has joined it by the same rules: it is a ring.
        guard let ring = try? KeyRing(encoded: bytes.secretBytes) else { return }
        seal.update(SealSettings(keys: ring.accepted, acceptsPlain: seal.settings.acceptsPlain))
        host.ringChanged(ring, clock: clock)
    }

    private func setTimer(_ token: TimerToken, _ at: Instant) {
        // A time before the origin of the clock is over as much as any other.
        let deadline = NIODeadline.uptimeNanoseconds(UInt64(max(at.nanoseconds, 0)))
        loop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in self?.fired(token, at) }
    }

    private func fired(_ token: TimerToken, _ at: Instant) {
        guard !isStopped else { return }
        let lag = max(SystemClock.monotonic() - at, .zero)
        progress.turned(lag: lag)
        counters.update {
            $0.loopLagMax = max($0.loopLagMax, lag)
            $0.loopLag.add(lag)
        }
        // Told before the timer: whoever is late does not blame its peers.
        if lag > latenessTold { feed(.localTrouble(.late(lag))) }
        if case .swim(.period) = token, let drops = datagrams?.takeDrops(), drops > 0 {
            feed(.localTrouble(.datagramsDropped(drops)))
        }
        feed(.timer(token))
    }

    private func perform(_ action: StrictDiskAction) {
        let core = NIOLoopBound(self, eventLoop: loop)
        let loop = loop
        host.perform(action) { result in loop.execute { core.value.feed(.strict(result)) } }
    }

    private func persist(_ token: PersistToken, _ records: [DurableRecord]) {
        let core = NIOLoopBound(self, eventLoop: loop)
        let loop = loop
        host.persist(records) {
            // Always by way of the loop's queue, so that an answer at once is not handled within the action.
            loop.execute { core.value.feed(.persisted(token)) }
        }
    }
}
