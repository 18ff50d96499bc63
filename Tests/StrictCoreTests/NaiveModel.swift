// SPDX-License-Identifier: Apache-2.0
// Owns the strict state as one would write it down without a thought of cost: what the machine is compared with.

import RaftCore
import StrictCore

/// Nothing but dictionaries and arrays.
struct NaiveModel {
    struct Session {
        var answered: UInt64 = 0
        var used: UInt64
        var answers: [UInt64: StrictAnswer] = [:]
    }

    struct Lease: Equatable {
        var milliseconds: UInt64
        var renewed: UInt64
        var endsWithKeys = false
    }

    struct Claim: Equatable {
        var lease: UInt64
        /// When it asked; of the first: the token.
        var number: UInt64
    }

    var keys: [StrictKey: StrictEntry] = [:]
    var leases: [UInt64: Lease] = [:]
    /// The holder first.
    var locks: [StrictKey: [Claim]] = [:]
    var sessions: [UInt64: Session] = [:]
    var time: UInt64 = 0
    /// What is added to the index of an entry.
    var base: UInt64 = 0

    mutating func apply(_ command: StrictCommand, at index: UInt64) -> StrictAnswer {
        let index = base + index
        guard let stamp = command.session else { return execute(command, index) }
        switch command.operation {
        case .registerSession, .endSession, .expireSessions: return .refused(.malformed)
        default: break
        }
        time = max(time, command.time)
        guard var session = sessions[stamp.session] else { return .refused(.noSession) }
        session.used = time
        if stamp.answeredThrough > session.answered, stamp.answeredThrough < stamp.sequence {
            session.answered = stamp.answeredThrough
            session.answers = session.answers.filter { $0.key > stamp.answeredThrough }
        }
        sessions[stamp.session] = session
        if stamp.sequence <= session.answered { return .refused(.obsolete) }
        if let answer = session.answers[stamp.sequence] { return answer }
        let answer = execute(command, index)
        sessions[stamp.session]?.answers[stamp.sequence] = answer
        return answer
    }

    private mutating func execute(_ command: StrictCommand, _ index: UInt64) -> StrictAnswer {
        let bound = Set(keys.values.map(\.lease))
        defer {
            for lease in bound.subtracting(keys.values.map(\.lease)) {
                let claims = locks.values.contains { $0.contains { $0.lease == lease } }
                if leases[lease]?.endsWithKeys == true, !claims { leases[lease] = nil }
            }
        }
        return carryOut(command, index)
    }

    private mutating func carryOut(_ command: StrictCommand, _ index: UInt64) -> StrictAnswer {
        switch command.operation {
        case .registerSession:
            time = max(time, command.time)
            sessions[index] = Session(used: time)
            return .session(index)
        case .endSession(let id):
            time = max(time, command.time)
            return .sessionsEnded(sessions.removeValue(forKey: id) == nil ? 0 : 1)
        case .expireSessions(let idle):
            time = max(time, command.time)
            let before = sessions.count
            sessions = sessions.filter { time - $0.value.used <= idle }
            return .sessionsEnded(UInt64(before - sessions.count))
        case .put(let key, let value, let lease):
            if lease != 0, leases[lease] == nil { return .refused(.noLease) }
            return .put(version: put(key, value, lease, index), modified: index)
        case .delete(let key): return .deleted(keys.removeValue(forKey: key) != nil)
        case .transaction(let transaction): return run(transaction, index)
        case .grantLease(let milliseconds, let endsWithKeys):
            if milliseconds < 100 { return .refused(.leaseTimeOutOfRange) }
            leases[index] = Lease(milliseconds: milliseconds, renewed: index, endsWithKeys: endsWithKeys)
            return .lease(index, milliseconds: milliseconds)
        case .keepAlive(let id):
            guard let lease = leases[id] else { return .refused(.noLease) }
            leases[id]?.renewed = index
            return .lease(id, milliseconds: lease.milliseconds)
        case .revoke(let id):
            guard leases[id] != nil else { return .refused(.noLease) }
            end(id, index)
            return .leaseEnded(true)
        case .expireLease(let id, let before):
            guard let lease = leases[id], lease.renewed < before else { return .leaseEnded(false) }
            end(id, index)
            return .leaseEnded(true)
        case .acquire(let lock, let lease, let mayWait): return acquire(lock, lease, mayWait, index)
        case .release(let lock, let lease): return .released(drop(lease, from: lock, index))
        case .raiseVersions(let above, let step):
            let to = (above > index ? above : index) + step
            base += to - index
            return .raised(to: to)
        case .reissue(let keys): return .reissued(UInt64(keys.count))
        }
    }

