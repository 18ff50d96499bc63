// SPDX-License-Identifier: Apache-2.0
// Owns one connection of the load generator to etcd's gRPC, over which one or several clients call, each in turn.

import NIOCore
import NIOHTTP1

/// Each client sends a call, waits for its answer and sends the next: one stream of HTTP/2 for each call. An answer is right
/// when it has a message; gRPC's errors have none.
final class GRPCConnection: SharedConnection {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private struct Call {
        var client: Int
        var sentAt: NIODeadline
        var hasMessage = false
    }

    /// What the server may send before it needs leave for more.
    private static let windowBytes: UInt32 = 1 << 30

    private let clients: Int
    private let shape: GRPCShape
    let tally: LoadTally
    var turns: ClientTurns
    private var calls: [UInt32: Call] = [:]
    private var nextStream: UInt32 = 1
    private var isFirst = true
    /// Bytes that may be sent still (RFC 9113 section 6.9).
    private var window = 65_535
    private var waiting: [(client: Int, sentAt: NIODeadline, message: [UInt8])] = []
    private var received = ByteBuffer()
    private var unacknowledged: UInt32 = 0
    private var out = ByteBuffer()

    /// - Parameter numbers: The clients that share this connection.
    init(numbers: [Int], shape: GRPCShape, tally: LoadTally, pace: LoadPace?) {
        clients = numbers.count
        self.shape = shape
        self.tally = tally
        turns = ClientTurns(numbers: numbers, pace: pace)
    }

    func channelActive(context: ChannelHandlerContext) {
        out.writeBytes(HTTP2Frame.preface)
        HTTP2Frame.write(HTTP2Kind.settings, 0, 0, [], to: &out)
        HTTP2Frame.write(HTTP2Kind.windowUpdate, 0, 0, HTTP2Frame.bytes(Self.windowBytes), to: &out)
        for client in 0..<clients { proceed(client, context) }
        flush(context)
    }

    var open: Int { calls.count + waiting.count }

    func call(_ client: Int, _ context: ChannelHandlerContext, since start: NIODeadline) {
        guard let number = tally.next() else {
            if open == 0 { context.close(promise: nil) }
            return
        }
        let message = shape.message(number)
        if !waiting.isEmpty || window < message.count {
            waiting.append((client, start, message))
        } else {
            send(client, start, message)
        }
    }

    private func send(_ client: Int, _ start: NIODeadline, _ message: [UInt8]) {
        calls[nextStream] = Call(client: client, sentAt: start)
        let headers = isFirst ? shape.firstHeaders : GRPCShape.laterHeaders
        isFirst = false
        HTTP2Frame.write(HTTP2Kind.headers, HTTP2Kind.endHeaders, nextStream, headers, to: &out)
        HTTP2Frame.write(HTTP2Kind.data, HTTP2Kind.endStream, nextStream, message, to: &out)
        window -= message.count
        nextStream += 2
    }

    func flush(_ context: ChannelHandlerContext) {
        guard out.readableBytes > 0 else { return }
        context.writeAndFlush(wrapOutboundOut(out), promise: nil)
        out = context.channel.allocator.buffer(capacity: 4_096)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        while let frame = HTTP2Frame.next(in: &received) { take(frame, context) }
        received.discardReadBytes()
        while let first = waiting.first, window >= first.message.count {
            waiting.removeFirst()
            send(first.client, first.sentAt, first.message)
        }
    }

    private func take(_ frame: HTTP2Frame, _ context: ChannelHandlerContext) {
        var payload = frame.payload
        switch frame.kind {
        case HTTP2Kind.data:
            unacknowledged += UInt32(payload.readableBytes)
            if unacknowledged > Self.windowBytes / 4 {
                HTTP2Frame.write(HTTP2Kind.windowUpdate, 0, 0, HTTP2Frame.bytes(unacknowledged), to: &out)
                unacknowledged = 0
            }
            if payload.readableBytes >= 5 { calls[frame.stream]?.hasMessage = true }
            if frame.flags & HTTP2Kind.endStream != 0 { end(frame.stream, context) }
        case HTTP2Kind.headers: if frame.flags & HTTP2Kind.endStream != 0 { end(frame.stream, context) }
        case HTTP2Kind.reset:
            calls[frame.stream]?.hasMessage = false
            end(frame.stream, context)
        case HTTP2Kind.settings where frame.flags & HTTP2Kind.acknowledged == 0:
            HTTP2Frame.write(HTTP2Kind.settings, HTTP2Kind.acknowledged, 0, [], to: &out)
        case HTTP2Kind.ping where frame.flags & HTTP2Kind.acknowledged == 0:
            HTTP2Frame.write(
                HTTP2Kind.ping, HTTP2Kind.acknowledged, 0, payload.readBytes(length: payload.readableBytes) ?? [],
                to: &out)
        case HTTP2Kind.goAway: tally.fail("the server said GOAWAY")
        case HTTP2Kind.windowUpdate where frame.stream == 0:
            window += Int(payload.readInteger(as: UInt32.self) ?? 0) & 0x7fff_ffff
        case _: break
        }
    }

    private func end(_ stream: UInt32, _ context: ChannelHandlerContext) {
        guard let call = calls.removeValue(forKey: stream) else { return }
        tally.done(sentAt: call.sentAt, status: call.hasMessage ? .ok : .internalServerError)
        proceed(call.client, context)
    }
}
