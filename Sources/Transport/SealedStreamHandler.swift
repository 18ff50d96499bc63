// SPDX-License-Identifier: Apache-2.0
// Owns the seal of one connection, in front of its `PeerStream`, which sees plain bytes and an active channel only when the peer
// has proven the key.

import ClusterTypes
import NIOCore
import NodeKernel
import Sealing
import WireProtocol

/// What the handler above is told before the channel is active to it.
enum SealedStreamEvent: Sendable {
    /// The peer's host has taken our connection; the handshake is under way.
    case connected
}

/// Handshake and records of one connection, on its channel's event loop.
final class SealedStreamHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        case waiting
        case sealed(SealedStream)
        case plain
        case ended
    }

    private let seal: NodeSeal
    /// Of an outbound connection: to whom, and the key to begin with; nil: plain.
    private let target: Address?
    private let key: ClusterKey?
    /// Of an inbound connection: the keys that its peer may choose from.
    private var offered: [KeyID] = []
    private var remote: Address?
    private var state = State.waiting
    private var isTold = false
    private var timeout: Scheduled<Void>?

    /// The handshake's time: a round trip on a slow network, with lost segments sent again.
    private static let handshakeTimeout = TimeAmount.seconds(5)

    /// Accepts a connection.
    init(accepting seal: NodeSeal) {
        self.seal = seal
        target = nil
        key = nil
    }

    /// Opens one, with this key; with none it only looks whether the peer understands plain bytes.
    init(opening seal: NodeSeal, to target: Address, key: ClusterKey?) {
        self.seal = seal
        self.target = target
        self.key = key
    }

    /// Whether what passes here is still good under these settings: a stream lives as long as both ends like, and the key
    /// that it was opened with may have been retired meanwhile.
    func isAccepted(by settings: SealSettings) -> Bool {
        let accepted = settings.keys.map(\.id)
        return switch state {
        case .sealed(let stream): (stream.key.map { [$0] } ?? offered).allSatisfy(accepted.contains)
        case .plain: !settings.requiresSeal
        case .waiting, .ended: true
        }
    }

    func channelActive(context: ChannelHandlerContext) {
        remote = context.remoteAddress.flatMap { Address($0) }
        if let key {
            let beginning = SealedStream.initiate(
                under: key, cluster: seal.cluster, version: ProtocolVersion.current, ephemeral: seal.ephemeral())
            guard let (stream, bytes) = beginning else { return context.close(promise: nil) }
            state = .sealed(stream)
            write(bytes, context)
            context.fireUserInboundEventTriggered(SealedStreamEvent.connected)
        } else if target != nil {
            state = .plain
            return context.fireChannelActive()
        } else {
            offered = seal.settings.keys.map(\.id)
            state = .sealed(
                SealedStream(
                    accepting: seal.settings.keys, cluster: seal.cluster, version: ProtocolVersion.current))
        }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        timeout = context.eventLoop.assumeIsolated().scheduleTask(in: Self.handshakeTimeout) { [seal, target, remote] in
            if target == nil, let remote { seal.refuse(.silent, remote) }
            bound.value.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if case .sealed(let stream) = state, stream.key == nil, !seal.settings.requiresSeal,
            bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) == 0
        {
            // A plain stream begins with a length, a sealed one with a letter.
            state = .plain
            opened(context)
        }
        switch state {
        case .plain:
            isTold = true
            context.fireChannelRead(wrapInboundOut(bytes))
        case .sealed(var stream):
            // Moved out while it is changed, so that its buffers are not copied.
            state = .waiting
            let received = bytes.readBytes(length: bytes.readableBytes) ?? []
            let progress: SealedStream.Progress
            do throws(SealRefusal) {
                progress = try stream.receive(received, ephemeral: seal.ephemeral())
            } catch {
                state = .ended
                if let remote { seal.refuse(error, target ?? remote) }
                return context.close(promise: nil)
            }
            let isOpen = stream.isOpen
            state = .sealed(stream)
            if !progress.answer.isEmpty { write(progress.answer, context) }
            if isOpen, !isTold {
                isTold = true
                if let target { seal.streamOpened(to: target, under: key) }
                opened(context)
            }
            if !progress.plain.isEmpty { context.fireChannelRead(wrapInboundOut(ByteBuffer(bytes: progress.plain))) }
        case .waiting, .ended:
            break
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch state {
        case .plain:
            context.write(data, promise: promise)
        case .sealed(var stream):
            state = .waiting
            let records = stream.seal(Array(unwrapOutboundIn(data).readableBytesView))
            state = .sealed(stream)
            guard let records else {
                promise?.fail(ChannelError.ioOnClosedChannel)
                return context.close(promise: nil)
            }
            context.write(wrapOutboundOut(ByteBuffer(bytes: records)), promise: promise)
        case .waiting, .ended:
            promise?.fail(ChannelError.ioOnClosedChannel)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // Nobody above hears of an end before the beginning.
        if case .inputClosed? = event as? ChannelEvent, !isActive { return context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
        timeout = nil
        if let target, !isTold { seal.streamFailed(to: target, wasSealed: key != nil) }
        context.fireChannelInactive()
    }

    /// Whether the peer has proven a key of ours.
    var isSealed: Bool {
        if case .sealed(let stream) = state { return stream.isOpen }
        return false
    }

    /// Whether the handler above knows of the connection.
    private var isActive: Bool {
        if case .plain = state { return true }
        return isTold
    }

    private func opened(_ context: ChannelHandlerContext) {
        timeout?.cancel()
        timeout = nil
        context.fireChannelActive()
    }

    private func write(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }
}
