// SPDX-License-Identifier: Apache-2.0
// Owns reading what nodes say about the strict group. Raft judges the numbers; here only bytes are judged.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup

// Each returns nil when it meets a value that this version does not know.
extension ByteReader {
    mutating func strictMessage() throws(DecodeFailure) -> StrictMessage? {
        switch try uint8() {
        case StrictCode.raft:
            let group = try uint64()
            return try raftMessage().map { .raft(group: group, $0) }
        case StrictCode.forward:
            let id = try varint()
            return try strictForward().map { .forward(id: id, $0) }
        case StrictCode.forwarded:
            let id = try varint()
            return try strictForwarded().map { .forwarded(id: id, $0) }
        case StrictCode.founding:
            return try foundingMessage().map { .founding($0) }
        case StrictCode.removed:
            return .removed(group: try uint64())
        case StrictCode.survey:
            let id = try varint()
            return .survey(id: id, group: try uint64())
        case StrictCode.surveyed:
            let id = try varint()
            return .surveyed(id: id, try strictSurvey())
        case _:
            return nil
        }
    }

    private mutating func strictSurvey() throws(DecodeFailure) -> StrictSurvey {
        let group = try flag() ? try uint64() : nil
        let term = try varint()
        let last = try logPosition()
        let leader = try optionalNode()
        let canVote = try flag()
        return StrictSurvey(
            group: group, term: term, last: last, leader: leader, canVote: canVote,
            isRecovering: try flag())
    }

    /// Exactly 0 or 1.
    mutating func flag() throws(DecodeFailure) -> Bool {
        let byte = try uint8()
        guard byte <= 1 else { throw .value }
        return byte == 1
    }

    mutating func logPosition() throws(DecodeFailure) -> LogPosition {
        let term = try varint()
        return LogPosition(term: term, index: try varint())
    }

    private mutating func raftMessage() throws(DecodeFailure) -> RaftMessage? {
        let from = try knownNodeID()
        let to = try knownNodeID()
        let term = try varint()
        guard let code = StrictCode.Raft(rawValue: try uint8()), let body = try raftBody(code) else { return nil }
        return RaftMessage(from: from, to: to, term: term, body: body)
    }

    private mutating func raftBody(_ code: StrictCode.Raft) throws(DecodeFailure) -> RaftMessage.Body? {
        switch code {
        case .preVote: return .preVote(last: try logPosition())
        case .preVoteResponse: return .preVoteResponse(isGranted: try flag())
        case .vote:
            let last = try logPosition()
            return .vote(last: last, isTransfer: try flag())
        case .voteResponse: return .voteResponse(isGranted: try flag())
        case .append: return try appendRequest().map { .append($0) }
        case .appendResponse: return try appendResponse().map { .appendResponse($0) }
        case .heartbeat:
            let commit = try varint()
            return .heartbeat(commit: commit, round: try varint())
        case .heartbeatResponse:
            let round = try varint()
            return .heartbeatResponse(round: round, isRefetching: try flag())
        case .installSnapshot: return .installSnapshot(try snapshotChunk())
        case .installSnapshotResponse: return .installSnapshotResponse(try snapshotResponse())
        case .timeoutNow: return .timeoutNow(answered: try varint())
        case .readIndex: return .readIndex(try readID())
        case .readIndexResponse:
            let id = try readID()
            return .readIndexResponse(id, try flag() ? try varint() : nil)
        }
    }

    private mutating func appendRequest() throws(DecodeFailure) -> AppendRequest? {
        let previous = try logPosition()
        let commit = try varint()
        let count = try count(max: UInt64(RaftBounds.entriesPerAppendMax), elementBytesMin: 2)
        var entries: [LogEntry] = []
        entries.reserveCapacity(count)
        var index = previous.index
        for _ in 0..<count {
            // Beyond every bound of Raft it may come round: that is refused there.
            index &+= 1
            let term = try varint()
            guard let payload = try logPayload() else { return nil }
            entries.append(LogEntry(term: term, index: index, payload: payload))
        }
        return AppendRequest(previous: previous, commit: commit, entries: entries)
    }

    private mutating func logPayload() throws(DecodeFailure) -> LogEntry.Payload? {
        switch StrictCode.Payload(rawValue: try uint8()) {
        case .empty: return .empty
        case .command: return .command(try bytes(max: Bounds.frameBytesMax))
        case .membership: return .membership(try raftMembership())
        case nil: return nil
        }
    }

