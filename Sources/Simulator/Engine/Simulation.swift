// SPDX-License-Identifier: Apache-2.0
// Owns the simulation: virtual time, the nodes, and the loop that hands events out in order.

import ClusterTypes
import NodeKernel
import SWIMCore
import WireProtocol

/// N kernels in virtual time. Equal scenario and seed give equal output, byte for byte, in every process.
///
/// One generator is split off the seed for each node, its disk and the scenario's own draws; a packet's fate comes
/// from the seed, its link and its number there. Observers - trace, checks, expectations - draw nothing and ask copies.
package struct Simulation {
    /// What waits in the queue.
    enum Event {
        case input(node: Int, process: Int32, Input)
        case datagram(from: Int, to: Int, [UInt8])
        case commit(node: Int, process: Int32)
        case diskLook(node: Int, process: Int32)
        case diskRoom(node: Int)
        case strictCommit(node: Int, process: Int32)
        case stream(StreamEvent, serial: UInt64)
        case resume(node: Int, process: Int32)
        case start(node: Int)
        case bounce(node: Int, down: Interval)
        case step(Int, repetition: Int)
        case lower(Topology.Barrier)
        case measureEnd
        case poll(Int)
        case pollHealing(since: Instant)
    }

    enum StreamEvent {
        /// The connect reaches the other host, or its answer reaches the client.
        case connect(attempt: Int)
        case answer(refused: Bool, attempt: Int)
        case connectDeadline
        /// Something may have arrived at this side.
        case pump(SimulatedStream.Side, isRetry: Bool)
        /// The peer's host broke it off.
        case reset(SimulatedStream.Side, StreamEnd)
    }

    let scenario: Scenario
    let seed: UInt64
    let baseConfiguration: KernelConfiguration
    /// What all nodes know from the beginning when the scenario is preformed.
    let preformedTable: MemberTable?
    let trace: ((String) -> Void)?

    var now = Instant.origin
    var end: Instant
    var queue = EventQueue<Event>()
    var nodes: [SimulatedNode] = []
    var rng: SeededGenerator
    var links = LinkTable()
    var linkRandomness: LinkRandomness
    var topology = Topology()
    var streams: [UInt64: SimulatedStream] = [:]
    /// Keys whose copies leaders have corrected.
    var strictCorrections = 0
    var nextStreamSerial: UInt64 = 1

    var views: MembershipViews
    var dots: DotCheck
    var resurrection: ResurrectionCheck
    var replies = ReplyCheck()
    var acked: AckedWriteCheck
    var revisions: RevisionCheck
    var transactions = TransactionCheck()
    var userEvents: UserEventCheck
    var strict: StrictCheck
    /// One on each node.
    var holders: [StrictHolder]
    /// For a test of the checks: reads of strict keys are answered from the node's own state.
    package var plantsStaleReads = false
    /// Steps of the scenario that disturbed something.
    var faults = 0
    /// The command of the step that a kernel is making.
    var commandInStep: CommandID?
    /// Calls of the strict group that are to come as one input; nil: each comes by itself.
    var gathered: [StrictAsked]?
    var falseFailures = FalseFailures()
    /// Whoever was called failed by anybody.
    var failedSubjects: Set<Int> = []
    var figures: FigureBook
    var expectations: [ExpectationState]
    var story: [StoryLine] = []
    var violations = Violations()
    /// Present when plots are wanted.
    var recorder: PlotRecorder?

    /// Reused from event to event.
    var actionBuffer: [Action] = []
    var eventsHandled = 0
    /// Events at the present time: virtual time must go on.
    private var eventsAtThisTime = 0
    static let eventsAtOneTimeMax = 5_000_000

    /// A node's invariants are checked after so many of its inputs: every one in a cluster of up to ten nodes, then ever
    /// more rarely, since a check costs time in proportion to the members.
    let checkStride: Int

    package init(
        scenario: Scenario, seed: UInt64, recordsPlots: Bool = false, trace: ((String) -> Void)? = nil
    ) throws(ScenarioFailure) {
        try scenario.check(file: scenario.name)
        self.scenario = scenario
        self.seed = seed
        self.trace = trace
        end = .origin + scenario.duration
        recorder = recordsPlots ? PlotRecorder(duration: scenario.duration) : nil
        let count = scenario.nodes
        checkStride = count <= 10 ? 1 : max(1, count * count / 100)
        var configuration = KernelConfiguration(
            cluster: ClusterID(name: "simulation"), sizes: PacketCodec.sizes)
        configuration.swim = SWIMConfiguration(profile: scenario.profile)
        configuration.seeds = (1...min(count, scenario.seeds)).map { "n\($0):7946" }
        configuration.collectionGrace = scenario.grace ?? configuration.collectionGrace
        configuration.collectionInterval = scenario.collectionInterval ?? configuration.collectionInterval
        configuration.swim.failedRetention = scenario.failedRetention ?? configuration.swim.failedRetention
        if let strict = scenario.strict { configuration.strict = strict.configuration }
        baseConfiguration = configuration

        var root = SeededGenerator(seed: seed)
        rng = root.split()
        linkRandomness = LinkRandomness(seed: root.next(), nodes: count)
        views = MembershipViews(nodes: count)
        dots = DotCheck(nodes: count)
        resurrection = ResurrectionCheck(nodes: count)
        acked = AckedWriteCheck(nodes: count)
        revisions = RevisionCheck(nodes: count)
        userEvents = UserEventCheck(nodes: count)
        strict = StrictCheck(nodes: count, groupsMax: scenario.strict?.groups ?? 1)
        holders = Array(repeating: StrictHolder(), count: count)
        figures = FigureBook(nodes: count)
        expectations = scenario.expectations.map { ExpectationState($0) }
        for index in 0..<count { nodes.append(SimulatedNode(index: index, rng: root.split())) }
        preformedTable = scenario.isPreformed ? MemberTable(members: nodes.map(\.asFirstKnown)) : nil
        try schedule()
    }

    private mutating func schedule() throws(ScenarioFailure) {
        var held = Set<Int>()
        for selector in scenario.held {
            for node in try resolve(selector, line: 0) { held.insert(node) }
        }
        // Steps come before starts, so that what a scenario states for the beginning holds from the beginning.
        for (index, step) in scenario.steps.enumerated() {
            queue.push(.step(index, repetition: 0), at: .origin + step.at)
        }
        let starters = (0..<scenario.nodes).filter { !held.contains($0) }
        let startSpread = scenario.isPreformed ? .zero : scenario.startSpread
        for (position, node) in starters.enumerated() {
            let at = startSpread * (Double(position) / Double(max(1, starters.count - 1)))
            queue.push(.start(node: node), at: .origin + at)
        }
        figures.awaitFormation(
            of: starters.count, lastStart: .origin + (starters.count > 1 ? startSpread : .zero))
        for (index, expectation) in expectations.enumerated() where expectation.expectation.within != nil {
            queue.push(.poll(index), at: .origin + expectation.expectation.from)
        }
        tell(
            scenario.isPreformed
                ? "\(starters.count) nodes start and know each other"
                : "\(starters.count) nodes start over \(Figure.seconds(startSpread))")
    }

    /// Runs to the end and returns what was seen.
    package consuming func run() throws(ScenarioFailure) -> SimulationReport {
        while let (time, event) = queue.pop(until: end) {
            eventsAtThisTime = time == now ? eventsAtThisTime + 1 : 0
            record(until: time)
            now = time
            eventsHandled += 1
            try dispatch(event)
            if eventsAtThisTime >= Self.eventsAtOneTimeMax {
                violations.add(
                    "time stands still at \(Figure.seconds(now - .origin)): something is scheduled without delay")
                break
            }
        }
        record(until: end + .nanoseconds(1))
        now = end
        return finish()
    }

    /// Looks at what holds until `time`, as often as the plots want it.
    private mutating func record(until time: Instant) {
        while let next = recorder?.next, next < time {
            let traffic = totalTraffic
            recorder?.add(views, traffic)
        }
    }

    private mutating func dispatch(_ event: Event) throws(ScenarioFailure) {
        switch event {
        case .input(let node, let process, let input): deliver(input, to: node, process: process)
        case .datagram(let from, let to, let bytes): receive(bytes, from: from, to: to)
        case .commit(let node, let process): commit(node, process: process)
        case .diskLook(let node, let process): diskLook(node, process: process)
        case .diskRoom(let node): nodes[node].disk.isFull = false
        case .strictCommit(let node, let process): strictCommit(node, process: process)
        case .stream(let event, let serial): handle(event, serial: serial)
        case .resume(let node, let process): resume(node, process: process)
        case .start(let node): start(node)
        case .bounce(let node, let down): bounce(node, down: down)
        case .step(let index, let repetition): try perform(step: index, repetition: repetition)
        case .lower(let barrier): changeTopology { $0.lower(barrier) }
        case .measureEnd: figures.endWindow(traffic: totalTraffic, at: now)
        case .poll(let index): try poll(index)
        case .pollHealing(let since): pollHealing(since: since)
        }
    }

    /// How far apart conditions are looked at: it bounds how exactly their times are known.
    var pollInterval: Interval { scenario.nodes <= 100 ? .milliseconds(50) : .milliseconds(500) }

    var totalTraffic: Traffic {
        var total = Traffic()
        for node in nodes { total += node.traffic }
        return total
    }

    mutating func tell(_ text: String) {
        trace?("\(Figure.decimal((now - .origin).seconds, digits: 6)) ## \(text)")
        // A story is for people: after so many lines they have seen enough, and memory stays bounded.
        if story.count < StoryLine.keptMax { story.append(StoryLine(at: now - .origin, text: text)) }
    }
}

/// One line of what happened.
package struct StoryLine: Hashable, Sendable {
    package static let keptMax = 2_000

    package var at: Interval
    package var text: String
}

/// An expectation and what became of it.
package struct ExpectationState: Sendable {
    package var expectation: Scenario.Expectation
    /// When it was seen to hold.
    package var metAt: Interval?
    package var failed = false
    /// What was seen instead.
    package var finding = ""

    init(_ expectation: Scenario.Expectation) { self.expectation = expectation }
}
