// SPDX-License-Identifier: Apache-2.0
// Owns client sessions: part of the replicated state, so that a command that comes twice is applied once (thesis 6.3).

/// A function of the log alone: every replica that applied the same entries holds an equal table, byte for byte in its
/// `serialized` form. Sessions end only by entries of the log, never by a node's own clock.
package struct SessionTable: Hashable, Sendable {
    /// Sessions at once; more are refused, for a live client must not lose its own.
    package static let sessionsMax = 65_536
    /// Answers kept for one session: as many commands a client may have on their way.
    package static let answersMax = 256
    /// One answer; the state machine's answers are small.
    package static let answerBytesMax = 1 << 20

    package struct Session: Hashable, Sendable {
        /// Every command up to this one has its answer at the client, which said so.
        package var answeredThrough: UInt64 = 0
        /// Log time of the last entry of this session, milliseconds.
        package var usedAt: UInt64
        /// Ascending by sequence.
        package var answers: [Answer] = []
    }

    package struct Answer: Hashable, Sendable {
        package var sequence: UInt64
        package var bytes: [UInt8]
    }

    /// What to do with a command.
    package enum Verdict: Hashable, Sendable {
        /// It is new: apply it and `record` its answer, in the same step.
        case apply
        /// It was applied; this was the answer.
        case answered([UInt8])
        /// It was applied, and the client said that it has the answer: a late copy.
        case obsolete
        /// The session ended, or never was: it is not known whether the command was applied. The client must not repeat
        /// it blindly under another session (jetcd's lost updates).
        case noSession
        /// The client has more commands on their way than answers are kept.
        case tooManyPending
    }

    /// By id. Its order never leaves the table.
    private var sessions: [UInt64: Session] = [:]
    /// The highest time that an entry brought, milliseconds: the only clock there is here.
    package private(set) var time: UInt64 = 0

    package init() {}

    package var count: Int { sessions.count }
    package subscript(session: UInt64) -> Session? { sessions[session] }

    /// Applies the entry at `index` that asks for a session; the index becomes its id, so no id comes twice.
    /// - Parameter time: What the leader's clock said when it made the entry.
    /// - Returns: nil when the table is full. State did not change but for the time.
    package mutating func register(index: UInt64, time: UInt64) -> UInt64? {
        advance(to: time)
        guard sessions.count < Self.sessionsMax, sessions[index] == nil else { return nil }
        sessions[index] = Session(usedAt: self.time)
        return index
    }

    /// Judges the command `sequence` of a session, which counts its commands from 1.
    /// - Parameter answeredThrough: Of all commands up to this one the client has the answers.
    package mutating func judge(
        session id: UInt64, sequence: UInt64, answeredThrough: UInt64, time: UInt64
    ) -> Verdict {
        advance(to: time)
        guard var session = sessions.removeValue(forKey: id) else { return .noSession }
        defer { sessions[id] = session }
        session.usedAt = self.time
        // A client that claims to have answers it never asked for only hurts itself.
        if answeredThrough > session.answeredThrough, answeredThrough < sequence {
            session.answeredThrough = answeredThrough
            session.answers.removeFirst(Self.place(of: answeredThrough + 1, in: session.answers))
        }
        if sequence <= session.answeredThrough { return .obsolete }
        let place = Self.place(of: sequence, in: session.answers)
        if place < session.answers.count, session.answers[place].sequence == sequence {
            return .answered(session.answers[place].bytes)
        }
        return session.answers.count >= Self.answersMax ? .tooManyPending : .apply
    }

    /// Keeps the answer of a command that was to be applied; one longer than `answerBytesMax` is cut.
    package mutating func record(session id: UInt64, sequence: UInt64, answer: [UInt8]) {
        guard var session = sessions.removeValue(forKey: id) else { return }
        defer { sessions[id] = session }
        let place = Self.place(of: sequence, in: session.answers)
        session.answers.insert(Answer(sequence: sequence, bytes: Array(answer.prefix(Self.answerBytesMax))), at: place)
    }

    /// Applies the entry by which a client ends its session.
    package mutating func end(session id: UInt64, time: UInt64) {
        advance(to: time)
        sessions[id] = nil
    }

    /// Applies the leader's entry that ends all sessions unused for `idle` milliseconds of log time.
    /// - Returns: Their ids, ascending.
    package mutating func expire(idle: UInt64, time: UInt64) -> [UInt64] {
        advance(to: time)
        let ended = sessions.filter { self.time - $0.value.usedAt > idle }.map(\.key).sorted()
        for id in ended { sessions[id] = nil }
        return ended
    }

    /// A leader whose clock is behind does not turn the time back.
    private mutating func advance(to time: UInt64) { self.time = max(self.time, time) }

    /// The first answer that is not before `sequence`.
    private static func place(of sequence: UInt64, in answers: [Answer]) -> Int {
        var low = 0
        var high = answers.count
        while low < high {
            let middle = (low + high) / 2
            if answers[middle].sequence < sequence { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension SessionTable {
    static let formatVersion: UInt8 = 1

    /// For snapshots. Little-endian: version (1 byte), time (8), sessions (4), then ascending by id for each: id (8),
    /// answeredThrough (8), usedAt (8), answers (4), and for each of those: sequence (8), length (4), bytes.
    package var serialized: [UInt8] {
        var bytes: [UInt8] = [Self.formatVersion]
        func put(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        }
        put(time)
        put(UInt32(sessions.count))
        for (id, session) in sessions.sorted(by: { $0.key < $1.key }) {
            put(id)
            put(session.answeredThrough)
            put(session.usedAt)
            put(UInt32(session.answers.count))
            for answer in session.answers {
                put(answer.sequence)
                put(UInt32(answer.bytes.count))
                bytes.append(contentsOf: answer.bytes)
            }
        }
        return bytes
    }

    /// nil: the bytes are not what `serialized` gives.
    package init?(serialized bytes: [UInt8]) {
        var reader = Reader(bytes: bytes[...])
        guard reader.take(UInt8.self) == Self.formatVersion, let time = reader.take(UInt64.self),
            let count = reader.take(UInt32.self), count <= Self.sessionsMax
        else { return nil }
        self.time = time
        var before: UInt64?
        for _ in 0..<count {
            guard let id = reader.take(UInt64.self), let answered = reader.take(UInt64.self),
                let used = reader.take(UInt64.self), let answers = reader.take(UInt32.self),
                answers <= Self.answersMax, used <= time, before.map({ $0 < id }) ?? true
            else { return nil }
            before = id
            var session = Session(answeredThrough: answered, usedAt: used)
            for _ in 0..<answers {
                guard let sequence = reader.take(UInt64.self), let length = reader.take(UInt32.self),
                    length <= Self.answerBytesMax, let answer = reader.take(count: Int(length)),
                    sequence > session.answers.last?.sequence ?? answered
                else { return nil }
                session.answers.append(Answer(sequence: sequence, bytes: Array(answer)))
            }
            sessions[id] = session
        }
        guard reader.bytes.isEmpty else { return nil }
    }

    private struct Reader {
        var bytes: ArraySlice<UInt8>

        mutating func take(count: Int) -> ArraySlice<UInt8>? {
            guard bytes.count >= count else { return nil }
            defer { bytes = bytes.dropFirst(count) }
            return bytes.prefix(count)
        }

        mutating func take<Value: FixedWidthInteger>(_: Value.Type) -> Value? {
            guard let part = take(count: MemoryLayout<Value>.size) else { return nil }
            return part.reversed().reduce(Value(0)) { $0 << 8 | Value($1) }
        }
    }
}
