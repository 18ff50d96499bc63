// SPDX-License-Identifier: Apache-2.0
// Owns one connection of the load generator to gossipd's `POST /v1/calls`, over which one or several clients call, each in turn.

import NIOCore
import NIOHTTP1

/// What each client asks for: one line of JSON a call.
struct CallsShape: Sendable {
    var operation: LoadCommand.Operation
    var prefix: String
    var value: String
    var keys: Int

    func line(client: Int, number: Int) -> String {
        switch operation {
        case .put: "{\"id\":\(client),\"put\":\"\(prefix)/\(number % keys)\",\"value\":\"\(value)\"}\n"
        case .get: "{\"id\":\(client),\"get\":\"\(prefix)/\((number &* 7_919) % keys)\"}\n"
        }
    }
}

/// Each client sends a line, waits for the answer with its number and sends the next. An answer is right when it has a version or
/// a key. HTTP/1.1's chunks around whole lines are lines of their own, which begin with no brace.
final class CallsConnection: SharedConnection {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let shape: CallsShape
    let tally: LoadTally
    var turns: ClientTurns
    /// By client: since when it waits; nil: it does not.
    private var sentAt: [NIODeadline?]
    private var lines = ""
    private var received = ByteBuffer()

    /// - Parameter numbers: The clients that share this connection.
    init(numbers: [Int], shape: CallsShape, tally: LoadTally, pace: LoadPace?) {
        self.shape = shape
        self.tally = tally
        turns = ClientTurns(numbers: numbers, pace: pace)
        sentAt = numbers.map { _ in nil }
    }

    func channelActive(context: ChannelHandlerContext) {
        var head = context.channel.allocator.buffer(capacity: 128)
        head.writeString("POST /v1/calls HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        context.write(wrapOutboundOut(head), promise: nil)
        for client in sentAt.indices { proceed(client, context) }
        flush(context)
    }

    var open: Int { sentAt.count { $0 != nil } }

    func call(_ client: Int, _ context: ChannelHandlerContext, since start: NIODeadline) {
        guard let number = tally.next() else {
            if open == 0 { context.close(promise: nil) }
            return
        }
        sentAt[client] = start
        lines += shape.line(client: client, number: number)
    }

    func flush(_ context: ChannelHandlerContext) {
        if lines.isEmpty { return }
        var out = context.channel.allocator.buffer(capacity: lines.utf8.count + 16)
        out.writeString(String(lines.utf8.count, radix: 16) + "\r\n")
        out.writeString(lines)
        out.writeString("\r\n")
        lines = ""
        context.writeAndFlush(wrapOutboundOut(out), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        while let end = received.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
            let view = received.readableBytesView
            take(view[view.startIndex..<end], context)
            received.moveReaderIndex(to: end + 1)
        }
        received.discardReadBytes()
    }

    private func take(_ line: ByteBufferView, _ context: ChannelHandlerContext) {
        guard line.first == UInt8(ascii: "{") else {
            if line.starts(with: "HTTP/1.1 ".utf8), !line.starts(with: "HTTP/1.1 200".utf8) {
                tally.fail(String(decoding: line, as: UTF8.self))
            }
            return
        }
        // Right answers begin with their number: the daemon sorts names.
        var place = line.startIndex + "{\"id\":".utf8.count
        var client = 0
        var digits = 0
        while place < line.endIndex, case let digit = line[place] &- UInt8(ascii: "0"), digit < 10 {
            client = client * 10 + Int(digit)
            digits += 1
            place += 1
        }
        let isFound = line.starts(with: "{\"found\"".utf8)
        if isFound, let tail = Self.lastNumber(line) {
            client = tail
            digits = 1
        }
        guard digits > 0, sentAt.indices.contains(client), let start = sentAt[client] else {
            tally.fail(String(decoding: line, as: UTF8.self))
            return
        }
        sentAt[client] = nil
        tally.done(sentAt: start, status: .ok)
        proceed(client, context)
    }

    /// Of `{"found":{...},"id":7}`.
    private static func lastNumber(_ line: ByteBufferView) -> Int? {
        var place = line.endIndex - 2
        var number = 0
        var factor = 1
        while place > line.startIndex, case let digit = line[place] &- UInt8(ascii: "0"), digit < 10 {
            number += Int(digit) * factor
            factor *= 10
            place -= 1
        }
        return factor > 1 ? number : nil
    }
}
