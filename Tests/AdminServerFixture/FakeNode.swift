// SPDX-License-Identifier: Apache-2.0
// Owns a node in memory: the whole NodeHandle with real semantics of one node, and nothing of a cluster.

import AdminModel
import AdminServer
import NIOPosix
import Synchronization

package final class FakeNode: NodeHandle {
    package struct State {
        package var members: [MemberDocument]
        package var keys: [String: KeyDocument] = [:]
        package var revision: UInt64 = 0
        /// The keys after each revision, from 0 on.
        package var states: [[String: KeyDocument]] = [[:]]
        package var history: [HistoryEntry] = []
        /// Revisions up to this one are no longer known.
        package var forgottenThrough: UInt64 = 0
        package var requests: [String: (writes: [KeyWrite], result: WriteResult)] = [:]
        /// The options of the last write.
        package var lastOptions: KeyWriteOptions?
        /// Steps of the last write.
        package var lastSteps = 0
        /// Nodes that come to hold a write at most; each question finds one more.
        package var holdersMax = 5
        package var holding = 1
        package var verification = VerifyDocument(root: "00ff", rows: 3, peers: [])
        package var findings: [DoctorDocument.Finding] = []
        package var files: [RenderFileStatus] = []
        package var fleet = RenderFleetDocument(hosts: [])
        package var plan: [RenderPlanDocument.File] = []
        package var appliedNames: [[String]] = []
        package var queue: [QueueDocument.Entry] = []
        package var ring: [SealKeysDocument.Key] = []
        package var strict = Strict()
        package var restored: [UInt8] = []
        package var backup: [[UInt8]] = []
        /// Ends a backup before its end.
        package var backupFailure: AdminFailure?
        /// Long answers that were begun and not closed.
        package var openStreams = 0
        package var left = false
        /// Whether the last call ran on an event loop.
        package var ranOnLoop = false
        package var listings = 0
        /// Holds every write up.
        package var writeGate: (@Sendable () async -> Void)?
        /// Takes calls that come in bunches, as `KeyCallBunches.begin` does, when set.
        package var bunches: TakesBunches?
        /// Called for every read of a key.
        package var readNote: (@Sendable () -> Void)?
        /// What every call fails with, when set.
        package var failure: AdminFailure?
    }

    package typealias Answered = @Sendable ([(id: UInt64, KeyCallResult)]) -> Void
    package typealias TakesBunches = @Sendable ([KeyCall], @escaping Answered) -> [KeyCall]

    package static let start = Timestamp(milliseconds: 1_795_000_000_000)
    package let me = MemberIdentity(id: "0af3000000000000000000000000000a", name: "web-1", address: "10.0.0.1:7946")
    package let events = EventLog<ClusterEvent>(epoch: "5f", countMax: 8)
    package let changes = EventLog<WatchEvent>(epoch: "5f", countMax: 64, costMax: 8 * 1024 * 1024)
    private let state: Mutex<State>

    package init() {
        func member(_ id: String, _ name: String, _ address: String, _ state: MemberState) -> MemberDocument {
            MemberDocument(
                id: id, name: name, address: address, state: state, incarnation: 3,
                tags: name.hasPrefix("web") ? ["role": "web"] : [:], rttMilliseconds: state == .alive ? 0.42 : nil,
                since: FakeNode.start, isSelf: name == "web-1", protocolVersion: 1, nameConflict: name == "twin")
        }
        state = Mutex(
            State(members: [
                member("0af3000000000000000000000000000a", "web-1", "10.0.0.1:7946", .alive),
                member("0af3111111111111111111111111111b", "db-1", "10.0.0.2:7946", .alive),
                member("77aa000000000000000000000000000c", "web-3", "10.0.0.3:7946", .failed),
                member("88bb000000000000000000000000000d", "twin", "10.0.0.4:7946", .alive),
                member("99cc000000000000000000000000000e", "twin", "10.0.0.5:7946", .suspect),
            ]))
    }

    /// Makes every later call fail, or none.
    package func fail(with failure: AdminFailure?) { state.withLock { $0.failure = failure } }

    /// How often the member table was asked for.
    package var listings: Int { state.withLock { $0.listings } }

    /// Looks at the node's memory, or changes it.
    @discardableResult
    package func peek<Result: Sendable>(_ body: (inout State) -> Result) -> Result { state.withLock { body(&$0) } }

    package func holds(_ key: String) -> Bool { state.withLock { $0.keys[key] != nil } }

    package func emit(_ name: String, _ message: String) {
        events.append { cursor in
            ClusterEvent(
                cursor: cursor, time: Self.start, event: name, member: self.me, reason: "test", message: message)
        }
    }

    package func with<Result: Sendable>(
        _ body: (inout State) throws(AdminFailure) -> Result
    ) throws(AdminFailure) -> Result {
        try state.withLock { state throws(AdminFailure) in
            state.ranOnLoop = MultiThreadedEventLoopGroup.currentEventLoop != nil
            if let failure = state.failure { throw failure }
            return try body(&state)
        }
    }

    private func resolve(_ text: String, _ state: State) throws(AdminFailure) -> MemberDocument {
        let identity = try MemberReference.resolve(text, among: state.members.map(\.identity))
        guard let found = state.members.first(where: { $0.id == identity.id }) else {
            throw AdminFailure(.internalError, "resolved a member that is not there")
        }
        return found
    }

    package func status() async throws(AdminFailure) -> StatusDocument {
        try with { state throws(AdminFailure) in
            StatusDocument(
                node: me, cluster: "test", uptimeSeconds: 61,
                members: .init(alive: 3, suspect: 1, failed: 1),
                store: .init(
                    root: "00ff", keys: state.keys.count, bytes: 10, revision: state.revision,
                    queuedWrites: state.queue.count))
        }
    }

    package func members(_ filter: MemberFilter) async throws(AdminFailure) -> MembersDocument {
        try with { state throws(AdminFailure) in
            state.listings += 1
            return MembersDocument(members: state.members.filter(filter.accepts))
        }
    }

    package func explain(_ member: String) async throws(AdminFailure) -> MemberExplanation {
        try with { state throws(AdminFailure) in
            let member = try resolve(member, state)
            let evidence = Evidence(
                reportedBy: me, pathsFailed: ["udp", "stream"], probes: 3, confirmedBy: [me], silentSince: Self.start,
                afterMilliseconds: 2100, refused: false, incarnation: 3)
            let event = ClusterEvent(
                cursor: "5f-1", time: Self.start, event: "member_failed", member: member.identity, reason: "no_ack",
                message: "member \(member.name) failed: no ack", evidence: evidence)
            return MemberExplanation(member: member, summary: "failed because it was silent", timeline: [event])
        }
    }

    package func join(_ addresses: [String]) async throws(AdminFailure) -> JoinResult {
        try with { state throws(AdminFailure) in
            let attempts = addresses.map { address in
                address.hasPrefix("10.")
                    ? JoinResult.Attempt(address: address, member: me)
                    : JoinResult.Attempt(address: address, error: "connection refused")
            }
            guard attempts.contains(where: { $0.error == nil }) else {
                throw AdminFailure(.unavailable, "none of the addresses answered")
            }
            return JoinResult(attempts: attempts, membersTotal: state.members.count)
        }
    }

    package func leave() async throws(AdminFailure) -> LeaveResult {
        try with { state throws(AdminFailure) in
            state.left = true
            return LeaveResult(acknowledgedBy: 2, peersTotal: 3)
        }
    }

    package func forget(_ member: String, isForced: Bool) async throws(AdminFailure) -> ForgetResult {
        try with { state throws(AdminFailure) in
            let member = try resolve(member, state)
            guard isForced || member.state == .failed || member.state == .left else {
                throw AdminFailure(.conflict, "\(member.name) is \(member.state.rawValue): stop it first")
            }
            state.members.removeAll { $0.id == member.id }
            return ForgetResult(member: member.identity)
        }
    }

    package func setTags(_ tags: [String: String]) async throws(AdminFailure) -> TagsDocument {
        try with { state throws(AdminFailure) in
            state.members[0].tags.merge(tags) { _, new in new }
            return TagsDocument(tags: state.members[0].tags)
        }
    }

    package func unsetTags(_ names: [String]) async throws(AdminFailure) -> TagsDocument {
        try with { state throws(AdminFailure) in
            for name in names { state.members[0].tags[name] = nil }
            return TagsDocument(tags: state.members[0].tags)
        }
    }

    package func ping(_ member: String) async throws(AdminFailure) -> PingResult {
        try with { state throws(AdminFailure) in
            let member = try resolve(member, state)
            guard member.state == .alive else { throw AdminFailure(.timedOut, "\(member.name) did not answer") }
            return PingResult(member: member.identity, rttMilliseconds: 0.42)
        }
    }

    package func roundTrips(from: String?, to: String?) async throws(AdminFailure) -> RoundTripsDocument {
        try with { state throws(AdminFailure) in
            let source = try from.map { text throws(AdminFailure) in try resolve(text, state).identity } ?? me
            var targets = state.members.filter { $0.id != source.id }
            if let to { targets = [try resolve(to, state)] }
            return RoundTripsDocument(
                from: source,
                roundTrips: targets.map { target in
                    guard target.state == .alive else { return .init(member: target.identity, state: target.state) }
                    return .init(
                        member: target.identity, state: target.state,
                        rttMilliseconds: source == me ? target.rttMilliseconds : nil, estimateMilliseconds: 31.25,
                        errorMilliseconds: 4)
                })
        }
    }

    package func sendEvent(_ name: String, _ payload: [UInt8]) async throws(AdminFailure) -> UserEventResult {
        try with { _ throws(AdminFailure) in
            guard name != "too-many" else { throw AdminFailure(.busy, "too many events") }
            return UserEventResult(name: name, id: "7-1", bytes: payload.count)
        }
    }

    package func events(since cursor: String?, follow: Bool) async throws(AdminFailure) -> Subscription<ClusterEvent> {
        try with { _ throws(AdminFailure) in try events.subscribe(since: cursor, follow: follow) }
    }

    package func watch(_ prefix: KeyPrefix, since cursor: String?) async throws(AdminFailure) -> Subscription<
        WatchEvent
    > {
        try with { _ throws(AdminFailure) in
            try changes.subscribe(
                since: cursor, follow: true, accepts: { $0.key.map(prefix.matches) ?? true },
                resync: WatchEvent.resync(cursor:))
        }
    }

    package func metrics() async throws(AdminFailure) -> [MetricSample] {
        try with { state throws(AdminFailure) in
            [
                MetricSample(
                    "gossipd_members", help: "Members.", kind: .gauge, labels: [.init("state", "alive")], value: 3)
            ]
        }
    }
}

extension FakeNode {
    private struct Bunches: KeyCallBunches {
        let takes: TakesBunches
        let answered: Answered

        func begin(_ calls: [KeyCall]) -> [KeyCall] { takes(calls, answered) }
    }

    package func bunches(answered: @escaping Answered) -> any KeyCallBunches {
        peek { $0.bunches }.map { Bunches(takes: $0, answered: answered) } ?? NoKeyCallBunches()
    }
}
