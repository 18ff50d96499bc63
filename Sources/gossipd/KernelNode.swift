// SPDX-License-Identifier: Apache-2.0
// Owns the translation between the admin API and the kernel: membership.

import AdminModel
import AdminServer
import ClusterTypes
import Delivery
import Handlers
import NodeKernel
import SWIMCore
import StoreCore
import SystemdSupport

/// The node as the admin API sees it, over the kernel.
struct KernelNode: NodeHandle {
    let perform: @Sendable (Command) async -> Reply
    let hub: EventHub
    let past: StorePast
    let cluster: String
    let startedAt: ContinuousClock.Instant
    let leaveTimeout: Interval
    let warnings: StandingWarnings
    /// The damaged database that this start moved away, at most one.
    let setAside: [String]
    /// The configuration names nodes to join.
    let hasSeeds: Bool
    /// As the kernel's.
    let storeConfiguration: StoreConfiguration
    let samples: @Sendable () async -> [MetricSample]
    let delivery: DeliveryEngine
    let keys: NodeKeys
    let refusedReload: RefusedReload
    let strict: StrictAccess

    func status() async throws(AdminFailure) -> StatusDocument {
        guard case .status(let view) = try await ask(.status) else { throw .unexpectedReply }
        guard case .diagnosis(let store) = try await ask(.diagnose) else { throw .unexpectedReply }
        let uptime = startedAt.duration(to: .now)
        var document = StatusDocument(
            node: MemberIdentity(
                id: view.id.description, name: view.info.name, address: view.info.address.description),
            cluster: cluster,
            uptimeSeconds: Double(uptime.components.seconds) + Double(uptime.components.attoseconds) / 1e18,
            members: StatusDocument.MemberCounts(
                alive: view.alive, suspect: view.suspect, failed: view.failed, left: view.left),
            store: StatusDocument.Store(view, store), strict: await strictStatus(),
            localHealth: view.awareness, warnings: warnings.sentences)
        document.handlers = hub.handlers.status()
        return document
    }

    func members(_ filter: MemberFilter) async throws(AdminFailure) -> MembersDocument {
        MembersDocument(members: try await views().map(Self.document).filter(filter.accepts))
    }

    func join(_ addresses: [String]) async throws(AdminFailure) -> JoinResult {
        guard case .joined(let report) = try await ask(.join(addresses)) else { throw .unexpectedReply }
        let members = try await views()
        let attempts = addresses.map { address in
            let failure = report.failed.first { $0.seed == address }
            let member = members.first { $0.member.info.address.description == address }
            return JoinResult.Attempt(
                address: address, member: failure == nil ? member.map { Self.document($0).identity } : nil,
                error: failure?.reason.sentence)
        }
        if attempts.allSatisfy({ $0.error != nil }) {
            let reasons = attempts.map { "\($0.address): \($0.error ?? "")" }.joined(separator: "; ")
            throw AdminFailure(.unavailable, "none of the addresses answered: \(reasons)")
        }
        let active = members.count { $0.member.state.isActive }
        return JoinResult(attempts: attempts, membersTotal: active)
    }

    func leave() async throws(AdminFailure) -> LeaveResult {
        await strict.handOverLead()
        guard case .left(let outcome) = try await ask(.leave(deadline: leaveTimeout)) else { throw .unexpectedReply }
        return LeaveResult(acknowledgedBy: outcome.acknowledged, peersTotal: outcome.asked)
    }

    func forget(_ member: String, isForced: Bool) async throws(AdminFailure) -> ForgetResult {
        let identity = try await resolve(member)
        switch await perform(.forget(identity.id, isForced: isForced)) {
        // The kernel was asked by id; people know the name.
        case .failure(.memberIsActive):
            let gone = try await views().filter {
                $0.member.info.name == identity.name && !$0.member.state.isActive
            }
            throw AdminFailure.memberIsActive(identity.name, gone: gone.map(\.member.id.description))
        case .failure(.memberIsSelf): throw AdminFailure(.memberIsSelf(identity.name))
        case .failure(let failure): throw AdminFailure(failure)
        default: break
        }
        await withdrawReport(of: identity.id)
        return ForgetResult(member: identity)
    }

