// SPDX-License-Identifier: Apache-2.0
// Owns the surroundings of an engine in virtual time: a fleet in memory, a disk in memory, a renderer that joins values.

import AdminModel
import Delivery
import Synchronization

/// A clock that a test moves.
final class ManualClock: Sendable {
    private let state = Mutex(Duration.zero)

    var now: Duration { state.withLock { $0 } }
    var wall: Timestamp { Timestamp(milliseconds: 1_795_000_000_000 + Int64(now / .milliseconds(1))) }
    func move(by duration: Duration) { state.withLock { $0 += duration } }
}

/// Keys and members in memory.
final class MemoryFleet: FleetView {
    private struct State {
        var keys: [String: String] = [:]
        var members: [MemberDocument] = []
        var reads = 0
    }
    private let state = Mutex(State())

    func put(_ key: String, _ value: String?) { state.withLock { $0.keys[key] = value } }
    func set(_ members: [MemberDocument]) { state.withLock { $0.members = members } }
    var reads: Int { state.withLock { $0.reads } }

    func read(_ inputs: [RenderSpec.Input]) async throws(AdminFailure) -> [InputContent] {
        let copy = state.withLock { state in
            state.reads += 1
            return state
        }
        var contents: [InputContent] = []
        for input in inputs {
            switch input {
            case .key(let key, _), .set(let key, _):
                var document: KeyDocument?
                if let value = copy.keys[key.description] { document = try Self.document(key.description, value) }
                contents.append(.key(document))
            case .prefix(let prefix):
                guard prefix.description != "huge/" else {
                    throw AdminFailure(.tooLarge, "more than one file may have")
                }
                var documents: [KeyDocument] = []
                for (key, value) in copy.keys.sorted(by: { $0.key < $1.key }) where prefix.shows(key) {
                    documents.append(try Self.document(key, value))
                }
                contents.append(.keys(documents))
            case .members(let filter): contents.append(.members(copy.members.filter(filter.accepts)))
            }
        }
        return contents
    }

    func changes() -> AsyncStream<FleetChange> { AsyncStream { $0.finish() } }

    private static func document(_ key: String, _ value: String) throws(AdminFailure) -> KeyDocument {
        KeyDocument(
            key: try ConfigurationKey(key), content: .register(Array(value.utf8)), version: "v",
            writtenAt: Timestamp(milliseconds: 0), author: MemberIdentity(id: "00", name: "test"))
    }

    static func member(
        _ name: String, _ state: MemberState = .alive, tags: [String: String] = [:], rtt: Double? = nil
    ) -> MemberDocument {
        MemberDocument(
            id: "id-\(name)", name: name, address: "10.0.0.1:7946", state: state, incarnation: 1, tags: tags,
            rttMilliseconds: rtt, since: Timestamp(milliseconds: 0))
    }
}

/// A disk in memory that counts requests, and refuses or fails as it is told.
final class MemoryApplier: FileApplier {
    private struct State {
        var files: [String: [UInt8]] = [:]
        var requests: [ApplyRequest] = []
        var reloads: [[String]] = []
        var refused: [String: (outcome: ApplyAnswer.Outcome, reason: String)] = [:]
        var rolledBack: [String: String] = [:]
        var failure: DeliveryFailure?
        var unseen: Set<String> = []
        /// Requests to apply these wait, until they are let go.
        var held: Set<String> = []
        var waiting: [(names: Set<String>, turn: CheckedContinuation<Void, Never>)] = []
    }
    private let state = Mutex(State())
    /// Which files share a reload.
    private let targets: [String: String]

    init(targets: [String: String]) { self.targets = targets }

