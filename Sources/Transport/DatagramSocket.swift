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
        case open(any Channel, descriptor: CInt)
        case stopped
    }
    private var state = State.closed

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

    deinit { scratch.deallocate() }

    /// Takes the bound socket over; the future fails when it cannot be registered.
    func start(_ descriptor: CInt) -> EventLoopFuture<Void> {
        state = .opening
        let handler = NIOLoopBound(DatagramHandler(self), eventLoop: loop)
        return DatagramBootstrap(group: loop)
            .channelOption(.datagramVectorReadMessageCount, value: slots)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: slotBytes * slots))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(handler.value)
                }
            }
            .withBoundSocket(descriptor)
            .assumeIsolated()
            .map { channel in
                if case .stopped = self.state {
                    channel.close(promise: nil)
                } else {
                    self.state = .open(channel, descriptor: descriptor)
                }
            }
            .nonisolated()
    }

    func stop() -> EventLoopFuture<Void> {
        defer { state = .stopped }
        guard case .open(let channel, _) = state else { return loop.makeSucceededVoidFuture() }
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
        guard case .open(_, let descriptor) = state, family.reaches(target), target.port != 0 else {
            return failed(target)
        }
        let isSent = seal.forms(of: UnsafeMutableRawBufferPointer(rebasing: scratch[..<size]), to: target) { bytes in
            send(bytes, to: target, descriptor)
        }
        if !isSent { failed(target) }
    }

    private func send(_ bytes: UnsafeRawBufferPointer, to target: Address, _ descriptor: CInt) -> Bool {
        let sent = target.withSockaddr(family) { name, length in
            var sent: Int
            repeat {
                sent = sendto(
                    descriptor, bytes.baseAddress, bytes.count, CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL), name, length)
            } while sent < 0 && errno == EINTR
            return sent
        }
        if sent < 0 { return false }
        counters.update {
            $0.datagramsSent += 1
            $0.datagramBytesSent += UInt64(bytes.count)
        }
        return true
    }

    private func failed(_ target: Address) {
        counters.update { $0.datagramSendErrors += 1 }
        deliver(.sendFailed(to: target))
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

    fileprivate func receiveFailed() { counters.update { $0.datagramReceiveErrors += 1 } }

    /// The channel closed by itself: an error on the socket that SwiftNIO does not survive. The node does.
    fileprivate func closed() {
        if case .stopped = state { return }
        state = .closed
        reopenSoon()
    }

    private func reopenSoon() {
        loop.assumeIsolated().scheduleTask(in: .milliseconds(200)) { [weak self] in self?.reopen() }
    }

    private func reopen() {
        guard case .closed = state else { return }
        let descriptor: CInt
        do throws(TransportFailure) {
            descriptor = try NodeSockets.openDatagram(
                address, receiveBufferBytes: configuration.receiveBufferBytes)
        } catch {
            return reopenSoon()
        }
        counters.update { $0.socketsReopened += 1 }
        start(descriptor).assumeIsolated().whenFailure { [weak self] _ in self?.closed() }
    }

    /// For tests: the channel, to break it.
    var channel: (any Channel)? {
        if case .open(let channel, _) = state { channel } else { nil }
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
