// SPDX-License-Identifier: Apache-2.0
// Owns this process's sessions in the group: which one stamps a change, and what of each is settled.

import ClusterTypes
import RaftCore
import StrictCore

/// Several, because the group keeps at most `SessionTable.answersMax` answers of one. A stamp stays with its change for good;
/// whatever becomes of the change, `settle` is called once.
struct SessionPool: Sendable {
    /// From the oldest change without an answer to the newest. What is in the log under older stamps says less of what is
    /// settled, so a session may hold this many answers and a few more: well below `SessionTable.answersMax`.
    static let spanMax: UInt64 = 200
    static let sessionsMax = 64
    /// A session unused for so long is left to expire: half of `StrictNode.sessionIdle`, so that none ends under a change.
    static let idleMax = StrictNode.sessionIdle / 2

    private struct Session: Sendable {
        var id: UInt64
        /// The oldest sequence that is not settled; all are when it is `next`.
        var base: UInt64 = 1
        var next: UInt64 = 1
        /// Of `base` and those after it.
        var isSettled: [Bool] = []
        var usedAt: Instant
    }

    private var sessions: [Session] = []
    /// The one that stamped last.
    private var current = 0

    var count: Int { sessions.count }
    var isFull: Bool { sessions.count >= Self.sessionsMax }

    mutating func add(_ id: UInt64, now: Instant) {
        guard !sessions.contains(where: { $0.id == id }) else { return }
        sessions.append(Session(id: id, usedAt: now))
        current = sessions.count - 1
    }

    /// The name of the next change; nil: no session has room.
    mutating func stamp(now: Instant) -> SessionStamp? {
        sessions.removeAll { $0.base == $0.next && now - $0.usedAt >= Self.idleMax }
        for step in 0..<sessions.count {
            let place = (current + step) % sessions.count
            guard sessions[place].next - sessions[place].base < Self.spanMax else { continue }
            current = place
            let sequence = sessions[place].next
            sessions[place].next += 1
            sessions[place].isSettled.append(false)
            sessions[place].usedAt = now
            return SessionStamp(
                session: sessions[place].id, sequence: sequence, answeredThrough: sessions[place].base - 1)
        }
        return nil
    }

    /// The same name with what is settled by now.
    func refreshed(_ stamp: SessionStamp) -> SessionStamp {
        guard let session = sessions.first(where: { $0.id == stamp.session }) else { return stamp }
        var stamp = stamp
        stamp.answeredThrough = min(session.base, stamp.sequence) - 1
        return stamp
    }

    /// The change has its answer, or nobody waits for one any more: a copy that comes late is then not applied.
    mutating func settle(_ stamp: SessionStamp, now: Instant) {
        guard let place = sessions.firstIndex(where: { $0.id == stamp.session }), stamp.sequence >= sessions[place].base
        else { return }
        let offset = Int(stamp.sequence - sessions[place].base)
        guard offset < sessions[place].isSettled.count else { return }
        sessions[place].isSettled[offset] = true
        sessions[place].usedAt = now
        let settled = sessions[place].isSettled.prefix { $0 }.count
        sessions[place].isSettled.removeFirst(settled)
        sessions[place].base += UInt64(settled)
    }

    /// The group does not know it any more.
    mutating func drop(_ id: UInt64) {
        sessions.removeAll { $0.id == id }
        current = 0
    }

    func checkInvariants() {
        precondition(sessions.count <= Self.sessionsMax, "\(sessions.count) sessions")
        for session in sessions {
            precondition(session.next - session.base == UInt64(session.isSettled.count), "\(session)")
            precondition(session.next - session.base <= Self.spanMax && session.isSettled.first != true, "\(session)")
        }
    }
}
