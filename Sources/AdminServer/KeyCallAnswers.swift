// SPDX-License-Identifier: Apache-2.0
// Owns what waits to be written to a client of many calls, and how many of them are under way.

import AdminModel
import Synchronization

/// Between the connection's reader, its writer and the node. A leaf: nothing is called while it is locked.
final class KeyCallAnswers: Sendable {
    enum Answer: Sendable {
        case result(id: UInt64, KeyCallResult)
        case noCall(line: Int, AdminFailure)
        /// The server ends the stream.
        case closed(StreamEnding)
    }

    private struct State {
        var waiting: [Answer] = []
        /// Calls without an answer.
        var open = 0
        /// Of their lines, about: each answer takes its share.
        var bytes = 0
        var isReading = true
        /// The connection is gone: nobody waits for answers.
        var isGone = false
        var reader: CheckedContinuation<Bool, Never>?
        var writer: CheckedContinuation<[Answer]?, Never>?

        var hasRoom: Bool {
            open + waiting.count < KeyCallStream.openMax && bytes < KeyCallStream.openBytesMax
        }

        var isOver: Bool { isGone || !isReading && open == 0 && waiting.isEmpty }

        mutating func takeAnswers() -> [Answer] {
            defer { waiting = [] }
            return waiting
        }
    }

    private let state = Mutex(State())

    // MARK: The reader

    /// False: there is no reason to read on.
    func waitForRoom() async -> Bool {
        await withCheckedContinuation { continuation in
            change { state in state.reader = continuation }
        }
    }

    func open(_ count: Int, bytes: Int) {
        state.withLock { state in
            state.open += count
            state.bytes += bytes
        }
    }

    /// Nothing more is read; what is under way is still answered.
    func finishReading() { change { $0.isReading = false } }

    // MARK: Answers

    func add(_ results: [(id: UInt64, KeyCallResult)]) {
        change { state in
            state.bytes -= state.bytes / max(1, state.open) * results.count
            state.open -= results.count
            if state.open == 0 { state.bytes = 0 }
            for (id, result) in results { state.waiting.append(.result(id: id, result)) }
        }
    }

    /// To a line that names its call and is none.
    func add(id: UInt64, _ failure: AdminFailure) { change { $0.waiting.append(.result(id: id, .failed(failure))) } }

    func add(line: Int, _ failure: AdminFailure) { change { $0.waiting.append(.noCall(line: line, failure)) } }

    /// The server ends the stream: what is under way is still answered.
    func end(_ ending: StreamEnding) {
        change { state in
            if state.isReading { state.waiting.append(.closed(ending)) }
            state.isReading = false
        }
    }

    /// The connection is gone, or of no use.
    func abandon() {
        change { state in
            state.isReading = false
            state.isGone = true
        }
    }

    /// What there is to write; nil when all is written and nothing more comes.
    func next() async -> [Answer]? {
        await withCheckedContinuation { continuation in
            change { state in state.writer = continuation }
        }
    }

    /// Wakes whoever can go on after it.
    private func change(_ body: (inout sending State) -> Void) {
        let (reader, writer, answers) = state.withLock { state in
            body(&state)
            var writer: CheckedContinuation<[Answer]?, Never>?
            var answers: [Answer]?
            if state.writer != nil, !state.waiting.isEmpty || state.isOver {
                writer = state.writer.take()
                answers = state.isOver ? nil : state.takeAnswers()
            }
            var reader: (continuation: CheckedContinuation<Bool, Never>, goesOn: Bool)?
            if let waiting = state.reader, !state.isReading || state.hasRoom {
                reader = (waiting, state.isReading)
                state.reader = nil
            }
            return (reader, writer, answers)
        }
        writer?.resume(returning: answers)
        if let reader { reader.continuation.resume(returning: reader.goesOn) }
    }
}
