// SPDX-License-Identifier: Apache-2.0
// Owns the trace: one line for everything that passes between a kernel and the world.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import StrictGroup

extension Simulation {
    private func line(_ node: Int, _ text: String) {
        trace?("\(Figure.decimal((now - .origin).seconds, digits: 6)) n\(node + 1) \(text)")
    }

    func traceSend(_ packet: Packet, bytes: Int, node: Int, target: Int?) {
        line(node, "-> \(target.map { "n\($0 + 1)" } ?? "nowhere") \(bytes) B: \(Self.names(packet))")
    }

    func traceWrite(_ packet: Packet, bytes: Int, stream: StreamID, node: Int) {
        line(node, "=> stream \(stream.rawValue) \(bytes) B: \(Self.names(packet))")
    }

    func traceStream(_ text: String, node: Int) { line(node, text) }

    func traceInput(_ input: Input, node: Int) {
        switch input {
        case .start: line(node, "start")
        case .packet(let packet, from: let from): line(node, "<- \(from) \(Self.names(packet))")
        case .timer(let token): line(node, "timer \(token)")
        case .streamConnected(let id): line(node, "stream \(id.rawValue) connected")
        case .streamOpened(let id, isSealed: _): line(node, "stream \(id.rawValue) opened")
        case .streamAccepted(let id, from: let from, isSealed: _):
            line(node, "stream \(id.rawValue) accepted from \(from)")
        case .streamPacket(let id, let packet): line(node, "<= stream \(id.rawValue) \(Self.names(packet))")
        case .streamClosed(let id, let reason): line(node, "stream \(id.rawValue) \(reason)")
        case .sendFailed(to: let address): line(node, "cannot send to \(address)")
        case .refused(let address): line(node, "\(address) refuses datagrams")
        case .localTrouble(let trouble): line(node, "local trouble: \(trouble)")
        case .stopping: line(node, "stops without leaving")
        case .persisted(let token): line(node, "durable \(token.rawValue)")
        case .strict(let result): line(node, "strict log: \(Self.strictName(result))")
        case .storage(let condition): line(node, "disk \(condition)")
        case .resolved(seed: let seed, let addresses):
            line(node, "\(seed) is \(addresses.map(\.description).joined(separator: " "))")
        case .command(let id, let command): line(node, "command \(id.rawValue) \(Self.name(command))")
        case .calls(let calls): line(node, "calls \(calls.map { "\($0.id.rawValue)" }.joined(separator: " "))")
        }
    }

    func traceReply(_ reply: Reply, asked: String, node: Int) {
        if case .failure(let failure) = reply {
            line(node, "answers '\(asked)': \(failure)")
        } else if case .written(let report) = reply {
            line(node, "answers '\(asked)': written as \(report.version)")
        } else {
            line(node, "answers '\(asked)'")
        }
    }

    func traceEvent(_ event: KernelEvent, node: Int) {
        switch event {
        case .member(let event): line(node, "!! \(event.info.name) \(Self.name(event.kind)) at \(event.incarnation)")
        case .keysChanged(let records):
            for record in records { line(node, "!! '\(record.change.key)' changed at \(record.change.version)") }
        case .synchronised(let summary):
            line(
                node,
                "!! synchronised with \(summary.peer.short): \(summary.rowsReceived) rows in, \(summary.rowsSent) out")
        case .joinSucceeded(seed: let seed, address: _, members: let members):
            line(node, "!! joined through \(seed), \(members) members")
        case .joinFailed(seed: let seed, reason: let reason, attempts: let attempts):
            line(node, "!! cannot join through \(seed): \(reason), \(attempts) attempts")
        case .typeConflict(key: let key, kept: let kept, aside: let aside, revision: _):
            line(node, "!! '\(key)' is a \(kept) and a \(aside)")
        case .quarantined(key: let key, author: let author, ahead: _):
            line(node, "!! '\(key)' by \(author) quarantined")
        case .awarenessChanged(from: let from, to: let to): line(node, "!! awareness \(from) to \(to)")
        case .stalled: line(node, "!! found itself stalled")
        case .identityInUse(at: let address): line(node, "!! own id in use at \(address)")
        case .packetIgnored(let reason, from: let from): line(node, "!! packet of \(from) ignored: \(reason)")
        case .storeReset(let peer, let rows, let queued, _):
            line(node, "!! reset from \(peer.short): \(rows) rows, \(queued) writes queued")
        case .collected(let rows, let folded, _): line(node, "!! collected \(rows) rows, folded \(folded) actors")
        case .clockOutlier(let offset): line(node, "!! clock is off by \(offset) ms")
        case .clockRecovered: line(node, "!! clock agrees again")
        case .storage(let condition): line(node, "!! storage \(condition)")
        case .catchUp(let peer, let received, let total):
            line(node, "!! \(received) of \(total) rows from \(peer.short)")
        case .leaving: line(node, "!! leaving")
        case .evicted(let by): line(node, "!! evicted by \(by.short)")
        case .strict(let event): line(node, "!! strict: \(event)")
        case .userEvent(let event):
            line(node, "!! event \(event.id.sequence) of \(event.id.origin.short): \(event.name)")
        }
    }

