// SPDX-License-Identifier: Apache-2.0
// Owns one connection that carries many calls at a time: lines come in, the node takes them in bunches, answers go out.

import AdminModel
import HummingbirdCore
import NIOCore

/// The body of `POST /v1/calls` and its answer, which is written while the body comes.
///
/// Each of these bounds holds for one stream. Beyond `openMax` and `openBytesMax` nothing more is read, so that a client which does
/// not read its answers stops itself; the server's `writeDeadline` then ends the connection.
struct KeyCallStream: Sendable {
    /// Calls that are under way, answers that the client has not taken included.
    static let openMax = 1_024
    /// Of their lines. One line more than this is taken.
    static let openBytesMax = 8 << 20
    /// One line without its line feed: a value in base64, and what is said of it.
    static let lineBytesMax = AdminLimits.valueBytesMax * 2
    /// Calls that the node does not take in bunches, carried out at once; the others wait. With 64 streams and 256 connections the
    /// kernel still takes commands from everybody else (`TransportConfiguration.commandsMax`).
    static let runningMax = 8
    /// Of their answers; beyond this the next ones wait until some are written.
    static let waitingBytesMax = 4 << 20
    /// Answers are written in pieces of this size, about.
    private static let pieceBytes = 64 << 10

    private let source: PullStream<[UInt8]>
    private let node: any NodeHandle
    private let user: @Sendable () -> String
    private let timeout: Duration
    private let answers: KeyCallAnswers
    private let bunches: any KeyCallBunches

    init(
        _ source: PullStream<[UInt8]>, node: any NodeHandle, user: @escaping @Sendable () -> String, timeout: Duration
    ) {
        self.source = source
        self.node = node
        self.user = user
        self.timeout = timeout
        let answers = KeyCallAnswers()
        self.answers = answers
        bunches = node.bunches { answers.add($0) }
    }

    /// Takes one of the places for streams; fails with `busy` when there is none.
    func place(in state: ServerState, max: Int, on channel: any Channel) throws(AdminFailure) -> UInt64 {
        guard let id = state.openStream(max: max, { [answers] in answers.end($0) }) else {
            throw AdminFailure(.busy, "\(max) streams are open already: close one, or raise the limit")
        }
        // Whoever hangs up waits for nothing, and leaves its place to others.
        channel.closeFuture.whenComplete { [answers] _ in
            answers.abandon()
            state.closeStream(id)
        }
        return id
    }

    /// Ends when the body has ended and all calls are answered, or the server stops.
    func write(to body: inout any ResponseBodyWriter) async throws {
        // Cancelled, and waited for, when this returns.
        async let _: Void = read()
        async let _: Void = carryOut()
        defer { answers.abandon() }
        while let batch = await answers.next() {
            var buffer = ByteBuffer()
            for answer in batch {
                Self.encode(answer, into: &buffer)
                guard buffer.readableBytes >= Self.pieceBytes else { continue }
                try await body.write(buffer)
                buffer = ByteBuffer()
            }
            if buffer.readableBytes > 0 { try await body.write(buffer) }
        }
        try await body.finish(nil)
    }

    // MARK: Reading

    private func read() async {
        var lines = KeyCallLines()
        do throws(AdminFailure) {
            while await answers.room() > 0, let piece = try await source.next() {
                lines.append(piece)
                try await begin(&lines)
            }
            // The last line may lack its line feed. After a body that broke off nothing of it counts.
            lines.finish()
            try await begin(&lines)
            answers.finishReading()
        } catch {
            answers.finishReading(Self.refused(lines.count + 1, error))
        }
    }

