// SPDX-License-Identifier: Apache-2.0
// Owns the sentences of the events about the strict group: founding, elections, leaders, members, locks.

import AdminModel
import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup
import SystemdSupport

extension EventNarrator {
    /// Nil for what is told already, or not worth telling.
    mutating func tellStrict(_ event: StrictEvent) -> Narration? {
        switch event {
        case .founded(let founding):
            return Narration(
                kind: .strictFounded,
                message: "the strict group \(Hex.string(founding.group)) has formed: \(names(founding.voters)) "
                    + (founding.voters.count == 1 ? "votes" : "vote"),
                fields: ["group": Hex.string(founding.group)])
        case .raft(let event): return tellRaft(event)
        case .lockChanged(let change): return Self.tell(change)
        case .foreignGroup(let group, let peer):
            return Narration(
                kind: .strictForeignGroup,
                message:
                    "\(identity(peer).name) belongs to strict group \(Hex.string(group)), not to this node's: gossipctl "
                    + "doctor says what to do",
                member: identity(peer), reason: "foreign_group")
        case .unknownFormat(let format):
            return Narration(
                kind: .strictUnknownFormat,
                message: "the strict log holds format \(format), which this version does not know: upgrade this node",
                reason: "unknown_format")
        case .recovered(let former):
            return Narration(
                kind: .strictRecovered,
                message:
                    "an operator has declared the majority lost: this node alone goes on; before, \(names(former)) voted",
                reason: "recovered")
        case .removed(let group):
            return Narration(
                kind: .strictRemoved,
                message:
                    "this node was removed from the strict group: it is a client now; to vote again it needs an empty data "
                    + "directory, then gossipctl strict add on another host",
                reason: "removed", fields: ["group": Hex.string(group)])
        case .leaderHeard(let leader, let term):
            return Narration(
                kind: .strictLeaderChanged, message: "\(identity(leader).name) leads the strict group in term \(term)",
                member: identity(leader), reason: "gossip", fields: ["term": "\(term)"])
        case .leaderSilent(let leader, let silence, let isReached):
            return Narration(
                kind: .strictLeaderLost,
                message: isReached
                    ? "nothing new was heard of \(identity(leader).name), which led the strict group, for "
                        + "\(silence.nanoseconds / 1_000_000_000) s: it may have lost its majority"
                    : "\(identity(leader).name), which led the strict group, is not reached",
                member: identity(leader), reason: isReached ? "silent" : "unreached")
        case .copiesCorrected(keys: let keys):
            return Narration(
                kind: .strictCopiesCorrected,
                message:
                    "copies of \(counted(keys, "strict key")) held what another strict group had written: told anew as this group "
                    + "has them",
                fields: ["count": "\(keys)"])
        }
    }

    private mutating func tellRaft(_ event: RaftEvent) -> Narration? {
        switch event {
        case .roleChanged(let role, let term, let reason): return tellRole(role, term, reason)
        case .leaderChanged(let leader?, let term, let reason):
            electionTold = false
            return Narration(
                kind: .strictLeaderChanged, message: "\(identity(leader).name) leads the strict group in term \(term)",
                member: identity(leader), reason: Self.word(reason), fields: ["term": "\(term)"])
        case .leaderChanged(nil, let term, let reason):
            return Narration(
                kind: .strictLeaderLost,
                message: "no leader of the strict group is known since term \(term): \(sentence(reason))",
                reason: Self.word(reason), fields: ["term": "\(term)"])
        case .membershipChanged(let membership, let index):
            let learners = membership.learners.isEmpty ? "" : ", \(names(membership.learners)) learn"
            return Narration(
                kind: .strictMembersChanged,
                message: "the strict group has changed with entry \(index): \(names(membership.voters)) vote\(learners)"
            )
        case .transferBegan(let target):
            return Narration(
                kind: .strictTransfer, message: "leadership of the strict group goes to \(identity(target).name)",
                member: identity(target), reason: "began")
        case .transferAborted(let target):
            return Narration(
                kind: .strictTransfer,
                message:
                    "\(identity(target).name) did not take over the strict group in time: this node goes on leading",
                member: identity(target), reason: "aborted")
        case .snapshotSending(let target, let position):
            return Narration(
                kind: .strictSnapshot,
                message: "sending the strict state up to entry \(position.index) to \(identity(target).name)",
                member: identity(target), reason: "sending")
        case .snapshotInstalled(let position):
            return Narration(
                kind: .strictSnapshot, message: "took over the strict state up to entry \(position.index)",
                reason: "installed")
        case .refetched(let index):
            return Narration(
                kind: .strictRefetched,
                message: "the strict log is whole again up to entry \(index): this node votes again")
        case .refused(let peer, let defect):
            return Narration(
                kind: .strictRefused,
                message: "a message of \(identity(peer).name) about the strict group was refused: \(defect.rawValue)",
                member: identity(peer), reason: "\(defect)")
        }
    }

