// SPDX-License-Identifier: Apache-2.0
// Owns reading calls that were passed on to the strict group's leader, and their answers.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup

// Each returns nil when it meets a value that this version does not know.
extension ByteReader {
    mutating func strictForward() throws(DecodeFailure) -> StrictForward? {
        switch StrictCode.Forward(rawValue: try uint8()) {
        case .change:
            let bytes = try bytes(max: Bounds.frameBytesMax)
            let command: StrictCommand
            do throws(StrictDecodeFailure) {
                command = try StrictCommand(encoded: bytes)
            } catch {
                if case .unknownFormat = error { return nil }
                throw .value
            }
            guard command.time == 0 else { throw .value }
            return .change(command.session, command.operation)
        case .read: return try strictRead().map { .read($0) }
        case .operate: return try strictOrder().map { .operate($0) }
        case nil: return nil
        }
    }

    private mutating func strictKey() throws(DecodeFailure) -> StrictKey {
        guard let key = StrictKey(try text(min: 1, max: Bounds.keyBytesMax)) else { throw .value }
        return key
    }

    private mutating func optionalKey() throws(DecodeFailure) -> StrictKey? {
        let text = try text(min: 0, max: Bounds.keyBytesMax)
        if text.isEmpty { return nil }
        guard let key = StrictKey(text) else { throw .value }
        return key
    }

    private mutating func number() throws(DecodeFailure) -> Int {
        guard let number = Int(exactly: try varint()) else { throw .bounds }
        return number
    }

    mutating func optionalNode() throws(DecodeFailure) -> NodeID? {
        let id = try nodeID()
        return id == .unknown ? nil : id
    }

    private mutating func strictRead() throws(DecodeFailure) -> StrictRead? {
        switch StrictCode.Read(rawValue: try uint8()) {
        case .entry: return .entry(try strictKey())
        case .list:
            let prefix = try text(min: 0, max: Bounds.keyBytesMax)
            let after = try optionalKey()
            return .list(prefix: prefix, after: after, limit: try number())
        case .lock: return .lock(try strictKey())
        case .lease: return .lease(try varint())
        case .locks:
            let after = try optionalKey()
            return .locks(after: after, limit: try number())
        case nil: return nil
        }
    }

    private mutating func strictOrder() throws(DecodeFailure) -> StrictOrder? {
        switch StrictCode.Order(rawValue: try uint8()) {
        case .add: return .add(try knownNodeID())
        case .remove: return .remove(try knownNodeID())
        case .transfer: return .transfer(to: try optionalNode())
        case .recover: return .recover(evenIfBehind: try flag())
        case nil: return nil
        }
    }

    mutating func strictForwarded() throws(DecodeFailure) -> StrictForwarded? {
        switch StrictCode.Reply(rawValue: try uint8()) {
        case .answer:
            let bytes = try bytes(max: Bounds.frameBytesMax)
            do throws(StrictDecodeFailure) {
                return .reply(.answer(try StrictAnswer(encoded: bytes)))
            } catch {
                // Of a later program, or nonsense: nothing tells them apart.
                if error == .code { return nil }
                throw .value
            }
        case .found:
            let index = try varint()
            return try strictFound().map { .reply(.found($0, at: index)) }
        case .done: return .reply(.done(try strictStatus()))
        case .status: return .reply(.status(try strictStatus()))
        case .failed: return try strictFailure().map { .reply(.failed($0)) }
        case .notLeader: return .notLeader(try optionalNode())
        case nil: return nil
        }
    }

    private mutating func strictFound() throws(DecodeFailure) -> StrictFound? {
        switch StrictCode.Read(rawValue: try uint8()) {
        case .entry: return .entry(try flag() ? try strictEntry() : nil)
        case .list:
            let count = try count(elementBytesMin: 7)
            var entries: [StrictListed] = []
            entries.reserveCapacity(count)
            for _ in 0..<count {
                let key = try strictKey()
                entries.append(StrictListed(key: key, entry: try strictEntry()))
            }
            return .list(entries)
        case .lock: return .lock(try flag() ? try strictLock() : nil)
        case .lease:
            guard try flag() else { return .lease(nil) }
            let milliseconds = try varint()
            let renewed = try varint()
            let keys = try varint()
            return .lease(
                StrictLease(milliseconds: milliseconds, renewed: renewed, keys: keys, locks: try varint()))
        case .locks:
            let count = try count(elementBytesMin: 5)
            var held: [StrictHeld] = []
            held.reserveCapacity(count)
            for _ in 0..<count {
                let name = try strictKey()
                held.append(StrictHeld(name: name, lock: try strictLock()))
            }
            return .locks(held)
        case nil: return nil
        }
    }

    private mutating func strictEntry() throws(DecodeFailure) -> StrictEntry {
        let created = try varint()
        let modified = try varint()
        let version = try varint()
        let lease = try varint()
        return StrictEntry(
            value: try bytes(max: Bounds.valueBytesMax), created: created, modified: modified, version: version,
            lease: lease)
    }

