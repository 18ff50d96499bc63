// SPDX-License-Identifier: Apache-2.0
// Owns when each of the clients that share a connection sends its next call, and what such connections have in common.

import NIOCore

struct ClientTurns {
    private let numbers: [Int]
    private let pace: LoadPace?
    /// By client: when its turn was, of a paced load.
    private var due: [NIODeadline?]

    init(numbers: [Int], pace: LoadPace?) {
        self.numbers = numbers
        self.pace = pace
        due = numbers.map { _ in nil }
    }

    /// Calls `send` now, with since when the client waits, or at its next turn; then `later` follows.
    mutating func next<Connection: AnyObject>(
        of client: Int, on context: ChannelHandlerContext, _ connection: Connection,
        send: @escaping (Connection, ChannelHandlerContext, NIODeadline) -> Void,
        later: @escaping (Connection, ChannelHandlerContext) -> Void
    ) {
        guard let pace else { return send(connection, context, .now()) }
        let turn = pace.next(of: numbers[client], after: due[client] ?? .now())
        due[client] = turn
        // A turn that passed while the answer was awaited counts from when it was due.
        if turn <= .now() { return send(connection, context, turn) }
        let bound = NIOLoopBound((connection, context, send, later), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(deadline: turn) {
            let (connection, context, send, later) = bound.value
            guard context.channel.isActive else { return }
            // How late the timer fires is the generator's doing.
            send(connection, context, .now())
            later(connection, context)
        }
    }
}

/// A connection over which one or several clients call, each in turn.
protocol SharedConnection: ChannelInboundHandler {
    var tally: LoadTally { get }
    var turns: ClientTurns { get set }
    /// Calls without an answer.
    var open: Int { get }

    /// Has the client call, unless the load is over.
    func call(_ client: Int, _ context: ChannelHandlerContext, since start: NIODeadline)
    /// Sends the calls that were made.
    func flush(_ context: ChannelHandlerContext)
}

extension SharedConnection {
    /// The next call of a client, now or, of a paced load, at its next turn.
    func proceed(_ client: Int, _ context: ChannelHandlerContext) {
        turns.next(of: client, on: context, self) {
            $0.call(client, $1, since: $2)
        } later: {
            $0.flush($1)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { flush(context) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        tally.fail("\(error)")
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if open > 0 { tally.fail("the connection was closed with \(open) calls under way") }
    }
}
