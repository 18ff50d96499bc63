// SPDX-License-Identifier: Apache-2.0
// Owns the format of a snapshot of the strict state, record by record.

import ClusterTypes
import RaftCore

/// A snapshot is a sequence of records: length of what follows (LEB128), kind (1 byte), fields. Numbers are LEB128 in the
/// shortest form, keys and byte strings counted, flags one byte. Equal states have equal bytes.
///
/// kind  how many          fields
/// 1     1, the first      format (1 byte: 4), applied index, version base, changes, the log's time, the sessions' time, numbers of
///                         sessions, leases, locks, keys
/// 2     sessions          id, answered through, used at, number of answers which follow; ascending by id
/// 3     answers           sequence, the answer's bytes (the rest); ascending by sequence
/// 4     leases            id, milliseconds, renewed at, whether it ends with its keys; ascending by id
/// 5     locks             name, holder's lease, token, number of those who wait, for each lease and since; ascending
/// 6     keys              key, created, modified, version, lease, counted value; ascending
/// 7     1, the last       16 bytes: `StableHasher` over all bytes of the records before, big-endian
enum SnapshotRecord: UInt8 {
    case header = 1
    case session, answer, lease, lock, key, end

    /// Raised with every new record, field or rule. 1 had neither changes nor the log's time, 2 no version base, 3 no leases
    /// that end with their keys.
    static let formatVersion: UInt8 = 4
}

/// Writes a snapshot piece by piece from a copy of the state, on which entries can go on being applied meanwhile.
package struct StrictSnapshotWriter: Sendable {
    private enum Place {
        case header
        case session(after: UInt64?)
        /// The next one of the session's answers.
        case answer(session: UInt64, next: Int)
        case lease(after: LeaseID?)
        case lock(after: StrictKey?)
        case key(after: StrictKey?)
        case end
        case done
    }

    private let machine: StrictMachine
    private var place = Place.header
    private var hasher = StableHasher()
    private var body = FieldWriter()
    /// Over all bytes given so far; of the whole snapshot once `next` has given nil.
    private var wholeHasher = StableHasher()
    package private(set) var bytes: UInt64 = 0

    package init(_ machine: StrictMachine) { self.machine = machine }

    package var digest: Hash128 { wholeHasher.finalize() }

    /// The next piece: `bytesMin` bytes and at most one record (`StrictBounds.recordBytesMax`) more, fewer only at the
    /// end. nil: all is written.
    package mutating func next(bytesMin: Int) -> [UInt8]? {
        var piece = FieldWriter()
        while piece.bytes.count < max(bytesMin, 1) {
            if case .done = place { break }
            guard let kind = fill() else { continue }
            let start = piece.bytes.count
            piece.put(count: body.bytes.count + 1)
            piece.put(kind.rawValue)
            piece.put(raw: body.bytes)
            hasher.absorb(raw: piece.bytes[start...])
        }
        guard !piece.bytes.isEmpty else { return nil }
        wholeHasher.absorb(raw: piece.bytes)
        bytes += UInt64(piece.bytes.count)
        return piece.bytes
    }

    /// Fills `body` with the next record and moves on; nil: there is none of the kind left, the next kind follows.
    private mutating func fill() -> SnapshotRecord? {
        body.removeAll()
        switch place {
        case .header:
            body.put(SnapshotRecord.formatVersion)
            for number in [
                machine.appliedIndex, machine.versionBase, machine.changeCount, machine.logTime, machine.sessionTime,
            ] {
                body.put(varint: number)
            }
            for count in [machine.sessionCount, machine.leaseCount, machine.lockCount, machine.keyCount] {
                body.put(count: count)
            }
            place = .session(after: nil)
            return .header
        case .session(let before): return fillSession(after: before)
        case .answer(let session, let next): return fillAnswer(of: session, next)
        case .lease(let before):
            guard let item = machine.leases.next(after: before) else {
                place = .lock(after: nil)
                return nil
            }
            for number in [item.key, item.value.milliseconds, item.value.renewed] { body.put(varint: number) }
            body.put(item.value.endsWithKeys)
            place = .lease(after: item.key)
            return .lease
        case .lock(let before):
            guard let item = machine.locks.next(after: before) else {
                place = .key(after: nil)
                return nil
            }
            fill(item.key, item.value)
            place = .lock(after: item.key)
            return .lock
        case .key(let before):
            guard let item = machine.keys.next(after: before) else {
                place = .end
                return nil
            }
            body.put(item.key)
            item.value.write(to: &body)
            place = .key(after: item.key)
            return .key
        case .end:
            let digest = hasher.finalize()
            body.put(fixed: digest.high)
            body.put(fixed: digest.low)
            place = .done
            return .end
        case .done: return nil
        }
    }

    private mutating func fillSession(after before: UInt64?) -> SnapshotRecord? {
        guard let id = machine.sessionIDs.next(after: before)?.key, let session = machine.sessions[id] else {
            place = .lease(after: nil)
            return nil
        }
        for number in [id, session.answeredThrough, session.usedAt, UInt64(session.answers.count)] {
            body.put(varint: number)
        }
        place = .answer(session: id, next: 0)
        return .session
    }

    private mutating func fillAnswer(of id: UInt64, _ next: Int) -> SnapshotRecord? {
        guard let answers = machine.sessions[id]?.answers, next < answers.count else {
            place = .session(after: id)
            return nil
        }
        body.put(varint: answers[next].sequence)
        body.put(raw: answers[next].bytes)
        place = .answer(session: id, next: next + 1)
        return .answer
    }

    private mutating func fill(_ name: StrictKey, _ lock: StrictLock) {
        body.put(name)
        body.put(varint: lock.holder.lease)
        body.put(varint: lock.holder.token)
        body.put(count: lock.waiting.count)
        for waiter in lock.waiting {
            body.put(varint: waiter.lease)
            body.put(varint: waiter.since)
        }
    }
}

extension StrictMachine {
    /// Of the whole snapshot: replicas with equal applied indexes have equal ones, or one of them is damaged. Linear in
    /// the state.
    package var digest: Hash128 {
        var writer = StrictSnapshotWriter(self)
        while writer.next(bytesMin: 64 * 1024) != nil {}
        return writer.digest
    }

    /// The whole snapshot at once; for small states.
    package var snapshot: [UInt8] {
        var writer = StrictSnapshotWriter(self)
        var bytes: [UInt8] = []
        while let piece = writer.next(bytesMin: 64 * 1024) { bytes += piece }
        return bytes
    }
}
