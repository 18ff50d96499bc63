// SPDX-License-Identifier: Apache-2.0
// Owns reading a snapshot back: a state that keeps every rule, or nothing.

import ClusterTypes
import RaftCore

/// Takes a snapshot's bytes in any pieces and holds, beside the state itself, one record at most.
///
/// The bytes may come from anybody: whatever they are, what `finish` gives is a state that commands could have led to as
/// far as one can tell, and its snapshot is these very bytes.
package struct StrictSnapshotReader: Sendable {
    private struct Session: Sendable {
        var id: UInt64
        var answeredThrough: UInt64
        var usedAt: UInt64
        var answers: [(sequence: UInt64, bytes: [UInt8])] = []
    }

    private var machine = StrictMachine()
    private var sessions: [Session] = []
    private var time: UInt64 = 0
    /// Records still to come, by the header's word; answers by the last session's.
    private var missing: [SnapshotRecord: Int] = [.header: 1, .end: 1]
    private var hasher = StableHasher()
    /// What of the present record has arrived.
    private var buffer: [UInt8] = []
    private var failure: StrictDecodeFailure?

    package init() {}

    /// - Throws: What is wrong; the same from then on.
    package mutating func feed(_ piece: [UInt8]) throws(StrictDecodeFailure) {
        if let failure { throw failure }
        do throws(StrictDecodeFailure) {
            buffer += piece
            var start = 0
            while let record = try nextRecord(from: start) {
                try take(record, from: start)
                start = record.end
            }
            buffer.removeFirst(start)
        } catch {
            failure = error
            throw error
        }
    }

    package mutating func finish() throws(StrictDecodeFailure) -> StrictMachine {
        if let failure { throw failure }
        if !buffer.isEmpty || missing[.end] != 0 { throw .truncated }
        restoreSessions()
        return machine
    }

    /// Where the record at `start` has its kind and its end; nil: not all of it has arrived.
    private func nextRecord(from start: Int) throws(StrictDecodeFailure) -> (kind: Int, end: Int)? {
        if start < buffer.count, missing[.end] == 0 { throw .trailing }
        var reader = FieldReader(buffer, from: start)
        let length: UInt64
        do throws(StrictDecodeFailure) {
            length = try reader.varint()
        } catch .truncated {
            return nil
        } catch {
            throw error
        }
        guard length > 0, length <= UInt64(StrictBounds.recordBytesMax) else { throw .bounds }
        return Int(length) <= reader.remaining ? (reader.at, reader.at + Int(length)) : nil
    }

    private mutating func take(_ record: (kind: Int, end: Int), from start: Int) throws(StrictDecodeFailure) {
        var reader = FieldReader(buffer, from: record.kind, to: record.end)
        guard let kind = SnapshotRecord(rawValue: try reader.byte()) else { throw .code }
        guard let left = missing[kind], left > 0 else { throw .order }
        // An answer comes between sessions; all else when what is before it is whole.
        for (earlier, count) in missing where count > 0 {
            let mayFollow = kind == .answer && earlier == .session
            if earlier.rawValue < kind.rawValue || (earlier == .answer && kind == .session) {
                if !mayFollow { throw .order }
            }
        }
        missing[kind] = left - 1
        switch kind {
        case .header: try takeHeader(&reader)
        case .session: try takeSession(&reader)
        case .answer: try takeAnswer(&reader)
        case .lease: try takeLease(&reader)
        case .lock: try takeLock(&reader)
        case .key: try takeKey(&reader)
        case .end:
            let digest = hasher.finalize()
            guard try reader.fixed() == digest.high, try reader.fixed() == digest.low else { throw .digest }
        }
        try reader.finish()
        hasher.absorb(raw: buffer[start..<record.end])
    }

    private mutating func takeHeader(_ reader: inout FieldReader) throws(StrictDecodeFailure) {
        let format = try reader.byte()
        guard format == SnapshotRecord.formatVersion else { throw .unknownFormat(format) }
        machine.appliedIndex = try reader.varint()
        machine.versionBase = try reader.varint()
        guard machine.appliedIndex <= RaftBounds.numberMax, machine.versionBase <= StrictBounds.versionMax else {
            throw .bounds
        }
        machine.changeCount = try reader.varint()
        machine.logTime = try reader.varint()
        time = try reader.varint()
        guard machine.changeCount <= RaftBounds.numberMax, time <= machine.logTime else { throw .value }
        let limits: [(SnapshotRecord, Int)] = [
            (.session, SessionTable.sessionsMax), (.lease, StrictBounds.leasesMax), (.lock, StrictBounds.locksMax),
            (.key, StrictBounds.keysMax),
        ]
        for (kind, max) in limits {
            let count = try reader.varint()
            guard count <= UInt64(max) else { throw .bounds }
            missing[kind] = Int(count)
        }
        // Each key was written once at least.
        guard UInt64(missing[.key] ?? 0) <= machine.changeCount else { throw .value }
    }

    private mutating func takeSession(_ reader: inout FieldReader) throws(StrictDecodeFailure) {
        let session = Session(
            id: try reader.varint(), answeredThrough: try reader.varint(), usedAt: try reader.varint())
        if let last = sessions.last, last.id >= session.id { throw .order }
        guard session.id > 0, session.id <= machine.revision, session.usedAt <= time,
            session.answeredThrough < .max
        else { throw .value }
        let count = try reader.varint()
        guard count <= UInt64(SessionTable.answersMax) else { throw .bounds }
        missing[.answer] = Int(count)
        sessions.append(session)
    }

    private mutating func takeAnswer(_ reader: inout FieldReader) throws(StrictDecodeFailure) {
        let sequence = try reader.varint()
        let bytes = try reader.raw(reader.remaining)
        let place = sessions.count - 1
        let before = sessions[place].answers.last?.sequence ?? sessions[place].answeredThrough
        guard sequence > before else { throw .order }
        // Numbers have one form each: what can be read is what would be written.
        _ = try StrictAnswer(encoded: bytes)
        sessions[place].answers.append((sequence, bytes))
        machine.keptAnswerBytes += StrictMachine.counted(bytes)
        // The machine looks before it adds one.
        guard machine.keptAnswerBytes < StrictBounds.keptAnswerBytesMax + StrictBounds.answerBytesMax else {
            throw .bounds
        }
    }

    private mutating func takeLease(_ reader: inout FieldReader) throws(StrictDecodeFailure) {
        let id = try reader.varint()
        let lease = StrictLease(
            milliseconds: try reader.varint(), renewed: try reader.varint(), endsWithKeys: try reader.flag())
        if let last = machine.leases.last, last.key >= id { throw .order }
        guard id > 0, id <= lease.renewed, lease.renewed <= machine.revision,
            (StrictBounds.leaseMillisecondsMin...Bounds.ttlMillisecondsMax).contains(lease.milliseconds)
        else { throw .value }
        machine.leases.set(id, lease)
    }

    private mutating func takeLock(_ reader: inout FieldReader) throws(StrictDecodeFailure) {
        let name = try reader.key()
        if let last = machine.locks.last, !(last.key < name) { throw .order }
        let holder = StrictLock.Claim(lease: try reader.varint(), token: try reader.varint())
        guard holder.token > 0, holder.token <= machine.revision else { throw .value }
        var lock = StrictLock(holder: holder)
        try claim(name, by: holder.lease)
        let count = try reader.count(max: StrictBounds.waitersPerLockMax, elementBytesMin: 2)
        for _ in 0..<count {
            let waiter = StrictLock.Waiter(lease: try reader.varint(), since: try reader.varint())
            guard waiter.since > lock.waiting.last?.since ?? 0, waiter.since <= machine.revision else {
                throw .value
            }
            try claim(name, by: waiter.lease)
            lock.waiting.append(waiter)
        }
        machine.locks.set(name, lock)
    }

    private mutating func claim(_ name: StrictKey, by id: LeaseID) throws(StrictDecodeFailure) {
        let bond = LeaseBond(lease: id, key: name)
        guard let lease = machine.leases[id], machine.locksByLease[bond] == nil else { throw .value }
        guard lease.locks < UInt64(StrictBounds.locksPerLeaseMax) else { throw .bounds }
        machine.leases.modify(id) { $0.locks += 1 }
        machine.locksByLease.set(bond, Nothing())
    }

    private mutating func takeKey(_ reader: inout FieldReader) throws(StrictDecodeFailure) {
        let key = try reader.key()
        if let last = machine.keys.last, !(last.key < key) { throw .order }
        let entry = try StrictEntry(from: &reader)
        guard entry.created > 0, entry.created <= entry.modified, entry.modified <= machine.revision,
            entry.version > 0, entry.version - 1 <= entry.modified - entry.created, entry.lease < entry.modified
        else { throw .value }
        if entry.lease != 0 {
            guard let lease = machine.leases[entry.lease] else { throw .value }
            guard lease.keys < UInt64(StrictBounds.keysPerLeaseMax) else { throw .bounds }
            machine.leases.modify(entry.lease) { $0.keys += 1 }
            machine.keysByLease.set(LeaseBond(lease: entry.lease, key: key), Nothing())
        }
        machine.keys.set(key, entry)
        machine.stateBytes += StrictMachine.bytes(of: key, entry)
        guard machine.stateBytes <= StrictBounds.stateBytesMax else { throw .bounds }
    }

    /// The table takes sessions in the order in which they were used, as entries would bring them.
    private mutating func restoreSessions() {
        sessions.sort { a, b in a.usedAt != b.usedAt ? a.usedAt < b.usedAt : a.id < b.id }
        for session in sessions {
            _ = machine.sessions.register(index: session.id, time: session.usedAt)
            machine.sessionIDs.set(session.id, Nothing())
            _ = machine.sessions.judge(
                session: session.id, sequence: session.answeredThrough + 1, answeredThrough: session.answeredThrough,
                time: session.usedAt)
            for answer in session.answers {
                machine.sessions.record(session: session.id, sequence: answer.sequence, answer: answer.bytes)
            }
        }
        _ = machine.sessions.expire(idle: .max, time: time)
    }
}

extension StrictMachine {
    /// - Throws: Why the bytes are no snapshot.
    package init(snapshot bytes: [UInt8]) throws(StrictDecodeFailure) {
        var reader = StrictSnapshotReader()
        try reader.feed(bytes)
        self = try reader.finish()
    }
}