    func refuse(_ name: String, _ reason: String?, as outcome: ApplyAnswer.Outcome = .refused) {
        state.withLock { $0.refused[name] = reason.map { (outcome, $0) } }
    }
    /// As a helper that cannot use the description.
    func blind(_ name: String) { state.withLock { _ = $0.unseen.insert(name) } }
    func hold(_ name: String) { state.withLock { _ = $0.held.insert(name) } }
    func letGo(_ name: String) {
        state.withLock { state in
            state.held.remove(name)
            state.waiting.removeAll { names, turn in
                guard state.held.isDisjoint(with: names) else { return false }
                turn.resume()
                return true
            }
        }
    }
    /// How many requests are held.
    var heldCount: Int { state.withLock { $0.waiting.count } }
    func rollBack(_ name: String, _ reason: String?) { state.withLock { $0.rolledBack[name] = reason } }
    func fail(_ failure: DeliveryFailure?) { state.withLock { $0.failure = failure } }
    func overwrite(_ name: String, _ text: String) { state.withLock { $0.files[name] = Array(text.utf8) } }

    func text(_ name: String) -> String? {
        state.withLock { $0.files[name].map { String(decoding: $0, as: UTF8.self) } }
    }
    /// The names of each `apply`.
    var batches: [[String]] {
        state.withLock { $0.requests.filter { $0.operation == .apply }.map { $0.files.map(\.name) } }
    }
    var reloads: [[String]] { state.withLock { $0.reloads } }

    func perform(_ request: ApplyRequest) async throws(DeliveryFailure) -> ApplyAnswer {
        let failure = state.withLock { state in
            state.requests.append(request)
            return state.failure
        }
        if let failure { throw failure }
        if request.operation == .apply {
            let names = Set(request.files.map(\.name))
            await withCheckedContinuation { turn in
                state.withLock { state in
                    guard !state.held.isDisjoint(with: names) else { return turn.resume() }
                    state.waiting.append((names, turn))
                }
            }
        }
        return state.withLock { state in
            var byTarget: [String: [String]] = [:]
            let files: [ApplyAnswer.File] = request.files.map { file in
                let answer = self.answer(request.operation, file, &state)
                if answer.outcome == .applied, let target = targets[file.name] {
                    byTarget[target, default: []].append(file.name)
                }
                return answer
            }
            let reloads = byTarget.sorted { $0.key < $1.key }
            state.reloads += reloads.map(\.value)
            let rolledBack = files.filter { $0.outcome == .rolledBack }.map(\.name)
            var whole = ApplyAnswer(files: files, reloads: reloads.map { .init(target: $0.key, files: $0.value) })
            for name in rolledBack {
                guard let target = targets[name] else { continue }
                whole.reloads.append(.init(target: target, files: [name], failure: "it failed"))
                whole.reloads.append(.init(target: target, files: [name], isWithFormer: true))
            }
            return whole
        }
    }

    private func answer(
        _ operation: ApplyRequest.Operation, _ file: ApplyRequest.File, _ state: inout State
    ) -> ApplyAnswer.File {
        let present = state.files[file.name]
        var answer = ApplyAnswer.File(
            name: file.name, outcome: .unchanged, version: present.map(ContentVersion.of), present: nil)
        if operation == .compare { answer.present = present }
        if state.unseen.contains(file.name) {
            (answer.outcome, answer.reason, answer.version) = (.refused, "no description can be used", nil)
            answer.isSeen = false
            return answer
        }
        guard present != file.content else { return answer }
        if let refused = state.refused[file.name] {
            (answer.outcome, answer.reason) = (refused.outcome, refused.reason)
        } else if operation == .compare {
            answer.outcome = .differs
        } else if let reason = state.rolledBack[file.name] {
            (answer.outcome, answer.reason) = (.rolledBack, reason)
        } else {
            state.files[file.name] = file.content
            (answer.outcome, answer.version) = (.applied, ContentVersion.of(file.content))
        }
        return answer
    }
}

/// An engine with its surroundings; `settle` lets virtual time run.
struct EngineBench: Sendable {
    let clock = ManualClock()
    let fleet = MemoryFleet()
    let applier: MemoryApplier
    let engine: DeliveryEngine
    private let log: Log

