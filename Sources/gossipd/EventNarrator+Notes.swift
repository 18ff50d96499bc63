// SPDX-License-Identifier: Apache-2.0
// Owns the sentences of findings: what `member explain` says between two changes.

import AdminModel
import ClusterTypes
import SWIMCore

/// A finding in the words of the outside. It is in no journal and no stream, so its name is no `EventKind`.
struct NoteNarration: Sendable {
    var event: String
    var reason: String
    var message: String
    var evidence = AdminModel.Evidence()
}

extension EventNarrator {
    func tell(_ note: MemberNote, of member: MemberIdentity) -> NoteNarration {
        switch note {
        case .probeFailed(let paths, let refused):
            let words = paths.map(Self.word)
            return NoteNarration(
                event: "probe_failed", reason: refused ? "refused" : "no_ack",
                message: "no ack from \(member.name) over \(Self.join(words))"
                    + (refused ? " (connection refused)" : ""),
                evidence: AdminModel.Evidence(
                    reportedBy: identity(selfID), pathsFailed: words, refused: refused ? true : nil))
        case .probeRescued(let path):
            let way = path == .stream ? "over a stream: is UDP lost or blocked on the way?" : "through a relay"
            return NoteNarration(
                event: "probe_rescued", reason: Self.word(path),
                message: "\(member.name) did not answer a ping in time, but \(way)",
                evidence: AdminModel.Evidence(reportedBy: identity(selfID), pathsFailed: [Self.word(.udp)]))
        case .probeNotSent:
            return NoteNarration(
                event: "probe_not_sent", reason: "local_error",
                message: "this host could not send a probe to \(member.name): its silence is not held against it",
                evidence: AdminModel.Evidence(reportedBy: identity(selfID)))
        case .accused(let by):
            return NoteNarration(
                event: "member_accused", reason: "reported",
                message: "\(identity(by).name) suspects \(member.name) too",
                evidence: AdminModel.Evidence(reportedBy: identity(by)))
        case .calledFailed(let by):
            return NoteNarration(
                event: "member_called_failed", reason: "reported",
                message: "\(identity(by).name) says that \(member.name) has failed",
                evidence: AdminModel.Evidence(reportedBy: identity(by)))
        }
    }
}