    private mutating func strictLock() throws(DecodeFailure) -> StrictLock {
        let lease = try varint()
        let holder = StrictLock.Claim(lease: lease, token: try varint())
        let count = try count(max: UInt64(StrictBounds.waitersPerLockMax), elementBytesMin: 2)
        var waiting: [StrictLock.Waiter] = []
        waiting.reserveCapacity(count)
        for _ in 0..<count {
            let lease = try varint()
            waiting.append(StrictLock.Waiter(lease: lease, since: try varint()))
        }
        return StrictLock(holder: holder, waiting: waiting)
    }

    private mutating func strictStatus() throws(DecodeFailure) -> StrictStatus {
        var status = StrictStatus()
        let role = Int(try uint8())
        guard role <= RaftRole.allCases.count else { throw .value }
        status.role = role == 0 ? nil : RaftRole.allCases[role - 1]
        status.group = try flag() ? try uint64() : nil
        status.term = try varint()
        status.leader = try optionalNode()
        status.commit = try varint()
        status.applied = try varint()
        status.last = try varint()
        status.voters = try nodeIDs(max: RaftBounds.membersMax)
        status.learners = try nodeIDs(max: RaftBounds.membersMax)
        status.reachable = try nodeIDs(max: RaftBounds.membersMax)
        let count = try count(max: UInt64(RaftBounds.membersMax), elementBytesMin: 19)
        for _ in 0..<count {
            let id = try knownNodeID()
            let match = try varint()
            let silent = Interval(nanoseconds: Int64(bitPattern: try varint()))
            status.followers.append(
                StrictFollower(id: id, match: match, silentFor: silent, isInstalling: try flag()))
        }
        status.keys = try number()
        status.leases = try number()
        status.locks = try number()
        status.sessions = try number()
        status.isRefetching = try flag()
        status.missing = try strictMissing()
        status.elections = try varint()
        return status
    }

    private mutating func strictMissing() throws(DecodeFailure) -> [StrictMissing] {
        let count = try count(max: UInt64(StrictCode.missingMax), elementBytesMin: 17)
        var missing: [StrictMissing] = []
        for _ in 0..<count { missing.append(try oneMissing()) }
        return missing
    }

    private mutating func oneMissing() throws(DecodeFailure) -> StrictMissing {
        let id = try optionalNode()
        return StrictMissing(id: id, name: try text(min: 0, max: StrictCode.textBytesMax))
    }

    private mutating func strictFailure() throws(DecodeFailure) -> StrictFailure? {
        switch StrictCode.Failure(rawValue: try uint8()) {
        case .notConfigured: return .notConfigured
        case .notFormed: return .notFormed(missing: try strictMissing())
        case .unavailable:
            let missing = try strictMissing()
            return .unavailable(missing: missing, isOutcomeUnknown: try flag())
        case .tooManyCalls: return .tooManyCalls
        case .tooLarge:
            let bytes = try number()
            return .tooLarge(bytes: bytes, max: try number())
        case .refused: return try raftRefusal().map { .refused($0) }
        case .cannotRecover: return .cannotRecover(try text(min: 0, max: StrictCode.textBytesMax))
        case .unknownFormat: return .unknownFormat(try uint8())
        case .notEligible: return .notEligible
        case .transferFailed: return .transferFailed(to: try oneMissing())
        case nil: return nil
        }
    }

    private mutating func raftRefusal() throws(DecodeFailure) -> RaftFailure? {
        switch StrictCode.Refusal(rawValue: try uint8()) {
        case .notLeader: return .notLeader(try optionalNode())
        case .tooMuchUncommitted: return .tooMuchUncommitted(bytes: try number())
        case .transferring: return .transferring(to: try knownNodeID())
        case .commandTooLarge: return .commandTooLarge(bytes: try number())
        case .termNotEstablished: return .termNotEstablished
        case .changeInProgress: return .changeInProgress(try varint())
        case .learnerBehind:
            let match = try varint()
            return .learnerBehind(match: match, last: try varint())
        case .wouldLoseQuorum:
            let reachable = try number()
            return .wouldLoseQuorum(reachable: reachable, needed: try number())
        case .alreadyMember: return .alreadyMember
        case .notMember: return .notMember
        case .retiredID: return .retiredID
        case .tooManyMembers: return .tooManyMembers
        case .lastVoter: return .lastVoter
        case .cannotLead: return .cannotLead
        case .tooManyReads: return .tooManyReads
        case .outOfRange:
            let first = try varint()
            return .outOfRange(first: first, last: try varint())
        case .invalidState:
            let defect = Int(try uint8())
            return StateDefect.allCases.indices.contains(defect) ? .invalidState(StateDefect.allCases[defect]) : nil
        case nil: return nil
        }
    }
}
