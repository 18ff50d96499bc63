// SPDX-License-Identifier: Apache-2.0
// Owns what the tests' driver does with a batch: the order of `Ready`, and the checks on all that passes through.

import ClusterTypes
import RaftCore

extension Cluster {
    mutating func settle(_ id: NodeID) {
        guard var node = nodes[id], var raft = node.raft else { return }
        nodes[id]?.raft = nil
        // Commit is looked at before the batch is taken, for each input may change it.
        while let ready = raft.takeReady() { take(ready, &raft, &node) }
        checker.noteCommitted(raft, from: node.seenCommit)
        node.seenCommit = raft.commitIndex
        // Linear in the log: not each time.
        settled += 1
        if settled % 8 == 0 { raft.checkInvariants() }
        // A timer that is due at once still lets time pass.
        node.tickAt = max(raft.nextDeadline, now + .microseconds(100))
        node.raft = raft
        nodes[id] = node
    }

    private mutating func take(_ ready: Ready, _ raft: inout Raft, _ node: inout Node) {
        for event in ready.events { note(event, raft) }
        for message in ready.messages { send(message) }
        if let batch = ready.persistence {
            if let first = batch.entries.first {
                checker.noteWritten(batch.entries, before: raft.term(at: first.index - 1) ?? 0, by: raft.id)
            }
            let disk = Interval(nanoseconds: 1 + Int64(rng.next(upperBound: UInt64(faults.diskMax.nanoseconds))))
            let at = max(now + disk, node.writes.last?.at ?? now)
            node.writes.append((at, ready))
            if faults.sendsTooEarly { for message in ready.messagesAfterPersistence { send(message) } }
        } else {
            precondition(ready.messagesAfterPersistence.isEmpty, "promises without a batch")
        }
        for order in ready.snapshotChunks { sendChunk(order, &raft, node) }
        if let last = ready.committed.last {
            for entry in ready.committed { node.disk.state.apply(entry) }
            checker.noteState(node.disk.state, of: raft.id)
            raft.onApplied(through: last.index)
        }
        for read in ready.readStates {
            guard let top = node.reads.removeValue(forKey: read.token) else { continue }
            checker.noteRead(index: read.index, askedAt: top, by: raft.id)
            story.append("\(seconds) \(name(raft.id)): read \(read.token) may be served at \(read.index)")
        }
        for read in ready.failedReads where node.reads.removeValue(forKey: read.token) != nil {
            story.append("\(seconds) \(name(raft.id)): read \(read.token) failed: \(read.reason.rawValue)")
        }
    }

    private mutating func sendChunk(_ order: SnapshotChunkOrder, _ raft: inout Raft, _ node: Node) {
        guard let bytes = node.disk.snapshotBytes[order.metadata.digest] else {
            raft.onSnapshotUnavailable(to: order.to)
            return
        }
        let start = Int(order.offset)
        let part = Array(bytes[start..<min(bytes.count, start + order.bytesMax)])
        let chunk = SnapshotChunk(
            metadata: order.metadata, offset: order.offset, bytes: part, checksum: TestDisk.digest(part).low)
        send(RaftMessage(from: raft.id, to: order.to, term: order.term, body: .installSnapshot(chunk)))
        if tellsChunks {
            story.append("\(seconds) \(name(raft.id)): sends \(name(order.to)) \(part.count) bytes at \(start)")
        }
    }

    private mutating func note(_ event: RaftEvent, _ raft: Raft) {
        let text: String
        switch event {
        case .roleChanged(let role, let term, let reason):
            if role == .leader { checker.noteLeader(raft) }
            text = "\(role.rawValue) in term \(term): \(describe(reason))"
        case .leaderChanged(let leader, let term, let reason):
            // The role's line said it.
            guard let leader, leader != raft.id else { return }
            text = "follows \(name(leader)) in term \(term): \(describe(reason))"
        case .membershipChanged(let membership, let index): text = "\(describe(membership)) from \(index)"
        case .transferBegan(let target): text = "hands over to \(name(target))"
        case .transferAborted(let target): text = "\(name(target)) did not take over"
        case .snapshotSending(let target, let position): text = "sends \(name(target)) a snapshot of \(position)"
        case .snapshotInstalled(let position): text = "takes over the snapshot of \(position)"
        case .refetched(let index): text = "is whole again through \(index)"
        case .refused(let peer, let defect): text = "refuses \(name(peer)): \(defect.rawValue)"
        }
        story.append("\(seconds) \(name(raft.id)): \(text)")
    }

    private func describe(_ reason: RaftChangeReason) -> String {
        switch reason {
        case .electionTimeout: "no leader heard of"
        case .transfer: "the leader asked for it"
        case .preVoteWon: "would be elected"
        case .won(let votes, let all): "\(votes) of \(all) votes"
        case .lost: "not elected"
        case .laterTerm(let peer): "a later term at \(name(peer))"
        case .heardLeader: "heard it"
        case .quorumLost(let reachable, let needed): "hears \(reachable) voters, needs \(needed)"
        case .diskStalled: "its disk stalls"
        case .membership: "by its membership"
        }
    }

    func describe(_ membership: RaftMembership) -> String {
        let learners = membership.learners.isEmpty ? "" : ", learners \(names(membership.learners))"
        return "voters \(names(membership.voters))\(learners)"
    }

    /// Every node, a line each.
    var status: [String] {
        order.map { id in
            guard let raft = nodes[id]?.raft else { return "\(name(id)) is down" }
            let refetch = raft.refetch.map { ", refetching through \($0.through)" } ?? ""
            return "\(name(id)) \(raft.role.rawValue), term \(raft.term), log \(raft.lastPosition), commit "
                + "\(raft.commitIndex), applied \(raft.appliedIndex), \(describe(raft.membership))\(refetch)"
        }
    }

    var seconds: String {
        let milliseconds = (now - Self.start).nanoseconds / 1_000_000
        let fraction = String(milliseconds % 1_000)
        return "\(milliseconds / 1_000).\(String(repeating: "0", count: 3 - fraction.count))\(fraction)"
    }

    /// The running leader of the latest term.
    var leader: NodeID? {
        var best: Raft?
        for id in order {
            if let raft = nodes[id]?.raft, raft.isLeader, raft.term > best?.term ?? 0 { best = raft }
        }
        return best?.id
    }
}
