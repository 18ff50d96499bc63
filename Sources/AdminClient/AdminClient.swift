// SPDX-License-Identifier: Apache-2.0
// Owns one exchange with the daemon: connect, send, receive whole or line by line, each within a deadline.

import AdminModel
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix

/// One request to the admin API.
package struct AdminRequest: Sendable {
    package var method: String
    /// Percent-encoded, such as `/v1/kv/app/db`.
    package var path: String
    package var query = URLQuery()
    package var headers: [(name: String, value: String)] = []
    package var body: [UInt8]?
    /// Instead of `body`: sent piece by piece, each when the daemon has taken the one before it.
    package var upload: PullStream<[UInt8]>?
    /// Set for a change that may as well be made twice.
    package var mayBeRepeated: Bool

    package init(
        _ method: String, _ path: String, query: URLQuery = URLQuery(), body: [UInt8]? = nil,
        mayBeRepeated: Bool = false
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.body = body
        self.mayBeRepeated = mayBeRepeated
    }
}

package struct AdminResponse: Sendable {
    package var status: Int
    package var contentType: String?
    /// Of a stream: where it resumes before its first line.
    package var cursor: String?
    package var body: [UInt8]

    package var isSuccess: Bool { (200..<300).contains(status) }

    /// The error that a status other than 2xx carries.
    package var failure: AdminFailure {
        if let document = try? AdminJSON.decode(ErrorDocument.self, from: body) { return document.failure }
        return AdminFailure(.badAnswer, "the daemon answered with status \(status) and no explanation: see its journal")
    }
}