    private mutating func tellRole(_ role: RaftRole, _ term: Term, _ reason: RaftChangeReason) -> Narration? {
        switch reason {
        case .quorumLost, .diskStalled:
            return Narration(
                kind: .strictSteppedDown, message: "no longer leading the strict group: \(sentence(reason))",
                reason: Self.word(reason), fields: ["term": "\(term)"])
        case .electionTimeout, .transfer, .preVoteWon, .won, .lost, .laterTerm, .heardLeader, .membership: break
        }
        // Without a majority it is tried again and again.
        guard role == .preCandidate || role == .candidate, !electionTold else { return nil }
        electionTold = true
        return Narration(
            kind: .strictElection, message: "standing for the leadership of the strict group: \(sentence(reason))",
            reason: Self.word(reason), fields: ["term": "\(term)"])
    }

    private static func tell(_ change: StrictLockChange) -> Narration {
        let ranOut =
            switch change.cause {
            case .expired: true
            case .acquired, .released, .revoked: false
            }
        let message =
            switch (change.old, change.new) {
            case (nil, let new?): "lock \(change.lock) was taken by lease \(new.lease) under token \(new.token)"
            case (let old?, let new?):
                "lock \(change.lock) went from lease \(old.lease)\(ranOut ? ", which ran out," : "") to lease \(new.lease) "
                    + "under token \(new.token)"
            case (let old?, nil):
                ranOut
                    ? "lock \(change.lock) is free: lease \(old.lease), which held it under token \(old.token), ran out"
                    : "lock \(change.lock) was given back by lease \(old.lease)"
            case (nil, nil): "lock \(change.lock) is free"
            }
        return Narration(
            kind: .strictLockChanged, message: message, reason: "\(change.cause)", fields: ["lock": change.lock.text])
    }

    private func names(_ ids: [NodeID]) -> String {
        ids.isEmpty ? "nobody" : Self.join(ids.map { identity($0).name })
    }

    private static func word(_ reason: RaftChangeReason) -> String {
        switch reason {
        case .electionTimeout: "election_timeout"
        case .transfer: "transfer"
        case .preVoteWon: "pre_vote_won"
        case .won: "won"
        case .lost: "lost"
        case .laterTerm: "later_term"
        case .heardLeader: "heard_leader"
        case .quorumLost: "quorum_lost"
        case .diskStalled: "disk_stalled"
        case .membership: "membership"
        }
    }

    private func sentence(_ reason: RaftChangeReason) -> String {
        switch reason {
        case .electionTimeout: "nothing was heard of a leader for an election timeout"
        case .transfer: "the leader hands over"
        case .preVoteWon: "a majority would vote for it"
        case .won(let votes, let count): "\(votes) of \(count) votes"
        case .lost: "the election is lost"
        case .laterTerm(let peer): "\(identity(peer).name) is in a later term"
        case .heardLeader: "the leader was heard of"
        case .quorumLost(let reachable, let needed): "\(reachable) voters were heard of, \(needed) are needed"
        case .diskStalled: "this host's disk did not finish a write for an election timeout"
        case .membership: "the members have changed"
        }
    }
}
