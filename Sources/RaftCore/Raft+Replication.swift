// SPDX-License-Identifier: Apache-2.0
// Owns how a leader brings its log to the others (thesis 3.5 and 10.2; etcd-io/raft, progress states).

import ClusterTypes

extension Raft {
    /// Sends what there is to send: once for each `Ready`, so that all that came in between travels together.
    mutating func flushAppends() {
        if let at = leadership.noticeAt, at <= now { leadership.noticeAt = nil }
        for place in leadership.peers.indices {
            switch leadership.peers[place].state {
            case .probe(let isWaiting):
                if !isWaiting, hasNews(place) { sendAppend(place) }
            case .replicate:
                while case .replicate = leadership.peers[place].state, leadership.peers[place].next <= log.lastIndex,
                    !leadership.peers[place].inflight.isFull
                {
                    sendAppend(place)
                }
                if case .replicate = leadership.peers[place].state, hasNews(place, beyondEntries: true) {
                    sendAppend(place, isEmpty: true)
                }
            case .snapshot: break
            }
        }
        if leadership.noticeAt != nil, leadership.peers.indices.allSatisfy({ !owesCommit($0) }) {
            leadership.noticeAt = nil
        }
    }

    /// It may know of more committed entries than it was told of.
    private func owesCommit(_ place: Int) -> Bool {
        let peer = leadership.peers[place]
        return peer.sentCommit < min(commitIndex, peer.next - 1)
    }

    private func hasNews(_ place: Int, beyondEntries: Bool = false) -> Bool {
        let peer = leadership.peers[place]
        if peer.needsProbe || leadership.noticeAt == nil && owesCommit(place) { return true }
        return !beyondEntries && peer.next <= log.lastIndex
    }

    private mutating func sendAppend(_ place: Int, isEmpty: Bool = false) {
        let next = leadership.peers[place].next
        guard let previousTerm = log.term(at: next - 1) else {
            beginSnapshot(place)
            return
        }
        let entries =
            isEmpty
            ? []
            : log.slice(
                from: next, through: log.lastIndex, bytesMax: configuration.appendBytesMax,
                countMax: RaftBounds.entriesPerAppendMax)
        let last = next - 1 + UInt64(entries.count)
        leadership.peers[place].needsProbe = false
        leadership.peers[place].sentCommit = max(leadership.peers[place].sentCommit, min(commitIndex, last))
        if case .probe = leadership.peers[place].state {
            leadership.peers[place].state = .probe(isWaiting: true)
        } else if !entries.isEmpty {
            leadership.peers[place].next = last + 1
            leadership.peers[place].inflight.add(last: last, bytes: entries.reduce(0) { $0 + $1.bytes })
        }
        let request = AppendRequest(
            previous: LogPosition(term: previousTerm, index: next - 1), commit: commitIndex, entries: Array(entries))
        send(.append(request), to: leadership.peers[place].id)
    }

    mutating func onAppendResponse(_ response: AppendResponse, _ message: RaftMessage) {
        guard isLeader, let place = leadership.place(of: message.from) else { return }
        noteContact(place, isRefetching: response.isRefetching)
        switch response.outcome {
        // Of this very term: nothing that an honest follower says.
        case .staleTerm: break
        case .accepted(let match):
            if match > log.lastIndex {
                refuse(message, .beyondLog)
            } else {
                onAccepted(place, match: match)
            }
        case .rejected(let previous, let conflict): onRejected(place, previous: previous, conflict: conflict)
        }
    }

    private mutating func onAccepted(_ place: Int, match: LogIndex) {
        if match > leadership.peers[place].match { leadership.peers[place].match = match }
        let reached = leadership.peers[place].match
        leadership.peers[place].next = max(leadership.peers[place].next, reached + 1)
        switch leadership.peers[place].state {
        case .probe:
            // An answer from before the probe says nothing of what was probed.
            if match == reached { leadership.peers[place].becomeReplicate() }
        case .replicate: leadership.peers[place].inflight.free(through: match)
        case .snapshot(let outgoing):
            if reached >= outgoing.metadata.position.index { leadership.peers[place].becomeProbe() }
        }
        leadership.peers[place].noteRound(last: log.lastIndex, now: now)
        advanceCommit()
        continueTransfer()
    }

    /// Goes back by whole terms (thesis 3.5, end): to the end of the leader's part of the conflicting term, or before
    /// the follower's.
    private mutating func onRejected(_ place: Int, previous: LogIndex, conflict: LogPosition) {
        let peer = leadership.peers[place]
        switch peer.state {
        case .probe: if previous != peer.next - 1 { return }
        case .replicate: break
        case .snapshot: return
        }
        // What it acknowledged it has, so a rejection of that came late; what was never sent nobody can reject.
        guard previous > peer.match, previous < peer.next else { return }
        var next = conflict.index
        if conflict.term > 0 {
            let last = log.last(ofTermAtMost: conflict.term, noLaterThan: previous - 1)
            if log.term(at: last) == conflict.term { next = last + 1 }
        }
        leadership.peers[place].becomeProbe()
        leadership.peers[place].next = max(peer.match + 1, min(next, previous))
    }
}
