// SPDX-License-Identifier: Apache-2.0
// Owns one client of the load generator, the requests it sends, and the tally that all clients share.

import NIOCore
import NIOHTTP1

/// What the clients ask for; the key changes with each request.
struct RequestShape: Sendable {
    var operation: LoadCommand.Operation
    var isEtcd: Bool
    var prefix: String
    var valueBytes: Int
    var keys: Int
    /// Of a get of etcd: answered by the asked member alone, as gossipd's reads of ordinary keys are.
    var isSerializable: Bool

    func head(key: Int, bodyBytes: Int) -> HTTPRequestHead {
        let (method, path): (HTTPMethod, String) =
            switch (isEtcd, operation) {
            case (false, .put): (.PUT, "/v1/kv/\(prefix)/\(key)")
            case (false, .get): (.GET, "/v1/kv/\(prefix)/\(key)?raw=true")
            case (true, .put): (.POST, "/v3/kv/put")
            case (true, .get): (.POST, "/v3/kv/range")
            }
        var headers = HTTPHeaders([("host", "localhost")])
        if bodyBytes > 0 || method != .GET { headers.add(name: "content-length", value: "\(bodyBytes)") }
        return HTTPRequestHead(version: .http1_1, method: method, uri: path, headers: headers)
    }

    func body(key: Int) -> [UInt8] {
        switch (isEtcd, operation) {
        case (false, .put): [UInt8](repeating: UInt8(ascii: "v"), count: valueBytes)
        case (false, .get): []
        case (true, .put):
            Array(
                (#"{"key":""# + base64("\(prefix)/\(key)") + #"","value":""#
                    + base64(String(repeating: "v", count: valueBytes)) + #""}"#).utf8)
        case (true, .get):
            Array((#"{"key":""# + base64("\(prefix)/\(key)") + #"","serializable":\#(isSerializable)}"#).utf8)
        }
    }

    /// RFC 4648, for etcd's gateway.
    private func base64(_ text: String) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        let bytes = Array(text.utf8)
        var encoded = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits = 0
            for offset in 0..<3 { bits = bits << 8 | (offset < group.count ? Int(group[start + offset]) : 0) }
            for position in 0..<4 {
                encoded.append(position <= group.count ? alphabet[bits >> (18 - 6 * position) & 63] : "=")
            }
        }
        return encoded
    }
}

/// When each client of a paced load sends: evenly, the clients one after the other.
struct LoadPace: Sendable {
    private let from: NIODeadline
    private let gap: Int64
    private let period: Int64

    init(clients: Int, perSecond: Int, from: NIODeadline) {
        self.from = from
        gap = 1_000_000_000 / Int64(perSecond)
        period = gap * Int64(clients)
    }

    /// The first turn of a client after `time`.
    func next(of number: Int, after time: NIODeadline) -> NIODeadline {
        let first = from + .nanoseconds(gap * Int64(number))
        let turns = max(0, (time - first).nanoseconds / period + 1)
        return first + .nanoseconds(turns * period)
    }
}

struct LoadFigures: Sendable {
    var requests = 0
    var perSecond = 0.0
    /// Milliseconds.
    var median = 0.0
    var percentile99 = 0.0
    var longest = 0.0
    var failures = 0
    var firstFailure = ""
}

/// Lives on the one event loop of the generator.
///
/// `@unchecked Sendable`: every method is called on that loop only.
final class LoadTally: @unchecked Sendable {
    private let countsFrom: NIODeadline
    private let limit: Int?
    private var issued = 0
    private var isStopped = false
    private var latencies: [Int64] = []
    private var failures = 0
    private var firstFailure = ""

    init(warmUp: TimeAmount, limit: Int?) {
        countsFrom = .now() + warmUp
        self.limit = limit
        latencies.reserveCapacity(1 << 20)
    }

    /// The number of the next request; nil when it is over.
    func next() -> Int? {
        if isStopped { return nil }
        if let limit, issued >= limit { return nil }
        defer { issued += 1 }
        return issued
    }

    func done(sentAt: NIODeadline, status: HTTPResponseStatus) {
        if status != .ok { fail("status \(status.code)") }
        if sentAt >= countsFrom, !isStopped { latencies.append((NIODeadline.now() - sentAt).nanoseconds) }
    }

    func fail(_ reason: String) {
        if isStopped { return }
        failures += 1
        if firstFailure.isEmpty { firstFailure = reason }
    }

    func stop() { isStopped = true }

    func figures(seconds: Double) -> LoadFigures {
        let sorted = latencies.sorted()
        func at(_ share: Double) -> Double {
            sorted.isEmpty ? 0 : Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / 1e6
        }
        return LoadFigures(
            requests: sorted.count, perSecond: Double(sorted.count) / seconds, median: at(0.5), percentile99: at(0.99),
            longest: at(1), failures: failures, firstFailure: firstFailure)
    }
}

/// Sends, waits for the answer, sends again.
final class LoadConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let number: Int
    private let requests: RequestShape
    private let tally: LoadTally
    private let pace: LoadPace?
    private var due: NIODeadline?
    private var sentAt = NIODeadline.now()
    private var status = HTTPResponseStatus.ok

    init(number: Int, requests: RequestShape, tally: LoadTally, pace: LoadPace?) {
        self.number = number
        self.requests = requests
        self.tally = tally
        self.pace = pace
    }

    func channelActive(context: ChannelHandlerContext) { proceed(context) }

    /// Sends now or, of a paced load, at the client's next turn. A turn that passed while the answer was awaited counts
    /// from when it was due, so that a slow answer is seen in all requests that it held up.
    private func proceed(_ context: ChannelHandlerContext) {
        guard let pace else { return send(context, since: .now()) }
        let turn = pace.next(of: number, after: due ?? .now())
        due = turn
        if turn <= .now() { return send(context, since: turn) }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(deadline: turn) {
            let (connection, context) = bound.value
            // How late the timer fires is the generator's doing.
            if context.channel.isActive { connection.send(context, since: .now()) }
        }
    }

    private func send(_ context: ChannelHandlerContext, since start: NIODeadline) {
        guard let next = tally.next() else {
            context.close(promise: nil)
            return
        }
        // Spread over the keys, in another order than they were written.
        let key = requests.operation == .put ? next % requests.keys : (next &* 7_919) % requests.keys
        let body = requests.body(key: key)
        sentAt = start
        context.write(wrapOutboundOut(.head(requests.head(key: key, bodyBytes: body.count))), promise: nil)
        if !body.isEmpty { context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): status = head.status
        case .body: break
        case .end:
            tally.done(sentAt: sentAt, status: status)
            proceed(context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        tally.fail("\(error)")
        context.close(promise: nil)
    }
}
