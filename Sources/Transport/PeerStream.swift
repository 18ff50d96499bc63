// SPDX-License-Identifier: Apache-2.0
// Owns one connection to a peer: its phases, framing, deadlines and write bound.

import ClusterTypes
import NIOCore
import NodeKernel
import WireProtocol

/// One TCP connection, as a handler of its channel. Everything happens on the channel's event loop.
///
///     connecting --> open --> finishing --> ended         finishing: the kernel has closed it; what was written is
///          \___________\________________/                 flushed, our end is shut, the peer's end is awaited
///
/// The kernel is told of the end exactly once, unless it closed the stream itself.
final class PeerStream: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    enum Direction: Sendable {
        case inbound
        case outbound
    }

    private enum Phase {
        case connecting
        case open
        case finishing
        case ended
    }

    let id: StreamID
    let direction: Direction
    private let table: StreamTable
    private let sealing: SealedStreamHandler?
    private var phase = Phase.connecting
    private var channel: (any Channel)?
    /// The kernel knows of the stream: it asked for it, or it was told `streamAccepted`.
    private var isKnown: Bool

    /// Connected to the peer, which has yet to show that it holds the key.
    private var isAgreeing = false
    /// The peer has shown the key, or sent a frame.
    private var isProven = false
    private var received = ByteBuffer()
    private var lastProgress: NIODeadline
    private var frameBegan: NIODeadline?
    private var bufferedBytes = 0
    /// What gives way to other frames, not encoded yet.
    private var offered = CircularBuffer<(packet: Packet, bytes: Int)>()
    private var offeredBytes = 0
    private var hasUnflushed = false
    private var isOutputShut = false
    /// Both ends hold it open: it does not time out while it is idle.
    private var isKept = false
    private var isInputShut = false
    private var failure: (any Error)?
    private var check: Scheduled<Void>?
    private var checkAt = NIODeadline.distantFuture

    /// `sealing` stands in front of this handler; nil: every byte is plain.
    init(id: StreamID, direction: Direction, sealing: SealedStreamHandler?, table: StreamTable) {
        self.id = id
        self.sealing = sealing
        self.direction = direction
        self.table = table
        isKnown = direction == .outbound
        lastProgress = .now()
    }

    // MARK: What the kernel asks

    func write(_ packet: Packet) {
        guard phase == .open, let channel else { return }
        let size = PacketCodec.size(of: packet)
        let total = StreamFrame.lengthBytes + size
        if bufferedBytes + total > table.configuration.streamBufferBytesMax || !table.hasRoom(for: total) {
            table.counters.update { $0.streamsEndedAtLimit += 1 }
            return end(.localLimit)
        }
        var frame = channel.allocator.buffer(capacity: total)
        guard frame.writeFrame(packet, size: size) else {
            // A gap in the stream would confuse the peer more than its end.
            table.counters.update { $0.encodeFailures += 1 }
            return end(.localLimit)
        }
        bufferedBytes += total
        table.bufferedBytes += total
        hasUnflushed = true
        table.needsFlush(self)
        table.counters.update { $0.framesSent += 1 }
        let written = channel.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { result in
            self.wrote(total, result)
        }
        channel.write(frame, promise: written)
    }

    /// Writes a frame when little else is on its way, and gives it up when too much waits. What is written at once never waits for
    /// more than `offeredWindow` of it, nor does it end the stream.
    func offer(_ packet: Packet) {
        guard phase == .open else { return }
        let total = StreamFrame.lengthBytes + PacketCodec.size(of: packet)
        guard bufferedBytes + offeredBytes + total <= table.configuration.streamBufferBytesMax, table.mayOffer(total)
        else { return table.counters.update { $0.framesGivenUp += 1 } }
        offered.append((packet, total))
        offeredBytes += total
        table.offeredBytes += total
        writeOffered()
    }

    /// Bytes of offered frames that may be on their way to the socket at once; one frame may exceed it.
    private static let offeredWindow = 512 << 10

    private func writeOffered() {
        while phase == .open, let next = offered.first {
            guard bufferedBytes == 0 || bufferedBytes + next.bytes <= Self.offeredWindow else { return }
            offered.removeFirst()
            offeredBytes -= next.bytes
            table.offeredBytes -= next.bytes
            if table.hasRoom(for: next.bytes) {
                write(next.packet)
            } else {
                table.counters.update { $0.framesGivenUp += 1 }
            }
        }
    }

    private func giveUpOffered() {
        table.counters.update { $0.framesGivenUp += UInt64(offered.count) }
        table.offeredBytes -= offeredBytes
        offeredBytes = 0
        offered.removeAll()
    }

    /// Writes what waits to the socket; called once after each input's actions.
    func flush() {
        guard hasUnflushed else { return }
        hasUnflushed = false
        channel?.flush()
    }

    /// The stream may stay idle for as long as both ends like. The end that opened it has the system ask every five minutes
    /// whether the connection still exists, for a firewall may have forgotten it, or the peer's host may have lost its power and be
    /// back. Five minutes is below what firewalls wait (350 s is the least that is common); it costs less than 1 B/s a node.
    func keep() {
        isKept = true
        scheduleCheck()
        guard direction == .outbound, let options = channel?.syncOptions else { return }
        // Without them the stream watches as well as before.
        for (option, value) in Self.keepAliveOptions { try? options.setOption(.tcpOption(option), value: value) }
        try? options.setOption(.socketOption(.so_keepalive), value: 1)
    }

    /// Seconds of idleness, seconds between questions, questions: TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT of tcp(7), which
    /// SwiftNIO does not name.
    private static let keepAliveOptions: [(NIOBSDSocket.Option, SocketOptionValue)] = [
        (NIOBSDSocket.Option(rawValue: 4), 300), (NIOBSDSocket.Option(rawValue: 5), 15),
        (NIOBSDSocket.Option(rawValue: 6), 3),
    ]

    /// The kernel is done with the stream.
    func close() {
        giveUpOffered()
        switch phase {
        case .connecting:
            // The connection is closed when it comes about.
            phase = .finishing
        case .open:
            phase = .finishing
            lastProgress = .now()
            flush()
            if bufferedBytes == 0 { shutOutput() } else { scheduleCheck() }
        case .finishing, .ended:
            break
        }
    }

    /// Ends the stream now; the kernel is told unless it knows.
    func end(_ reason: StreamEnd) {
        let tells = (phase == .connecting || phase == .open) && isKnown
        let wasEnded = phase == .ended
        phase = .ended
        giveUpOffered()
        check?.cancel()
        check = nil
        received = ByteBuffer()
        if let channel { channel.close(mode: .all, promise: nil) }
        if wasEnded { return }
        table.remove(self)
        if tells { table.deliver(.streamClosed(id, reason)) }
    }

    /// Whether the stream may go on under these settings.
    func isAccepted(by settings: SealSettings) -> Bool { sealing?.isAccepted(by: settings) ?? !settings.requiresSeal }

    /// The connection did not come about.
    func connectFailed(_ error: any Error) {
        if phase != .ended { table.counters.update { $0.streamConnectFailures += 1 } }
        end(StreamEnd(error))
    }

    // MARK: What the channel tells

    func channelActive(context: ChannelHandlerContext) {
        channel = context.channel
        lastProgress = .now()
        switch phase {
        case .connecting:
            guard let remote = context.remoteAddress.flatMap({ Address($0) }) else { return end(.reset) }
            phase = .open
            scheduleCheck()
            switch direction {
            case .outbound:
                table.counters.update { $0.streamsOpened += 1 }
                table.deliver(.streamOpened(id, isSealed: isSealed(context)))
            case .inbound:
                isKnown = true
                if sealing?.isSealed == true { prove() }
                table.counters.update { $0.streamsAccepted += 1 }
                table.deliver(.streamAccepted(id, from: remote, isSealed: isSealed(context)))
            }
        case .finishing:
            shutOutput()
        case .open, .ended:
            context.close(promise: nil)
        }
    }

    private func isSealed(_ context: ChannelHandlerContext) -> Bool {
        let handler = try? context.pipeline.syncOperations.handler(type: SealedStreamHandler.self)
        return handler?.isSealed ?? false
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase == .open else { return }
        var bytes = unwrapInboundIn(data)
        lastProgress = .now()
        table.counters.update { $0.streamBytesReceived += UInt64(bytes.readableBytes) }
        if received.readableBytes == 0 {
            received = bytes
        } else {
            received.writeBuffer(&bytes)
        }
        takeFrames()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { inputClosed() }
        if case .connected? = event as? SealedStreamEvent, phase == .connecting {
            isAgreeing = true
            table.deliver(.streamConnected(id))
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        failure = error
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        channel = nil
        end(isAgreeing && phase == .connecting ? .unsealed : failure.map { StreamEnd($0) } ?? .reset)
    }

    // MARK: Within

    private func takeFrames() {
        while phase == .open, received.readableBytes > 0 {
            let outcome = received.readFrame()
            switch outcome {
            case .success(nil):
                if frameBegan == nil {
                    let now = NIODeadline.now()
                    frameBegan = now
                    if now + TimeAmount(table.configuration.frameTimeout) < checkAt { scheduleCheck() }
                    // A whole frame is coming: make room for it once, not read by read.
                    received.discardReadBytes()
                }
                return
            case .success(let decoded?):
                frameBegan = nil
                prove()
                let isForeign = decoded.packet.cluster != table.cluster
                let skipped = decoded.skipped.unknownKinds + decoded.skipped.unknownValues
                table.counters.update {
                    $0.framesReceived += 1
                    if isForeign { $0.otherClusterPackets += 1 }
                    $0.messagesSkipped += UInt64(skipped)
                }
                table.deliver(.streamPacket(id, decoded.packet))
            case .failure(let failure):
                table.counters.update { $0.count(failure) }
                return end(.invalid)
            }
        }
        frameBegan = nil
    }

    /// From now on its place is its own.
    private func prove() {
        guard !isProven else { return }
        isProven = true
        if direction == .inbound { table.proven(self) }
    }

    private func inputClosed() {
        isInputShut = true
        switch phase {
        case .open:
            // Frames that the peer has begun and not finished are lost: it broke off.
            let reason: StreamEnd = received.readableBytes == 0 ? .finished : .reset
            phase = .finishing
            giveUpOffered()
            table.deliver(.streamClosed(id, reason))
            flush()
            if bufferedBytes == 0 { end(reason) } else { scheduleCheck() }
        case .finishing:
            if bufferedBytes == 0 { end(.finished) }
        case .connecting, .ended:
            break
        }
    }

    private func wrote(_ bytes: Int, _ result: Result<Void, any Error>) {
        bufferedBytes -= bytes
        table.bufferedBytes -= bytes
        switch result {
        case .success:
            lastProgress = .now()
            table.counters.update { $0.streamBytesSent += UInt64(bytes) }
        case .failure(let error):
            // The channel closes itself; its end tells the kernel.
            if failure == nil { failure = error }
            return
        }
        if phase == .finishing, bufferedBytes == 0 { shutOutput() }
        if !offered.isEmpty {
            writeOffered()
            flush()
        }
    }

    /// Everything is written: end our side, and wait for the peer's a little. Closing at once would reset the
    /// connection if the peer has sent something we did not read, and the reset may overtake what we wrote last.
    private func shutOutput() {
        guard let channel, !isOutputShut else { return }
        isOutputShut = true
        if isInputShut { return end(.finished) }
        lastProgress = .now()
        channel.close(mode: .output, promise: nil)
        scheduleCheck()
    }

    private func scheduleCheck() {
        check?.cancel()
        check = nil
        guard let channel, phase != .ended else { return }
        checkAt = deadline
        if checkAt == .distantFuture { return }
        check = channel.eventLoop.assumeIsolated().scheduleTask(deadline: checkAt) { [weak self] in
            self?.deadlinePassed()
        }
    }

    private var deadline: NIODeadline {
        let configuration = table.configuration
        if phase == .finishing, isOutputShut { return lastProgress + TimeAmount(configuration.lingerTimeout) }
        let idle =
            isKept && phase == .open ? .distantFuture : lastProgress + TimeAmount(configuration.streamIdleTimeout)
        guard phase == .open, let frameBegan else { return idle }
        return min(idle, frameBegan + TimeAmount(configuration.frameTimeout))
    }

    private func deadlinePassed() {
        guard phase != .ended else { return }
        if NIODeadline.now() < deadline { return scheduleCheck() }
        if phase == .open || !isOutputShut { table.counters.update { $0.streamsTimedOut += 1 } }
        end(.timedOut)
    }
}

extension TimeAmount {
    init(_ interval: Interval) { self = .nanoseconds(interval.nanoseconds) }
}
