// SPDX-License-Identifier: Apache-2.0
// Owns a stream table without a kernel, for the tests of streams.

import ClusterTypes
import Glibc
import NIOCore
import NIOPosix
import NodeKernel
import Synchronization
import WireProtocol

@testable import Transport

/// A stream table on its loop with a listening socket; what it tells a kernel is recorded.
final class Side: Sendable {
    let address: Address
    let counters = CounterBox()
    private let loop: any EventLoop
    private let table: NIOLoopBoundBox<StreamTable?>
    private let inputs = Mutex<[Input]>([])

    init(configure: (inout TransportConfiguration) -> Void = { _ in }) async throws {
        let sockets = try NodeSockets.bind(to: loopback)
        let address = sockets.address
        self.address = address
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        self.loop = loop
        table = .makeEmptyBox(valueType: StreamTable.self, eventLoop: loop)
        var configuration = TransportConfiguration()
        configure(&configuration)
        guard let (stream, datagram) = sockets.take() else { throw RawSocket.Failure(operation: "take", code: 0) }
        close(datagram)
        try await loop.flatSubmit { [configuration, table, counters] in
            let seal = NodeSeal(
                settings: configuration.seal, cluster: testCluster, datagramBytesMax: configuration.datagramBytesMax,
                counters: counters
            ) { _, _ in }
            let made = StreamTable(
                address: address, cluster: testCluster, configuration: configuration, loop: loop, counters: counters,
                seal: seal
            ) { [weak self] input in self?.inputs.withLock { $0.append(input) } }
            table.value = made
            return made.start(stream)
        }.get()
    }

    func run<Result: Sendable>(_ body: @escaping @Sendable (StreamTable) -> Result) async throws -> Result {
        try await loop.submit { [table] in
            guard let table = table.value else { throw RawSocket.Failure(operation: "table", code: 0) }
            let result = body(table)
            table.flush()
            return result
        }.get()
    }

    func stop() async throws {
        try await loop.flatSubmit { [table, loop] in
            defer { table.value = nil }
            return table.value?.stop() ?? loop.makeSucceededVoidFuture()
        }.get()
    }

    var received: [Packet] {
        inputs.withLock { $0.compactMap { if case .streamPacket(_, let packet) = $0 { packet } else { nil } } }
    }

    var ends: [(StreamID, StreamEnd)] {
        inputs.withLock { $0.compactMap { if case .streamClosed(let id, let end) = $0 { (id, end) } else { nil } } }
    }

    var connected: [StreamID] {
        inputs.withLock { $0.compactMap { if case .streamConnected(let id) = $0 { id } else { nil } } }
    }

    var opened: [StreamID] {
        inputs.withLock { $0.compactMap { if case .streamOpened(let id, _) = $0 { id } else { nil } } }
    }

    var accepted: [StreamID] {
        inputs.withLock { $0.compactMap { if case .streamAccepted(let id, _, _) = $0 { id } else { nil } } }
    }
}

/// Runs `body` with tables and stops them whatever happens.
func with(_ sides: Side..., body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch {
        for side in sides { try await side.stop() }
        throw error
    }
    for side in sides { try await side.stop() }
}
