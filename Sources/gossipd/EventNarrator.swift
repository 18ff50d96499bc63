// SPDX-License-Identifier: Apache-2.0
// Owns the sentences of membership events: what the journal, `gossipctl events` and `member explain` say.

import AdminModel
import ClusterTypes
import NodeKernel
import SWIMCore
import SystemdSupport

/// One event in the words of the outside: a kind, a sentence, and its evidence.
struct Narration: Sendable {
    var kind: EventKind
    var message: String
    var member: MemberIdentity?
    var reason: String?
    var evidence: AdminModel.Evidence?
    /// Further fields of the journal.
    var fields: [String: String] = [:]
    /// What it is about when it is a user event.
    var userEvent: (name: String, payload: [UInt8], sender: MemberIdentity)?

    func document(cursor: String, at time: Timestamp) -> ClusterEvent {
        var event = ClusterEvent(
            cursor: cursor, time: time, event: kind.rawValue, member: member, reason: reason, message: message,
            evidence: evidence)
        guard let userEvent else { return event }
        event.name = userEvent.name
        event.sender = userEvent.sender
        if !userEvent.payload.isEmpty { (event.payload, event.payloadBase64) = ByteText.split(userEvent.payload) }
        return event
    }
}

/// Tells membership events. It keeps the names of the members it has heard of, so that a sentence names hosts.
struct EventNarrator: Sendable {
    let selfID: NodeID
    private var names: [NodeID: MemberIdentity] = [:]
    /// Of members that have gone, and of peers that an earlier process knew: voters are named long after.
    private var formerNames: [NodeID: MemberIdentity] = [:]
    private static let formerNamesMax = 1_024
    /// Of the members that have any, by id.
    private var tags: [String: [String: String]] = [:]
    /// Of the strict group: the present election was told.
    var electionTold = false

    init(selfID: NodeID, name: String, address: Address, tags: [Tag] = []) {
        self.tags[selfID.description] = Self.table(tags)
        self.selfID = selfID
        names[selfID] = MemberIdentity(id: selfID.description, name: name, address: address.description)
    }

    /// The identity of a node as last heard; the beginning of its id stands in for a name that is not known.
    func identity(_ id: NodeID) -> MemberIdentity {
        names[id] ?? formerNames[id]
            ?? (id.isStrictLog ? .strictGroup : MemberIdentity(id: id.description, name: id.short))
    }

    /// The tags of the member that an event is about, or that sent it.
    func tags(of told: Narration) -> [String: String] {
        (told.member ?? told.userEvent?.sender).flatMap { tags[$0.id] } ?? [:]
    }

    private static func table(_ tags: [Tag]) -> [String: String]? {
        let tags = tags.ofUsers
        return tags.isEmpty ? nil : Dictionary(tags.map { ($0.name, $0.value) }) { $1 }
    }

    mutating func note(_ event: MemberEvent) {
        if case .reaped = event.kind {
            if let name = names.removeValue(forKey: event.id) { remember(name, of: event.id) }
            tags[event.id.description] = nil
        } else {
            tags[event.id.description] = Self.table(event.info.tags)
            names[event.id] = MemberIdentity(
                id: event.id.description, name: event.info.name, address: event.info.address.description)
        }
    }

    /// What an earlier process knew is not told over what this one hears.
    mutating func remember(_ identity: MemberIdentity, of id: NodeID) {
        if formerNames.count >= Self.formerNamesMax, formerNames[id] == nil {
            // Which one does not matter, but that it is the same one every time.
            formerNames = formerNames.filter { $0.key != formerNames.keys.min() }
        }
        formerNames[id] = identity
    }

    func tell(_ event: UserEvent) -> Narration {
        let sender = identity(event.id.origin)
        let size = event.payload.isEmpty ? "" : ", \(counted(event.payload.count, "byte"))"
        var told = Narration(kind: .userEvent, message: "event \(event.name) of \(sender.name)\(size)")
        told.fields = ["name": event.name, "bytes": "\(event.payload.count)"]
        told.userEvent = (event.name, event.payload, sender)
        return told
    }

