// SPDX-License-Identifier: Apache-2.0
// Owns the bodies of what nodes say about the strict group: Raft's messages, the founding, and the mark on pings.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup

/// Codes of the bodies; never reused.
enum StrictCode {
    static let raft: UInt8 = 1
    static let forward: UInt8 = 2
    static let forwarded: UInt8 = 3
    static let founding: UInt8 = 4
    static let removed: UInt8 = 5
    static let survey: UInt8 = 6
    static let surveyed: UInt8 = 7

    /// Of `RaftMessage.Body`.
    enum Raft: UInt8 {
        case preVote = 1
        case preVoteResponse, vote, voteResponse, append, appendResponse, heartbeat, heartbeatResponse, installSnapshot
        case installSnapshotResponse, timeoutNow, readIndex, readIndexResponse
    }

    enum Payload: UInt8 {
        case empty = 0
        case command, membership
    }

    enum Founding: UInt8 {
        case prepare = 1
        case promise, refuse, accept, accepted, founded
    }

    static let appendAccepted: UInt8 = 0
    static let appendRejected: UInt8 = 1
    static let appendStale: UInt8 = 2
}

extension WireLayout {
    /// Founders of a strict group.
    package static let strictVotersMax = 9
}

extension ByteSink {
    mutating func put(_ message: StrictMessage) {
        switch message {
        case .raft(let group, let message):
            put(StrictCode.raft)
            put(group)
            put(message)
        case .forward(let id, let forward):
            put(StrictCode.forward)
            put(varint: id)
            put(forward)
        case .forwarded(let id, let answer):
            put(StrictCode.forwarded)
            put(varint: id)
            put(answer)
        case .founding(let message):
            put(StrictCode.founding)
            put(message)
        case .removed(let group):
            put(StrictCode.removed)
            put(group)
        case .survey(let id, let group):
            put(StrictCode.survey)
            put(varint: id)
            put(group)
        case .surveyed(let id, let survey):
            put(StrictCode.surveyed)
            put(varint: id)
            put(survey)
        }
    }

    private mutating func put(_ survey: StrictSurvey) {
        put(flag: survey.group != nil)
        if let group = survey.group { put(group) }
        put(varint: survey.term)
        put(survey.last)
        put(survey.leader ?? .unknown)
        put(flag: survey.canVote)
        put(flag: survey.isRecovering)
    }

    mutating func put(flag: Bool) { put(flag ? 1 : 0 as UInt8) }

    mutating func put(_ position: LogPosition) {
        put(varint: position.term)
        put(varint: position.index)
    }

    private mutating func put(_ message: RaftMessage) {
        put(message.from)
        put(message.to)
        put(varint: message.term)
        put(StrictCode.Raft.of(message.body).rawValue)
        switch message.body {
        case .preVote(let last): put(last)
        case .preVoteResponse(let isGranted), .voteResponse(let isGranted): put(flag: isGranted)
        case .vote(let last, let isTransfer):
            put(last)
            put(flag: isTransfer)
        case .append(let request): put(request)
        case .appendResponse(let response): put(response)
        case .heartbeat(let commit, let round):
            put(varint: commit)
            put(varint: round)
        case .heartbeatResponse(let round, let isRefetching):
            put(varint: round)
            put(flag: isRefetching)
        case .installSnapshot(let chunk): put(chunk)
        case .installSnapshotResponse(let response): put(response)
        case .timeoutNow(let answered): put(varint: answered)
        case .readIndex(let id): put(id)
        case .readIndexResponse(let id, let index):
            put(id)
            put(flag: index != nil)
            if let index { put(varint: index) }
        }
    }

    private mutating func put(_ request: AppendRequest) {
        put(request.previous)
        put(varint: request.commit)
        put(count: request.entries.count)
        var before = request.previous.index
        for entry in request.entries {
            // Their places are not written.
            if entry.index != before &+ 1 { refuse() }
            before = entry.index
            put(varint: entry.term)
            put(entry.payload)
        }
    }

