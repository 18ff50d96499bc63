// SPDX-License-Identifier: Apache-2.0
// Owns the calls of this node's clients: their way to the leader, their repetition, and their one answer.

import ClusterTypes
import RaftCore
import StrictCore

extension StrictNode {
    /// After so long without an answer a call is sent again. One round trip and a slow sync must fit.
    static let answerPatience = Interval.seconds(1)
    /// The first rest after a refusal, and the longest; each is drawn from half to one and a half of it.
    static let restMin = Interval.milliseconds(10)
    static let restMax = Interval.milliseconds(400)
    /// Alike after the group has refused a session: each request is an entry of its log, and room comes when others end.
    static let sessionRestMin = Interval.milliseconds(100)
    static let sessionRestMax = Interval.seconds(10)

    mutating func onCall(_ id: UInt64, _ call: StrictCall, _ deadline: Instant) {
        if case .status = call {
            out.append(.reply(id: id, .status(status)))
            return
        }
        if case .operate(.recover(let evenIfBehind)) = call {
            prepareRecovery(id, evenIfBehind: evenIfBehind, deadline: deadline)
            return
        }
        if let failure = refusal(of: call) {
            out.append(.reply(id: id, .failed(failure)))
            return
        }
        begin(PendingCall(id: id, call: call, deadline: deadline))
    }

    private func refusal(of call: StrictCall) -> StrictFailure? {
        if calls.count >= configuration.callsMax { return .tooManyCalls }
        guard case .change(let operation) = call else { return nil }
        let max = configuration.raft.commandBytesMax
        if let bytes = operation.bytes(beyond: max) { return .tooLarge(bytes: bytes, max: max) }
        if case .transaction(let transaction) = operation, let defect = transaction.defect,
            defect == .transactionTooLarge
        {
            return .tooLarge(bytes: Bounds.transactionBytesMax, max: max)
        }
        return nil
    }

    private mutating func begin(_ call: PendingCall) {
        let serial = nextSerial
        nextSerial += 1
        calls[serial] = call
        check(by: call.deadline)
        pursue(serial)
    }

    mutating func check(by at: Instant) { callsCheckAt = min(callsCheckAt ?? at, at) }

    // MARK: The way to the leader

    /// Does with a call what can be done now.
    private mutating func pursue(_ serial: UInt64) {
        guard let call = calls[serial] else { return }
        switch call.call {
        case .change(let operation): pursue(serial, operation, call)
        case .read(let read): pursue(serial, read)
        case .operate(let order):
            if case .transfer(to: nil) = order, let first = call.askedFirst, let leader = leaderToAsk,
                leader != first.leader
            {
                // Another one leads: asked again, that one would hand over as well.
                finish(serial, .done(status))
            } else if ledTerm != nil {
                if call.askedFirst == nil { calls[serial]?.askedFirst = (id, call.attempts + 1) }
                calls[serial]?.state = .own
                calls[serial]?.mayBeDone = true
                calls[serial]?.attempts += 1
                take(order, for: .call(serial: serial))
            } else {
                ask(serial, .operate(order))
            }
        case .status: break
        }
    }

    private mutating func pursue(_ serial: UInt64, _ operation: StrictOperation, _ call: PendingCall) {
        var stamp = call.stamp
        if call.id != nil, stamp == nil {
            guard let fresh = pool.stamp(now: clock.now) else {
                calls[serial]?.state = .unstamped
                unstamped.append(serial)
                registerSession()
                return
            }
            stamp = fresh
            calls[serial]?.stamp = fresh
        } else if let old = stamp {
            stamp = pool.refreshed(old)
        }
        guard ledTerm != nil else {
            ask(serial, .change(stamp, operation))
            return
        }
        calls[serial]?.state = .own
        calls[serial]?.attempts += 1
        if let failure = propose(operation, stamp: stamp, for: .call(serial: serial)) {
            if case .commandTooLarge(let bytes) = failure {
                finish(serial, .failed(.tooLarge(bytes: bytes, max: configuration.raft.commandBytesMax)))
            } else {
                rest(serial)
            }
        } else {
            calls[serial]?.mayBeDone = true
        }
    }

    /// A voter reads itself, at an index that the leader confirms; others ask the leader, and so does a voter whose own state
    /// was too far behind at the first attempt.
    private mutating func pursue(_ serial: UInt64, _ read: StrictRead) {
        guard let attempts = calls[serial]?.attempts else { return }
        if let raft, raft.membership.isVoter(id), raft.leader != nil, stoppedBy == nil, attempts == 0 || raft.isLeader {
            let until = clock.now + rng.jittered(Self.answerPatience, spread: 0.2)
            calls[serial]?.state = .asked(id, until: until)
            check(by: until)
            calls[serial]?.attempts += 1
            if !askRead(read, for: .call(serial: serial)) { rest(serial) }
        } else {
            ask(serial, .read(read))
        }
    }

