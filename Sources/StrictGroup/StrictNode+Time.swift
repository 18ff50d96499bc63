// SPDX-License-Identifier: Apache-2.0
// Owns what happens by itself as time passes, and when that is next.

import ClusterTypes
import RaftCore
import StrictCore

extension StrictNode {
    /// When `tick` is to be given at the latest; nil: not before something else happens.
    package var nextDeadline: Instant? {
        guard configuration.isOn else { return nil }
        var deadline = raft?.nextDeadline
        func include(_ other: Instant?) {
            if let other { deadline = min(deadline ?? other, other) }
        }
        include(callsCheckAt)
        include(registerAt)
        include(foundingDeadline)
        if ledTerm != nil {
            include(leases.nextDeadline)
            include(sessionsExpireAt)
            if raft?.membership.learners.isEmpty == false { include(promoteAt) }
        }
        for order in orders { include(order.until) }
        include(survey?.nextDeadline)
        include(leaderDeadline)
        return deadline
    }

    /// - Returns: Whether Raft may have to do something for it.
    mutating func passTime() -> Bool {
        let now = clock.now
        var isDue = false
        if let raft, now >= raft.nextDeadline {
            self.raft?.onTick(now: now, using: &rng)
            isDue = true
        }
        if let at = callsCheckAt, now >= at { checkCalls() }
        retrySession()
        considerFounding()
        considerRecovery()
        guard ledTerm != nil, raft?.isLeader == true else { return isDue }
        compareClocks()
        proposeExpiries()
        if let at = promoteAt, now >= at {
            promoteAt = now + configuration.raft.heartbeatInterval
            promoteLearner()
        }
        return isDue
    }

    /// Sessions age by the leaders' wall clocks. After a jump none ends before its whole time has passed by the steady one.
    private mutating func compareClocks() {
        let steady = (clock.now - comparedClock.now).nanoseconds / 1_000_000
        let wall = Int64(clamping: clock.wall.milliseconds) - Int64(clamping: comparedClock.wall.milliseconds)
        guard steady >= 1_000 || abs(wall - steady) > 1_000 else { return }
        if abs(wall - steady) > 1_000 { sessionsExpireAt = clock.now + Self.sessionIdle }
        comparedClock = clock
    }

    /// The leader's clock proposes; the log decides.
    private mutating func proposeExpiries() {
        if let at = leases.nextDeadline, at <= clock.now {
            for operation in leases.expired(now: clock.now) where propose(operation, stamp: nil, for: .nobody) != nil {
                // The lead is being handed over, or the log is full for now.
                if case .expireLease(let id, _) = operation { leases.postpone(id, to: clock.now + Self.restMax) }
            }
        }
        if let at = sessionsExpireAt, at <= clock.now {
            sessionsExpireAt = clock.now + Self.sessionIdle / 4
            let idle = UInt64(Self.sessionIdle.nanoseconds / 1_000_000)
            if machine.sessionCount > 0 { _ = propose(.expireSessions(idle: idle), stamp: nil, for: .nobody) }
        }
    }

    /// Raft's role may have changed with any input.
    mutating func followRole() {
        let term = raft?.isLeader == true ? raft?.term : nil
        if term != ledTerm {
            if ledTerm != nil { loseLead() }
            ledTerm = term
            if term != nil { takeLead() }
        }
        let leader = leaderToAsk
        if leader != followed {
            followed = leader
            if leader != nil { resumeCalls() }
        }
        settleTransfers()
    }

    private mutating func takeLead() {
        leases = LeaseClock(machine, now: clock.now)
        sessionsExpireAt = clock.now + Self.sessionIdle
        promoteAt = clock.now + configuration.raft.heartbeatInterval
        comparedClock = clock
    }

    private mutating func loseLead() {
        leases = LeaseClock()
        sessionsExpireAt = nil
        promoteAt = nil
        // Whether they are committed is for the next leader to find out; their stamps make repeating them safe.
        for proposal in proposals.takeAll() { lose(proposal.origin) }
        let lost = orders.filter { !$0.isTransfer }
        orders.removeAll { !$0.isTransfer }
        for order in lost { lose(order.origin) }
    }
}
