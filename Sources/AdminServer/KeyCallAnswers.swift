// SPDX-License-Identifier: Apache-2.0
// Owns what is under way on one connection of many calls: how much, what waits for its turn, and what waits to be written.

import AdminModel
import NIOCore
import Synchronization

/// Between the connection's reader, its writer, those who carry calls out, and the node. A leaf: nothing is called while it is
/// locked.
final class KeyCallAnswers: Sendable {
    enum Answer: Sendable {
        case result(id: UInt64, KeyCallResult)
        /// Encoded where there was time for it, without its line feed.
        case line([UInt8])
        /// The server ends the stream; nothing follows.
        case closed(StreamEnding)
    }

    /// A call that the node does not take in bunches.
    private struct Queued {
        var call: KeyCall
        var since: NIODeadline
    }

    private struct State {
        var waiting: [Answer] = []
        /// Of the lines in `waiting`.
        var waitingBytes = 0
        /// Answers that are being written.
        var writing = 0
        /// Calls without an answer.
        var open = 0
        /// Of their lines, about: each answer takes its share.
        var openBytes = 0
        /// Of `open`, those that have not begun, from `queueStart`.
        var queue: [Queued] = []
        var queueStart = 0
        /// Calls of the queue that are being carried out.
        var running = 0
        var isReading = true
        /// The server ends the stream, and has not said so yet.
        var ending: StreamEnding?
        /// The connection is gone: nobody waits for answers.
        var isGone = false
        var reader: CheckedContinuation<Int, Never>?
        var writer: CheckedContinuation<[Answer]?, Never>?
        var worker: CheckedContinuation<KeyCall?, Never>?

        /// Calls that may be taken now.
        var room: Int {
            guard openBytes < KeyCallStream.openBytesMax else { return 0 }
            return max(0, KeyCallStream.openMax - open - waiting.count - writing)
        }

        var isOver: Bool { isGone || !isReading && open == 0 && waiting.isEmpty && ending == nil }

        var mayBegin: Bool {
            queueStart < queue.count && running < KeyCallStream.runningMax
                && waitingBytes < KeyCallStream.waitingBytesMax
        }

        /// Nil: there is nothing to write yet, or nothing more.
        mutating func takeAnswers() -> [Answer]? {
            if !isReading, open == 0, let ending = ending.take() { waiting.append(.closed(ending)) }
            guard !waiting.isEmpty else { return nil }
            defer { waiting = [] }
            waitingBytes = 0
            writing = waiting.count
            return waiting
        }

        mutating func takeQueued() -> KeyCall? {
            let next = queue[queueStart]
            queueStart += 1
            if queueStart == queue.count || queueStart == KeyCallStream.openMax {
                queue.removeFirst(queueStart)
                queueStart = 0
            }
            running += 1
            return next.call
        }

        mutating func settle(_ count: Int) {
            openBytes -= openBytes / max(1, open) * count
            open -= count
            if open == 0 { openBytes = 0 }
        }

        /// Answers the calls of the queue that have waited as long as their client does.
        mutating func dropLate(_ now: NIODeadline) {
            while queueStart < queue.count, case let next = queue[queueStart],
                now - next.since >= TimeAmount(next.call.timeout)
            {
                _ = takeQueued()
                running -= 1
                settle(1)
                waiting.append(.result(id: next.call.id, .failed(next.call.lateness)))
            }
        }
    }

    private let state = Mutex(State())

    // MARK: The reader

    /// How many calls may be taken now, one at least; 0: there is no reason to read on.
    func room() async -> Int {
        await withCheckedContinuation { continuation in
            change { state in state.reader = continuation }
        }
    }

    /// Takes calls in, with lines that are none and what is to be said of them; false when the stream has ended: none of them may
    /// begin then.
    func open(_ count: Int, bytes: Int, refused: [Answer]) -> Bool {
        change { state in
            guard state.isReading else { return false }
            state.open += count
            state.openBytes += bytes
            state.waiting += refused
            return true
        }
    }

