// SPDX-License-Identifier: Apache-2.0
// Owns the inputs to begin with about strict keys: every message between nodes, commands, states, files of the log.

import ClusterTypes
import NodeKernel
import RaftCore
import StrictCore
import StrictGroup
import WireProtocol

enum StrictFuzzSeeds {
    static let own = NodeID(high: 1, low: 1)
    static let peer = NodeID(high: 1, low: 2)
    static let third = NodeID(high: 1, low: 3)
    /// Stands for the group that the kernel belongs to.
    static let group: UInt64 = 9

    // MARK: Bytes that are kept

    static func kept() -> [[UInt8]] {
        var machine = StrictMachine()
        var all: [[UInt8]] = []
        var commands: [UInt8] = []
        // What follows the end of the session.
        let firstFree = operations.count
        for (place, operation) in (operations + laterOperations).enumerated() {
            let stamp = SessionStamp(session: 1, sequence: UInt64(place), answeredThrough: UInt64(place / 2))
            let isFree = place % 3 == 0 || place >= firstFree
            let command = StrictCommand(time: UInt64(1_000 + place), session: isFree ? nil : stamp, operation).encoded
            commands += StrictLogBytes.number(UInt64(command.count), 2) + command
            guard let outcome = try? machine.apply(command, at: UInt64(place) + 1) else { continue }
            all.append([1] + outcome.answer.encoded)
            if place % 4 == 3 {
                all += [[0] + commands, [2] + snapshot(of: machine), [3] + snapshot(of: machine)]
            }
        }
        let bodies = frameBodies
        all += bodies.map { [4] + $0 }
        all += (0...bodies.count).map { [6] + StrictLogBytes.segment(Array(bodies.prefix($0))) }
        all += heads.flatMap { [[7] + $0, [8] + $0] }
        return all + [[5] + StrictLogBytes.segment(bodies), [0] + commands]
    }

    private static func snapshot(of machine: StrictMachine) -> [UInt8] {
        var writer = StrictSnapshotWriter(machine)
        var bytes: [UInt8] = []
        while let piece = writer.next(bytesMin: 4_096) { bytes += piece }
        return bytes
    }

    /// Frames' bodies by the description in `StrictLogRecord`.
    private static var frameBodies: [[UInt8]] {
        func record(_ kind: UInt8, _ fields: [UInt8]) -> [UInt8] {
            [kind] + StrictLogBytes.number(UInt64(fields.count), 4) + fields
        }
        func number(_ value: UInt64) -> [UInt8] { StrictLogBytes.number(value, 8) }
        func id(_ id: NodeID) -> [UInt8] { number(id.high) + number(id.low) }
        func entry(_ index: UInt64, _ payload: [UInt8]) -> [UInt8] { record(1, number(2) + number(index) + payload) }
        let command = StrictCommand(time: 5, operations[3]).encoded
        let members = StrictLogBytes.number(1, 4) + id(own) + StrictLogBytes.number(1, 4) + id(peer) + [0, 0, 0, 0]
        let founding = number(9) + StrictLogBytes.number(1, 4) + id(own)
        return [
            record(2, number(1) + [7] + number(1) + id(own) + number(1) + id(own) + founding + founding)
                + entry(1, [0]),
            entry(2, [1] + command), entry(3, [2] + members) + entry(4, [0]),
            record(4, number(2) + number(9) + number(1) + number(2) + number(100)), record(3, []) + entry(2, [0]),
        ]
    }

    /// Heads of snapshots' files by the description in `SnapshotFile`, but for the checksum.
    private static var heads: [[UInt8]] {
        func number(_ value: UInt64) -> [UInt8] { StrictLogBytes.number(value, 8) }
        func ids(_ ids: [NodeID]) -> [UInt8] {
            StrictLogBytes.number(UInt64(ids.count), 4) + ids.flatMap { number($0.high) + number($0.low) }
        }
        let memberships = [
            ids([own]) + ids([]) + ids([]), ids([own, peer]) + ids([third]) + ids([NodeID(high: 2, low: 1)]),
        ]
        return memberships.map { membership in
            let numbers = number(2) + number(8) + number(4) + number(3) + number(4)
            let head =
                Array("gssn".utf8) + StrictLogBytes.number(1, 4) + StrictLogBytes.number(512, 4) + numbers + membership
            return head + [UInt8](repeating: 0, count: 512 - head.count)
        }
    }

