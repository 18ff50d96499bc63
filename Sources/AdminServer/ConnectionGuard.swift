// SPDX-License-Identifier: Apache-2.0
// Owns the patience with one connection: deadlines for its phases, and the answer to what is not HTTP.

import AdminModel
import NIOCore
import Synchronization

/// Whether what a connection has sent can still be trusted to be whole. Hummingbird ends a body quietly when its
/// connection ends in the middle of it, and half a value must never be written.
final class Integrity: Sendable {
    private let broken = Mutex(false)

    var isBroken: Bool { broken.withLock { $0 } }

    func lose() { broken.withLock { $0 = true } }
}

/// First handler of a connection, before the HTTP codec: it closes what is too slow in either direction.
final class ConnectionGuard: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Phase: Equatable {
        /// Waiting for a request's head.
        case idle
        /// Reading a request's body.
        case receiving
        /// The node works on the answer, for as long as this or, with nil, as the settings say: then it takes no long time by
        /// nature.
        case answering(Duration?)
        /// Writing an answer or a stream: only a stalled reader ends it.
        case writing
        /// A body comes while its answer is written, both without an end: as `writing`, and what comes is no further request. At a stop
        /// the node still answers what is under way.
        case exchanging
        /// Refused: what still comes is read and dropped until the peer has closed, so that its writing does not
        /// fail before it has read why.
        case draining
    }

    private let settings: AdminServerSettings
    private let state: ServerState
    /// Set when the connection must not be served.
    private let refusal: AdminFailure?
    let integrity = Integrity()
    private var phase: Phase = .idle
    /// A refusal was written; nothing that comes after it counts.
    private var hasRefused = false
    /// The server stops: the request under way is the last one.
    private var closesWhenIdle = false
    /// At least one request has come.
    private var hasAsked = false

    /// Whoever has connected just before the server stops has its question on the way: it is answered, by this process.
    private static let firstRequestGrace = Duration.milliseconds(250)
    /// On a connection that was kept open, whoever was not told of the stop with the last answer has its next question on the
    /// way.
    private static let nextRequestGrace = Duration.milliseconds(20)
    /// Something was read that may begin a request, which has not come to its handler yet.
    private var mayBeAsked = false
    /// The request under way is none that takes long by nature: at a stop it is answered, however busy the disk is.
    private var isBrief = false
    private var deadline: NIODeadline = .distantFuture
    private var timer: (due: NIODeadline, task: Scheduled<Void>)?
    private var writeTimer: Scheduled<Void>?
    private var context: ChannelHandlerContext?

    init(settings: AdminServerSettings, state: ServerState, refusal: AdminFailure?) {
        self.settings = settings
        self.state = state
        self.refusal = refusal
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.task.cancel()
        writeTimer?.cancel()
        timer = nil
        writeTimer = nil
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        enter(.idle)
        context.fireChannelActive()
        // Clients take an answer that comes before their question for an error: wait for its beginning.
        if let refusal, !state.drain(context.channel, max: settings.maxDraining) { refuse(refusal) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasRefused else { return }
        if phase == .idle || phase == .writing { mayBeAsked = true }
        if let refusal { refuse(refusal) } else { context.fireChannelRead(data) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ServerStopping: stop(context)
        case is ServerGraceOver: endGrace(context)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    /// What takes long by nature, or waits for its peer, is cut.
    private func endGrace(_ context: ChannelHandlerContext) {
        switch phase {
        case .exchanging: break
        case .answering where isBrief, .writing where isBrief, .idle where mayBeAsked: break
        case .idle, .receiving, .answering, .writing, .draining: context.close(promise: nil)
        }
    }

    private func stop(_ context: ChannelHandlerContext) {
        switch phase {
        case .idle where refusal == nil:
            closesWhenIdle = true
            let grace = hasAsked ? Self.nextRequestGrace : Self.firstRequestGrace
            deadline = min(deadline, .now() + TimeAmount(grace))
            schedule(context)
        case .idle, .draining: context.close(promise: nil)
        case .receiving, .answering, .writing, .exchanging: closesWhenIdle = true
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        writeTimer?.cancel()
        writeTimer = nil
        if !context.channel.isWritable {
            let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
            writeTimer = context.eventLoop.scheduleTask(in: TimeAmount(settings.writeDeadline)) {
                bound.value.cut()
            }
        }
        context.fireChannelWritabilityChanged()
    }

    /// Starts the patience of another phase.
    func enter(_ phase: Phase) {
        guard let context, !hasRefused || phase == .draining else { return }
        self.phase = phase
        if phase != .idle { hasAsked = true }
        // Every request begins with one of these.
        if phase == .receiving || phase == .answering(nil) { mayBeAsked = false }
        if case .answering(let patience) = phase { isBrief = patience == nil }
        let patience: Duration? =
            switch phase {
            case .idle where closesWhenIdle: Self.nextRequestGrace
            case .idle: refusal == nil ? settings.idleDeadline : settings.drainDeadline
            case .receiving: settings.requestDeadline
            case .answering(let patience): patience ?? settings.answerDeadline
            case .writing, .exchanging: nil
            case .draining: settings.drainDeadline
            }
        deadline = patience.map { .now() + TimeAmount($0) } ?? .distantFuture
        schedule(context)
    }

    /// One timer at the earliest deadline; a later deadline moves it only when it fires.
    private func schedule(_ context: ChannelHandlerContext) {
        guard deadline < .distantFuture else { return }
        if let timer {
            guard deadline < timer.due else { return }
            timer.task.cancel()
        }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let task = context.eventLoop.scheduleTask(deadline: deadline) { bound.value.timerFired() }
        timer = (deadline, task)
    }

    private func timerFired() {
        timer = nil
        guard let context else { return }
        guard deadline <= .now() else { return schedule(context) }
        switch phase {
        case .receiving:
            state.count { $0.connectionsCut += 1 }
            refuse(AdminFailure(.requestTimeout, "the request did not arrive in time: send it whole"))
        case .answering:
            state.count { $0.connectionsCut += 1 }
            refuse(AdminFailure(.timedOut, "the node did not answer in time: see its journal"))
        case .idle where refusal != nil: refusal.map(refuse)
        case .idle where mayBeAsked && closesWhenIdle:
            // Its turn comes; the server's own patience ends this.
            deadline = .now() + TimeAmount(settings.requestDeadline)
            schedule(context)
        case .idle, .draining: context.close(promise: nil)
        case .writing, .exchanging: break
        }
    }

    /// Closes a connection whose peer takes nothing.
    private func cut() {
        guard let context else { return }
        state.count { $0.connectionsCut += 1 }
        context.close(promise: nil)
    }

    /// Answers outside the HTTP codec, drains what the peer still sends, and closes. While an answer is being written
    /// it only closes.
    func refuse(_ failure: AdminFailure) {
        integrity.lose()
        guard let context, !hasRefused else { return }
        guard phase != .writing, phase != .exchanging else { return context.close(promise: nil) }
        state.countFailure(failure.code)
        let body = (try? AdminJSON.encode(ErrorDocument(failure))) ?? []
        let head =
            "HTTP/1.1 \(failure.code.httpStatus) \(failure.code.rawValue)\r\ncontent-type: application/json\r\n"
            + "content-length: \(body.count)\r\nconnection: close\r\n\r\n"
        var buffer = context.channel.allocator.buffer(capacity: head.utf8.count + body.count)
        buffer.writeString(head)
        buffer.writeBytes(body)
        phase = .writing
        hasRefused = true
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(buffer)).whenComplete { bound.value.drain(afterWriting: $0) }
    }

    /// Closes this direction only, for `drainDeadline` at most, while few connections do so.
    private func drain(afterWriting result: Result<Void, any Error>) {
        guard let context else { return }
        guard case .success = result, state.drain(context.channel, max: settings.maxDraining) else {
            return context.close(promise: nil)
        }
        enter(.draining)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.close(mode: .output).whenFailure { _ in bound.value.close(promise: nil) }
    }
}

/// Follows the HTTP codec: what the codec cannot read is answered by the guard and goes no further.
final class ProtocolErrorHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any

    private let connection: ConnectionGuard
    private let state: ServerState

    init(connection: ConnectionGuard, state: ServerState) {
        self.connection = connection
        self.state = state
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        connection.integrity.lose()
        // A peer that vanished is no news, and there is nobody left to tell.
        if error is IOError { return context.close(promise: nil) }
        state.count { $0.protocolErrors += 1 }
        connection.refuse(AdminFailure(.badRequest, "this is not an HTTP/1.1 request that can be read"))
    }
}

/// On the listening channel: a failed accept, such as no descriptor left, must not end the listening.
final class AcceptErrorHandler: ChannelInboundHandler {
    typealias InboundIn = Any

    private let state: ServerState

    init(state: ServerState) { self.state = state }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        state.count { $0.connectionsRefused += 1 }
    }
}
