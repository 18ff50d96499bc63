// SPDX-License-Identifier: Apache-2.0
// Owns the UDP socket: vectored reads through SwiftNIO, direct sends, decoding, and its reopening.

import ClusterTypes
import Glibc
import NIOCore
import NIOPosix
import NodeKernel
import Sealing
import WireProtocol

/// The node's UDP socket on its event loop. Everything here happens on that loop.
///
/// Sends go to the socket at once, past SwiftNIO: its datagram channel closes itself on EPERM, ENOBUFS, ENETUNREACH,
/// EACCES or EINVAL, and the last three a peer can provoke with the address it claims for a third one. A full socket
/// buffer drops the datagram, as the network may; so nothing is ever queued here.
///
/// Errors that ICMP reports wait in the socket's error queue (`SocketErrors`). The system wakes SwiftNIO for them, which
/// reads SO_ERROR: it goes on after ECONNREFUSED and closes its channel after any other, also when a send of ours has taken
/// the error first. So the channel owns a duplicate of the descriptor only. When it closes, the socket, its port and
/// what waits in it stay, and a new channel takes over at once; after `channelsPerSecondMax` of them, a little later.
final class DatagramSocket {
    private let address: Address
    private let family: SocketFamily
    private let configuration: TransportConfiguration
    private let cluster: ClusterID
    private let loop: any EventLoop
    private let counters: CounterBox
    private let seal: NodeSeal
    private let deliver: (Input) -> Void
    private let scratch: UnsafeMutableRawBufferPointer

    private enum State {
        case closed
        case opening
        case open(any Channel)
        case stopped
    }
    private var state = State.closed
    /// The socket itself; -1 before the start and after the stop.
    private var descriptor: CInt = -1
    private var dropsSeen: UInt32 = 0
    /// Channels made, and refusals told, in the second that began then.
    private var channelBudget = SecondBudget(most: 20)
    private var refusalBudget = SecondBudget(most: 100)

    /// Bytes that one received datagram may have; longer ones are cut by the system.
    private let slotBytes: Int
    private let slots: Int

    init(
        address: Address, cluster: ClusterID, configuration: TransportConfiguration, loop: any EventLoop,
        counters: CounterBox, seal: NodeSeal, deliver: @escaping (Input) -> Void
    ) {
        self.address = address
        family = SocketFamily(boundTo: address)
        self.cluster = cluster
        self.configuration = configuration
        self.loop = loop
        self.counters = counters
        self.seal = seal
        self.deliver = deliver
        scratch = .allocate(byteCount: configuration.datagramBytesMax, alignment: 8)
        // One byte more than the largest good datagram shows that a datagram was cut. Peers that were switched to sealing while they
        // ran seal packets of the full size.
        let bytesMax = configuration.datagramBytesMax + SealedLayout.overheadBytes
        slotBytes = max(2_048, (bytesMax + 1 + 511) & ~511)
        slots = max(1, min(16, (256 << 10) / slotBytes))
    }

    deinit {
        scratch.deallocate()
        if descriptor >= 0 { _ = close(descriptor) }
    }

    /// Takes the bound socket over; the future fails when it cannot be registered.
    func start(_ descriptor: CInt) -> EventLoopFuture<Void> {
        self.descriptor = descriptor
        _ = SocketErrors.enable(descriptor, family: family)
        dropsSeen = SocketErrors.drops(at: descriptor)
        return makeChannel()
    }