    /// Voters and learners are sorted, and nobody is there twice.
    private mutating func raftMembership() throws(DecodeFailure) -> RaftMembership {
        let voters = try nodeIDs(max: RaftBounds.membersMax)
        let learners = try nodeIDs(max: RaftBounds.membersMax)
        let membership = RaftMembership(
            voters: voters, learners: learners, retired: try nodeIDs(max: RaftBounds.retiredMax))
        guard membership.voters == voters, membership.learners == learners, membership.isValid else { throw .value }
        return membership
    }

    mutating func nodeIDs(max: Int) throws(DecodeFailure) -> [NodeID] {
        let count = try count(max: UInt64(max), elementBytesMin: 16)
        var ids: [NodeID] = []
        ids.reserveCapacity(count)
        for _ in 0..<count { ids.append(try knownNodeID()) }
        return ids
    }

    private mutating func appendResponse() throws(DecodeFailure) -> AppendResponse? {
        let isRefetching = try flag()
        let outcome: AppendResponse.Outcome
        switch try uint8() {
        case StrictCode.appendAccepted: outcome = .accepted(match: try varint())
        case StrictCode.appendRejected:
            let previous = try varint()
            outcome = .rejected(previous: previous, conflict: try logPosition())
        case StrictCode.appendStale: outcome = .staleTerm
        case _: return nil
        }
        return AppendResponse(outcome: outcome, isRefetching: isRefetching)
    }

    private mutating func snapshotChunk() throws(DecodeFailure) -> SnapshotChunk {
        let position = try logPosition()
        let membership = try raftMembership()
        let size = try varint()
        let metadata = SnapshotMetadata(
            position: position, membership: membership, bytes: size, digest: try hash128())
        let offset = try varint()
        let checksum = try uint64()
        return SnapshotChunk(
            metadata: metadata, offset: offset, bytes: try bytes(max: Bounds.frameBytesMax), checksum: checksum)
    }

    private mutating func snapshotResponse() throws(DecodeFailure) -> SnapshotResponse {
        let position = try logPosition()
        let digest = try hash128()
        let isRefetching = try flag()
        return SnapshotResponse(
            position: position, digest: digest, missingFrom: try flag() ? try varint() : nil,
            isRefetching: isRefetching)
    }

    private mutating func hash128() throws(DecodeFailure) -> Hash128 {
        let high = try uint64()
        return Hash128(high: high, low: try uint64())
    }

    private mutating func readID() throws(DecodeFailure) -> ReadID {
        let term = try varint()
        let process = try uint64()
        return ReadID(term: term, process: process, sequence: try varint())
    }

    private mutating func foundingMessage() throws(DecodeFailure) -> FoundingMessage? {
        switch StrictCode.Founding(rawValue: try uint8()) {
        case .prepare: return .prepare(try ballot())
        case .promise:
            let ballot = try ballot()
            guard try flag() else { return .promise(ballot, accepted: nil) }
            let accepted = try self.ballot()
            return .promise(ballot, accepted: AcceptedFounding(ballot: accepted, founding: try strictFounding()))
        case .refuse:
            let ballot = try ballot()
            return .refuse(ballot, promised: try self.ballot())
        case .accept:
            let ballot = try ballot()
            return .accept(ballot, try strictFounding())
        case .accepted: return .accepted(try ballot())
        case .founded: return .founded(try strictFounding())
        case nil: return nil
        }
    }

    private mutating func ballot() throws(DecodeFailure) -> FoundingBallot {
        let round = try varint()
        return FoundingBallot(round: round, proposer: try knownNodeID())
    }

    private mutating func strictFounding() throws(DecodeFailure) -> StrictFounding {
        let group = try uint64()
        let voters = try nodeIDs(max: WireLayout.strictVotersMax)
        guard !voters.isEmpty, Self.isAscending(voters) else { throw .value }
        return StrictFounding(group: group, voters: voters)
    }

    mutating func strictMark() throws(DecodeFailure) -> StrictMark {
        let group = try uint64()
        let term = try varint()
        let leader = try knownNodeID()
        let changes = try varint()
        let wall = try varint()
        guard term <= RaftBounds.numberMax, changes <= RaftBounds.numberMax, wall <= WireLayout.ackWallMax else {
            throw .bounds
        }
        let voters = try nodeIDs(max: RaftBounds.membersMax)
        guard Self.isAscending(voters) else { throw .value }
        return StrictMark(group: group, term: term, leader: leader, changes: changes, wall: wall, voters: voters)
    }

    static func isAscending(_ ids: [NodeID]) -> Bool { zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 } }
}