    private static func names(_ packet: Packet) -> String {
        packet.messages.map { name($0) }.joined(separator: ", ")
    }

    private static func name(_ message: Message) -> String {
        switch message {
        case .ping(let ping): "ping \(ping.sequence)"
        case .ack(let ack): "ack \(ack.sequence)"
        case .indirectPing(let request): "indirect ping \(request.sequence) of \(request.target.short)"
        case .nack(let nack): "nack \(nack.sequence)"
        case .update(let update): "\(name(update.claim)) \(update.subject.short) at \(update.incarnation)"
        case .digest: "digest"
        case .row(let row): "row '\(row.id.key)'"
        case .announcement(let dots): "announcement of \(dots.count)"
        case .memberTable(let part): "\(part.role) of \(part.entries.count) members"
        case .storeRequest: "store request"
        case .storeBatchEnd: "store batch end"
        case .storeContinue: "store continue"
        case .storeComplete: "store complete"
        case .floorMark: "floor mark"
        case .confirmRequest(let request): "confirm request \(request.id)"
        case .confirmed(let id): "confirmed \(id)"
        case .collectRequest: "collect request"
        case .collectAnswer(let answer): "collect answer \(answer.agrees)"
        case .floor: "floor"
        case .coordinate: "coordinate"
        case .viewRequest: "view request"
        case .viewAnswer: "view answer"
        case .padding(let count): "padding of \(count)"
        case .keyRing: "key ring"
        case .ringMark: "ring mark"
        case .rowRequest(let dots): "request of \(dots.count) rows"
        case .ranges(let message): "\(message.ranges.count) ranges"
        case .userEvent(let notice): "event \(notice.event.id.sequence) of \(notice.event.id.origin.short)"
        case .userEventMarks(let marks): "\(marks.isRequest ? "request for" : "marks of") \(marks.marks.count) origins"
        case .sentinel(let sentinel): "sentinel \(sentinel)"
        case .strict(let message): strictName(message)
        case .strictMark(let mark): "strict mark \(mark.term)/\(mark.changes)"
        }
    }

    private static func name(_ claim: MemberClaim) -> String {
        switch claim {
        case .alive: "alive"
        case .suspect(by: let by): "suspect by \(by.short)"
        case .failed(by: let by): "failed by \(by.short)"
        case .left: "left"
        case .forgotten(by: let by): "forgotten by \(by.short)"
        case .evicted(by: let by): "evicted by \(by.short)"
        }
    }

    private static func name(_ kind: MemberEventKind) -> String {
        switch kind {
        case .joined: "joined"
        case .alive(previously: let state, after: _): "alive, was \(state)"
        case .updated: "updated"
        case .suspected(let evidence): "suspected by \(evidence.accuser.short)"
        case .failed(_, after: let after): "failed after \(after)"
        case .left: "left"
        case .forgotten(by: let by): "forgotten by \(by.short)"
        case .reaped: "reaped"
        case .udpBlocked(let probes, _): "answered over streams alone, \(probes) times"
        case .udpRestored: "answers datagrams again"
        case .nameConflict: "name conflict"
        case .forged: "statement refused"
        case .equivocated: "equivocated"
        case .refuted(accuser: let accuser, incarnation: let incarnation):
            "refuted \(accuser.short) with \(incarnation)"
        }
    }

    /// The command's case; what it carries may be large.
    private static func name(_ command: Command) -> String {
        Mirror(reflecting: command).children.first?.label ?? "\(command)"
    }
}
