// SPDX-License-Identifier: Apache-2.0
// Owns the way of a kernel event to everybody who wants to know: the journal, `gossipctl events`, watches.

import AdminModel
import AdminServer
import ClusterTypes
import Handlers
import Logging
import NodeKernel
import SWIMCore
import StoreCore
import Synchronization
import SystemdSupport

/// Takes each kernel event once and publishes it. Called on the kernel's event loop; never waits.
final class EventHub: Sendable {
    /// Everything that happens to members and to the node, for `gossipctl events`.
    let events: EventLog<ClusterEvent>
    /// Every visible change of the store, for `gossipctl kv watch`.
    let watches: EventLog<WatchEvent>
    /// What may concern files made of keys and members.
    let changes = FleetFeed()
    /// What handlers run on.
    let handlers = HandlerInbox()
    /// Whose packets were refused lately.
    let refusals = RecentRefusals()
    /// Changes that may wait for the reader of a watch: twice what one commit of strict keys may bring at once.
    static let watchWaitingMax = 4_096
    private let narrator: Mutex<EventNarrator>
    private let logger: Logger

    /// `epoch` keeps the cursors of an earlier process from meaning something else in this one. Watches are numbered by
    /// the store's revisions, so their cursors outlive the process.
    init(
        epoch: UInt32, storeID: String, revision: UInt64, selfID: NodeID, name: String, address: Address,
        tags: [Tag] = [], logger: Logger
    ) {
        events = EventLog(epoch: Hex.string(epoch))
        watches = EventLog(epoch: storeID, next: revision + 1, waitingMax: Self.watchWaitingMax)
        narrator = Mutex(EventNarrator(selfID: selfID, name: name, address: address, tags: tags))
        self.logger = logger
    }

    /// The name of a peer that an earlier process knew.
    func remember(_ identity: MemberIdentity, of id: NodeID) {
        narrator.withLock { $0.remember(identity, of: id) }
    }

    func handle(_ event: KernelEvent, clock: Clock) {
        changes.note(event)
        if case .keysChanged(let records) = event { publish(records) }
        // What readers have seen up to here is of another store: they resync, now or when they come back.
        if case .storeReset(_, _, _, let revision) = event {
            watches.restart(after: revision, WatchEvent.resync)
        }
        // A revision that shows nothing.
        if case .typeConflict(_, _, _, let revision) = event { watches.skip(to: revision) }
        guard let told = tell(event) else { return }
        if case .synchronised(let summary) = event, summary.rowsReceived + summary.rowsSent < 100 {
            // A handful of rows is everyday repair: for those who look closely.
            logger.debug("\(told.message)", metadata: metadata(told))
            return
        }
        publish(told, clock)
    }

    /// Tells something that no kernel has seen: what happened while the daemon started.
    func tell(_ kind: EventKind, at clock: Clock, _ message: String, reason: String) {
        publish(Narration(kind: kind, message: message, reason: reason), clock)
    }

    /// Tells what another part of the daemon has done.
    func tell(_ told: Narration, at clock: Clock) { publish(told, clock) }

    private func publish(_ told: Narration, _ clock: Clock) {
        logger.event(told.kind, "\(told.message)", metadata: metadata(told))
        if let event = told.userEvent {
            logger.debug("event \(event.name) of \(event.sender.name) carries \(ByteText.shown(event.payload))")
        }
        let tags = narrator.withLock { $0.tags(of: told) }
        events.append { cursor in
            let event = told.document(cursor: cursor, at: Timestamp(clock.wall))
            handlers.note(event, tags: tags)
            return event
        }
    }

    /// The identity of an author, with the name it has now.
    func identity(_ id: NodeID) -> MemberIdentity { narrator.withLock { $0.identity(id) } }

    /// A membership event in the words of the outside, for `member explain`.
    func tell(_ event: SWIMEvent) -> Narration { narrator.withLock { $0.tell(event) } }

    /// The same for a finding.
    func tell(_ note: MemberNote, of member: MemberIdentity) -> NoteNarration {
        narrator.withLock { $0.tell(note, of: member) }
    }

