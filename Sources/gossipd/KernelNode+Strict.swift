// SPDX-License-Identifier: Apache-2.0
// Owns the translation between the admin API and the strict group.

import AdminModel
import AdminServer
import ClusterTypes
import NodeKernel
import RaftCore
import SWIMCore
import StoreCore
import StrictCore
import StrictGroup

extension KernelNode {
    // MARK: Reading keys

    func strictGet(_ key: ConfigurationKey, _ options: ReadOptions) async throws(AdminFailure) -> KeyDocument {
        switch options.consistency ?? .linearizable {
        case .local:
            // Before the read: what is read afterwards is no older.
            let age = await strict.age()
            var document = try await storedDocument(key)
            document.stalenessMilliseconds = age
            return document
        case .linearizable:
            guard let entry = try await strict.entry(key, options.timeout) else { throw StrictAccess.notFound(key) }
            // The log keeps no time; the store has it, once the change has come there.
            return Self.document(key, entry, stored: try? await storedDocument(key))
        }
    }

    /// As the store has it, whatever class it is of.
    private func storedDocument(_ key: ConfigurationKey) async throws(AdminFailure) -> KeyDocument {
        let (view, author) = try await read(key)
        return keyDocument(view, author: author, key: key)
    }

    static func document(_ key: ConfigurationKey, _ entry: StrictEntry, stored: KeyDocument?) -> KeyDocument {
        let isSame = stored?.keyClass == .strict && stored?.version == String(entry.modified)
        return document(key, entry, writtenAt: isSame ? stored?.writtenAt : nil)
    }

    static func document(_ key: ConfigurationKey, _ entry: StrictEntry, writtenAt: Timestamp?) -> KeyDocument {
        var document = KeyDocument(
            key: key, content: .register(entry.value), keyClass: .strict, version: String(entry.modified),
            writtenAt: writtenAt, author: .strictGroup)
        document.lease = entry.lease == 0 ? nil : String(entry.lease)
        return document
    }

    /// The keys below a prefix that is strict as a whole, page by page from the leader.
    func strictList(_ prefix: KeyPrefix, _ options: ReadOptions) async throws(AdminFailure) -> KeyListDocument {
        var entries: [KeyDocument] = []
        var bytes = 0
        var after: StrictKey?
        repeat {
            let page = try await strict.page(prefix, after: after, options.timeout)
            for listed in page {
                let key = try ConfigurationKey(listed.key.text)
                entries.append(Self.document(key, listed.entry, stored: nil))
                bytes += listed.key.bytes + listed.entry.value.count + Self.entryBytes
            }
            try Self.checkListing(bytes, prefix)
            after = page.count < StrictAccess.pageKeysMax ? nil : page.last?.key
        } while after != nil
        return KeyListDocument(entries: entries)
    }

    // MARK: The group

    func strictGroup() async throws(AdminFailure) -> StrictDocument {
        try await document(try await strict.status())
    }

    func orderStrict(_ order: StrictOrderRequest, timeout: Duration) async throws(AdminFailure) -> StrictDocument {
        try strict.requireOn()
        let order: StrictOrder =
            switch order {
            case .add(let member): .add(try await strictMember(member))
            case .remove(let member): .remove(try await strictMember(member))
            case .transfer(to: let member?): .transfer(to: try await strictMember(member))
            case .transfer(to: nil): .transfer(to: nil)
            case .recover(let evenIfBehind): .recover(evenIfBehind: evenIfBehind)
            }
        guard case .done(let status) = try await strict.ask(.operate(order), timeout) else { throw .unexpectedReply }
        guard case .remove(let gone) = order else { return try await document(status) }
        return try await document(await strict.settled(status, without: gone, within: timeout))
    }

    /// A member that an operator means. One that membership has forgotten is found among the group's.
    private func strictMember(_ text: String) async throws(AdminFailure) -> NodeID {
        do throws(AdminFailure) {
            guard let id = NodeID(try await resolve(text).id) else { throw AdminFailure.unexpectedReply }
            return id
        } catch {
            guard error.code == .notFound, let status = try? await strict.status() else { throw error }
            let members = (status.voters + status.learners).map { hub.identity($0) }
            guard let id = NodeID(try MemberReference.resolve(text, among: members).id) else { throw error }
            return id
        }
    }