    /// Calls that have been taken in and wait for their turn.
    func queue(_ calls: [KeyCall]) {
        guard !calls.isEmpty else { return }
        let now = NIODeadline.now()
        change { state in
            guard !state.isGone else { return }
            state.queue += calls.map { Queued(call: $0, since: now) }
        }
    }

    /// Nothing more is read, for this reason if there is one; what is under way is still answered.
    func finishReading(_ last: Answer? = nil) {
        change { state in
            if let last { state.waiting.append(last) }
            state.isReading = false
        }
    }

    // MARK: Carrying out

    /// The next call whose turn it is; nil when no more come. Each is answered by `finish`.
    func nextCall() async -> KeyCall? {
        await withCheckedContinuation { continuation in
            change { state in state.worker = continuation }
        }
    }

    /// The answer to a call of the queue.
    func finish(_ line: [UInt8]) {
        change { state in
            state.running -= 1
            state.settle(1)
            state.waiting.append(.line(line))
            state.waitingBytes += line.count
        }
    }

    /// The answers to calls that the node took.
    func add(_ results: [(id: UInt64, KeyCallResult)]) {
        change { state in
            state.settle(results.count)
            for (id, result) in results { state.waiting.append(.result(id: id, result)) }
        }
    }

    // MARK: The end

    /// The server ends the stream: what is under way is still answered, and nothing begins that has no answer.
    func end(_ ending: StreamEnding) {
        change { state in
            if state.isReading { state.ending = ending }
            state.isReading = false
        }
    }

    /// The connection is gone, or of no use: what has not begun does not.
    func abandon() {
        change { state in
            state.isReading = false
            state.isGone = true
            state.queue = []
            state.queueStart = 0
            state.waiting = []
            state.waitingBytes = 0
        }
    }

    // MARK: The writer

    /// What there is to write, after what was taken before has been written; nil when all is and nothing more comes.
    func next() async -> [Answer]? {
        await withCheckedContinuation { continuation in
            change { state in
                state.writing = 0
                state.writer = continuation
            }
        }
    }

    /// Wakes whoever can go on after it.
    private func change<Result: Sendable>(_ body: (inout sending State) -> Result) -> Result {
        let now = NIODeadline.now()
        let (result, reader, writer, worker) = state.withLock { state in
            let result = body(&state)
            state.dropLate(now)
            var worker: (continuation: CheckedContinuation<KeyCall?, Never>, call: KeyCall?)?
            if state.worker != nil, state.isOver || state.mayBegin {
                worker = state.worker.take().map { ($0, state.isOver ? nil : state.takeQueued()) }
            }
            var writer: (continuation: CheckedContinuation<[Answer]?, Never>, answers: [Answer]?)?
            if state.writer != nil {
                let answers = state.isGone ? nil : state.takeAnswers()
                if answers != nil || state.isOver { writer = state.writer.take().map { ($0, answers) } }
            }
            var reader: (continuation: CheckedContinuation<Int, Never>, room: Int)?
            let room = state.isReading ? state.room : 0
            if !state.isReading || room > 0 { reader = state.reader.take().map { ($0, room) } }
            return (result, reader, writer, worker)
        }
        if let worker { worker.continuation.resume(returning: worker.call) }
        if let writer { writer.continuation.resume(returning: writer.answers) }
        if let reader { reader.continuation.resume(returning: reader.room) }
        return result
    }
}

extension KeyCall {
    var timeout: Duration {
        switch action {
        case .write(_, let options): options.timeout
        case .get(_, let options): options.timeout
        }
    }

    /// Why it was not begun.
    fileprivate var lateness: AdminFailure {
        var failure = AdminFailure(
            .timedOut,
            "the calls before it on this connection took too long, and it was not begun: send fewer at a time")
        if case .write = action { failure.outcome = .notDone }
        return failure
    }
}