    func setTags(_ tags: [String: String]) async throws(AdminFailure) -> TagsDocument {
        try await changeTags(set: tags.sorted { $0.key < $1.key }.map { Tag(name: $0.key, value: $0.value) })
    }

    func unsetTags(_ names: [String]) async throws(AdminFailure) -> TagsDocument {
        try await changeTags(unset: names)
    }

    func ping(_ member: String) async throws(AdminFailure) -> PingResult {
        let identity = try await resolve(member)
        guard case .pinged(_, let roundTrip) = try await ask(.ping(identity.id)) else { throw .unexpectedReply }
        let isSelf = try await views().contains { $0.isSelf && $0.member.id.description == identity.id }
        return PingResult(
            member: identity, rttMilliseconds: roundTrip.milliseconds, path: isSelf ? PingResult.ownPath : "udp")
    }

    func sendEvent(_ name: String, _ payload: [UInt8]) async throws(AdminFailure) -> UserEventResult {
        guard case .eventSent(let id) = try await ask(.sendEvent(name: name, payload: payload)) else {
            throw .unexpectedReply
        }
        return UserEventResult(name: name, id: "\(id.epoch)-\(id.sequence)", bytes: payload.count)
    }

    func events(since cursor: String?, follow: Bool) async throws(AdminFailure) -> Subscription<ClusterEvent> {
        try hub.events.subscribe(since: cursor, follow: follow)
    }

    func metrics() async throws(AdminFailure) -> [MetricSample] { await samples() }

    /// Asks the kernel; its failures become those of the API.
    func ask(_ command: Command) async throws(AdminFailure) -> Reply {
        let reply = await perform(command)
        if case .failure(let failure) = reply { throw AdminFailure(failure) }
        return reply
    }

    func views() async throws(AdminFailure) -> [MemberView] {
        guard case .members(let views) = try await ask(.members) else { throw .unexpectedReply }
        return views.sorted {
            ($0.member.info.name, $0.member.id.description) < ($1.member.info.name, $1.member.id.description)
        }
    }

    /// The member that an operator means: among equal names the one that is active.
    func resolve(_ text: String) async throws(AdminFailure) -> MemberIdentity {
        let views = try await views()
        let named = views.filter { $0.member.info.name == text && $0.member.state.isActive }
        if named.count == 1 { return Self.document(named[0]).identity }
        return try MemberReference.resolve(text, among: views.map { Self.document($0).identity })
    }

    private func changeTags(set: [Tag] = [], unset: [String] = []) async throws(AdminFailure) -> TagsDocument {
        guard case .tags(let tags) = try await ask(.changeTags(set: set, unset: unset)) else {
            throw .unexpectedReply
        }
        return TagsDocument(tags: Dictionary(tags.ofUsers.map { ($0.name, $0.value) }) { $1 })
    }

    static func document(_ view: MemberView) -> MemberDocument {
        let member = view.member
        let since = Timestamp(member.since.wall)
        return MemberDocument(
            id: member.id.description, name: member.info.name, address: member.info.address.description,
            state: AdminModel.MemberState(rawValue: EventNarrator.word(member.state)) ?? .unknown,
            incarnation: member.incarnation,
            tags: Dictionary(member.info.tags.ofUsers.map { ($0.name, $0.value) }) { $1 },
            rttMilliseconds: member.roundTrip.map { Self.rounded($0.smoothed) },
            rttEstimateMilliseconds: view.estimate.map { Self.rounded($0.expected) },
            since: since, isSelf: view.isSelf, protocolVersion: Int(member.info.protocolVersion),
            nameConflict: view.hasNameConflict, suspectedSince: member.state == .suspect ? since : nil)
    }
}

extension StatusDocument.Store {
    init(_ view: StatusView, _ store: StoreDiagnosis) {
        let state: StatusDocument.StorageState =
            switch store.storage {
            case .ok: .ok
            case .full: .full
            case .slow: .slow
            }
        self.init(
            root: view.root.description, keys: view.keys, bytes: view.bytes, revision: store.revision,
            floorCutoff: store.floor.cutoff == .zero ? nil : Timestamp(store.floor.cutoff.wall),
            catchUp: store.catchUp.map { StatusDocument.CatchUp(received: $0.received, total: $0.total) },
            storage: state, queuedWrites: store.queuedWrites)
    }
}