    final class Log: Sendable {
        private let state = Mutex<(events: [DeliveryEvent], reports: [RenderReport?], listing: RenderListing)>(
            ([], [], RenderListing()))
        func add(_ event: DeliveryEvent) { state.withLock { $0.events.append(event) } }
        func add(_ report: RenderReport?) { state.withLock { $0.reports.append(report) } }
        func list(_ listing: RenderListing) { state.withLock { $0.listing = listing } }
        var events: [DeliveryEvent] { state.withLock { $0.events } }
        var reports: [RenderReport?] { state.withLock { $0.reports } }
        var listing: RenderListing { state.withLock { $0.listing } }
    }

    init(
        _ specs: [RenderSpec], problems: [RenderProblem] = [], former: RenderReport? = nil,
        ready: @escaping @Sendable () async -> Void = {}
    ) {
        let (clock, fleet, log) = (clock, fleet, Log())
        self.log = log
        var targets: [String: String] = [:]
        for spec in specs { if case .unit(let unit)? = spec.reload { targets[spec.name] = "unit \(unit)" } }
        applier = MemoryApplier(targets: targets)
        log.list(RenderListing(specs: specs, problems: problems))
        var parts = DeliveryParts(
            directory: "/etc/gossipd/render.d", interval: .seconds(600), fleet: fleet, applier: applier,
            list: { log.listing }, render: EngineBench.render, now: { clock.now }, wall: { clock.wall })
        parts.ready = ready
        parts.tell = { log.add($0) }
        parts.publish = { report in
            log.add(report)
            return true
        }
        parts.formerReport = { log.reports.last ?? former }
        engine = DeliveryEngine(parts, nodeID: "0a")
    }

    var events: [DeliveryEvent] { log.events }
    var reports: [RenderReport?] { log.reports }
    func describe(_ specs: [RenderSpec], problems: [RenderProblem] = []) {
        log.list(RenderListing(specs: specs, problems: problems))
    }

    /// Runs everything that is due within `duration`, each at its time.
    func settle(_ duration: Duration = .seconds(30)) async {
        let end = clock.now + duration
        for _ in 0..<10_000 {
            guard let next = await engine.step() else { break }
            guard next <= end else { break }
            clock.move(by: max(next - clock.now, .zero))
        }
        if clock.now < end { clock.move(by: end - clock.now) }
    }

    func status(_ name: String) async -> RenderFileStatus? { await engine.status().files.first { $0.name == name } }

    /// Joins the values with commas. A value of `broken` cannot be rendered.
    private static func render(
        _ spec: RenderSpec, _ contents: [InputContent]
    ) async throws(DeliveryFailure) -> [UInt8] {
        var parts: [String] = []
        for (input, content) in zip(spec.readInputs, contents) {
            switch (input, content) {
            case (.key(let key, let fallback), .key(let document)):
                guard let text = document.map({ String(decoding: $0.content.rawBytes, as: UTF8.self) }) ?? fallback
                else { throw .missing("key \(key.description.quoted) is missing") }
                guard text != "broken" else { throw .template("the template is broken") }
                parts.append(text)
            case (_, .keys(let documents)):
                parts += documents.map { String(decoding: $0.content.rawBytes, as: UTF8.self) }
            case (_, .members(let members)):
                parts += members.map { "\($0.name)=\($0.state.rawValue)" }
            case (_, .key): break
            }
        }
        return Array(parts.joined(separator: ",").utf8)
    }
}

extension RenderSpec {
    /// A file of one key, or of `inputs`.
    static func test(
        _ name: String, key: String? = nil, inputs: [String: Input] = [:], unit: String? = nil
    ) throws -> RenderSpec {
        let source: Source = try key.map { .key(try ConfigurationKey($0)) } ?? .template("")
        var spec = RenderSpec(name: name, source: source, destination: "/etc/\(name).conf")
        spec.inputs = inputs
        spec.reload = unit.map(Reload.unit)
        return spec
    }
}