    func document(_ status: StrictStatus) async throws(AdminFailure) -> StrictDocument {
        let states = Dictionary(
            try await views().map { ($0.member.id, Self.document($0).state) }, uniquingKeysWith: { a, _ in a })
        var document = StrictDocument(
            prefixes: strict.prefixes, role: Self.word(status.role), term: status.term)
        document.group = status.group.map { Hex.string($0) }
        document.leader = status.reachedLeader.map { hub.identity($0) }
        (document.commit, document.applied, document.last) = (status.commit, status.applied, status.last)
        document.quorum = status.voters.isEmpty ? 0 : status.quorum
        document.members =
            status.voters.map { member($0, .voter, status, states) }
            + status.learners.map { member($0, .learner, status, states) }
        document.missing = status.missing.map(AdminFailure.Missing.init)
        (document.keys, document.leases, document.locks) = (status.keys, status.leases, status.locks)
        (document.sessions, document.elections) = (status.sessions, status.elections)
        (document.isRefetching, document.isRemoved) = (status.isRefetching, status.isRemoved)
        document.leaderSilentMilliseconds = status.leaderSilentFor?.milliseconds
        if !status.foreign.isEmpty {
            document.foreignGroups = status.foreign.map { other in
                StrictDocument.ForeignGroup(
                    group: Hex.string(other.group), leader: hub.identity(other.leader),
                    voters: other.voters.map { hub.identity($0) })
            }
        }
        return document
    }

    private func member(
        _ id: NodeID, _ vote: StrictDocument.Vote, _ status: StrictStatus, _ states: [NodeID: AdminModel.MemberState]
    ) -> StrictDocument.Member {
        var member = StrictDocument.Member(
            member: hub.identity(id), vote: vote, state: states[id] ?? .unknown,
            isReachable: vote == .voter ? status.reachable.contains(id) : states[id] == .alive)
        if let follower = status.followers.first(where: { $0.id == id }) {
            member.match = follower.match
            member.lag = status.last - min(follower.match, status.last)
            member.silentMilliseconds = follower.silentFor.milliseconds
            member.isInstalling = follower.isInstalling
        }
        return member
    }

    static func word(_ role: RaftRole?) -> String { role?.rawValue ?? "client" }

    /// Nil while no prefix is configured.
    func strictStatus() async -> StatusDocument.Strict? {
        guard strict.isOn, let status = try? await strict.status() else { return nil }
        var document = StatusDocument.Strict(
            role: Self.word(status.role), term: status.term, leader: status.reachedLeader.map { hub.identity($0).name })
        document.group = status.group.map { Hex.string($0) }
        document.isRemoved = status.isRemoved ? true : nil
        if status.role != nil { (document.commit, document.applied) = (status.commit, status.applied) }
        document.voters = status.voters.count
        document.votersReachable = status.voters.count { status.reachable.contains($0) }
        if !status.foreign.isEmpty { document.foreignLeaders = status.foreign.map { hub.identity($0.leader).name } }
        if status.group == nil { document.missing = status.missing.map(AdminFailure.Missing.init) }
        return document
    }

    // MARK: Transactions, leases, locks

    func transact(
        _ transaction: StrictTransactionRequest, timeout: Duration
    ) async throws(AdminFailure) -> StrictTransactionResult {
        try await strict.transact(transaction, timeout)
    }

    func grantLease(_ ttl: Duration, timeout: Duration) async throws(AdminFailure) -> LeaseDocument {
        try await strict.grantLease(ttl, timeout)
    }

    func renewLease(_ lease: UInt64, timeout: Duration) async throws(AdminFailure) -> LeaseDocument {
        try await strict.renewLease(lease, timeout)
    }

    func revokeLease(_ lease: UInt64, timeout: Duration) async throws(AdminFailure) -> ReleaseDocument {
        try await strict.revokeLease(lease, timeout)
    }

    func acquireLock(
        _ name: ConfigurationKey, lease: UInt64, mayWait: Bool, timeout: Duration
    ) async throws(AdminFailure) -> LockDocument {
        try await strict.acquireLock(name, lease, mayWait: mayWait, timeout)
    }

    func releaseLock(
        _ name: ConfigurationKey, lease: UInt64, timeout: Duration
    ) async throws(AdminFailure) -> ReleaseDocument {
        try await strict.releaseLock(name, lease, timeout)
    }

    func lock(
        _ name: ConfigurationKey, lease: UInt64, timeout: Duration
    ) async throws(AdminFailure) -> LockDocument {
        try await strict.lock(name, lease, timeout)
    }

    func locks(
        after: ConfigurationKey?, limit: Int, timeout: Duration
    ) async throws(AdminFailure) -> LockListDocument {
        try await strict.locks(after: after, limit: limit, timeout)
    }
}

extension StrictStatus {
    /// The leader that was heard of last, unless this node does not reach it: then nobody leads as far as it can tell.
    var reachedLeader: NodeID? { leader.flatMap { reachable.contains($0) ? $0 : nil } }
}

extension MemberIdentity {
    /// The author of all strict keys: the log does not keep who asked.
    static let strictGroup = MemberIdentity(id: NodeID.unknown.description, name: "strict")
}
