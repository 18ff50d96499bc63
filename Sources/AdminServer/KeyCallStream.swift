// SPDX-License-Identifier: Apache-2.0
// Owns one connection that carries many calls at a time: lines come in, the node takes them in bunches, answers go out.

import AdminModel
import HummingbirdCore
import NIOCore

/// The body of `POST /v1/calls` and its answer, which is written while the body comes.
///
/// Bounds: `openMax` calls and `openBytesMax` bytes of their lines are under way, answers that the client has not taken included;
/// beyond them nothing more is read, so that a client which does not read its answers stops itself.
struct KeyCallStream: Sendable {
    static let openMax = 1_024
    static let openBytesMax = 8 << 20
    /// One line without its line feed: a value in base64, and what is said of it.
    static let lineBytesMax = AdminLimits.valueBytesMax * 2

    private let source: PullStream<[UInt8]>
    private let timeout: Duration
    private let answers: KeyCallAnswers
    private let calls: any KeyCalls

    init(
        _ source: PullStream<[UInt8]>, node: any NodeHandle, user: @escaping @Sendable () -> String, timeout: Duration
    ) {
        self.source = source
        self.timeout = timeout
        let answers = KeyCallAnswers()
        self.answers = answers
        calls = node.calls(user: user) { answers.add($0) }
    }

    /// Takes one of the places for streams; fails with `busy` when there is none.
    func place(in state: ServerState, max: Int, on channel: any Channel) throws(AdminFailure) -> UInt64 {
        guard let id = state.openStream(max: max, { [answers] in answers.end($0) }) else {
            throw AdminFailure(.busy, "\(max) streams are open already: close one, or raise the limit")
        }
        // Whoever hangs up waits for nothing.
        channel.closeFuture.whenComplete { [answers] _ in answers.abandon() }
        return id
    }

    /// Ends when the body has ended and all calls are answered, or the server stops.
    func write(to body: inout any ResponseBodyWriter) async throws {
        // Cancelled, and waited for, when this returns.
        async let _: Void = read()
        defer { answers.abandon() }
        while let batch = await answers.next() {
            var buffer = ByteBuffer()
            for answer in batch { try Self.encode(answer, into: &buffer) }
            try await body.write(buffer)
        }
        try await body.finish(nil)
    }

    private func read() async {
        var lines = KeyCallLines()
        do throws(AdminFailure) {
            while await answers.waitForRoom(), let piece = try await source.next() {
                lines.append(piece)
                var batch: [KeyCall] = []
                while let line = try lines.next() { take(line, number: lines.count, into: &batch) }
                if batch.isEmpty { continue }
                answers.open(batch.count, bytes: piece.count)
                calls.begin(batch)
            }
            if let rest = lines.rest { take(rest, number: lines.count + 1) }
        } catch {
            // What broke off is answered like any line, as far as somebody listens.
            answers.add(line: lines.count + 1, error)
        }
        answers.finishReading()
    }

    private func take(_ line: ArraySlice<UInt8>, number: Int, into batch: inout [KeyCall]) {
        if line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) { return }
        if let call = PlainPutLine.read(line, timeout: timeout) {
            batch.append(call)
            return
        }
        var id: UInt64?
        do throws(AdminFailure) {
            let request = try AdminJSON.decodeRequest(KeyCallRequest.self, from: line, subject: "the line is no call")
            id = request.id
            batch.append(try request.meaning(timeout: timeout))
        } catch {
            if let id { answers.add(id: id, error) } else { answers.add(line: number, error) }
        }
    }

    private func take(_ line: ArraySlice<UInt8>, number: Int) {
        var batch: [KeyCall] = []
        take(line, number: number, into: &batch)
        answers.open(batch.count, bytes: line.count)
        calls.begin(batch)
    }

    private static func encode(_ answer: KeyCallAnswers.Answer, into buffer: inout ByteBuffer) throws {
        switch answer {
        case .result(let id, .committed(let version)):
            buffer.writeString("{\"id\":\(id),\"version\":\"\(version)\"}\n")
            return
        case .result(let id, let result): buffer.writeBytes(try AdminJSON.encode(KeyCallAnswer(id: id, result)))
        case .noCall(let line, let failure):
            buffer.writeBytes(try AdminJSON.encode(KeyCallAnswer(line: line, failure)))
        case .closed(let ending): buffer.writeBytes(try AdminJSON.encode(KeyCallAnswer(closed: ending.rawValue)))
        }
        buffer.writeInteger(UInt8(ascii: "\n"))
    }
}
