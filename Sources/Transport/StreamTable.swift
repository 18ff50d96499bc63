// SPDX-License-Identifier: Apache-2.0
// Owns a node's connections: the listening socket, connects, and the bounds on how many there are.

import ClusterTypes
import Glibc
import NIOCore
import NIOPosix
import NodeKernel
import Sealing

/// All streams of a node, on its event loop.
final class StreamTable {
    let configuration: TransportConfiguration
    let cluster: ClusterID
    let counters: CounterBox
    let seal: NodeSeal
    let deliver: (Input) -> Void

    private let address: Address
    private let loop: any EventLoop
    private var streams: [StreamID: PeerStream] = [:]
    private var inbound = 0
    private var unproven = UnprovenStreams()
    private var outbound = 0
    /// The driver's streams have odd numbers.
    private var nextInbound: UInt64 = 1
    private var unflushed: [PeerStream] = []
    private var listener: (any Channel)?
    private var isStopped = false
    /// Bytes that wait to be written on all streams; each stream adds and takes off its own.
    var bufferedBytes = 0
    /// Bytes that were offered and wait for their turn, likewise.
    var offeredBytes = 0

    init(
        address: Address, cluster: ClusterID, configuration: TransportConfiguration, loop: any EventLoop,
        counters: CounterBox, seal: NodeSeal, deliver: @escaping (Input) -> Void
    ) {
        self.address = address
        self.cluster = cluster
        self.configuration = configuration
        self.loop = loop
        self.counters = counters
        self.seal = seal
        self.deliver = deliver
    }

    /// Streams that hold a place: connecting, open, and finishing.
    var count: Int { streams.count }

    // MARK: What the kernel asks

    /// The system gives up after about two minutes anyway (tcp_syn_retries).
    private static let connectTimeoutMax = Interval.seconds(150)