    /// What the disk of a voter of three held.
    static var restored: StrictRestored {
        let founding = StrictFounding(group: group, voters: [own, peer, third])
        let commands = [StrictOperation.registerSession] + operations.dropFirst().prefix(1)
        var raft = RestoredState(founding: RaftMembership(voters: founding.voters))
        raft.entries = [LogEntry(term: 2, index: 1, payload: .empty)]
        for (place, operation) in commands.enumerated() {
            let command = StrictCommand(time: 5, operation).encoded
            raft.entries.append(LogEntry(term: 2, index: UInt64(place) + 2, payload: .command(command)))
        }
        raft.hardState = HardState(term: 2, commit: 2)
        return StrictRestored(founding: FoundingState(founded: founding), raft: raft)
    }

    // MARK: Messages

    /// Frames of the group's streams, and a datagram with a mark.
    static func packets() throws -> [[UInt8]] {
        let mark = StrictMark(
            group: group, term: 2, leader: own, changes: 5, wall: 1_795_000_000_000, voters: [own, peer])
        return try (messages.map { Message.strict($0) } + [.strictMark(mark)]).map(packet)
    }

    static func packet(_ message: Message) throws -> [UInt8] {
        try PacketCodec.encode(
            Packet(cluster: KernelFuzz.cluster, sender: peer, messages: [message]), limit: Bounds.frameBytesMax)
    }

    static var messages: [StrictMessage] {
        func forward(_ forward: StrictForward) -> StrictMessage { .forward(id: 3, forward) }
        func answer(_ reply: StrictReply) -> StrictMessage { .forwarded(id: 3, .reply(reply)) }
        var all = raftBodies.map {
            StrictMessage.raft(group: group, RaftMessage(from: peer, to: own, term: 2, body: $0))
        }
        all += (operations + laterOperations).map { operation in
            forward(.change(SessionStamp(session: 2, sequence: 1, answeredThrough: 0), operation))
        }
        all += [forward(.change(nil, .registerSession))] + reads.map { forward(.read($0)) }
        all += [.add(peer), .remove(peer), .transfer(to: peer), .transfer(to: nil), .recover(evenIfBehind: true)].map {
            forward(.operate($0))
        }
        all += replies.map(answer) + [.forwarded(id: 3, .notLeader(nil)), .forwarded(id: 3, .notLeader(peer))]
        let ballot = FoundingBallot(round: 3, proposer: peer)
        let founding = StrictFounding(group: group, voters: [own, peer])
        let accepted = AcceptedFounding(ballot: ballot, founding: founding)
        let foundings: [FoundingMessage] = [
            .prepare(ballot), .promise(ballot, accepted: nil), .promise(ballot, accepted: accepted),
            .refuse(ballot, promised: ballot), .accept(ballot, founding), .accepted(ballot), .founded(founding),
        ]
        all += foundings.map { .founding($0) }
        all += [group, group + 1].flatMap { [.removed(group: $0), .survey(id: 5, group: $0)] }
        all.append(.survey(id: 5, group: 0))
        return all + surveys.map { .surveyed(id: 5, $0) }
    }

    private static var surveys: [StrictSurvey] {
        let last = LogPosition(term: 2, index: 3)
        return [
            StrictSurvey(group: nil, term: 0, last: .zero, leader: nil, canVote: false, isRecovering: false),
            StrictSurvey(group: group, term: 2, last: last, leader: nil, canVote: true, isRecovering: false),
            StrictSurvey(group: group, term: 2, last: last, leader: nil, canVote: false, isRecovering: false),
            StrictSurvey(
                group: group, term: 3, last: LogPosition(term: 3, index: 8), leader: nil, canVote: false,
                isRecovering: false),
            StrictSurvey(group: group, term: 3, last: last, leader: third, canVote: true, isRecovering: false),
            StrictSurvey(group: group + 1, term: 2, last: last, leader: peer, canVote: true, isRecovering: true),
        ]
    }

    private static var raftBodies: [RaftMessage.Body] {
        let position = LogPosition(term: 1, index: 1)
        let metadata = SnapshotMetadata(
            position: LogPosition(term: 2, index: 8), membership: RaftMembership(voters: [own, peer]), bytes: 4)
        let read = ReadID(term: 2, process: 5, sequence: 1)
        let entries = [
            LogEntry(term: 2, index: 2, payload: .empty),
            LogEntry(term: 2, index: 3, payload: .command(StrictCommand(time: 5, operations[3]).encoded)),
            LogEntry(
                term: 2, index: 4,
                payload: .membership(RaftMembership(voters: [own], learners: [peer], retired: [third]))),
        ]
        let chunk = SnapshotChunk(
            metadata: metadata, offset: 0, bytes: [1, 2, 3, 4], checksum: SnapshotChunk.checksum(of: [1, 2, 3, 4]))
        return [
            .preVote(last: position), .preVoteResponse(isGranted: true), .vote(last: position, isTransfer: true),
            .voteResponse(isGranted: true),
            .append(AppendRequest(previous: position, commit: 1, entries: entries)),
            .appendResponse(AppendResponse(outcome: .accepted(match: 2))),
            .appendResponse(AppendResponse(outcome: .rejected(previous: 3, conflict: position), isRefetching: true)),
            .appendResponse(AppendResponse(outcome: .staleTerm)), .heartbeat(commit: 1, round: 2),
            .heartbeatResponse(round: 2, isRefetching: false), .installSnapshot(chunk),
            .installSnapshotResponse(
                SnapshotResponse(
                    position: metadata.position, digest: metadata.digest, missingFrom: 2, isRefetching: false)),
            .timeoutNow(answered: 0), .timeoutNow(answered: 300), .readIndex(read), .readIndexResponse(read, 3),
            .readIndexResponse(read, nil),
        ]
    }

