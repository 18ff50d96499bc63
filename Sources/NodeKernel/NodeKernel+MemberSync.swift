// SPDX-License-Identifier: Apache-2.0
// Owns push-pull of member tables over a stream: for joining, and when fingerprints stay different.

import ClusterTypes
import SWIMCore
import StoreCore

extension NodeKernel {
    /// Bytes of member rows in one frame, about.
    private static let tablePartBytesMax = 60_000

    /// Starts a push-pull with `address`; on behalf of a seed when it is to join.
    mutating func startMemberSync(to address: Address, peer: NodeID?, seed: String?, _ turn: inout Turn) -> Bool {
        let timeout = configuration.swim.probeTimeout * 4
        let id = open(.memberSync(seed: seed), to: address, peer: peer, timeout: timeout, &turn)
        if id != nil { statistics.memberSyncsStarted += 1 }
        return id != nil
    }

    /// Writes the whole table in frames of bounded size.
    mutating func writeTable(role: MemberTablePart.Role, to id: StreamID, _ turn: inout Turn) {
        let entries = membership.entries(now: turn.now)
        var part: [MemberTableEntry] = []
        var bytes = 0
        for entry in entries {
            let size =
                128 + entry.info.name.utf8.count
                + entry.info.tags.reduce(0) {
                    $0 + $1.name.utf8.count + $1.value.utf8.count + 4
                }
            if bytes + size > Self.tablePartBytesMax {
                write([.memberTable(MemberTablePart(role: role, isLast: false, entries: part))], to: id, &turn)
                part.removeAll(keepingCapacity: true)
                bytes = 0
            }
            part.append(entry)
            bytes += size
        }
        write([.memberTable(MemberTablePart(role: role, isLast: true, entries: part))], to: id, &turn)
    }

    mutating func onMemberTable(
        _ part: MemberTablePart, on id: StreamID, from sender: NodeID, _ turn: inout Turn
    ) {
        guard let stream = streams[id] else { return }
        membership.merge(part.entries, from: sender, clock: turn.clock, using: &turn.rng, into: &swimActions)
        carryOutMembership(&turn)
        guard part.isLast else { return }
        switch (part.role, stream.role) {
        case (.request, .accepted) where !stream.hasServedTable:
            streams[id]?.hasServedTable = true
            statistics.memberSyncsServed += 1
            writeTable(role: .reply, to: id, &turn)
        case (.reply, .memberSync(let seed)):
            close(id, &turn)
            if let seed {
                seedAnswered(seed, address: stream.address, peer: sender, &turn)
            } else {
                repair.memberSyncEnded()
            }
        case (.request, _), (.reply, _):
            ignore(.unexpected, from: stream.address, &turn)
            close(id, &turn)
            end(stream, joinFailure: .brokenOff, &turn)
        }
    }
}