    private mutating func put(_ payload: LogEntry.Payload) {
        switch payload {
        case .empty: put(StrictCode.Payload.empty.rawValue)
        case .command(let bytes):
            put(StrictCode.Payload.command.rawValue)
            put(counted: bytes)
        case .membership(let membership):
            put(StrictCode.Payload.membership.rawValue)
            put(membership)
        }
    }

    private mutating func put(_ membership: RaftMembership) {
        put(ids: membership.voters)
        put(ids: membership.learners)
        put(ids: membership.retired)
    }

    mutating func put(ids: [NodeID]) {
        put(count: ids.count)
        for id in ids { put(id) }
    }

    private mutating func put(_ response: AppendResponse) {
        put(flag: response.isRefetching)
        switch response.outcome {
        case .accepted(let match):
            put(StrictCode.appendAccepted)
            put(varint: match)
        case .rejected(let previous, let conflict):
            put(StrictCode.appendRejected)
            put(varint: previous)
            put(conflict)
        case .staleTerm: put(StrictCode.appendStale)
        }
    }

    private mutating func put(_ chunk: SnapshotChunk) {
        put(chunk.metadata.position)
        put(chunk.metadata.membership)
        put(varint: chunk.metadata.bytes)
        put(chunk.metadata.digest)
        put(varint: chunk.offset)
        put(chunk.checksum)
        put(counted: chunk.bytes)
    }

    private mutating func put(_ response: SnapshotResponse) {
        put(response.position)
        put(response.digest)
        put(flag: response.isRefetching)
        put(flag: response.missingFrom != nil)
        if let missing = response.missingFrom { put(varint: missing) }
    }

    private mutating func put(_ digest: Hash128) {
        put(digest.high)
        put(digest.low)
    }

    private mutating func put(_ id: ReadID) {
        put(varint: id.term)
        put(id.process)
        put(varint: id.sequence)
    }

    private mutating func put(_ message: FoundingMessage) {
        func code(_ code: StrictCode.Founding) -> UInt8 { code.rawValue }
        switch message {
        case .prepare(let ballot):
            put(code(.prepare))
            put(ballot)
        case .promise(let ballot, let accepted):
            put(code(.promise))
            put(ballot)
            put(flag: accepted != nil)
            if let accepted {
                put(accepted.ballot)
                put(accepted.founding)
            }
        case .refuse(let ballot, let promised):
            put(code(.refuse))
            put(ballot)
            put(promised)
        case .accept(let ballot, let founding):
            put(code(.accept))
            put(ballot)
            put(founding)
        case .accepted(let ballot):
            put(code(.accepted))
            put(ballot)
        case .founded(let founding):
            put(code(.founded))
            put(founding)
        }
    }

    private mutating func put(_ ballot: FoundingBallot) {
        put(varint: ballot.round)
        put(ballot.proposer)
    }

    private mutating func put(_ founding: StrictFounding) {
        put(founding.group)
        put(ids: founding.voters)
    }

    mutating func put(_ mark: StrictMark) {
        put(mark.group)
        put(varint: mark.term)
        put(mark.leader)
        put(varint: mark.changes)
        put(varint: mark.wall)
        put(ids: mark.voters)
    }
}

extension StrictCode.Raft {
    static func of(_ body: RaftMessage.Body) -> StrictCode.Raft {
        switch body {
        case .preVote: .preVote
        case .preVoteResponse: .preVoteResponse
        case .vote: .vote
        case .voteResponse: .voteResponse
        case .append: .append
        case .appendResponse: .appendResponse
        case .heartbeat: .heartbeat
        case .heartbeatResponse: .heartbeatResponse
        case .installSnapshot: .installSnapshot
        case .installSnapshotResponse: .installSnapshotResponse
        case .timeoutNow: .timeoutNow
        case .readIndex: .readIndex
        case .readIndexResponse: .readIndexResponse
        }
    }
}