    // MARK: What they carry

    private static func key(_ text: String) -> [StrictKey] { StrictKey(text).map { [$0] } ?? [] }

    static var operations: [StrictOperation] {
        guard let key = key("strict/a").first, let lock = Self.key("deploy").first else { return [] }
        let transaction = StrictTransaction(
            compares: [
                .exists(key, true), .version(key, 1), .modified(key, 4), .value(key, [120]), .lease(key, 0),
                .holds(lock: lock, token: 7),
            ], then: [.put(key, value: [121], lease: 0), .get(key)], otherwise: [.delete(key), .get(key)])
        return [
            .registerSession, .put(key, value: [120], lease: 0), .transaction(transaction),
            .grantLease(milliseconds: 5_000), .put(key, value: [122], lease: 4), .keepAlive(4),
            .acquire(lock: lock, lease: 4, mayWait: true), .grantLease(milliseconds: 900),
            .acquire(lock: lock, lease: 8, mayWait: true), .acquire(lock: lock, lease: 8, mayWait: false),
            .release(lock: lock, lease: 4), .delete(key), .expireLease(8, ifRenewedBefore: 9), .revoke(4),
            .expireSessions(idle: 600_000), .endSession(1),
        ]
    }

    /// Such as follow the loss of a group: numbers jump, copies are told anew.
    static var laterOperations: [StrictOperation] {
        let keys = ["strict/a", "strict/b", "strict/c"].flatMap(key)
        let puts = keys.prefix(2).map { StrictOperation.put($0, value: [120], lease: 0) }
        return puts + [
            .raiseVersions(above: 1_000, by: 50), .reissue(keys), .delete(keys[0]), .reissue(Array(keys.prefix(1))),
            .raiseVersions(above: 0, by: 0), .grantLease(milliseconds: 5_000), .registerSession,
            .raiseVersions(above: StrictBounds.versionMax, by: 0), .raiseVersions(above: .max, by: .max), .reissue([]),
        ]
    }

    private static var reads: [StrictRead] {
        guard let key = key("strict/a").first else { return [] }
        return [
            .entry(key), .lock(key), .lease(4), .list(prefix: "strict/", after: key, limit: 10),
            .locks(after: nil, limit: 10),
        ]
    }

    private static var replies: [StrictReply] {
        guard let key = key("strict/a").first else { return [] }
        let entry = StrictEntry(value: [120], created: 2, modified: 3, version: 2, lease: 4)
        let lock = StrictLock(
            holder: StrictLock.Claim(lease: 4, token: 7), waiting: [StrictLock.Waiter(lease: 8, since: 9)])
        let found: [StrictFound] = [
            .entry(entry), .entry(nil), .list([StrictListed(key: key, entry: entry)]), .lock(lock), .lock(nil),
            .lease(StrictLease(milliseconds: 5_000, renewed: 4, keys: 1, locks: 1)),
            .locks([StrictHeld(name: key, lock: lock)]),
        ]
        let failures: [StrictFailure] = [
            .notConfigured, .notFormed(missing: [StrictMissing(id: peer, name: "n2")]),
            .unavailable(missing: [], isOutcomeUnknown: true), .tooManyCalls, .tooLarge(bytes: 9, max: 8),
            .refused(.changeInProgress(4)), .cannotRecover("n2 leads"), .unknownFormat(9),
            .notEligible, .transferFailed(to: StrictMissing(id: peer, name: "n2")),
        ]
        var status = StrictStatus()
        status.voters = [own, peer]
        status.followers = [StrictFollower(id: peer, match: 3, silentFor: .seconds(1), isInstalling: true)]
        return found.map { .found($0, at: 9) } + failures.map { .failed($0) }
            + [.answer(.put(version: 1, modified: 3)), .answer(.raised(to: 1_050)), .answer(.reissued(3))]
            + [.done(status), .status(status)]
    }
}
