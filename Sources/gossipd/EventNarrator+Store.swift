// SPDX-License-Identifier: Apache-2.0
// Owns the sentences of the events about the store: conflicts, quarantine, repair, collection, reset, clock, disk.

import AdminModel
import ClusterTypes
import NodeKernel
import StoreCore
import SystemdSupport

extension EventNarrator {
    /// Nil for changes of keys, which are for those who watch them, and for events that are not about the store.
    func tellStore(_ event: KernelEvent) -> Narration? {
        switch event {
        case .typeConflict(let key, let kept, let aside, _):
            return Narration(
                kind: .typeConflict,
                message: "key \(key) was created as a \(kept.word) and as a \(aside.word) at once: the \(kept.word) "
                    + "is kept, the \(aside.word) is set aside",
                reason: "concurrent_creation")
        case .quarantined(let key, let author, let ahead):
            return Narration(
                kind: .quarantine,
                message: "a change of \(key) by \(identity(author.node).name) is \(ahead) in the future and was not "
                    + "applied: check that host's clock",
                member: identity(author.node), reason: "clock_ahead")
        case .synchronised(let summary):
            return Narration(
                kind: .syncCompleted,
                message: "synchronised with \(identity(summary.peer).name) in \(summary.took): "
                    + "\(summary.rowsReceived) rows received, \(summary.rowsSent) sent",
                member: identity(summary.peer))
        case .catchUp(let peer, let received, let total):
            return Narration(
                kind: .catchUp, message: "fetching the store from \(identity(peer).name): \(received) of \(total) rows",
                member: identity(peer))
        case .storeReset(let peer, let rows, let queued, _):
            return tellReset(peer, rows: rows, queued: queued)
        case .collected(let rows, let folded, let cutoff):
            guard rows + folded > 0 else { return nil }
            let parts = [
                rows > 0 ? "forgot \(counted(rows, "deleted row")) from before \(Timestamp(cutoff.wall))" : nil,
                folded > 0 ? "folded \(counted(folded, "former author"))" : nil,
            ]
            return Narration(
                kind: .collected,
                message: parts.compactMap { $0 }.joined(separator: ", ") + ": every member holds what that takes")
        case .clockOutlier, .clockRecovered:
            return tellClock(event)
        case .storage(let condition):
            return tellDisk(condition)
        case .member, .joinSucceeded, .joinFailed, .keysChanged, .awarenessChanged, .stalled, .identityInUse,
            .packetIgnored, .leaving, .evicted, .userEvent, .strict:
            return nil
        }
    }

    private func tellReset(_ peer: NodeID, rows: Int, queued: Int) -> Narration {
        guard peer != selfID else {
            return Narration(
                kind: .storeReset, message: "restored the store from a backup: \(counted(rows, "row"))",
                reason: "restored")
        }
        let writes =
            queued == 0
            ? ""
            : "; \(counted(queued, "write")) that nobody else had: decide with gossipctl kv import --queued"
        return Narration(
            kind: .storeReset,
            message:
                "took over the whole store of \(identity(peer).name) (\(counted(rows, "row"))) in place of this node's\(writes)",
            member: identity(peer), reason: queued == 0 ? "before_floor" : "writes_queued")
    }

    private func tellClock(_ event: KernelEvent) -> Narration? {
        guard case .clockOutlier(let offset) = event else {
            return Narration(kind: .clockRecovered, message: "this host's clock agrees with most others again")
        }
        return Narration(
            kind: .clockOutlier,
            message: "this host's clock is \(Interval.milliseconds(Int(clamping: offset.magnitude))) "
                + "\(offset > 0 ? "ahead of" : "behind") most others: this node takes no writes until it is set right",
            reason: offset > 0 ? "clock_ahead" : "clock_behind")
    }

    private func tellDisk(_ condition: StorageCondition) -> Narration {
        switch condition {
        case .ok: Narration(kind: .storageRecovered, message: "the disk takes writes again")
        case .full:
            Narration(
                kind: .storageFull,
                message: "the disk under the data directory is full: writes are refused until there is room; reads and "
                    + "membership go on",
                reason: "disk_full")
        case .slow:
            Narration(
                kind: .storageSlow, message: "the disk is slow: a commit has taken longer than a second",
                reason: "disk_slow")
        }
    }
}
