// SPDX-License-Identifier: Apache-2.0
// Owns the bodies of calls that are passed on to the strict group's leader, and of their answers.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup

extension StrictCode {
    enum Forward: UInt8 {
        case change = 1
        case read, operate
    }

    /// Of `StrictRead` and of `StrictFound`.
    enum Read: UInt8 {
        case entry = 1
        case list, lock, lease, locks
    }

    enum Order: UInt8 {
        case add = 1
        case remove, transfer, recover
    }

    enum Reply: UInt8 {
        case answer = 1
        case found, done, status, failed
        /// Not a reply: the sender does not lead.
        case notLeader
    }

    enum Failure: UInt8 {
        case notConfigured = 1
        case notFormed, unavailable, tooManyCalls, tooLarge, refused, cannotRecover, unknownFormat, notEligible
        case transferFailed
    }

    /// Of `RaftFailure`.
    enum Refusal: UInt8 {
        case notLeader = 1
        case tooMuchUncommitted, transferring, commandTooLarge, termNotEstablished, changeInProgress, learnerBehind
        case wouldLoseQuorum, alreadyMember, notMember, retiredID, tooManyMembers, lastVoter, cannotLead, tooManyReads
        case outOfRange, invalidState
    }

    /// A sentence or a name.
    static let textBytesMax = 512
    static let missingMax = 64
}

extension ByteSink {
    mutating func put(_ forward: StrictForward) {
        switch forward {
        case .change(let session, let operation):
            put(StrictCode.Forward.change.rawValue)
            // As in the log, but that the leader sets the time.
            put(counted: StrictCommand(time: 0, session: session, operation).encoded)
        case .read(let read):
            put(StrictCode.Forward.read.rawValue)
            put(read)
        case .operate(let order):
            put(StrictCode.Forward.operate.rawValue)
            put(order)
        }
    }

    private mutating func put(read code: StrictCode.Read) { put(code.rawValue) }

    private mutating func put(_ read: StrictRead) {
        switch read {
        case .entry(let key):
            put(read: .entry)
            put(counted: key.text)
        case .list(let prefix, let after, let limit):
            put(read: .list)
            put(counted: prefix)
            put(after)
            put(count: limit)
        case .lock(let name):
            put(read: .lock)
            put(counted: name.text)
        case .lease(let id):
            put(read: .lease)
            put(varint: id)
        case .locks(let after, let limit):
            put(read: .locks)
            put(after)
            put(count: limit)
        }
    }

    /// No key is empty: an empty text stands for none.
    private mutating func put(_ key: StrictKey?) { put(counted: key?.text ?? "") }

    private mutating func put(_ order: StrictOrder) {
        switch order {
        case .add(let id):
            put(StrictCode.Order.add.rawValue)
            put(id)
        case .remove(let id):
            put(StrictCode.Order.remove.rawValue)
            put(id)
        case .transfer(let id):
            put(StrictCode.Order.transfer.rawValue)
            put(id ?? .unknown)
        case .recover(let evenIfBehind):
            put(StrictCode.Order.recover.rawValue)
            put(flag: evenIfBehind)
        }
    }

    private mutating func put(reply code: StrictCode.Reply) { put(code.rawValue) }

    mutating func put(_ answer: StrictForwarded) {
        switch answer {
        case .reply(let reply): put(reply)
        case .notLeader(let id):
            put(reply: .notLeader)
            put(id ?? .unknown)
        }
    }

    private mutating func put(_ reply: StrictReply) {
        switch reply {
        case .answer(let answer):
            put(reply: .answer)
            put(counted: answer.encoded)
        case .found(let found, let index):
            put(reply: .found)
            put(varint: index)
            put(found)
        case .done(let status):
            put(reply: .done)
            put(status)
        case .status(let status):
            put(reply: .status)
            put(status)
        case .failed(let failure):
            put(reply: .failed)
            put(failure)
        }
    }

    private mutating func put(_ found: StrictFound) {
        switch found {
        case .entry(let entry):
            put(read: .entry)
            put(flag: entry != nil)
            if let entry { put(entry) }
        case .list(let entries):
            put(read: .list)
            put(count: entries.count)
            for listed in entries {
                put(counted: listed.key.text)
                put(listed.entry)
            }
        case .lock(let lock):
            put(read: .lock)
            put(flag: lock != nil)
            if let lock { put(lock) }
        case .lease(let lease):
            put(read: .lease)
            put(flag: lease != nil)
            if let lease {
                put(varint: lease.milliseconds)
                put(varint: lease.renewed)
                put(varint: lease.keys)
                put(varint: lease.locks)
            }
        case .locks(let held):
            put(read: .locks)
            put(count: held.count)
            for held in held {
                put(counted: held.name.text)
                put(held.lock)
            }
        }
    }

    private mutating func put(_ entry: StrictEntry) {
        put(varint: entry.created)
        put(varint: entry.modified)
        put(varint: entry.version)
        put(varint: entry.lease)
        put(counted: entry.value)
    }

