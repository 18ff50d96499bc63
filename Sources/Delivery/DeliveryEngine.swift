// SPDX-License-Identifier: Apache-2.0
// Owns the engine of delivery: which files are rendered when, in batches that do not wait for each other.

import AdminModel

/// Follows the fleet and brings the files of this host to what it says. Files that share a reload go one batch after the
/// other; everything else does not wait for them.
package actor DeliveryEngine {
    /// Between two writes of this host's report.
    package static let reportIntervalMin = Duration.seconds(5)
    /// From the end of a batch until it is reported, so that batches which follow at once go along.
    static let reportDelay = Duration.milliseconds(200)

    /// Under this name stands what is wrong with the folder of descriptions as a whole; no description can have it.
    private static let folderName = "render.d/"

    let parts: DeliveryParts
    var schedule = DeliverySchedule()
    /// The descriptions that can be read, by name.
    var specs: [String: RenderSpec] = [:]
    /// Every file, those with a broken description too.
    var statuses: [String: RenderFileStatus] = [:]
    /// What was seen of the members when a file was last rendered.
    var memberSights: [String: [[MemberSight]]] = [:]
    var counters = DeliveryCounters()

    // The report to the fleet.
    var reported: RenderReport?
    var reportedAt: Duration?
    var reportDue: Duration?
    var isReportDoubtful = false
    /// The report of this host is a register that only this process writes.
    package let reportKey: String

    private var lookAt: Duration?
    private var mayHaveMembersChanged = false
    /// Batches asked for by hand that cannot begin yet, in their order.
    private var waiting: [(batch: DeliverySchedule.Batch, turn: CheckedContinuation<Void, Never>)] = []
    private var plans = 0
    private var waitingPlans: [CheckedContinuation<Void, Never>] = []
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation
    private let stopped: AsyncStream<Void>
    private let end: AsyncStream<Void>.Continuation
    private var isStopped = false

    /// Reads the descriptions; nothing is rendered before `run`.
    package init(_ parts: DeliveryParts, nodeID: String) {
        self.parts = parts
        reportKey = RenderReport.prefix + nodeID
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (stopped, end) = AsyncStream.makeStream()
        let listing = parts.list()
        (specs, statuses) = Self.take(listing, former: [:], at: parts.wall())
        schedule.replace(specs.mapValues(DeliverySchedule.Timing.init))
    }

    /// Delivers until the task is cancelled. To be called once.
    package func run() async {
        let changes = parts.fleet.changes()
        await withDiscardingTaskGroup { group in
            group.addTask {
                for await change in changes { await self.note(change) }
            }
            await waitUntilReady()
            if !isStopped { await begin() }
            // Batches in a group of their own: what is under way is not cancelled when no more begin.
            await withDiscardingTaskGroup { batches in
                var armed: Duration?
                for await _ in wakes {
                    guard !isStopped else { break }
                    for batch in await beginDue() {
                        batches.addTask { await self.carryOut(batch) }
                    }
                    await report()
                    guard let next = nextWake else { continue }
                    let now = parts.now()
                    // A timer that fires too early is of no harm: nothing is due then.
                    if let armed, armed > now, armed <= next { continue }
                    armed = next
                    group.addTask { [wake] in
                        try? await Task.sleep(for: max(next - now, .zero))
                        wake.yield()
                    }
                }
            }
            group.cancelAll()
        }
    }

    /// Until `parts.ready` is over or `stop` was called, whichever comes first.
    private func waitUntilReady() async {
        let (ready, stopped) = (parts.ready, stopped)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await ready() }
            group.addTask { for await _ in stopped {} }
            await group.next()
            group.cancelAll()
        }
    }

    /// Takes over what an earlier process told the fleet, and has everything rendered.
    package func begin() async {
        let former = await parts.formerReport()
        for file in former?.files ?? [] {
            guard statuses[file.name] != nil else { continue }
            statuses[file.name]?.version = file.version
            statuses[file.name]?.appliedAt = file.appliedAt
        }
        reported = former
        // The first batch reports the rest.
        if specs.isEmpty { scheduleReport() }
        for status in broken { parts.tell(.trouble(status)) }
        look()
        wake.yield()
    }

    /// Notes what may have changed.
    package func note(_ change: FleetChange) {
        switch change {
        case .keys(let keys):
            if keys.contains(reportKey) { reportMayBeGone() }
            let changed = specs.values.filter { spec in keys.contains(where: spec.depends) }
            schedule.dirty(changed.map(\.name), now: parts.now())
            // Most keys are nobody's here.
            guard !changed.isEmpty || isReportDoubtful else { return }
        case .members:
            mayHaveMembersChanged = true
        case .everything:
            reportMayBeGone()
            schedule.dirty(specs.keys, now: parts.now())
        }
        wake.yield()
    }

    /// Reads the descriptions again, and has every file looked at. Gives the problems.
    @discardableResult
    package func reload() -> [RenderProblem] {
        let listing = parts.list()
        (specs, statuses) = Self.take(listing, former: statuses, at: parts.wall())
        schedule.replace(specs.mapValues(DeliverySchedule.Timing.init))
        // A description or the template of one may be another now.
        schedule.dirty(specs.keys, now: parts.now())
        memberSights = memberSights.filter { specs[$0.key] != nil }
        for status in broken { parts.tell(.trouble(status)) }
        scheduleReport()
        look()
        wake.yield()
        return listing.problems
    }

    /// Does what is due to its end, and gives the time at which more is; nil when nothing waits.
    package func step() async -> Duration? {
        let batches = await beginDue()
        await withDiscardingTaskGroup { group in
            for batch in batches { group.addTask { await self.carryOut(batch) } }
        }
        await report()
        return nextWake
    }

    private var nextWake: Duration? { [schedule.nextWake, lookAt, reportDue].compactMap { $0 }.min() }

    /// The batches that are due now; each is to be carried out.
    private func beginDue() async -> [DeliverySchedule.Batch] {
        if mayHaveMembersChanged {
            mayHaveMembersChanged = false
            await noteMembers()
        }
        if let lookAt, lookAt <= parts.now() { look() }
        return schedule.due(parts.now())
    }

    private func carryOut(_ batch: DeliverySchedule.Batch) async {
        _ = await deliver(batch)
        leave(batch)
    }

    /// All files are to be rendered, changed or not.
    private func look() {
        schedule.dirty(specs.keys, now: parts.now(), isNews: false)
        lookAt = specs.isEmpty ? nil : parts.now() + parts.interval
    }

    /// Finds the files for which the members look different than when they were rendered.
    private func noteMembers() async {
        let concerned = specs.values.filter(\.dependsOnMembers).sorted { $0.name < $1.name }
        for spec in concerned {
            let inputs = spec.readInputs.filter { if case .members = $0 { true } else { false } }
            let sight: [[MemberSight]]?
            do throws(AdminFailure) {
                sight = MemberSight.all(in: try await parts.fleet.read(inputs))
            } catch {
                // Rendering says what is wrong.
                sight = nil
            }
            if sight == nil || sight != memberSights[spec.name] {
                schedule.dirty([spec.name], now: parts.now(), isNews: sight != nil)
            }
        }
    }

    /// The files whose descriptions cannot be read.
    private var broken: [RenderFileStatus] {
        statuses.values.filter { specs[$0.name] == nil }.sorted { $0.name < $1.name }
    }

    /// Begins no further batch; `run` returns when those under way are done.
    package func stop() {
        isStopped = true
        wake.finish()
        end.finish()
    }

    // MARK: Turns

    /// Waits until the batch can begin, and begins it. Each is followed by `leave`.
    func enter(_ batch: DeliverySchedule.Batch) async {
        guard !schedule.canBegin(batch) else { return schedule.begin(batch) }
        await withCheckedContinuation { waiting.append((batch, $0)) }
    }

    /// Ends the batch, and begins those that wait for it.
    func leave(_ batch: DeliverySchedule.Batch) {
        schedule.finish(batch)
        waiting.removeAll { batch, turn in
            guard schedule.canBegin(batch) else { return false }
            schedule.begin(batch)
            turn.resume()
            return true
        }
        wake.yield()
    }

    /// Plans at once; each renders one template after the other.
    private static let plansMax = 4

    /// Each is followed by `leavePlan`.
    func enterPlan() async {
        guard plans >= Self.plansMax else {
            plans += 1
            return
        }
        await withCheckedContinuation { waitingPlans.append($0) }
    }

    func leavePlan() {
        guard !waitingPlans.isEmpty else {
            plans -= 1
            return
        }
        waitingPlans.removeFirst().resume()
    }

    // MARK: Descriptions

    private static func take(
        _ listing: RenderListing, former: [String: RenderFileStatus], at wall: Timestamp
    ) -> ([String: RenderSpec], [String: RenderFileStatus]) {
        let specs = Dictionary(listing.specs.map { ($0.name, $0) }) { first, _ in first }
        var statuses: [String: RenderFileStatus] = [:]
        for (name, spec) in specs {
            let blank = RenderFileStatus(name: name, destination: spec.destination, state: .pending)
            // What is known of another destination says nothing of this one.
            let known = former[name].flatMap { $0.destination == spec.destination ? $0 : nil }
            statuses[name] = known ?? blank
        }
        let broken = Dictionary(grouping: listing.problems, by: \.name).filter { specs[$0.key] == nil }
        for (name, problems) in broken {
            let name = name.isEmpty ? folderName : name
            let sentence = problems.map(\.sentence).joined(separator: "; ")
            var status = former[name] ?? RenderFileStatus(name: name, state: .failed)
            if status.error != sentence || !status.state.isTrouble { status.errorSince = wall }
            status.state = .failed
            status.error = sentence
            statuses[name] = status
        }
        return (specs, statuses)
    }
}
