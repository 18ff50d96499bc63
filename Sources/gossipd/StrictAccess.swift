// SPDX-License-Identifier: Apache-2.0
// Owns calls of the strict group for the admin API: which keys are strict, what is asked, what an answer means.

import AdminModel
import BackupFormat
import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup
import Synchronization
import Transport

/// The strict keys as the admin API reaches them, over the kernel.
struct StrictAccess: Sendable {
    /// As configured; empty: the class is off.
    let prefixes: [String]
    /// Answers within the interval; fails when the node takes no calls now, and nothing was begun.
    let call: @Sendable (StrictCall, Interval) async throws(AdminFailure) -> StrictReply
    /// Calls that came together; each is answered by its tag.
    let begin: @Sendable ([(tag: UInt64, call: StrictCall)], Interval, CallSink) -> Void
    /// How old local reads may be, in milliseconds; nil: this node has heard of no leader yet.
    let age: @Sendable () async -> UInt64?
    private let votersKnown = VoterCount()

    init(
        prefixes: [String],
        call: @escaping @Sendable (StrictCall, Interval) async throws(AdminFailure) -> StrictReply,
        begin: @escaping @Sendable ([(tag: UInt64, call: StrictCall)], Interval, CallSink) -> Void,
        age: @escaping @Sendable () async -> UInt64?
    ) {
        self.prefixes = prefixes
        self.call = call
        self.begin = begin
        self.age = age
    }

    var isOn: Bool { !prefixes.isEmpty }

    func covers(_ key: String) -> Bool { prefixes.contains { key.utf8.starts(with: $0.utf8) } }

    /// Fails with `condition_failed` while no prefix is configured.
    func requireOn() throws(AdminFailure) {
        guard isOn else { throw AdminFailure(StrictFailure.notConfigured) }
    }

    /// Fails with the failure of the API for each way in which there is no answer.
    func ask(_ call: StrictCall, _ timeout: Duration) async throws(AdminFailure) -> StrictReply {
        try requireOn()
        let reply = try await self.call(call, Interval(timeout))
        if case .failed(let failure) = reply {
            throw AdminFailure(failure, changes: call.isChange, hasCopy: call.hasCopy)
        }
        return reply
    }

    func status() async throws(AdminFailure) -> StrictStatus {
        guard case .status(let status) = try await ask(.status, .seconds(1)) else { throw .unexpectedReply }
        votersKnown.note(status)
        return status
    }

    /// The removal of a leader is answered before another one leads: how things stand once this node knows of that one, or after two
    /// seconds.
    func settled(_ answer: StrictStatus, without gone: NodeID, within timeout: Duration) async -> StrictStatus {
        let deadline = ContinuousClock.now + min(timeout, .seconds(2))
        var latest = answer
        while latest.leader == nil || latest.leader == gone, ContinuousClock.now < deadline {
            if let status = try? await status() { latest = status }
            guard (try? await Task.sleep(for: .milliseconds(10))) != nil else { break }
        }
        return latest
    }

    /// Voters, and how many of them have a change for good at least.
    func voters() async -> (quorum: Int, total: Int) {
        if let known = votersKnown.fresh { return known }
        guard let status = try? await status() else { return (0, 0) }
        return (status.voters.isEmpty ? 0 : status.quorum, status.voters.count)
    }

    /// How long a leader that goes tries to hand over: three elections' time.
    static let handOverTime = Duration.seconds(1)

    /// A leader of the group that stops or leaves lets another one take over first: the others need not miss it before. When none
    /// can, or none does in time, it goes all the same.
    func handOverLead() async {
        guard isOn, let status = try? await status(), status.role == .leader, status.voters.count > 1 else { return }
        _ = try? await ask(.operate(.transfer(to: nil)), Self.handOverTime)
    }

    // MARK: Reading

    /// Nil when there is no such key.
    func entry(_ key: ConfigurationKey, _ timeout: Duration) async throws(AdminFailure) -> StrictEntry? {
        guard case .found(.entry(let entry), at: _) = try await ask(.read(.entry(try Self.name(key))), timeout) else {
            throw .unexpectedReply
        }
        return entry
    }

    /// Keys asked for at a time: each page is of one moment of the log.
    static let pageKeysMax = 1_000

    /// One page of the keys below a prefix; each page is linearizable by itself.
    func page(
        _ prefix: KeyPrefix, after: StrictKey?, _ timeout: Duration
    ) async throws(AdminFailure) -> [StrictListed] {
        let read = StrictRead.list(prefix: prefix.description, after: after, limit: Self.pageKeysMax)
        guard case .found(.list(let page), at: _) = try await ask(.read(read), timeout) else { throw .unexpectedReply }
        return page
    }

    /// For a backup: the group, and what none of its versions and tokens exceeds by now. Nil when no leader says so; the rows then
    /// tell what this node knows.
    func point() async -> BackupHeader.StrictPoint? {
        guard isOn, let status = try? await status(), let group = status.group, status.reachedLeader != nil,
            let key = StrictKey("version"),
            case .found(_, at: let version)? = try? await ask(.read(.entry(key)), .seconds(2))
        else { return nil }
        return BackupHeader.StrictPoint(group: group, version: version)
    }

    static func name(_ key: ConfigurationKey) throws(AdminFailure) -> StrictKey {
        guard let name = StrictKey(key.description) else {
            throw AdminFailure(.badRequest, "\(key.description.quoted) is not a key")
        }
        return name
    }

    func notStrict(_ key: String) -> AdminFailure {
        let known = isOn ? prefixes.map(\.quoted).joined(separator: ", ") : "none, see strict.prefixes"
        return AdminFailure(.notStrict, "key \(key.quoted) is not strict; prefixes of strict keys here: \(known)")
    }
}

extension StrictCall {
    /// Whether an answer that does not come leaves open what became of it.
    var isChange: Bool {
        switch self {
        case .change, .operate: true
        case .read, .status: false
        }
    }

    /// Whether what it reads is in the store of every node as well: keys are, locks and leases are not.
    var hasCopy: Bool {
        switch self {
        case .read(.entry), .read(.list): true
        case .read(.lock), .read(.lease), .read(.locks), .change, .operate, .status: false
        }
    }
}

/// The number of voters as it was a moment ago, so that not each write asks for it.
private final class VoterCount: Sendable {
    private let state = Mutex<(quorum: Int, total: Int, at: ContinuousClock.Instant)?>(nil)

    func note(_ status: StrictStatus) {
        guard !status.voters.isEmpty else { return }
        state.withLock { $0 = (status.quorum, status.voters.count, .now) }
    }

    var fresh: (quorum: Int, total: Int)? {
        state.withLock { $0.flatMap { $0.at.duration(to: .now) < .seconds(1) ? ($0.quorum, $0.total) : nil } }
    }
}