    private mutating func ask(_ serial: UInt64, _ forward: StrictForward) {
        guard let leader = leaderToAsk, leader != id else {
            rest(serial)
            return
        }
        guard var call = calls[serial] else { return }
        if call.attempts > 0 { statistics.resends &+= 1 }
        call.attempts += 1
        call.mayBeDone = true
        if call.askedFirst == nil { call.askedFirst = (leader, call.attempts) }
        let until = clock.now + rng.jittered(Self.answerPatience, spread: 0.2)
        call.state = .asked(leader, until: until)
        calls[serial] = call
        check(by: until)
        statistics.forwards &+= 1
        out.append(.send(.forward(id: forwardID(serial, call.attempts), forward), to: leader))
    }

    /// Tells the attempts of one call apart: an old refusal is then not taken for one of the present attempt.
    private func forwardID(_ serial: UInt64, _ attempt: Int) -> UInt64 { serial << 8 | UInt64(attempt & 0xff) }

    /// The call of which a forward is an attempt.
    package static func call(ofForward id: UInt64) -> UInt64 { id >> 8 }

    /// Not now: again after a while, or when a leader is known.
    private mutating func rest(_ serial: UInt64) {
        guard let attempts = calls[serial]?.attempts else { return }
        let base = min(Self.restMin * (1 << min(attempts, 6)), Self.restMax)
        let until = clock.now + rng.jittered(base, spread: 0.5)
        calls[serial]?.state = .resting(until: until)
        check(by: until)
    }

    /// Another leader is known than before: nobody waits for the old one's answer.
    mutating func resumeCalls() {
        var due: [UInt64] = []
        for (serial, call) in calls {
            switch call.state {
            case .resting: due.append(serial)
            case .asked(let node, _): if node != followed, node != id { due.append(serial) }
            case .unstamped, .own: break
            }
        }
        for serial in due.sorted() { pursue(serial) }
    }

    mutating func onLinkLost(_ peer: NodeID, isDead: Bool) {
        if hint == peer { hint = nil }
        if isDead { raft?.onPeerGone(peer, now: clock.now, using: &rng) }
        var due: [UInt64] = []
        for (serial, call) in calls {
            if case .asked(peer, _) = call.state { due.append(serial) }
        }
        for serial in due.sorted() { rest(serial) }
    }

    /// Deadlines, rests and patience that are over.
    mutating func checkCalls() {
        // All of one millisecond together: each look costs as much as there are calls.
        let horizon = clock.now + .milliseconds(1)
        var over: [UInt64] = []
        var due: [UInt64] = []
        for (serial, call) in calls {
            if call.deadline <= horizon { over.append(serial) } else if call.dueAt <= horizon { due.append(serial) }
        }
        for serial in over.sorted() { giveUp(serial) }
        while let serial = unstamped.first, calls[serial] == nil { _ = unstamped.popFirst() }
        callsCheckAt = nil
        for serial in due.sorted() { pursue(serial) }
        callsCheckAt = calls.values.lazy.map(\.dueAt).min()
    }

    private mutating func giveUp(_ serial: UInt64) {
        guard let call = calls[serial] else { return }
        finish(serial, .failed(failure(of: call)))
    }

    private func failure(of call: PendingCall) -> StrictFailure {
        if let stoppedBy, !call.mayBeDone || !call.isChange { return .unknownFormat(stoppedBy) }
        if group == nil, heard == nil { return .notFormed(missing: missingFounders) }
        if case .unstamped = call.state, sessionRefusals > 0 { return .tooManyCalls }
        let isUnknown = call.mayBeDone && !isRead(call)
        var missing = missingVoters
        // The leader that was asked did not answer either.
        if case .asked(let leader, _) = call.state, !missing.contains(where: { $0.id == leader }) {
            missing.append(self.missing(leader))
        }
        return .unavailable(missing: missing, isOutcomeUnknown: isUnknown)
    }

    private func isRead(_ call: PendingCall) -> Bool { if case .read = call.call { true } else { false } }

    // MARK: Answers

    /// The one answer.
    private mutating func finish(_ serial: UInt64, _ reply: StrictReply) {
        guard let call = calls.removeValue(forKey: serial) else { return }
        if let stamp = call.stamp { pool.settle(stamp, now: clock.now) }
        guard let id = call.id else {
            onSession(reply)
            return
        }
        out.append(.reply(id: id, reply))
        if call.stamp != nil { stampWaiting() }
    }