    /// Nil for changes of keys, which are for those who watch them.
    private func tell(_ event: KernelEvent) -> Narration? {
        switch event {
        case .member(let member):
            return narrator.withLock { narrator in
                narrator.note(member)
                return narrator.tell(member)
            }
        case .joinSucceeded(let seed, let address, let members):
            let place = seed == address.description ? seed : "\(seed) (\(address))"
            return Narration(
                kind: .joinSucceeded, message: "joined through \(place): \(members) members are active")
        case .joinFailed(let seed, let reason, let attempts):
            let times = attempts == 1 ? "" : " (\(attempts) attempts so far)"
            return Narration(
                kind: .joinFailed, message: "cannot join through \(seed): \(reason.sentence)\(times)",
                reason: reason.word)
        case .awarenessChanged(let from, let to):
            return Narration(
                kind: .awarenessChanged,
                message: to > from
                    ? "this node doubts itself: health score \(from) -> \(to)"
                    : "this node trusts itself more: health score \(from) -> \(to)",
                reason: to > from ? "degraded" : "recovered")
        case .stalled:
            return Narration(
                kind: .loopStalled,
                message: "this process was not running for a while: look for CPU or memory pressure on this host",
                reason: "stalled")
        case .identityInUse(let address):
            return Narration(
                kind: .identityInUse,
                message: "another process at \(address) uses this node's id: was its disk cloned? Stop it and give "
                    + "it an empty data directory",
                reason: "cloned_identity")
        case .packetIgnored(let reason, let address):
            return Narration(
                kind: .packetRejected, message: "packets from \(address) are ignored: \(reason.sentence)",
                reason: reason.word)
        case .evicted(let by):
            return narrator.withLock { $0.tellEviction(by: by) }
        case .leaving:
            return Narration(kind: .leaving, message: "leaving the cluster")
        case .userEvent(let event):
            return narrator.withLock { $0.tell(event) }
        case .strict(let event):
            return narrator.withLock { $0.tellStrict(event) }
        case .keysChanged, .typeConflict, .quarantined, .synchronised, .catchUp, .storeReset, .collected, .clockOutlier,
            .clockRecovered, .storage:
            return narrator.withLock { $0.tellStore(event) }
        }
    }

    private func metadata(_ told: Narration) -> Logger.Metadata {
        var metadata: Logger.Metadata = [:]
        if let member = told.member ?? told.userEvent?.sender {
            metadata["member"] = "\(member.name)"
            metadata["member_id"] = "\(member.id)"
            if let address = member.address { metadata["address"] = "\(address)" }
        }
        if let reason = told.reason { metadata["reason"] = "\(reason)" }
        for (name, value) in told.fields { metadata[name] = "\(value)" }
        return metadata
    }

    private func publish(_ records: [ChangeRecord]) {
        watches.append(
            count: records.count, sequence: { records[$0].revision }, cost: { 256 + records[$0].change.heldBytes }
        ) { [weak self] place, cursor in
            let record = records[place]
            return self.flatMap { WatchEvent(record, author: $0.identity(record.change.author.node), cursor: cursor) }
        }
    }
}

extension Change {
    /// What is in memory of it as long as it is held, without what every change takes.
    fileprivate var heldBytes: Int {
        let held =
            switch kind {
            case .put(let value): value.count
            case .add(let element), .remove(let element): element.count
            case .delete, .increment, .typeConflict: 0
            }
        guard case .register(let value) = old else { return key.utf8.count + held }
        return key.utf8.count + held + value.count
    }
}

extension WatchEvent {
    /// Nil for what no watcher sees.
    init?(_ record: ChangeRecord, author: MemberIdentity, cursor: String) {
        let change = record.change
        guard let key = try? ConfigurationKey(change.key) else { return nil }
        let time = Timestamp(change.stamp.wall)
        let version = change.shownVersion
        switch change.kind {
        case .put(let value):
            self = .put(cursor: cursor, time: time, key: key, value: value, version: version, author: author)
        case .delete:
            self = .delete(
                cursor: cursor, time: time, key: key, type: change.type.document, version: version, author: author)
        case .add(let element):
            self = .element(
                element, added: true, cursor: cursor, time: time, key: key, version: version, author: author)
        case .remove(let element):
            self = .element(
                element, added: false, cursor: cursor, time: time, key: key, version: version, author: author)
        case .increment(let value, _):
            self = .increment(cursor: cursor, time: time, key: key, value: value, version: version, author: author)
        case .typeConflict:
            return nil
        }
        if !change.details.user.isEmpty { user = change.details.user }
        if case .delete = change.kind, change.details.expiresAt > 0 {
            reason = KernelNode.expired
        } else if !change.details.reason.isEmpty {
            reason = change.details.reason
        }
    }
}
