// SPDX-License-Identifier: Apache-2.0
// Owns what a message must be like before the machine looks at it: afterwards no sum of its numbers can overflow.

import ClusterTypes

/// Why a message was dropped.
package enum RaftMessageDefect: String, Error, Hashable, Sendable, CaseIterable {
    case numberTooLarge = "a number is beyond its bound"
    case notForUs = "it is for another node, or from this one"
    case gapInEntries = "its entries do not follow each other"
    case tooManyEntries = "it has too many entries"
    case membershipInvalid = "a membership in it breaks its rules"
    case chunkOutOfRange = "a chunk reaches beyond its snapshot"
    case secondLeader = "another node claims to lead in this leader's term"
    case conflictsWithCommitted = "it contradicts what is committed"
    case beyondLog = "it acknowledges what was never sent"
}

extension RaftMessage {
    func defect(at id: NodeID) -> RaftMessageDefect? {
        if to != id || from == id || from == .unknown { return .notForUs }
        if term > RaftBounds.numberMax { return .numberTooLarge }
        func isLarge(_ number: UInt64) -> Bool { number > RaftBounds.numberMax }
        switch body {
        case .preVote(let last), .vote(let last, _):
            return isLarge(last.term) || isLarge(last.index) ? .numberTooLarge : nil
        case .append(let request): return request.defect(in: term)
        case .appendResponse(let response):
            switch response.outcome {
            case .accepted(let match): return isLarge(match) ? .numberTooLarge : nil
            case .rejected(let previous, let conflict):
                return isLarge(previous) || isLarge(conflict.term) || isLarge(conflict.index) ? .numberTooLarge : nil
            case .staleTerm: return nil
            }
        case .heartbeat(let commit, let round): return isLarge(commit) || isLarge(round) ? .numberTooLarge : nil
        case .heartbeatResponse(let round, _): return isLarge(round) ? .numberTooLarge : nil
        case .installSnapshot(let chunk): return chunk.defect(in: term)
        case .installSnapshotResponse(let response):
            return isLarge(response.position.index) || isLarge(response.position.term)
                || isLarge(response.missingFrom ?? 0) ? .numberTooLarge : nil
        case .readIndexResponse(_, let index): return isLarge(index ?? 0) ? .numberTooLarge : nil
        case .timeoutNow(let answered): return isLarge(answered) ? .numberTooLarge : nil
        case .preVoteResponse, .voteResponse, .readIndex: return nil
        }
    }
}

extension AppendRequest {
    fileprivate func defect(in term: Term) -> RaftMessageDefect? {
        let numberMax = RaftBounds.numberMax
        if entries.count > RaftBounds.entriesPerAppendMax { return .tooManyEntries }
        // The last index stays in bounds as well: entries are few.
        if previous.index > numberMax - UInt64(entries.count) || previous.term > term || commit > numberMax {
            return .numberTooLarge
        }
        var before = previous
        for entry in entries {
            guard entry.index == before.index + 1, entry.term >= before.term, entry.term <= term, entry.term > 0 else {
                return .gapInEntries
            }
            if case .membership(let membership) = entry.payload, !membership.isValid { return .membershipInvalid }
            before = entry.position
        }
        return nil
    }
}

extension SnapshotChunk {
    fileprivate func defect(in term: Term) -> RaftMessageDefect? {
        let numberMax = RaftBounds.numberMax
        if metadata.position.index > numberMax || metadata.position.term > term || metadata.bytes > numberMax {
            return .numberTooLarge
        }
        if !metadata.membership.isValid { return .membershipInvalid }
        if offset > metadata.bytes || UInt64(bytes.count) > metadata.bytes - offset { return .chunkOutOfRange }
        return nil
    }
}