    /// What the group, or the node that was asked, says to a call.
    mutating func onReply(_ serial: UInt64, _ reply: StrictReply) {
        guard let call = calls[serial] else { return }
        switch (call.call, reply) {
        case (.change, .answer(.refused(.noSession))) where call.stamp != nil: loseSession(serial, call)
        case (.change, .answer), (.read, .found), (.operate, .done): finish(serial, reply)
        case (_, .failed(let failure)): onFailure(serial, call, failure)
        // Nothing that an honest node says.
        case (.change, _), (.read, _), (.operate, _), (.status, _): rest(serial)
        }
    }

    private mutating func onFailure(_ serial: UInt64, _ call: PendingCall, _ failure: StrictFailure) {
        switch failure {
        case .refused(.alreadyMember) where call.attempts > 1, .refused(.notMember) where call.attempts > 1:
            // An earlier attempt was taken, whose answer was lost.
            finish(serial, .done(status))
        case .refused, .cannotRecover, .notEligible, .transferFailed: finish(serial, .failed(failure))
        case .tooLarge: if call.attempts > 1 { rest(serial) } else { finish(serial, .failed(failure)) }
        case .notConfigured, .notFormed, .unavailable, .tooManyCalls, .unknownFormat: rest(serial)
        }
    }

    /// Raft cannot say what became of it: the same again, for its stamp makes that safe.
    mutating func loseCall(_ serial: UInt64) {
        if calls[serial] != nil { rest(serial) }
    }

    mutating func onForwarded(_ forward: UInt64, _ answer: StrictForwarded, from: NodeID) {
        let serial = Self.call(ofForward: forward)
        guard let call = calls[serial], call.attempts > 0 else { return }
        switch answer {
        case .reply(let reply): onReply(serial, reply)
        case .notLeader(let leader):
            guard case .asked(from, _) = call.state, forward == forwardID(serial, call.attempts) else { return }
            if call.askedFirst?.attempt == call.attempts { calls[serial]?.askedFirst = nil }
            if let leader, leader != from, leader != id, leader != hint, raft?.leader == nil {
                hint = leader
                followed = leader
                pursue(serial)
            } else {
                if hint == from { hint = nil }
                rest(serial)
            }
        }
    }

    // MARK: Sessions

    private mutating func registerSession() {
        guard !isRegistering, !pool.isFull, registerAt == nil else { return }
        isRegistering = true
        begin(PendingCall(id: nil, call: .change(.registerSession), deadline: clock.now + .seconds(30)))
    }

    private mutating func onSession(_ reply: StrictReply) {
        isRegistering = false
        switch reply {
        case .answer(.session(let id)):
            sessionRefusals = 0
            pool.add(id, now: clock.now)
        case .answer:
            let rest = min(Self.sessionRestMin * (1 << min(sessionRefusals, 7)), Self.sessionRestMax)
            sessionRefusals += 1
            registerAt = clock.now + rng.jittered(rest, spread: 0.5)
        case .found, .done, .status, .failed: break
        }
        stampWaiting()
    }

    /// The rest after a refusal is over.
    mutating func retrySession() {
        guard let at = registerAt, at <= clock.now else { return }
        registerAt = nil
        stampWaiting()
    }

    /// Those that wait for a stamp get one as long as there is room.
    private mutating func stampWaiting() {
        while let serial = unstamped.first {
            guard let call = calls[serial], case .unstamped = call.state, call.stamp == nil else {
                _ = unstamped.popFirst()
                continue
            }
            guard let stamp = pool.stamp(now: clock.now) else {
                registerSession()
                return
            }
            _ = unstamped.popFirst()
            calls[serial]?.stamp = stamp
            pursue(serial)
        }
    }

    /// The session has ended, so an earlier copy of the command may have been applied, or not. Repeating it under another
    /// session could make the change twice.
    private mutating func loseSession(_ serial: UInt64, _ call: PendingCall) {
        statistics.sessionsLost &+= 1
        if let stamp = call.stamp {
            pool.drop(stamp.session)
            // What was never sent is free to go under another one.
            var free: [UInt64] = []
            for (other, waiting) in calls where waiting.stamp?.session == stamp.session && !waiting.mayBeDone {
                free.append(other)
            }
            for other in free.sorted() { calls[other]?.stamp = nil }
        }
        finish(serial, .failed(.unavailable(missing: [], isOutcomeUnknown: true)))
    }
}

extension StrictOperation {
    /// Its size, when that may exceed `max`; nil: it does not. Most commands are far from it.
    func bytes(beyond max: Int) -> Int? {
        let bytes: Int
        switch self {
        case .put(let key, let value, _): bytes = key.bytes + value.count + 64
        case .transaction: bytes = StrictCommand(time: .max, self).encoded.count + 32
        case .registerSession, .endSession, .expireSessions, .delete, .grantLease, .keepAlive, .revoke, .expireLease,
            .acquire, .release, .raiseVersions, .reissue:
            return nil
        }
        return bytes > max ? bytes : nil
    }
}
