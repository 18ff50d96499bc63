// SPDX-License-Identifier: Apache-2.0
// Owns what this node does as the leader for others and for itself: proposals and their answers.

import ClusterTypes
import RaftCore
import StrictCore

extension StrictNode {
    /// - Returns: Why it was refused; nil: `origin` gets an answer, or is lost with the lead.
    mutating func propose(
        _ operation: StrictOperation, stamp: SessionStamp?, for origin: Origin, after time: UInt64 = 0
    ) -> RaftFailure? {
        guard raft != nil, stoppedBy == nil else { return .notLeader(nil) }
        guard proposals.count < Self.askedMax else { return .tooMuchUncommitted(bytes: 0) }
        let command = StrictCommand(time: max(clock.wall.milliseconds, time), session: stamp, operation)
        do throws(RaftFailure) {
            guard let position = try raft?.propose(command.encoded, now: clock.now) else { return .notLeader(nil) }
            proposals.append(Proposal(position: position, origin: origin))
            return nil
        } catch {
            return error
        }
    }

    mutating func onForward(_ forward: UInt64, _ ask: StrictForward, from: NodeID) {
        func answer(_ answer: StrictForwarded) { out.append(.send(.forwarded(id: forward, answer), to: from)) }
        guard ledTerm != nil, stoppedBy == nil else {
            statistics.refusedForwards &+= 1
            let leader = leaderToAsk
            answer(.notLeader(leader == id ? nil : leader))
            return
        }
        let origin = Origin.peer(from, forward: forward)
        switch ask {
        case .change(let stamp, let operation):
            // Without a stamp it could be made twice.
            guard stamp != nil || operation == .registerSession, !operation.isLeadersOwn else {
                answer(.reply(.answer(.refused(.malformed))))
                return
            }
            switch propose(operation, stamp: stamp, for: origin) {
            case nil: break
            case .notLeader(let leader): answer(.notLeader(leader))
            case .transferring: answer(.notLeader(nil))
            case .commandTooLarge(let bytes):
                answer(.reply(.failed(.tooLarge(bytes: bytes, max: configuration.raft.commandBytesMax))))
            case .some: answer(.reply(.failed(.tooManyCalls)))
            }
        case .read(let read): if !askRead(read, for: origin) { answer(.notLeader(nil)) }
        case .operate(let order): take(order, for: origin)
        }
    }

    mutating func reply(_ origin: Origin, _ reply: StrictReply) {
        switch origin {
        case .nobody: break
        case .call(let serial): onReply(serial, reply)
        case .peer(let node, let forward):
            out.append(.send(.forwarded(id: forward, .reply(reply)), to: node))
            // Whoever has the answer there finds the change in the store.
            raft?.tellCommit()
        case .copies: isCorrecting = false
        }
    }

    /// What became of it is not known here: who asked may ask again.
    mutating func lose(_ origin: Origin) {
        switch origin {
        case .nobody: break
        case .call(let serial): loseCall(serial)
        case .peer: reply(origin, .failed(.unavailable(missing: [], isOutcomeUnknown: true)))
        case .copies: isCorrecting = false
        }
    }

    /// A read leaves no trace.
    mutating func loseRead(_ origin: Origin) {
        switch origin {
        case .nobody, .copies: break
        case .call(let serial): loseCall(serial)
        case .peer(let node, let forward):
            let leader = leaderToAsk
            out.append(.send(.forwarded(id: forward, .notLeader(leader == id ? nil : leader)), to: node))
        }
    }
}

extension StrictOperation {
    /// Proposed by a leader alone: from anybody else it could end what lives.
    var isLeadersOwn: Bool {
        switch self {
        case .expireSessions, .expireLease, .reissue: true
        case .registerSession, .endSession, .put, .delete, .transaction, .grantLease, .keepAlive, .revoke, .acquire,
            .release, .raiseVersions:
            false
        }
    }
}