    private func makeChannel() -> EventLoopFuture<Void> {
        state = .opening
        let duplicate = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard duplicate >= 0 else {
            state = .closed
            return loop.makeFailedFuture(
                TransportFailure.system(operation: "fcntl", address, errno: errno))
        }
        let handler = NIOLoopBound(DatagramHandler(self), eventLoop: loop)
        return DatagramBootstrap(group: loop)
            .channelOption(.datagramVectorReadMessageCount, value: slots)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: slotBytes * slots))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(handler.value)
                }
            }
            .withBoundSocket(duplicate)
            .assumeIsolated()
            .map { channel in
                if case .stopped = self.state {
                    channel.close(promise: nil)
                } else {
                    self.state = .open(channel)
                }
            }
            .nonisolated()
    }

    func stop() -> EventLoopFuture<Void> {
        defer {
            state = .stopped
            if descriptor >= 0 { _ = close(descriptor) }
            descriptor = -1
        }
        guard case .open(let channel) = state else { return loop.makeSucceededVoidFuture() }
        state = .stopped
        return channel.close().flatMapError { _ in channel.eventLoop.makeSucceededVoidFuture() }
    }

    func send(_ packet: Packet, to target: Address) {
        let size: Int
        do throws(EncodeFailure) {
            size = try PacketCodec.encode(packet, into: scratch)
        } catch {
            counters.update { $0.encodeFailures += 1 }
            deliver(.sendFailed(to: target))
            return
        }
        guard descriptor >= 0 else { return failed(target, .notOpen) }
        guard family.reaches(target), target.port != 0 else { return failed(target, .badAddress) }
        errno = 0
        let isSent = seal.forms(of: UnsafeMutableRawBufferPointer(rebasing: scratch[..<size]), to: target) { bytes in
            send(bytes, to: target)
        }
        if !isSent { failed(target, SendFailure(errno: errno)) }
    }

    private func send(_ bytes: UnsafeRawBufferPointer, to target: Address) -> Bool {
        var sent = transmit(bytes, to: target)
        // An error that an earlier datagram met is told at the next call: this one was not sent, and is not to blame.
        if sent < 0, takeErrors() { sent = transmit(bytes, to: target) }
        if sent < 0 { return false }
        counters.update {
            $0.datagramsSent += 1
            $0.datagramBytesSent += UInt64(bytes.count)
        }
        return true
    }

    private func transmit(_ bytes: UnsafeRawBufferPointer, to target: Address) -> Int {
        target.withSockaddr(family) { name, length in
            var sent: Int
            repeat {
                sent = sendto(
                    descriptor, bytes.baseAddress, bytes.count, CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL), name, length)
            } while sent < 0 && errno == EINTR
            return sent
        }
    }

    private func failed(_ target: Address, _ reason: SendFailure) {
        counters.update { $0.count(reason) }
        deliver(.sendFailed(to: target))
    }

    /// Empties the error queue; true when something was in it. A refusal is handed on as a hint; that a host or network is
    /// unreachable is counted, as the probe in flight will find it out.
    private func takeErrors() -> Bool {
        // Sending must be able to say afterwards why it failed.
        let code = errno
        defer { errno = code }
        guard descriptor >= 0 else { return false }
        return SocketErrors.take(from: descriptor) { error, target in
            counters.update { $0.count(error) }
            guard error == .refused, let target, refusalBudget.take() else { return }
            deliver(.refused(target))
        }
    }

    /// Datagrams that our own socket has dropped since the last look.
    func takeDrops() -> UInt64 {
        guard descriptor >= 0 else { return 0 }
        let drops = SocketErrors.drops(at: descriptor)
        let fresh = UInt64(drops &- dropsSeen)
        dropsSeen = drops
        if fresh > 0 { counters.update { $0.datagramsDropped += fresh } }
        return fresh
    }

    fileprivate func received(_ envelope: AddressedEnvelope<ByteBuffer>) {
        let size = envelope.data.readableBytes
        counters.update {
            $0.datagramsReceived += 1
            $0.datagramBytesReceived += UInt64(size)
            if size >= slotBytes { $0.datagramsTruncated += 1 }
        }
        guard let source = Address(envelope.remoteAddress) else { return }
        let decoded: DecodedPacket
        do throws(DecodeFailure) {
            switch envelope.data.withUnsafeReadableBytes({ seal.open($0, from: source) }) {
            case .plain: decoded = try envelope.data.decodePacket(bytes: size).get()
            case .opened(let packet): decoded = try PacketCodec.decode(packet)
            case .refused: return
            }
        } catch {
            counters.update { $0.count(error) }
            return
        }
        let isForeign = decoded.packet.cluster != cluster
        let skipped = decoded.skipped.unknownKinds + decoded.skipped.unknownValues
        if isForeign || skipped > 0 {
            counters.update {
                if isForeign { $0.otherClusterPackets += 1 }
                $0.messagesSkipped += UInt64(skipped)
            }
        }
        deliver(.packet(decoded.packet, from: source))
    }

    fileprivate func receiveFailed() {
        if !takeErrors() { counters.update { $0.datagramReceiveErrors += 1 } }
    }

    /// The channel closed by itself: an error on the socket that SwiftNIO does not survive. The node does.
    fileprivate func closed() {
        if case .stopped = state { return }
        state = .closed
        _ = takeErrors()
        // Not within the call in which the old channel closes.
        if channelBudget.take() {
            loop.assumeIsolated().execute { [weak self] in self?.reopen() }
        } else {
            reopenSoon()
        }
    }

    private func reopenSoon() {
        loop.assumeIsolated().scheduleTask(in: .milliseconds(200)) { [weak self] in self?.reopen() }
    }

    private func reopen() {
        guard case .closed = state, descriptor >= 0 else { return }
        counters.update { $0.socketsReopened += 1 }
        makeChannel().assumeIsolated().whenFailure { [weak self] _ in
            self?.state = .closed
            self?.reopenSoon()
        }
    }

    /// For tests: the channel, to break it.
    var channel: (any Channel)? {
        if case .open(let channel) = state { channel } else { nil }
    }
}

/// So many of something in a second, and then none until the next one.
struct SecondBudget {
    let most: Int
    private var began = NIODeadline.now()
    private var taken = 0

    init(most: Int) { self.most = most }

    mutating func take() -> Bool {
        let now = NIODeadline.now()
        if now - began >= .seconds(1) {
            began = now
            taken = 0
        }
        guard taken < most else { return false }
        taken += 1
        return true
    }
}

private final class DatagramHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let socket: DatagramSocket

    init(_ socket: DatagramSocket) { self.socket = socket }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { socket.received(unwrapInboundIn(data)) }

    /// ECONNREFUSED and ENOMEM, which leave the channel open, and the others, which close it: counted either way.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { socket.receiveFailed() }

    func channelInactive(context: ChannelHandlerContext) { socket.closed() }
}

extension ByteBuffer {
    /// Decodes the first `bytes` readable bytes; they stay in the buffer.
    func decodePacket(bytes: Int) -> Result<DecodedPacket, DecodeFailure> {
        withUnsafeReadableBytes { raw in
            Result { () throws(DecodeFailure) in
                try PacketCodec.decode(UnsafeRawBufferPointer(rebasing: raw[..<bytes]))
            }
        }
    }
}