    /// Has the calls of all whole lines begun, as soon as there is room for them.
    private func begin(_ lines: inout KeyCallLines) async throws(AdminFailure) {
        while true {
            let room = await answers.room()
            if room == 0 { return }
            var bunch = Bunch()
            var broken: AdminFailure?
            var hasMore = true
            do throws(AdminFailure) {
                while hasMore, bunch.calls.count + bunch.refused.count < room, bunch.bytes < Self.openBytesMax {
                    guard let line = try lines.next() else {
                        hasMore = false
                        break
                    }
                    take(line, number: lines.count, into: &bunch)
                }
            } catch {
                broken = error
            }
            begin(bunch)
            if let broken { throw broken }
            if !hasMore { return }
        }
    }

    private func begin(_ bunch: Bunch) {
        if bunch.calls.isEmpty && bunch.refused.isEmpty { return }
        guard answers.open(bunch.calls.count, bytes: bunch.bytes, refused: bunch.refused) else { return }
        if !bunch.calls.isEmpty { answers.queue(bunches.begin(bunch.calls)) }
    }

    /// What is taken from the lines at a time.
    private struct Bunch {
        var calls: [KeyCall] = []
        var bytes = 0
        var refused: [KeyCallAnswers.Answer] = []
    }

    /// Which call a line that is none was meant to be.
    private struct Named: Decodable {
        var id: UInt64
    }

    private func take(_ line: ArraySlice<UInt8>, number: Int, into bunch: inout Bunch) {
        if line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }) {
            return
        }
        do throws(AdminFailure) {
            if let call = PlainCallLine.read(line, timeout: timeout) {
                bunch.calls.append(call)
            } else {
                let request = try AdminJSON.decodeRequest(
                    KeyCallRequest.self, from: line, subject: "the line is no call")
                bunch.calls.append(try request.meaning(timeout: timeout))
            }
            bunch.bytes += line.count
        } catch {
            if let named = try? AdminJSON.decode(Named.self, from: line) {
                bunch.refused.append(.result(id: named.id, .failed(error)))
            } else {
                bunch.refused.append(Self.refused(number, error))
            }
        }
    }

    private static func refused(_ line: Int, _ failure: AdminFailure) -> KeyCallAnswers.Answer {
        .line(encode(KeyCallAnswer(line: line, failure)))
    }

    // MARK: Carrying out

    /// What the node does not take in bunches is carried out as if it had come as a request of its own.
    private func carryOut() async {
        await withDiscardingTaskGroup { tasks in
            while let call = await answers.nextCall() {
                tasks.addTask(executorPreference: globalConcurrentExecutor) {
                    answers.finish(Self.encode(KeyCallAnswer(id: call.id, await result(of: call))))
                }
            }
        }
    }

    private func result(of call: KeyCall) async -> KeyCallResult {
        do throws(AdminFailure) {
            switch call.action {
            case .write(let write, var options):
                options.user = user()
                try KeyWrite.checkWritable([write])
                return .written(try await node.write([write], options))
            case .get(let key, let options): return .found(try await node.get(key, options))
            }
        } catch {
            return .failed(error)
        }
    }

    // MARK: Writing

    private static func encode(_ answer: KeyCallAnswers.Answer, into buffer: inout ByteBuffer) {
        switch answer {
        case .result(let id, .committed(let version)):
            buffer.writeString("{\"id\":\(id),\"version\":\"\(version)\"}")
        case .result(let id, .found(let document)) where PlainFoundLine.write(id: id, document, into: &buffer): break
        case .result(let id, let result): buffer.writeBytes(encode(KeyCallAnswer(id: id, result)))
        case .line(let bytes): buffer.writeBytes(bytes)
        case .closed(let ending): buffer.writeBytes(encode(KeyCallAnswer(closed: ending.rawValue)))
        }
        buffer.writeInteger(UInt8(ascii: "\n"))
    }

    /// Texts and whole numbers can always be encoded.
    private static func encode(_ answer: KeyCallAnswer) -> [UInt8] {
        guard let bytes = try? AdminJSON.encode(answer) else { preconditionFailure("\(answer) cannot be encoded") }
        return bytes
    }
}
