// SPDX-License-Identifier: Apache-2.0
// Owns the events of membership and the evidence each carries, so that an operator can see why.

import ClusterTypes

/// A way a probe took.
package enum ProbePath: UInt8, Hashable, Comparable, Sendable, CaseIterable {
    case udp = 0
    case relay = 1
    case stream = 2

    package static func < (a: ProbePath, b: ProbePath) -> Bool { a.rawValue < b.rawValue }
}

/// What made this node probe a member before its turn. None of them decides anything.
package enum ProbeHint: UInt8, Hashable, Sendable, CaseIterable {
    /// A sentinel stream ended without a farewell: most likely the host's kernel closed it for a process that died.
    case streamEnded = 0
    /// A datagram to the member was refused: ICMP port unreachable.
    case datagramRefused = 1
}

/// Why a member is suspected or failed, as far as this node knows.
package struct Evidence: Hashable, Sendable {
    /// Who first said so; this node itself when `isLocal`.
    package var accuser: NodeID
    /// This node's own probe got no answer.
    package var isLocal: Bool
    /// Probes sent by this node without an answer, direct and through relays.
    package var probes: Int
    /// The ways this node tried in vain, sorted.
    package var pathsFailed: [ProbePath]
    /// The stream connect was refused: the host answers, the process is gone.
    package var streamRefused: Bool
    /// Ping, relays and stream connect all failed while a relay answered us: the host is gone or cut off.
    package var isUnreachable: Bool
    /// Its host took the connection and nobody answered on it: the process stands still.
    package var isMute: Bool
    /// The probe was asked for by a hint: a sentinel stream broke off, or a datagram was refused.
    package var hint: ProbeHint?
    /// Other nodes that said the same, in the order they were heard, at most `suspicionConfirmations`.
    package var confirmedBy: [NodeID]
    /// When the first unanswered probe was sent or the first claim arrived.
    package var since: Clock

    package init(accuser: NodeID, isLocal: Bool, since: Clock) {
        self.accuser = accuser
        self.isLocal = isLocal
        self.since = since
        probes = 0
        pathsFailed = []
        streamRefused = false
        isUnreachable = false
        isMute = false
        confirmedBy = []
    }
}

/// A change of the member table, or of this node's place in it.
package enum MemberEventKind: Hashable, Sendable {
    /// Heard of for the first time, alive.
    case joined
    /// Alive again after suspect, failed, left or forgotten; carries what it was before and for how long.
    case alive(previously: MemberState, after: Interval)
    /// Name, address or tags changed; carries the former ones.
    case updated(from: MemberInfo)
    case suspected(Evidence)
    /// The suspicion ran out, or another node said so; `after` counts from the start of the evidence.
    case failed(Evidence, after: Interval)
    case left
    case forgotten(by: NodeID)
    /// Dropped from the table after `failed_retention`.
    case reaped
    /// The latest probes were answered over a stream alone: datagrams do not get through, or cannot even be sent here.
    case udpBlocked(probes: Int, sendsFail: Bool)
    /// Datagrams of a member told as `udpBlocked` arrive again.
    case udpRestored
    /// Another active member uses the same name.
    case nameConflict(with: NodeID)
    /// A statement in its name was refused: another key signed it, or none.
    case forged(Forgery)
    /// It said two different things under one incarnation, both signed.
    case equivocated(Equivocation)
    /// This node was suspected or called failed, and refuted it with a higher incarnation.
    case refuted(accuser: NodeID, incarnation: UInt64)
}

/// A statement that its subject did not make.
package struct Forgery: Hashable, Sendable {
    /// The key that signed it; nil: nobody did.
    package var key: AuthorKey?
    /// The subject's key; nil: not known, the signature was wrong in itself.
    package var pinned: AuthorKey?
    package var incarnation: UInt64
    /// What it said; nil: that the subject left.
    package var info: MemberInfo?
}

/// One event about one member.
package struct MemberEvent: Hashable, Sendable {
    package var id: NodeID
    package var info: MemberInfo
    package var incarnation: UInt64
    package var kind: MemberEventKind

    package init(id: NodeID, info: MemberInfo, incarnation: UInt64, kind: MemberEventKind) {
        self.id = id
        self.info = info
        self.incarnation = incarnation
        self.kind = kind
    }
}