    func tell(_ event: MemberEvent) -> Narration {
        let member = MemberIdentity(
            id: event.id.description, name: event.info.name, address: event.info.address.description)
        var narration = Narration(kind: .memberJoined, message: "", member: member)
        var evidence = AdminModel.Evidence(incarnation: event.incarnation)
        switch event.kind {
        case .joined:
            narration.message = "member \(member.name) joined at \(event.info.address)"
        case .alive(let previously, let after):
            narration.kind = .memberAlive
            narration.reason = previously == .suspect || previously == .failed ? "refuted" : "returned"
            narration.message = "member \(member.name) is alive again after \(after) \(Self.word(previously))"
            evidence.afterMilliseconds = after.milliseconds
        case .updated(let former):
            narration.kind = .memberUpdated
            narration.message = "member \(member.name) changed \(Self.changes(from: former, to: event.info))"
        case .suspected(let found):
            narration.kind = .memberSuspected
            narration.reason = Self.reason(found)
            narration.message = "member \(member.name) suspected: \(sentence(found))"
            evidence = document(found, incarnation: event.incarnation)
        case .failed(let found, let after):
            narration.kind = .memberFailed
            narration.reason = Self.reason(found)
            narration.message = "member \(member.name) failed: \(sentence(found)) after \(after)"
            evidence = document(found, incarnation: event.incarnation)
            evidence.afterMilliseconds = after.milliseconds
        case .left:
            narration.kind = .memberLeft
            narration.message = "member \(member.name) left"
        case .forgotten(let by):
            narration.kind = .memberForgotten
            narration.message = "member \(member.name) forgotten by an operator on \(identity(by).name)"
            evidence.reportedBy = identity(by)
        case .udpBlocked(let probes, let sendsFail):
            narration.kind = .memberUDPBlocked
            narration.reason = sendsFail ? "send_failed" : "udp_blocked"
            narration.message =
                sendsFail
                ? "this host cannot send datagrams to member \(member.name) at \(event.info.address), which answers over "
                    + "streams: look at this host's own firewall and routes"
                : "member \(member.name) answers over streams alone: \(probes) probes over udp and relays got no ack; is "
                    + "UDP to \(event.info.address) blocked?"
            evidence.probes = probes
            evidence.pathsFailed = [Self.word(.udp), Self.word(.relay)]
        case .udpRestored:
            narration.kind = .memberUDPRestored
            narration.reason = "udp_restored"
            narration.message = "member \(member.name) answers datagrams again"
        case .reaped:
            narration.kind = .memberReaped
            narration.message = "member \(member.name) dropped from the table: gone for longer than it is kept"
        case .nameConflict(let other):
            narrateConflict(event, with: other, of: member, into: &narration, &evidence)
        case .forged(let forgery):
            narrate(forgery, of: member, into: &narration, &evidence)
        case .equivocated(let equivocation):
            narrate(equivocation, of: member, into: &narration, &evidence)
        case .refuted(let accuser, let incarnation):
            narration.kind = .selfRefuted
            narration.reason = "refuted"
            narration.message =
                "\(identity(accuser).name) thought this node was gone: refuted with incarnation \(incarnation)"
            evidence.reportedBy = identity(accuser)
            evidence.incarnation = incarnation
        }
        narration.evidence = evidence
        return narration
    }

    /// `no ack from 3 probes over udp and stream since 12:00:01, confirmed by db-1, web-2`
    private func sentence(_ evidence: SWIMCore.Evidence) -> String {
        let since = Timestamp(evidence.since.wall).clock
        var text: String
        if evidence.probes > 0 {
            let paths = evidence.pathsFailed.map(Self.word)
            let probes = evidence.probes == 1 ? "1 probe" : "\(evidence.probes) probes"
            text = "no ack from \(probes) over \(Self.join(paths))"
            if evidence.streamRefused {
                text += " (connection refused)"
            } else if evidence.isMute {
                text += " (it accepts connections and does not answer)"
            } else if evidence.isUnreachable {
                text += " (nothing reaches the host)"
            }
            if let hint = evidence.hint { text += ", looked at because \(Self.word(hint))" }
            text += " since \(since)"
            if evidence.accuser != selfID { text += ", first reported by \(identity(evidence.accuser).name)" }
        } else {
            text = "reported by \(identity(evidence.accuser).name) at \(since)"
        }
        // This node's own probes are told above.
        let others = evidence.confirmedBy.filter { $0 != selfID }
        if !others.isEmpty {
            text += ", confirmed by " + others.map { identity($0).name }.joined(separator: ", ")
        }
        return text
    }

    private func document(_ evidence: SWIMCore.Evidence, incarnation: UInt64) -> AdminModel.Evidence {
        AdminModel.Evidence(
            reportedBy: identity(evidence.accuser),
            pathsFailed: evidence.pathsFailed.isEmpty ? nil : evidence.pathsFailed.map(Self.word),
            probes: evidence.probes > 0 ? evidence.probes : nil,
            confirmedBy: evidence.confirmedBy.isEmpty ? nil : evidence.confirmedBy.map(identity),
            silentSince: Timestamp(evidence.since.wall), refused: evidence.streamRefused ? true : nil,
            incarnation: incarnation)
    }

    private static func reason(_ evidence: SWIMCore.Evidence) -> String {
        if evidence.streamRefused { return "refused" }
        if evidence.isUnreachable { return "unreachable" }
        return evidence.probes > 0 ? "no_ack" : "reported"
    }

    private static func changes(from old: MemberInfo, to new: MemberInfo) -> String {
        var parts: [String] = []
        if old.name != new.name { parts.append("its name from \(old.name)") }
        if old.address != new.address { parts.append("its address from \(old.address) to \(new.address)") }
        if old.tags.ofUsers != new.tags.ofUsers {
            let tags = new.tags.ofUsers.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
            parts.append(tags.isEmpty ? "its tags to none" : "its tags to \(tags)")
        }
        if old.protocolVersion != new.protocolVersion {
            parts.append("its protocol to \(ProtocolVersion.text(new.protocolVersion))")
        }
        return parts.joined(separator: ", ")
    }

    static func word(_ state: SWIMCore.MemberState) -> String {
        switch state {
        case .alive: "alive"
        case .suspect: "suspect"
        case .failed: "failed"
        case .left: "left"
        case .forgotten: "forgotten"
        }
    }

    static func word(_ path: ProbePath) -> String {
        switch path {
        case .udp: "udp"
        case .relay: "relays"
        case .stream: "stream"
        }
    }

    private static func word(_ hint: ProbeHint) -> String {
        switch hint {
        case .streamEnded: "its watched stream broke off"
        case .datagramRefused: "a datagram was refused"
        }
    }

    /// `a`, `a and b`, `a, b and c`
    static func join(_ words: [String]) -> String {
        guard let last = words.last, words.count > 1 else { return words.joined() }
        return words.dropLast().joined(separator: ", ") + " and " + last
    }
}

extension Timestamp {
    init(_ wall: WallTime) {
        self.init(milliseconds: Int64(clamping: wall.milliseconds))
    }
}
