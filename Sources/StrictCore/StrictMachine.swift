// SPDX-License-Identifier: Apache-2.0
// Owns the strict state: what the log's commands come to, and how one is applied, once, whoever repeats it.

import ClusterTypes
import RaftCore

/// Keys, leases, locks and sessions as a function of the log alone: replicas that applied the same entries are equal and
/// have equal snapshots, byte for byte. A copy costs next to nothing, so that a snapshot is written from one.
package struct StrictMachine: Sendable {
    /// All entries up to here are applied.
    package internal(set) var appliedIndex: LogIndex = 0
    /// Added to the index of an entry to give its revision. 0 in a group that never had to go beyond the numbers of another.
    package internal(set) var versionBase: UInt64 = 0
    /// Changes of keys since the beginning: the number of the last one.
    package internal(set) var changeCount: UInt64 = 0
    /// The log's clock, milliseconds since 1970: the highest time that a command brought. It never goes back.
    package internal(set) var logTime: UInt64 = 0
    var keys = SortedTable<StrictKey, StrictEntry>()
    var leases = SortedTable<LeaseID, StrictLease>()
    var locks = SortedTable<StrictKey, StrictLock>()
    var sessions = SessionTable()

    // What follows is derived from the above, kept to find things, and in no snapshot.

    /// The sessions' ids: the table itself tells no order.
    var sessionIDs = SortedTable<UInt64, Nothing>()
    /// Of the long answers that sessions keep.
    var keptAnswerBytes = 0
    var keysByLease = SortedTable<LeaseBond, Nothing>()
    /// Locks that a lease holds or waits for.
    var locksByLease = SortedTable<LeaseBond, Nothing>()
    /// See `StrictBounds.stateBytesMax`.
    package internal(set) var stateBytes = 0

    package init() {}

    /// The revision of the last applied entry: what versions of keys, fencing tokens, and ids of leases and sessions are made
    /// of. It grows with each entry, and `raiseVersions` lets it jump: no number is given twice, not even when a log goes on
    /// whose end was lost, or begins anew.
    package var revision: UInt64 { versionBase + appliedIndex }

    /// Applies the command of the entry at `index`, which is beyond `appliedIndex`.
    /// - Throws: `unknownFormat`: a later program wrote it. Nothing was changed, `appliedIndex` included; this replica must
    ///   stop applying until it is upgraded.
    package mutating func apply(_ bytes: [UInt8], at index: LogIndex) throws(StrictDecodeFailure) -> StrictOutcome {
        let command: StrictCommand
        do throws(StrictDecodeFailure) {
            command = try StrictCommand(encoded: bytes)
        } catch .unknownFormat(let format) {
            throw .unknownFormat(format)
        } catch {
            skip(through: index)
            return StrictOutcome(index: revision, answer: .refused(.malformed))
        }
        return apply(command, at: index)
    }

    /// The entries up to `index` hold no command: a term's first entry, a membership.
    package mutating func skip(through index: LogIndex) {
        precondition(index > appliedIndex, "entry \(index) applied again, the state is of \(appliedIndex)")
        appliedIndex = index
    }

    package mutating func apply(_ command: StrictCommand, at index: LogIndex) -> StrictOutcome {
        skip(through: index)
        logTime = max(logTime, command.time)
        var outcome = StrictOutcome(index: revision, answer: .refused(.malformed))
        defer { changeCount += UInt64(outcome.changes.count) }
        guard let stamp = command.session else {
            outcome.answer = execute(command, &outcome)
            return outcome
        }
        guard !command.operation.isAboutSessions, stamp.sequence > 0 else { return outcome }
        forgetAnswers(stamp)
        let verdict = sessions.judge(
            session: stamp.session, sequence: stamp.sequence, answeredThrough: stamp.answeredThrough,
            time: command.time)
        switch verdict {
        case .apply:
            outcome.answer = execute(command, &outcome)
            keep(outcome.answer, stamp)
        case .answered(let bytes):
            outcome.isRepeat = true
            do throws(StrictDecodeFailure) {
                outcome.answer = try StrictAnswer(encoded: bytes)
            } catch {
                preconditionFailure("session \(stamp.session) keeps an answer that is none: \(error)")
            }
        case .obsolete: outcome.answer = .refused(.obsolete)
        case .noSession: outcome.answer = .refused(.noSession)
        case .tooManyPending: outcome.answer = .refused(.tooManyPending)
        }
        return outcome
    }

    /// Whoever repeats the command gets this answer, or is told that there is no room for it: the command itself is never refused
    /// for that, or clients that are gone would hold up all others.
    private mutating func keep(_ answer: StrictAnswer, _ stamp: SessionStamp) {
        var bytes = answer.encoded
        if Self.counted(bytes) > 0, keptAnswerBytes >= StrictBounds.keptAnswerBytesMax {
            bytes = StrictAnswer.refused(.answerNotKept).encoded
        }
        sessions.record(session: stamp.session, sequence: stamp.sequence, answer: bytes)
        keptAnswerBytes += Self.counted(bytes)
    }

    /// What an answer counts for in `keptAnswerBytes`.
    static func counted(_ answer: [UInt8]) -> Int {
        answer.count > StrictBounds.shortAnswerBytesMax ? answer.count : 0
    }

    /// Counts out what `SessionTable.judge` is about to drop.
    private mutating func forgetAnswers(_ stamp: SessionStamp) {
        guard let session = sessions[stamp.session], stamp.answeredThrough > session.answeredThrough,
            stamp.answeredThrough < stamp.sequence
        else { return }
        for answer in session.answers {
            guard answer.sequence <= stamp.answeredThrough else { break }
            keptAnswerBytes -= Self.counted(answer.bytes)
        }
    }

    private mutating func execute(_ command: StrictCommand, _ outcome: inout StrictOutcome) -> StrictAnswer {
        defer { endUnused(&outcome) }
        return carryOut(command, &outcome)
    }

    private mutating func carryOut(_ command: StrictCommand, _ outcome: inout StrictOutcome) -> StrictAnswer {
        switch command.operation {
        case .registerSession: return registerSession(time: command.time)
        case .endSession(let id):
            noteSessionEnds(id)
            sessions.end(session: id, time: command.time)
            return .sessionsEnded(sessionIDs.remove(id) == nil ? 0 : 1)
        case .expireSessions(let idle): return expireSessions(idle: idle, time: command.time)
        case .put(let key, let value, let lease):
            let old = keys[key]
            if let refusal = refusal(ofPut: key, value, lease, over: old) { return .refused(refusal) }
            return .put(version: put(key, value, lease, over: old, &outcome), modified: revision)
        case .delete(let key): return .deleted(delete(key, &outcome))
        case .transaction(let transaction): return run(transaction, &outcome)
        case .grantLease(let milliseconds, let endsWithKeys):
            return grant(milliseconds, endsWithKeys: endsWithKeys, &outcome)
        case .keepAlive(let lease): return keepAlive(lease, &outcome)
        case .revoke(let lease):
            guard leases[lease] != nil else { return .refused(.noLease) }
            end(lease, .revoked, &outcome)
            return .leaseEnded(true)
        case .expireLease(let lease, let before):
            // A renewal that the proposer had not seen came first: the lease lives on.
            guard let state = leases[lease], state.renewed < before else { return .leaseEnded(false) }
            end(lease, .expired, &outcome)
            return .leaseEnded(true)
        case .acquire(let lock, let lease, let mayWait): return acquire(lock, lease, mayWait, &outcome)
        case .release(let lock, let lease): return .released(withdraw(lease, from: lock, .released, &outcome))
        case .raiseVersions(let above, let step): return raise(above: above, by: step)
        case .reissue(let keys):
            for key in keys { reissue(key, &outcome) }
            return .reissued(UInt64(keys.count))
        }
    }

    private mutating func registerSession(time: UInt64) -> StrictAnswer {
        guard let id = sessions.register(index: revision, time: time) else { return .refused(.tooManySessions) }
        sessionIDs.set(id, Nothing())
        return .session(id)
    }

    private mutating func expireSessions(idle: UInt64, time: UInt64) -> StrictAnswer {
        let kept = keptAnswerBytes
        let ended = sessions.expire(idle: idle, time: time)
        for id in ended { sessionIDs.remove(id) }
        if !ended.isEmpty { keptAnswerBytes = kept == 0 ? 0 : countKeptAnswers() }
        return .sessionsEnded(UInt64(ended.count))
    }

    private mutating func noteSessionEnds(_ id: UInt64) {
        for answer in sessions[id]?.answers ?? [] { keptAnswerBytes -= Self.counted(answer.bytes) }
    }

    func countKeptAnswers() -> Int {
        var sum = 0
        sessionIDs.forEach { id, _ in
            for answer in sessions[id]?.answers ?? [] { sum += Self.counted(answer.bytes) }
        }
        return sum
    }
}

extension StrictOperation {
    var isAboutSessions: Bool {
        switch self {
        case .registerSession, .endSession, .expireSessions: true
        case .put, .delete, .transaction, .grantLease, .keepAlive, .revoke, .expireLease, .acquire, .release,
            .raiseVersions,
            .reissue:
            false
        }
    }
}

/// The value of a table that is only a set.
struct Nothing: Hashable, Sendable {}

/// A key or a lock of a lease; sorted by lease.
struct LeaseBond: Hashable, Comparable, Sendable {
    var lease: LeaseID
    var key: StrictKey

    static func < (a: LeaseBond, b: LeaseBond) -> Bool { a.lease != b.lease ? a.lease < b.lease : a.key < b.key }
}
