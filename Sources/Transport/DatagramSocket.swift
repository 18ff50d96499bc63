// SPDX-License-Identifier: Apache-2.0
// Owns the UDP socket: reads, sends, decoding, errors of datagrams.

import ClusterTypes
import Glibc
import NIOCore
import NodeKernel
import Sealing
import WireProtocol

/// The node's UDP socket on its event loop. Everything here happens on that loop.
///
/// It is no channel of SwiftNIO's: such a channel closes itself on EPERM, ENOBUFS, ENETUNREACH, EACCES or EINVAL, of which
/// a peer can provoke some with the address it claims for a third one, and does not survive a socket whose errors are queued
/// (`SocketPoller`). Sends go out at once: a full socket buffer drops the datagram, as the network may; nothing is ever queued.
/// Errors that ICMP reports are taken from the error queue (`SocketErrors`) with the datagrams, and when a send meets them.
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

    /// The socket itself; -1 before the start and after the stop.
    private var descriptor: CInt = -1
    private var poller: SocketPoller?
    private var dropsSeen: UInt32 = 0
    /// Refusals told in the second that began then.
    private var refusalBudget = SecondBudget(most: 100)

    /// One received datagram; longer ones are cut by the system.
    private let received: UnsafeMutableRawBufferPointer
    /// Datagrams that are taken before timers and streams have their turn.
    private static let datagramsPerTurnMax = 64

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
        received = .allocate(byteCount: max(2_048, (bytesMax + 1 + 511) & ~511), alignment: 8)
    }

    deinit {
        scratch.deallocate()
        received.deallocate()
        if descriptor >= 0 { _ = close(descriptor) }
    }

    /// Takes the bound socket over.
    func start(_ descriptor: CInt) throws(TransportFailure) {
        self.descriptor = descriptor
        _ = SocketErrors.enable(descriptor, family: family)
        dropsSeen = SocketErrors.drops(at: descriptor)
        let bound = NIOLoopBound(self, eventLoop: loop)
        let poller = try SocketPoller(descriptor, at: address, loop: loop) { bound.value.takeWhatWaits() }
        try poller.start()
        self.poller = poller
    }

    func stop() {
        poller?.stop()
        poller = nil
        if descriptor >= 0 { _ = close(descriptor) }
        descriptor = -1
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

    private func takeWhatWaits() {
        defer { poller?.rearm() }
        var name = sockaddr_storage()
        for _ in 0..<Self.datagramsPerTurnMax {
            // Stopped by what the datagram before it said.
            guard descriptor >= 0 else { return }
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let count = withUnsafeMutablePointer(to: &name) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(descriptor, received.baseAddress, received.count, CInt(MSG_DONTWAIT), $0, &length)
                }
            }
            if count >= 0 {
                take(UnsafeRawBufferPointer(rebasing: received[..<count]), from: SocketErrors.address(of: &name))
            } else if errno == EAGAIN {
                break
            } else if errno != EINTR, !takeErrors() {
                counters.update { $0.datagramReceiveErrors += 1 }
            }
        }
        _ = takeErrors()
    }

    private func take(_ bytes: UnsafeRawBufferPointer, from source: Address?) {
        counters.update {
            $0.datagramsReceived += 1
            $0.datagramBytesReceived += UInt64(bytes.count)
            if bytes.count >= received.count { $0.datagramsTruncated += 1 }
        }
        guard let source else { return }
        let decoded: DecodedPacket
        do throws(DecodeFailure) {
            switch seal.open(bytes, from: source) {
            case .plain: decoded = try PacketCodec.decode(bytes)
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
