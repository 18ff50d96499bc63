// SPDX-License-Identifier: Apache-2.0
// Owns random messages of the strict group: of every case, at the ends of every range.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup
import WireProtocol

extension MessageGenerator {
    private mutating func id() -> NodeID { NodeID(using: &rng) }
    private mutating func ids(max: Int) -> [NodeID] { (0..<rng.index(below: max + 1)).map { _ in id() }.sorted() }
    private mutating func optionalID() -> NodeID? { rng.chance(0.3) ? nil : id() }
    private mutating func any() -> UInt64 { number(0...UInt64.max) }
    private mutating func flag() -> Bool { rng.chance(0.5) }
    private mutating func count() -> Int { Int(number(0...(1 << 62))) }
    private mutating func position() -> LogPosition { LogPosition(term: any(), index: any()) }

    private mutating func key() -> StrictKey {
        while true {
            if let key = StrictKey("k/" + String(rng.next() >> UInt64(rng.index(below: 64)))) { return key }
        }
    }

    mutating func strictMark() -> StrictMark {
        StrictMark(
            group: rng.next(), term: number(0...RaftBounds.numberMax), leader: id(),
            changes: number(0...RaftBounds.numberMax), wall: number(0...(1 << 48 - 1)), voters: ids(max: 9))
    }

    mutating func strictMessage() -> StrictMessage {
        switch rng.index(below: 9) {
        case 0: .forward(id: any(), forward())
        case 1: .forwarded(id: any(), flag() ? .notLeader(optionalID()) : .reply(reply()))
        case 2: .founding(founding())
        case 3: .removed(group: rng.next())
        case 4: .survey(id: any(), group: rng.next())
        case 5: .surveyed(id: any(), survey())
        case _: .raft(group: rng.next(), RaftMessage(from: id(), to: id(), term: any(), body: body()))
        }
    }

    private mutating func survey() -> StrictSurvey {
        StrictSurvey(
            group: flag() ? rng.next() : nil, term: any(), last: position(), leader: optionalID(), canVote: flag(),
            isRecovering: flag())
    }

    private mutating func body() -> RaftMessage.Body {
        switch rng.index(below: 14) {
        case 0: .preVote(last: position())
        case 1: .preVoteResponse(isGranted: flag())
        case 2: .vote(last: position(), isTransfer: flag())
        case 3: .voteResponse(isGranted: flag())
        case 4: .appendResponse(AppendResponse(outcome: .accepted(match: any()), isRefetching: flag()))
        case 5:
            .appendResponse(AppendResponse(outcome: .rejected(previous: any(), conflict: position())))
        case 6: .appendResponse(AppendResponse(outcome: .staleTerm))
        case 7: .heartbeat(commit: any(), round: any())
        case 8: .heartbeatResponse(round: any(), isRefetching: flag())
        case 9:
            .installSnapshot(
                SnapshotChunk(
                    metadata: SnapshotMetadata(
                        position: position(), membership: membership(), bytes: any(), digest: hash()), offset: any(),
                    bytes: bytes(max: 600), checksum: rng.next()))
        case 10:
            .installSnapshotResponse(
                SnapshotResponse(
                    position: position(), digest: hash(), missingFrom: flag() ? any() : nil, isRefetching: flag()))
        case 11:
            flag()
                ? .timeoutNow(answered: any()) : .readIndex(ReadID(term: any(), process: rng.next(), sequence: any()))
        case 12:
            .readIndexResponse(ReadID(term: any(), process: rng.next(), sequence: any()), flag() ? any() : nil)
        case _: .append(append())
        }
    }

    private mutating func append() -> AppendRequest {
        let previous = LogPosition(term: any(), index: number(0...(1 << 62)))
        let entries = (0..<rng.index(below: 6)).map { offset in
            let payload: LogEntry.Payload =
                switch rng.index(below: 3) {
                case 0: .empty
                case 1: .membership(membership())
                case _: .command(bytes(max: 400))
                }
            return LogEntry(term: any(), index: previous.index + 1 + UInt64(offset), payload: payload)
        }
        return AppendRequest(previous: previous, commit: any(), entries: entries)
    }

    private mutating func membership() -> RaftMembership {
        RaftMembership(
            voters: ids(max: 5), learners: ids(max: 3), retired: (0..<rng.index(below: 5)).map { _ in id() })
    }

    private mutating func ballot() -> FoundingBallot { FoundingBallot(round: any(), proposer: id()) }

    private mutating func strictFounding() -> StrictFounding {
        StrictFounding(group: rng.next(), voters: (0..<1 + rng.index(below: 9)).map { _ in id() }.sorted())
    }

    private mutating func founding() -> FoundingMessage {
        switch rng.index(below: 6) {
        case 0: .prepare(ballot())
        case 1:
            .promise(
                ballot(), accepted: flag() ? AcceptedFounding(ballot: ballot(), founding: strictFounding()) : nil)
        case 2: .refuse(ballot(), promised: ballot())
        case 3: .accept(ballot(), strictFounding())
        case 4: .accepted(ballot())
        case _: .founded(strictFounding())
        }
    }

    private mutating func forward() -> StrictForward {
        switch rng.index(below: 3) {
        case 0:
            .change(
                flag() ? SessionStamp(session: any(), sequence: any(), answeredThrough: any()) : nil, operation())
        case 1: .read(read())
        case _: .operate(order())
        }
    }

