// SPDX-License-Identifier: Apache-2.0
// Owns the sentence and the code for each way in which the strict group turns a call down.

import AdminModel
import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup

extension AdminFailure {
    /// `changes`: the call was to change something, so its outcome is told. `hasCopy`: what was to be read is also in this
    /// node's store.
    init(_ failure: StrictFailure, changes: Bool = false, hasCopy: Bool = false) {
        switch failure {
        case .notConfigured:
            self.init(
                .conditionFailed,
                "this node has no strict keys: set strict.prefixes in its configuration, as on the others, and restart it"
            )
        case .notFormed(let missing):
            let names = missing.isEmpty ? "" : "; still missing: \(Self.names(missing))"
            self.init(
                .unavailable,
                "the strict group has not formed\(names): it does when the voters see each other alive, see gossipctl doctor",
                outcome: changes ? .notDone : nil, missing: missing.map(Missing.init))
        case .unavailable(let missing, let isOutcomeUnknown):
            self.init(missing, isOutcomeUnknown, changes: changes, hasCopy: hasCopy)
        case .tooManyCalls:
            self.init(
                .busy, "too many calls wait for the strict group: try again", outcome: changes ? .notDone : nil)
        case .tooLarge(let bytes, let max):
            self.init(
                .tooLarge, "the change has \(bytes) bytes, and one entry of the strict log at most \(max): split it",
                outcome: .notDone)
        case .refused(let reason):
            self.init(reason)
        case .cannotRecover(let reason):
            self.init(.conflict, "this node does not recover the group: \(reason)", outcome: .notDone)
        case .notEligible:
            self.init(
                .conflict,
                "that node does not say that it may vote: it has no strict.prefixes, or strict.eligible = false, or is not in "
                    + "the cluster; set [strict] there as on the voters, restart it, and add it then", outcome: .notDone
            )
        case .transferFailed(let target):
            self.init(
                .unavailable,
                "\(Self.names([target])) did not answer, or did not take over in time: the leader goes on; see gossipctl doctor",
                outcome: .notDone, missing: [AdminFailure.Missing(target)])
        case .unknownFormat(let format):
            self.init(
                .unavailable,
                "a later gossipd wrote format \(format) into the strict log: upgrade this node, as the others were",
                outcome: changes ? .notDone : nil)
        }
    }

    private init(_ missing: [StrictMissing], _ isOutcomeUnknown: Bool, changes: Bool, hasCopy: Bool) {
        let who =
            missing.isEmpty
            ? "all voters are reached, so an election may be under way"
            : "voters that this node does not reach: \(Self.names(missing))"
        let what =
            !changes
            ? "nothing was read: try again" + (hasCopy ? ", or read what this node holds with --consistency local" : "")
            : isOutcomeUnknown
                ? "the change may have been made, or may yet be: read before you repeat it"
                : "nothing was changed: try again"
        self.init(
            .unavailable, "no leader of the strict group has answered in time; \(who); \(what)",
            outcome: changes ? (isOutcomeUnknown ? .unknown : .notDone) : nil, missing: missing.map(Missing.init))
    }

    private static func names(_ missing: [StrictMissing]) -> String {
        let shown = missing.prefix(9).map { missing in
            missing.name.isEmpty ? missing.id?.short ?? "?" : missing.name
        }
        return shown.joined(separator: ", ")
    }

