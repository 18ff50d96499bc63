// SPDX-License-Identifier: Apache-2.0
// Owns the records in a frame's body of the strict group's log, byte by byte.

import ClusterTypes
import RaftCore
import StrictGroup

/// A record: kind (1 byte), bytes of its fields (4), fields. The frame's checksum covers all its records.
///
///     1 entry      term 8, index 8, payload 1 (0 empty, 1 command, 2 membership), then the command's bytes, or voters,
///                  learners and removed members, each counted in 4 bytes, of 16 bytes each. It replaces what is at its
///                  index and drops all after it
///     2 founding   revision 8, flags 1 (1 promised, 2 accepted, 4 founded, 8 removed), and of each that is there: ballot
///                  (round 8, proposer 16), ballot and founding, founding (group 8, voters counted in 4 bytes, ascending), group 8
///     3 installed  the snapshot at the frame's base took over: the log is empty behind it
///     4 incoming   position 16, digest 16, bytes received 8: of the snapshot in the file `incoming`; zeros: none
enum StrictLogRecord: Hashable {
    case entry(LogEntry)
    case founding(revision: UInt64, FoundingState)
    case installed
    case incoming(LogPosition, digest: Hash128, received: UInt64)
}

extension LogBytes {
    private mutating func putRecord(_ kind: UInt8, _ fields: (inout LogBytes) -> Void) {
        put(kind)
        let place = count
        put(UInt32(0))
        fields(&self)
        set(UInt32(count - place - 4), at: place)
    }

    mutating func put(_ record: StrictLogRecord) {
        switch record {
        case .entry(let entry): put(entry)
        case .founding(let revision, let state):
            putRecord(2) { writer in
                writer.put(revision)
                writer.put(state)
            }
        case .installed: putRecord(3) { _ in }
        case .incoming(let position, let digest, let received):
            putRecord(4) { writer in
                writer.put(position)
                writer.put(digest)
                writer.put(received)
            }
        }
    }

    private mutating func put(_ entry: LogEntry) {
        putRecord(1) { writer in
            writer.put(entry.position)
            switch entry.payload {
            case .empty: writer.put(UInt8(0))
            case .command(let bytes):
                writer.put(UInt8(1))
                writer.put(raw: bytes)
            case .membership(let membership):
                writer.put(UInt8(2))
                writer.put(membership)
            }
        }
    }

    private mutating func put(_ state: FoundingState) {
        var flags: UInt8 = 0
        if state.promised != nil { flags |= 1 }
        if state.accepted != nil { flags |= 2 }
        if state.founded != nil { flags |= 4 }
        if state.removedFrom != nil { flags |= 8 }
        put(flags)
        if let promised = state.promised { put(promised) }
        if let accepted = state.accepted {
            put(accepted.ballot)
            put(accepted.founding)
        }
        if let founded = state.founded { put(founded) }
        if let removed = state.removedFrom { put(removed) }
    }

    private mutating func put(_ ballot: FoundingBallot) {
        put(ballot.round)
        put(ballot.proposer)
    }

    private mutating func put(_ founding: StrictFounding) {
        put(founding.group)
        put(counted: founding.voters)
    }
}

extension LogReader {
    /// All records of a body; nil: it is none that `LogBytes` wrote.
    static func records(_ body: [UInt8]) -> [StrictLogRecord]? {
        var reader = LogReader(body)
        var records: [StrictLogRecord] = []
        while reader.remaining > 0 {
            guard let kind = reader.byte(), let count = reader.uint32(), Int(count) <= reader.remaining else {
                return nil
            }
            var fields = LogReader(body, from: reader.at, to: reader.at + Int(count))
            guard let record = fields.record(kind), fields.remaining == 0, reader.skip(Int(count)) else { return nil }
            records.append(record)
        }
        return records
    }

    private mutating func record(_ kind: UInt8) -> StrictLogRecord? {
        switch kind {
        case 1: return entry().map { .entry($0) }
        case 2:
            guard let revision = uint64(), let state = foundingState() else { return nil }
            return .founding(revision: revision, state)
        case 3: return .installed
        case 4:
            guard let position = position(), let digest = hash(), let received = uint64() else { return nil }
            return .incoming(position, digest: digest, received: received)
        case _: return nil
        }
    }

    private mutating func entry() -> LogEntry? {
        guard let position = position(), position.index > 0, let code = byte() else { return nil }
        let payload: LogEntry.Payload
        switch code {
        case 0: payload = .empty
        case 1:
            guard let command = raw(remaining) else { return nil }
            payload = .command(command)
        case 2:
            guard let membership = membership() else { return nil }
            payload = .membership(membership)
        case _: return nil
        }
        return LogEntry(term: position.term, index: position.index, payload: payload)
    }

    private mutating func foundingState() -> FoundingState? {
        guard let flags = byte(), flags < 16 else { return nil }
        var state = FoundingState()
        if flags & 1 != 0 {
            guard let promised = ballot() else { return nil }
            state.promised = promised
        }
        if flags & 2 != 0 {
            guard let ballot = ballot(), let founding = founding() else { return nil }
            state.accepted = AcceptedFounding(ballot: ballot, founding: founding)
        }
        if flags & 4 != 0 {
            guard let founded = founding() else { return nil }
            state.founded = founded
        }
        if flags & 8 != 0 {
            guard let removed = uint64() else { return nil }
            state.removedFrom = removed
        }
        return state
    }

    private mutating func ballot() -> FoundingBallot? {
        guard let round = uint64(), let proposer = nodeID() else { return nil }
        return FoundingBallot(round: round, proposer: proposer)
    }

    private mutating func founding() -> StrictFounding? {
        guard let group = uint64(), let voters = nodeIDs(max: RaftBounds.membersMax) else { return nil }
        let founding = StrictFounding(group: group, voters: voters)
        // As with memberships: what is in another order, or twice, nobody wrote.
        return founding.isSound ? founding : nil
    }
}