    private mutating func operation() -> StrictOperation {
        switch rng.index(below: 7) {
        case 0: .registerSession
        case 5: .raiseVersions(above: any(), by: any())
        case 1: .delete(key())
        case 2: .keepAlive(any())
        case 3: .acquire(lock: key(), lease: any(), mayWait: flag())
        case 4:
            .transaction(
                StrictTransaction(
                    compares: [.version(key(), any()), .value(key(), bytes(max: 20))],
                    then: [.put(key(), value: bytes(max: 100), lease: any())], otherwise: [.get(key())]))
        case _: .put(key(), value: bytes(max: 300), lease: any())
        }
    }

    private mutating func read() -> StrictRead {
        switch rng.index(below: 5) {
        case 0: .entry(key())
        case 1: .list(prefix: text(min: 0, max: 20), after: flag() ? key() : nil, limit: count())
        case 2: .lock(key())
        case 3: .lease(any())
        case _: .locks(after: flag() ? key() : nil, limit: count())
        }
    }

    private mutating func order() -> StrictOrder {
        switch rng.index(below: 4) {
        case 0: .add(id())
        case 1: .remove(id())
        case 2: .transfer(to: optionalID())
        case _: .recover(evenIfBehind: flag())
        }
    }

    private mutating func entry() -> StrictEntry {
        StrictEntry(value: bytes(max: 200), created: any(), modified: any(), version: any(), lease: any())
    }

    private mutating func lock() -> StrictLock {
        StrictLock(
            holder: StrictLock.Claim(lease: any(), token: any()),
            waiting: (0..<rng.index(below: 4)).map { _ in StrictLock.Waiter(lease: any(), since: any()) })
    }

    private mutating func reply() -> StrictReply {
        switch rng.index(below: 10) {
        case 0: .answer(.put(version: any(), modified: any()))
        case 1: .answer(.transaction(succeeded: flag(), results: [.deleted(flag()), .got(flag() ? entry() : nil)]))
        case 2: .found(.entry(flag() ? entry() : nil), at: any())
        case 3:
            .found(
                .list((0..<rng.index(below: 5)).map { _ in StrictListed(key: key(), entry: entry()) }), at: any())
        case 4: .found(.lock(flag() ? lock() : nil), at: any())
        case 5:
            .found(
                .lease(flag() ? StrictLease(milliseconds: any(), renewed: any(), keys: any(), locks: any()) : nil),
                at: any())
        case 6:
            .found(.locks((0..<rng.index(below: 4)).map { _ in StrictHeld(name: key(), lock: lock()) }), at: any())
        case 7: flag() ? .done(status()) : .status(status())
        case _: .failed(failure())
        }
    }

    private mutating func status() -> StrictStatus {
        var status = StrictStatus()
        status.role = flag() ? RaftRole.allCases[rng.index(below: RaftRole.allCases.count)] : nil
        status.group = flag() ? rng.next() : nil
        status.term = any()
        status.leader = optionalID()
        status.commit = any()
        status.applied = any()
        status.last = any()
        status.voters = ids(max: 5)
        status.learners = ids(max: 2)
        status.reachable = ids(max: 5)
        status.followers = (0..<rng.index(below: 4)).map { _ in
            StrictFollower(
                id: id(), match: any(), silentFor: Interval(nanoseconds: Int64(bitPattern: rng.next())),
                isInstalling: flag())
        }
        (status.keys, status.leases, status.locks, status.sessions) = (count(), count(), count(), count())
        status.isRefetching = flag()
        status.missing = missing()
        status.elections = any()
        return status
    }

    private mutating func missing() -> [StrictMissing] {
        (0..<rng.index(below: 4)).map { _ in StrictMissing(id: optionalID(), name: text(min: 0, max: 64)) }
    }

    private mutating func failure() -> StrictFailure {
        switch rng.index(below: 10) {
        case 0: .notConfigured
        case 1: .notFormed(missing: missing())
        case 2: .unavailable(missing: missing(), isOutcomeUnknown: flag())
        case 3: .tooManyCalls
        case 4: .tooLarge(bytes: count(), max: count())
        case 5: .cannotRecover(text(min: 0, max: 200))
        case 6: .unknownFormat(UInt8(truncatingIfNeeded: rng.next()))
        case 7: .notEligible
        case 8: .transferFailed(to: StrictMissing(id: optionalID(), name: text(min: 0, max: 64)))
        case _: .refused(refusal())
        }
    }

    private mutating func refusal() -> RaftFailure {
        let cases: [RaftFailure] = [
            .notLeader(optionalID()), .tooMuchUncommitted(bytes: count()), .transferring(to: id()),
            .commandTooLarge(bytes: count()), .termNotEstablished, .changeInProgress(any()),
            .learnerBehind(match: any(), last: any()), .wouldLoseQuorum(reachable: count(), needed: count()),
            .alreadyMember, .notMember, .retiredID, .tooManyMembers, .lastVoter, .cannotLead, .tooManyReads,
            .outOfRange(first: any(), last: any()), .invalidState(.commitBeyondLog),
        ]
        return cases[rng.index(below: cases.count)]
    }
}