    /// What the leader refuses of an order.
    init(_ reason: RaftFailure) {
        let sentence: String
        switch reason {
        case .notLeader, .transferring, .termNotEstablished, .changeInProgress, .tooMuchUncommitted, .tooManyReads:
            self.init(.busy, "\(Self.passing(reason)): try again in a moment", outcome: .notDone)
            return
        case .commandTooLarge(let bytes):
            self.init(
                .tooLarge, "the change has \(bytes) bytes, which is more than the strict log takes: split it",
                outcome: .notDone)
            return
        case .learnerBehind(let match, let last):
            sentence = "the new member has come to entry \(match) of \(last): it becomes a voter when it has caught up"
        case .wouldLoseQuorum(let reachable, let needed):
            sentence =
                "the group would be left with \(reachable) reachable voters of \(needed) that it needs: bring one back, or add "
                + "one, first"
        case .alreadyMember: sentence = "that node is a member of the group already: see gossipctl strict members"
        case .notMember: sentence = "that node is no member of the group: see gossipctl strict members"
        case .retiredID:
            sentence =
                "that node was removed, and never returns under its id: give it an empty data directory, and so a new id"
        case .tooManyMembers: sentence = "the group has as many members as it may: remove one first"
        case .lastVoter: sentence = "that is the last voter: the group would be gone"
        case .cannotLead: sentence = "leadership goes to another voter only: see gossipctl strict members"
        case .outOfRange, .invalidState:
            self.init(.internalError, "the strict log refused the order: report this with the daemon's journal")
            return
        }
        self.init(.conflict, sentence, outcome: .notDone)
    }

    /// Reasons that pass by themselves.
    private static func passing(_ reason: RaftFailure) -> String {
        switch reason {
        case .transferring: "leadership is being handed over"
        case .changeInProgress: "another change of the members is under way"
        case .tooMuchUncommitted: "the log holds as much that is not committed as it may"
        case .tooManyReads: "too many reads wait for the leader"
        default: "the leader has just begun its term"
        }
    }

    /// What the strict state refuses: nothing was changed, but for a session that has ended.
    init(_ refusal: StrictRefusal) {
        switch refusal {
        case .noSession, .obsolete:
            self.init(
                .unavailable,
                "this node lost its session with the strict group while the change was on its way: it may have "
                    + "been made; read before you repeat it", outcome: .unknown)
        case .malformed:
            self.init(.internalError, "the strict state took the change for nonsense: report this", outcome: .notDone)
        case .answerNotKept:
            self.init(
                .unavailable,
                "the change was decided on, but its answer was lost on the way and could not be kept: read before you repeat it",
                outcome: .unknown)
        case .tooManyPending, .tooManySessions:
            self.init(.busy, "too many changes wait for their answers: try again in a moment", outcome: .notDone)
        case .valueTooLarge:
            self.init(
                .tooLarge, "the value has more than \(AdminLimits.valueBytesMax) bytes: split it over several keys",
                outcome: .notDone)
        case .transactionTooLarge, .answerTooLarge:
            self.init(
                .tooLarge,
                "the transaction, or its answer, is too large: at most \(AdminLimits.strictStepsMax) compares and steps "
                    + "and 1 MiB", outcome: .notDone)
        case .keyWrittenTwice:
            self.init(
                .badRequest, "a key is written twice in one branch of the transaction: write it once",
                outcome: .notDone)
        case .tooManyKeys, .stateFull:
            self.init(.unavailable, "the strict state holds as much as it may: delete keys", outcome: .notDone)
        case .noLease:
            self.init(.notFound, "the lease has ended: what was bound to it is gone", outcome: .notDone)
        case .leaseTimeOutOfRange:
            self.init(.badRequest, "a lease lives from 100ms to 3660d", outcome: .notDone)
        case .versionOutOfRange:
            self.init(
                .badRequest,
                "versions of strict keys would exceed \(StrictBounds.versionMax): what asks for that is no backup of a "
                    + "group, or is damaged", outcome: .notDone)
        case .tooManyLeases, .tooManyKeysOfLease, .tooManyLocks, .tooManyLocksOfLease, .tooManyWaiters:
            self.init(
                .busy, "there are as many leases, locks or waiters as there may be: try again later", outcome: .notDone)
        }
    }
}

extension AdminFailure.Missing {
    init(_ missing: StrictMissing) {
        self.init(id: missing.id?.description, name: missing.name.isEmpty ? missing.id?.short ?? "" : missing.name)
    }
}