    private mutating func put(_ lock: StrictLock) {
        put(varint: lock.holder.lease)
        put(varint: lock.holder.token)
        put(count: lock.waiting.count)
        for waiter in lock.waiting {
            put(varint: waiter.lease)
            put(varint: waiter.since)
        }
    }

    private mutating func put(_ status: StrictStatus) {
        put(UInt8(status.role.flatMap { RaftRole.allCases.firstIndex(of: $0) }.map { $0 + 1 } ?? 0))
        put(flag: status.group != nil)
        if let group = status.group { put(group) }
        put(varint: status.term)
        put(status.leader ?? .unknown)
        for index in [status.commit, status.applied, status.last] { put(varint: index) }
        for ids in [status.voters, status.learners, status.reachable] { put(ids: ids) }
        put(count: status.followers.count)
        for follower in status.followers {
            put(follower.id)
            put(varint: follower.match)
            put(varint: UInt64(bitPattern: follower.silentFor.nanoseconds))
            put(flag: follower.isInstalling)
        }
        for count in [status.keys, status.leases, status.locks, status.sessions] { put(count: count) }
        put(flag: status.isRefetching)
        put(status.missing)
        put(varint: status.elections)
    }

    private mutating func put(_ missing: [StrictMissing]) {
        put(count: min(missing.count, StrictCode.missingMax))
        for one in missing.prefix(StrictCode.missingMax) { put(one) }
    }

    private mutating func put(_ missing: StrictMissing) {
        put(missing.id ?? .unknown)
        put(clipped: missing.name)
    }

    /// Somebody's words: what is too long is cut.
    private mutating func put(clipped text: String) {
        if text.utf8.count <= StrictCode.textBytesMax { return put(counted: text) }
        var short = String.UnicodeScalarView()
        var bytes = 0
        for scalar in text.unicodeScalars {
            bytes += UTF8.width(scalar)
            if bytes > StrictCode.textBytesMax { break }
            short.append(scalar)
        }
        put(counted: String(short))
    }

    private mutating func put(failure code: StrictCode.Failure) { put(code.rawValue) }

    private mutating func put(_ failure: StrictFailure) {
        switch failure {
        case .notConfigured: put(failure: .notConfigured)
        case .notFormed(let missing):
            put(failure: .notFormed)
            put(missing)
        case .unavailable(let missing, let isOutcomeUnknown):
            put(failure: .unavailable)
            put(missing)
            put(flag: isOutcomeUnknown)
        case .tooManyCalls: put(failure: .tooManyCalls)
        case .tooLarge(let bytes, let max):
            put(failure: .tooLarge)
            put(count: bytes)
            put(count: max)
        case .refused(let refusal):
            put(failure: .refused)
            put(refusal)
        case .cannotRecover(let sentence):
            put(failure: .cannotRecover)
            put(clipped: sentence)
        case .unknownFormat(let format):
            put(failure: .unknownFormat)
            put(format)
        case .notEligible: put(failure: .notEligible)
        case .transferFailed(let target):
            put(failure: .transferFailed)
            put(target)
        }
    }

    private mutating func put(refusal code: StrictCode.Refusal) { put(code.rawValue) }

    private mutating func put(_ refusal: RaftFailure) {
        switch refusal {
        case .notLeader(let id):
            put(refusal: .notLeader)
            put(id ?? .unknown)
        case .tooMuchUncommitted(let bytes):
            put(refusal: .tooMuchUncommitted)
            put(count: bytes)
        case .transferring(let id):
            put(refusal: .transferring)
            put(id)
        case .commandTooLarge(let bytes):
            put(refusal: .commandTooLarge)
            put(count: bytes)
        case .termNotEstablished: put(refusal: .termNotEstablished)
        case .changeInProgress(let index):
            put(refusal: .changeInProgress)
            put(varint: index)
        case .learnerBehind(let match, let last):
            put(refusal: .learnerBehind)
            put(varint: match)
            put(varint: last)
        case .wouldLoseQuorum(let reachable, let needed):
            put(refusal: .wouldLoseQuorum)
            put(count: reachable)
            put(count: needed)
        case .alreadyMember: put(refusal: .alreadyMember)
        case .notMember: put(refusal: .notMember)
        case .retiredID: put(refusal: .retiredID)
        case .tooManyMembers: put(refusal: .tooManyMembers)
        case .lastVoter: put(refusal: .lastVoter)
        case .cannotLead: put(refusal: .cannotLead)
        case .tooManyReads: put(refusal: .tooManyReads)
        case .outOfRange(let first, let last):
            put(refusal: .outOfRange)
            put(varint: first)
            put(varint: last)
        case .invalidState(let defect):
            put(refusal: .invalidState)
            put(UInt8(StateDefect.allCases.firstIndex(of: defect) ?? 0))
        }
    }
}