    func open(_ id: StreamID, to target: Address, timeout: Interval) {
        guard !isStopped, streams[id] == nil else { return }
        guard outbound < configuration.outboundStreamsMax else {
            counters.update { $0.streamsEndedAtLimit += 1 }
            return deliver(.streamClosed(id, .localLimit))
        }
        guard target.port != 0, !target.isUnspecified else { return deliver(.streamClosed(id, .unreachable)) }
        let sealing = sealing(to: target)
        let stream = PeerStream(id: id, direction: .outbound, sealing: sealing, table: self)
        streams[id] = stream
        outbound += 1
        var bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(TimeAmount(min(max(timeout, .milliseconds(1)), Self.connectTimeoutMax)))
            .channelOption(.allowRemoteHalfClosure, value: true)
        if !address.isUnspecified, address.isIPv4 == target.isIPv4 {
            // Peers see the address they know, also on a host with several. The port is chosen at the connect, where
            // the system needs it to be unique only together with the target.
            var source = address
            source.port = 0
            bootstrap =
                bootstrap
                .channelOption(.ipOption(Self.bindAddressNoPort), value: 1)
                .bind(to: source.socketAddress)
        }
        let handlers = NIOLoopBound(Self.handlers(sealing, stream), eventLoop: loop)
        bootstrap.channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandlers(handlers.value) }
        }
        .connect(to: target.socketAddress)
        .assumeIsolated()
        .whenFailure { error in stream.connectFailed(error) }
    }

    func write(_ id: StreamID, _ packet: Packet) { streams[id]?.write(packet) }

    func offer(_ id: StreamID, _ packet: Packet) { streams[id]?.offer(packet) }

    func close(_ id: StreamID) { streams[id]?.close() }

    func keep(_ id: StreamID) { streams[id]?.keep() }

    func flush() {
        if unflushed.isEmpty { return }
        for stream in unflushed { stream.flush() }
        unflushed.removeAll(keepingCapacity: true)
    }

    // MARK: What streams tell

    func hasRoom(for bytes: Int) -> Bool { bufferedBytes + bytes <= configuration.streamBuffersBytesMax }

    /// What is offered leaves the room of what must be written alone.
    func mayOffer(_ bytes: Int) -> Bool { hasRoom(for: bytes + offeredBytes) }

    func needsFlush(_ stream: PeerStream) { if unflushed.last !== stream { unflushed.append(stream) } }

    func remove(_ stream: PeerStream) {
        guard streams.removeValue(forKey: stream.id) != nil else { return }
        switch stream.direction {
        case .inbound:
            inbound -= 1
            unproven.remove(stream.id)
        case .outbound: outbound -= 1
        }
    }

    // MARK: The listening socket

    /// Takes a listening socket over; the future fails when it cannot be registered.
    func start(_ descriptor: CInt) -> EventLoopFuture<Void> {
        let table = NIOLoopBound(self, eventLoop: loop)
        return ServerBootstrap(group: loop)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        AcceptBackoffHandler(shouldForwardIOErrorCaught: true) { _ in .milliseconds(200) },
                        ListenerHandler(table.value),
                    ])
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try table.value.accept(channel) }
            }
            .withBoundSocket(descriptor)
            .assumeIsolated()
            .map { channel in
                if self.isStopped { channel.close(promise: nil) } else { self.listener = channel }
            }
            .nonisolated()
    }

    /// Ends the streams that were opened under a key or a rule that holds no more: a sentinel would keep a retired key in use
    /// for as long as both processes live. That is this node's decision and speaks against nobody.
    func endUnaccepted() {
        for id in streams.keys.sorted() {
            guard let stream = streams[id], !stream.isAccepted(by: seal.settings) else { continue }
            counters.update { $0.streamsEndedByKeys += 1 }
            stream.end(.localLimit)
        }
    }

    /// Closes the listening socket and every stream; the kernel is told nothing any more.
    func stop() -> EventLoopFuture<Void> {
        isStopped = true
        for id in streams.keys.sorted() { streams[id]?.end(.finished) }
        unflushed.removeAll()
        guard let listener else { return loop.makeSucceededVoidFuture() }
        self.listener = nil
        return listener.close().flatMapError { _ in listener.eventLoop.makeSucceededVoidFuture() }
    }

    private struct Refused: Error {}

    private func accept(_ channel: any Channel) throws {
        guard !isStopped, inbound < configuration.inboundStreamsMax || makeRoom() else {
            counters.update { $0.streamsRefusedAtLimit += 1 }
            // The failed initialiser closes the connection.
            throw Refused()
        }
        let sealing = sealing(to: nil)
        let stream = PeerStream(
            id: StreamID(rawValue: nextInbound), direction: .inbound, sealing: sealing, table: self)
        nextInbound += 2
        streams[stream.id] = stream
        inbound += 1
        if let source = channel.remoteAddress.flatMap({ Address($0) }) { unproven.insert(stream.id, from: source) }
        do {
            try channel.pipeline.syncOperations.addHandlers(Self.handlers(sealing, stream))
        } catch {
            remove(stream)
            throw error
        }
    }

    /// Whoever has proven something keeps its place.
    private func makeRoom() -> Bool {
        guard let (id, source) = unproven.displaced(), let stream = streams[id] else { return false }
        counters.update { $0.streamsDisplaced += 1 }
        if !seal.settings.keys.isEmpty { seal.refuse(.silent, source) }
        stream.end(.localLimit)
        return true
    }

    /// The peer holds the key, or has sent a frame.
    func proven(_ stream: PeerStream) { unproven.remove(stream.id) }

    /// A node without keys has no handler more than it needs.
    private func sealing(to target: Address?) -> SealedStreamHandler? {
        if seal.settings.keys.isEmpty { return nil }
        guard let target else { return SealedStreamHandler(accepting: seal) }
        return SealedStreamHandler(opening: seal, to: target, key: seal.streamKey(to: target))
    }

    private static func handlers(_ sealing: SealedStreamHandler?, _ stream: PeerStream) -> [any ChannelHandler] {
        if let sealing { [sealing, stream] } else { [stream] }
    }

    fileprivate func acceptFailed() { counters.update { $0.streamAcceptErrors += 1 } }

    fileprivate func listenerClosed() {
        listener = nil
        if !isStopped { reopenSoon() }
    }

    private func reopenSoon() {
        loop.assumeIsolated().scheduleTask(in: .milliseconds(200)) { [weak self] in self?.reopen() }
    }

    private func reopen() {
        guard !isStopped, listener == nil else { return }
        let descriptor: CInt
        do throws(TransportFailure) {
            descriptor = try NodeSockets.openStream(address)
        } catch {
            return reopenSoon()
        }
        counters.update { $0.socketsReopened += 1 }
        start(descriptor).assumeIsolated().whenFailure { [weak self] _ in self?.listenerClosed() }
    }

    /// For tests: the listening channel, to break it.
    var listeningChannel: (any Channel)? { listener }

    /// IP_BIND_ADDRESS_NO_PORT of linux/in.h, which the Glibc module does not have.
    private static let bindAddressNoPort = NIOBSDSocket.Option(rawValue: 24)
}

private final class ListenerHandler: ChannelInboundHandler {
    typealias InboundIn = Channel

    private let table: StreamTable

    init(_ table: StreamTable) { self.table = table }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { table.acceptFailed() }

    func channelInactive(context: ChannelHandlerContext) {
        table.listenerClosed()
        context.fireChannelInactive()
    }
}
