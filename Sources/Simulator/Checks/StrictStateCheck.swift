// SPDX-License-Identifier: Apache-2.0
// Owns the check of what the strict log comes to: equal states everywhere, locks, leases and sessions as they are promised.

import ClusterTypes
import RaftCore
import StrictCore

/// Applies each entry once, as soon as anybody has committed it, and holds every node's state against that. Beside it goes a
/// model of locks, leases and sessions that knows nothing of how `StrictMachine` keeps them.
package struct StrictStateCheck: Sendable {
    /// An entry ended a lease, and with it what was bound to the lease.
    package struct Ended: Sendable {
        package var keys: [String]
        /// Locks that the lease held.
        package var locks: [(name: String, owner: LeaseID)]
        /// When the entry was in anybody's log first.
        package var proposed: Instant
    }

    private struct Lease: Sendable {
        var milliseconds: UInt64
        /// When the entry was committed that granted it or kept it alive last.
        var renewed: Instant
        var keys: Set<String> = []
    }

    private struct Stamp: Hashable {
        var session: UInt64
        var sequence: UInt64
    }

    /// What the log comes to so far.
    package private(set) var machine = StrictMachine()
    private var digests: [LogIndex: Hash128] = [0: StrictMachine().digest]
    private var applied: [LogIndex]

    private var holders: [StrictKey: StrictLock.Claim] = [:]
    /// Of each token: who was given it.
    private var claims: [LogIndex: [StrictKey: LeaseID]] = [:]
    private var lastToken: LogIndex = 0
    private var lastTokens: [StrictKey: LogIndex] = [:]
    private var leases: [LeaseID: Lease] = [:]
    private var leaseOfKey: [String: LeaseID] = [:]
    private var answers: [Stamp: StrictAnswer] = [:]
    /// What became of the commands that write values, which are never the same twice: the answer, and when it was committed.
    package private(set) var effects: [String: (answer: StrictAnswer, at: Instant)] = [:]

    package private(set) var violations = Violations()
    /// States that were compared, commands that came again, leases that expired, holders of locks, writes that a token let
    /// through and that it kept out: without them nothing was proved.
    package private(set) var comparisons = 0
    package private(set) var repeats = 0
    package private(set) var expiries = 0
    package private(set) var tokens = 0
    package private(set) var fencedWrites = 0
    package private(set) var fencedRefusals = 0

    package init(nodes: Int) { applied = Array(repeating: 0, count: nodes) }

    // MARK: The log

    /// An entry was committed that was in nobody's committed log before; each is, before any that follows it.
    /// - Returns: The lease that it ended, if it did.
    package mutating func commit(_ entry: LogEntry, proposed: Instant, at now: Instant) -> Ended? {
        guard entry.index == machine.appliedIndex + 1 else {
            violations.add("entry \(entry.index) is committed after \(machine.appliedIndex)")
            return nil
        }
        let ended = apply(entry, proposed: proposed, at: now)
        digests[entry.index] = machine.digest
        return ended
    }

    private mutating func apply(_ entry: LogEntry, proposed: Instant, at now: Instant) -> Ended? {
        guard case .command(let bytes) = entry.payload else {
            machine.skip(through: entry.index)
            return nil
        }
        do throws(StrictDecodeFailure) {
            let command = try StrictCommand(encoded: bytes)
            return note(machine.apply(command, at: entry.index), of: command, proposed: proposed, at: now)
        } catch {
            violations.add("entry \(entry.index) cannot be read: \(error)")
            machine.skip(through: entry.index)
            return nil
        }
    }

    /// What an entry of the log gave.
    package mutating func note(
        _ outcome: StrictOutcome, of command: StrictCommand, proposed: Instant, at now: Instant
    ) -> Ended? {
        noteSession(outcome, command)
        noteEffect(outcome, command, at: now)
        for change in outcome.lockChanges { note(change) }
        noteFence(outcome, command)
        for change in outcome.changes { note(change) }
        var ended: Ended?
        for change in outcome.leaseChanges {
            switch change {
            case .renewed(let lease, _, let milliseconds):
                leases[lease, default: Lease(milliseconds: milliseconds, renewed: now)].renewed = now
            case .ended(let lease): ended = end(lease, by: command, outcome, proposed: proposed)
            }
        }
        for (lock, claim) in holders.sorted(by: { $0.key < $1.key }) where leases[claim.lease] == nil {
            violations.add("entry \(outcome.index): \(lock.text) is held by lease \(claim.lease), which has ended")
        }
        return ended
    }

    private mutating func noteEffect(_ outcome: StrictOutcome, _ command: StrictCommand, at now: Instant) {
        if case .refused = outcome.answer { return }
        guard !outcome.isRepeat, let value = command.operation.writtenValue else { return }
        let text = String(decoding: value, as: UTF8.self)
        if effects[text] == nil { effects[text] = (outcome.answer, now) }
    }

    // MARK: Locks

    /// One holder at a time, tokens that only grow, each the index of the entry that gave it.
    private mutating func note(_ change: StrictLockChange) {
        if holders[change.lock] != change.old {
            violations.add(
                "entry \(change.index): \(change.lock.text) goes from \(Self.text(change.old)), and "
                    + "\(Self.text(holders[change.lock])) holds it")
        }
        holders[change.lock] = change.new
        guard let new = change.new else { return }
        // A lease that ends may hand several locks on in one entry.
        if new.token != change.index || new.token < lastToken || new.token <= lastTokens[change.lock] ?? 0 {
            violations.add(
                "entry \(change.index): \(change.lock.text) is given under token \(new.token), after \(lastToken)")
        }
        lastToken = max(lastToken, new.token)
        lastTokens[change.lock] = new.token
        claims[new.token, default: [:]][change.lock] = new.lease
        tokens += 1
    }

    private static func text(_ claim: StrictLock.Claim?) -> String {
        claim.map { "lease \($0.lease) with token \($0.token)" } ?? "nobody"
    }

    /// A write in the name of a lock was made if, and only if, the lock is held under that token.
    private mutating func noteFence(_ outcome: StrictOutcome, _ command: StrictCommand) {
        guard !outcome.isRepeat, case .transaction(let transaction) = command.operation,
            case .transaction(let succeeded, _) = outcome.answer
        else { return }
        for case .holds(let lock, let token) in transaction.compares {
            let holds = holders[lock]?.token == token
            if succeeded { fencedWrites += 1 } else if !holds { fencedRefusals += 1 }
            if succeeded && !holds || !succeeded && holds && transaction.compares.count == 1 {
                violations.add(
                    "entry \(outcome.index): a write under token \(token) of \(lock.text) "
                        + "\(succeeded ? "is made" : "is refused"), and \(Self.text(holders[lock])) holds it")
            }
        }
    }

    // MARK: Leases

    private mutating func note(_ change: StrictChange) {
        let key = change.key.text
        if let old = leaseOfKey.removeValue(forKey: key) { leases[old]?.keys.remove(key) }
        guard let lease = change.new?.lease, lease != 0 else { return }
        if leases[lease] == nil {
            violations.add("entry \(change.index): \(key) is bound to lease \(lease), which there is not")
        }
        leases[lease]?.keys.insert(key)
        leaseOfKey[key] = lease
    }

    private mutating func end(
        _ id: LeaseID, by command: StrictCommand, _ outcome: StrictOutcome, proposed: Instant
    ) -> Ended? {
        guard let lease = leases.removeValue(forKey: id) else {
            violations.add("entry \(outcome.index): lease \(id) ends, which there is not")
            return nil
        }
        for key in lease.keys.sorted() {
            violations.add("entry \(outcome.index): \(key) outlives its lease \(id)")
        }
        switch command.operation {
        case .expireLease, .revoke: break
        // It went with its keys, whose changes are the client's own.
        default: return nil
        }
        if case .expireLease = command.operation {
            expiries += 1
            let least = lease.renewed + .milliseconds(Int(lease.milliseconds))
            if proposed < least {
                violations.add(
                    "entry \(outcome.index): lease \(id) of \(lease.milliseconds) ms expires "
                        + "\(Figure.seconds(least - proposed)) too early")
            }
        }
        return Ended(
            keys: outcome.changes.map(\.key.text),
            locks: outcome.lockChanges.compactMap { change in
                change.old.flatMap { $0.lease == id ? (change.lock.text, id) : nil }
            }, proposed: proposed)
    }

    // MARK: Sessions

    /// A command with a stamp is carried out once, and whoever repeats it has the same answer.
    private mutating func noteSession(_ outcome: StrictOutcome, _ command: StrictCommand) {
        guard let stamp = command.session else { return }
        let place = Stamp(session: stamp.session, sequence: stamp.sequence)
        if outcome.isRepeat {
            repeats += 1
            if answers[place] != outcome.answer, outcome.answer != .refused(.answerNotKept) {
                violations.add("entry \(outcome.index): a repeated command is answered otherwise than at first")
            }
        } else if Self.isCarriedOut(outcome.answer), answers.updateValue(outcome.answer, forKey: place) != nil {
            violations.add(
                "entry \(outcome.index): command \(stamp.sequence) of session \(stamp.session) is carried out twice")
        }
    }

    /// These come before a command is looked at.
    private static func isCarriedOut(_ answer: StrictAnswer) -> Bool {
        guard case .refused(let refusal) = answer else { return true }
        return ![.malformed, .noSession, .obsolete, .tooManyPending, .answerNotKept].contains(refusal)
    }

    // MARK: Nodes and clients

    /// A node has applied something: its state is the one that the log comes to.
    package mutating func look(at state: StrictMachine, node: Int) {
        let index = state.appliedIndex
        guard index != applied[node] else { return }
        applied[node] = index
        guard let digest = digests[index] else {
            violations.add("n\(node + 1) has applied \(index), which nobody has committed")
            return
        }
        comparisons += 1
        if state.digest != digest {
            violations.add("state machine safety: n\(node + 1) has another state at \(index) than the log comes to")
        }
    }

    package mutating func ended(node: Int) { applied[node] = 0 }

    /// Whether the lock was given to the lease under this token.
    package func gave(_ lock: StrictKey, to lease: LeaseID, token: LogIndex) -> Bool { claims[token]?[lock] == lease }

    /// What comes from here on is proof: what was applied before was counted elsewhere.
    mutating func beginCounting() {
        (comparisons, repeats, expiries, tokens, fencedWrites, fencedRefusals) = (0, 0, 0, 0, 0, 0)
    }
}

extension StrictOperation {
    /// What it writes, if its conditions hold; nil: nothing.
    fileprivate var writtenValue: [UInt8]? {
        switch self {
        case .put(_, let value, _): return value
        case .transaction(let transaction):
            for case .put(_, let value, _) in transaction.then { return value }
            return nil
        case .registerSession, .endSession, .expireSessions, .delete, .grantLease, .keepAlive, .revoke, .expireLease,
            .raiseVersions, .reissue,
            .acquire, .release:
            return nil
        }
    }
}