/// A client of one daemon's socket; every request uses a connection of its own.
package struct AdminClient: Sendable {
    package let socketPath: String
    /// For a whole exchange; of a stream, until its first byte.
    package var timeout: Duration
    /// The longest silence of a stream: three heartbeats and a bit.
    package var silenceMax: Duration = .seconds(50)
    /// Bytes of an answer, and of one line of a stream.
    package var answerBytesMax = 256 * 1024 * 1024
    package var patience = RestartPatience.none
    private let group: any EventLoopGroup

    package init(
        socketPath: String, timeout: Duration = .seconds(10),
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) {
        self.socketPath = socketPath
        self.timeout = timeout
        self.group = group
    }

    /// For a program that makes one exchange and exits: a single thread, which lives as long as the process.
    package static func singleUse(socketPath: String, timeout: Duration) -> AdminClient {
        AdminClient(
            socketPath: socketPath, timeout: timeout, group: MultiThreadedEventLoopGroup(numberOfThreads: 1))
    }

    /// Sends a request and returns whatever the daemon answers, errors included. Fails with `unreachable`, `denied`,
    /// `timed_out` or `bad_answer` when there is no answer.
    package func send(_ request: AdminRequest) async throws(AdminFailure) -> AdminResponse {
        let limit = answerBytesMax
        // Nothing of an answer that broke off has reached anybody.
        return try await exchange(request, untilWhole: true) { parts, response, _ throws(AdminFailure) in
            while let part = try await parts.next() {
                guard response.body.count + part.readableBytes <= limit else {
                    throw AdminFailure(.badAnswer, "the answer has more than \(limit) bytes: ask for less")
                }
                response.body.append(contentsOf: part.readableBytesView)
            }
            return response
        }
    }

    /// Follows a stream line by line until `onLine` returns false or the daemon ends it; `onOpen` is called when the
    /// daemon has subscribed, so that nothing after it is missed. Fails as `send` does, with the daemon's own failure,
    /// and with `timed_out` when the stream falls silent.
    package func stream(
        _ request: AdminRequest, onOpen: (_ cursor: String?) async throws(AdminFailure) -> Void = { _ in },
        onLine: ([UInt8]) async throws(AdminFailure) -> Bool
    ) async throws(AdminFailure) {
        let limit = answerBytesMax
        let silence = silenceMax
        try await exchange(request) { parts, response, deadline throws(AdminFailure) in
            var lines = LineSplitter(lengthMax: limit)
            if response.isSuccess {
                deadline.move(to: silence)
                try await onOpen(response.cursor)
            }
            while let part = try await parts.next() {
                guard response.isSuccess else {
                    response.body.append(contentsOf: part.readableBytesView)
                    continue
                }
                deadline.move(to: silence)
                for line in try lines.append(part) {
                    guard try await onLine(line) else { return }
                }
            }
            guard response.isSuccess else { throw response.failure }
        }
    }

    /// Takes an answer piece by piece; the timeout is for the first byte and for each silence. Fails as `send` does, with
    /// the daemon's own failure, and with `unavailable` when the answer broke off.
    package func download(
        _ request: AdminRequest, onPiece: ([UInt8]) async throws(AdminFailure) -> Void
    ) async throws(AdminFailure) {
        let silence = max(timeout, silenceMax)
        try await exchange(request) { parts, response, deadline throws(AdminFailure) in
            while let part = try await parts.next() {
                guard response.isSuccess else {
                    response.body.append(contentsOf: part.readableBytesView)
                    continue
                }
                deadline.move(to: silence)
                try await onPiece(Array(part.readableBytesView))
            }
            guard response.isSuccess else { throw response.failure }
        }
    }

    /// Sends a request, once more if need be and possible; `untilWhole`: also when the answer itself broke off.
    private func exchange<Result: Sendable>(
        _ request: AdminRequest, untilWhole: Bool = false,
        _ receive: (inout BodyParts, inout AdminResponse, Deadline) async throws(AdminFailure) -> Result
    ) async throws(AdminFailure) -> Result {
        let start = ContinuousClock.now
        var repeats = 0
        var request = request
        while true {
            do {
                return try await attempt(request, since: start, receive)
            } catch {
                let failure = (error as? Unanswered)?.failure ?? (error as? AdminFailure) ?? Self.broken
                let isOpen = error is Unanswered || (untilWhole && failure == Self.broken)
                guard isOpen, request.isRepeatable, repeats < patience.repeatsMax,
                    start.duration(to: .now) + patience.pause(before: repeats) < timeout,
                    (try? await Task.sleep(for: patience.pause(before: repeats))) != nil
                else { throw failure }
                repeats += 1
                // A change of a strict key is not made twice: the daemon says that its outcome is not known.
                request.headers = request.headers.filter { $0.name != Self.repeatHeader }
                request.headers.append((Self.repeatHeader, "\(repeats)"))
            }
        }
    }

    private static let repeatHeader = "gossipd-repeat"

    /// How long the daemon may take over a call of the strict group, so that its reason comes before this client gives up.
    private var strictTimeout: Duration {
        let margin = min(timeout / 10, .seconds(1))
        return min(max(timeout - margin, .milliseconds(1)), AdminLimits.strictTimeoutMax)
    }

    fileprivate static let broken = AdminFailure(
        .unavailable, "the connection to the daemon broke: is it still running?")

    /// Fails with `Unanswered` or an `AdminFailure`.
    private func attempt<Result: Sendable>(
        _ request: AdminRequest, since start: ContinuousClock.Instant,
        _ receive: (inout BodyParts, inout AdminResponse, Deadline) async throws(AdminFailure) -> Result
    ) async throws -> Result {
        let channel = try await connect(since: start)
        let deadline = Deadline(channel.channel, in: max(timeout - start.duration(to: .now), .milliseconds(1)))
        defer { deadline.cancel() }
        do {
            return try await channel.executeThenClose { inbound, outbound in
                // A daemon that refuses early closes while we still write: its answer is there to be read.
                var written: ()? = try? await outbound.write(contentsOf: parts(of: request))
                if let upload = request.upload, written != nil {
                    written = try await send(upload, outbound, deadline)
                }
                var iterator = inbound.makeAsyncIterator()
                guard let head = try await Self.head(&iterator) else {
                    throw Unanswered(
                        failure: AdminFailure(
                            .badAnswer,
                            "the daemon closed the connection \(written == nil ? "early" : "without an answer")"))
                }
                var response = AdminResponse(
                    status: Int(head.status.code), contentType: head.headers.first(name: "content-type"),
                    cursor: head.headers.first(name: "gossipd-cursor"), body: [])
                var body = BodyParts(iterator: iterator)
                return try await receive(&body, &response, deadline)
            }
        } catch {
            if deadline.passed {
                throw AdminFailure(
                    .timedOut, "the daemon did not answer within \(timeout.shortText): try again, or raise --timeout")
            }
            guard error is AdminFailure || error is Unanswered else { throw Self.broken }
            throw error
        }
    }

    /// The head of the answer proper; nil when the connection was closed before, `Unanswered` when it broke.
    private static func head(
        _ iterator: inout NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator
    ) async throws -> HTTPResponseHead? {
        do {
            while let part = try await iterator.next() {
                if case .head(let head) = part, head.status != .continue { return head }
            }
            return nil
        } catch {
            guard error is IOError || error is ChannelError || error as? HTTPParserError == .invalidEOFState else {
                throw broken
            }
            throw Unanswered(failure: broken)
        }
    }

    /// Nil when the daemon takes no more; fails when there is no more to give.
    private func send(
        _ upload: PullStream<[UInt8]>, _ outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>,
        _ deadline: Deadline
    ) async throws(AdminFailure) -> ()? {
        while let piece = try await upload.next() {
            guard (try? await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: piece))))) != nil else { return nil }
            deadline.move(to: timeout)
        }
        return try? await outbound.write(.end(nil))
    }

    private func parts(of request: AdminRequest) -> [HTTPClientRequestPart] {
        var headers = HTTPHeaders([
            ("host", "gossipd"), ("connection", "close"), ("gossipd-timeout", Self.text(strictTimeout)),
        ])
        for (name, value) in request.headers { headers.replaceOrAdd(name: name, value: value) }
        if let body = request.body { headers.replaceOrAdd(name: "content-length", value: String(body.count)) }
        if request.upload != nil { headers.replaceOrAdd(name: "transfer-encoding", value: "chunked") }
        let head = HTTPRequestHead(
            version: .http1_1, method: HTTPMethod(rawValue: request.method), uri: request.path + request.query.encoded,
            headers: headers)
        var parts: [HTTPClientRequestPart] = [.head(head)]
        if let body = request.body { parts.append(.body(.byteBuffer(ByteBuffer(bytes: body)))) }
        if request.upload == nil { parts.append(.end(nil)) }
        return parts
    }

    private typealias HTTPChannel = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    /// Between two tries to connect to a daemon that accepts more slowly than clients come.
    private static let connectPause = Duration.milliseconds(20)

    private func connect(since start: ContinuousClock.Instant) async throws(AdminFailure) -> HTTPChannel {
        let began = ContinuousClock.now
        while true {
            do {
                return try await connectOnce()
            } catch {
                let isWorthIt =
                    switch (error as? IOError)?.errnoCode {
                    // Where TCP would wait, a Unix socket whose queue is full says so at once.
                    case EAGAIN: true
                    case ENOENT, ECONNREFUSED: mayReturn && began.duration(to: .now) < patience.absenceMax
                    default: false
                    }
                guard isWorthIt, start.duration(to: .now) < timeout,
                    (try? await Task.sleep(for: Self.connectPause)) != nil
                else { throw connectFailure(error) }
            }
        }
    }

    /// Whether a daemon that is not there may come back: where there is no folder for its socket, there was never one.
    private var mayReturn: Bool {
        let folder = socketPath.lastIndex(of: "/").map { socketPath[..<$0] } ?? "."
        return access(folder.isEmpty ? "/" : String(folder), F_OK) == 0
    }

    private func connectOnce() async throws -> HTTPChannel {
        try await ClientBootstrap(group: group)
            .connectTimeout(TimeAmount(timeout))
            .connect(unixDomainSocketPath: socketPath) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    return try HTTPChannel(wrappingChannelSynchronously: channel)
                }
            }
    }

    private func connectFailure(_ error: any Error) -> AdminFailure {
        if error is ChannelError {
            return AdminFailure(.timedOut, "the daemon does not accept connections on \(socketPath): see its journal")
        }
        switch (error as? IOError)?.errnoCode {
        case EACCES, EPERM:
            return AdminFailure(
                .denied, "may not connect to \(socketPath): run as root or a member of group gossipd or gossipd-read")
        case ENOENT, ECONNREFUSED:
            return AdminFailure(
                .unreachable,
                "no daemon answers on \(socketPath): start it with systemctl start gossipd, or name its --socket")
        case EAGAIN:
            return AdminFailure(
                .busy,
                "too many clients wait for the daemon on \(socketPath): try again, and see its journal if it goes on")
        default:
            return AdminFailure(.unreachable, "cannot connect to \(socketPath): check the path given by --socket")
        }
    }
}

/// The body of an answer, part by part.
struct BodyParts {
    fileprivate var iterator: NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator

    /// Nil at the end of the body; fails with `bad_answer` when the connection ends before.
    mutating func next() async throws(AdminFailure) -> ByteBuffer? {
        while true {
            let part: HTTPClientResponsePart?
            do { part = try await iterator.next() } catch { part = nil }
            switch part {
            case .body(let buffer): return buffer
            case .end: return nil
            case .head: continue
            case nil:
                throw AdminClient.broken
            }
        }
    }
}