    private mutating func put(_ key: StrictKey, _ value: [UInt8], _ lease: UInt64, _ index: UInt64) -> UInt64 {
        let old = keys[key]
        let version = (old?.version ?? 0) + 1
        keys[key] = StrictEntry(
            value: value, created: old?.created ?? index, modified: index, version: version, lease: lease)
        return version
    }

    private mutating func run(_ transaction: StrictTransaction, _ index: UInt64) -> StrictAnswer {
        for branch in [transaction.then, transaction.otherwise] {
            let written = branch.filter { if case .get = $0 { false } else { true } }.map(\.key)
            if Set(written).count < written.count { return .refused(.keyWrittenTwice) }
        }
        let holds = transaction.compares.map { compare in
            switch compare {
            case .exists(let key, let isThere): (keys[key] != nil) == isThere
            case .version(let key, let version): version == keys[key]?.version ?? 0
            case .modified(let key, let modified): modified == keys[key]?.modified ?? 0
            case .value(let key, let value): keys[key].map { $0.value == value } ?? false
            case .lease(let key, let lease): lease == keys[key]?.lease ?? 0
            case .holds(let lock, let token): locks[lock]?.first.map { $0.number == token } ?? false
            }
        }
        let succeeded = !holds.contains(false)
        let before = keys
        var results: [StrictResult] = []
        for step in succeeded ? transaction.then : transaction.otherwise {
            switch step {
            case .put(let key, let value, let lease):
                if lease != 0, leases[lease] == nil {
                    keys = before
                    return .refused(.noLease)
                }
                results.append(.put(version: put(key, value, lease, index)))
            case .delete(let key): results.append(.deleted(keys.removeValue(forKey: key) != nil))
            case .get(let key): results.append(.got(keys[key]))
            }
        }
        return .transaction(succeeded: succeeded, results: results)
    }

    private mutating func end(_ id: UInt64, _ index: UInt64) {
        keys = keys.filter { $0.value.lease != id }
        for lock in locks.keys { _ = drop(id, from: lock, index) }
        leases[id] = nil
    }

    private mutating func acquire(
        _ lock: StrictKey, _ lease: UInt64, _ mayWait: Bool, _ index: UInt64
    ) -> StrictAnswer {
        guard leases[lease] != nil else { return .refused(.noLease) }
        var claims = locks[lock] ?? []
        if let place = claims.firstIndex(where: { $0.lease == lease }) {
            return place == 0 ? .locked(token: claims[0].number) : .waiting(ahead: UInt64(place))
        }
        if !claims.isEmpty, !mayWait { return .busy(token: claims[0].number) }
        claims.append(Claim(lease: lease, number: index))
        locks[lock] = claims
        return claims.count == 1 ? .locked(token: index) : .waiting(ahead: UInt64(claims.count - 1))
    }

    private mutating func drop(_ lease: UInt64, from lock: StrictKey, _ index: UInt64) -> Bool {
        guard var claims = locks[lock], let place = claims.firstIndex(where: { $0.lease == lease }) else {
            return false
        }
        claims.remove(at: place)
        if place == 0, !claims.isEmpty { claims[0].number = index }
        locks[lock] = claims.isEmpty ? nil : claims
        return true
    }
}
