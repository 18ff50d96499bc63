// SPDX-License-Identifier: Apache-2.0
// Owns `gossipbench load`: a closed loop of clients against a gossipd socket, or etcd's gateway or gRPC.

import ArgumentParser
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import Simulator

/// The same generator for both, so that the figures can be compared: each client sends a request, waits for the
/// answer, and sends the next one over the same connection.
struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Write or read with many clients and print the rate and the latencies.",
        discussion: """
            EXAMPLES
              gossipbench load put --target unix:/run/gossipd/gossipd.sock --clients 16
              gossipbench load get --api etcd --target tcp:127.0.0.1:2379 --seconds 10
              gossipbench load put --api etcd-grpc --target tcp:127.0.0.1:2379 --clients 256 --connections 16
            """)

    enum Operation: String, ExpressibleByArgument { case put, get }
    enum API: String, ExpressibleByArgument {
        case gossipd, etcd
        case etcdGRPC = "etcd-grpc"
        case calls = "gossipd-calls"
    }

    @Argument(help: "put or get.") var operation: Operation
    @Option(
        help:
            "Whose API: gossipd, gossipd-calls (many calls over one connection), etcd (its JSON gateway) or etcd-grpc.")
    var api = API.gossipd
    @Option(help: "unix:PATH or tcp:HOST:PORT.") var target: String
    @Option(help: "Clients that each wait for their answer, 1 to 1024.") var clients = 16
    @Option(help: "Connections that they share, of etcd-grpc and gossipd-calls only; 0: one each.") var connections = 0
    @Option(help: "How long to measure, after one second of warming up; 1 to 600.") var seconds = 5
    @Option(help: "Requests a second of all clients together; 0: each sends as soon as it has its answer.") var rate = 0
    @Option(help: "Bytes of a value.") var valueBytes = 100
    @Option(help: "Different keys.") var keys = 10_000
    @Option(help: "Keys are this, a slash and a number.") var prefix = "bench"
    @Flag(help: "Gets of etcd go through its leader; those of gossipd do as the class of the key asks.")
    var linearizable = false
    @Flag(help: "Write every key once and stop; for filling a store before reading.") var fill = false

    func validate() throws {
        guard (1...1_024).contains(clients), (1...600).contains(seconds), (0...500_000).contains(valueBytes), keys > 0,
            (0...1_000_000).contains(rate), (0...clients).contains(connections)
        else { throw ValidationError("an option is out of its range: see --help") }
    }

    func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let begin = NIODeadline.now()
        let pace = rate > 0 ? LoadPace(clients: clients, perSecond: rate, from: begin) : nil
        let tally = LoadTally(warmUp: fill ? .zero : .seconds(1), limit: fill ? keys : nil)
        var channels: [any Channel] = []
        for numbers in shares {
            channels.append(try await connect(loop, handler(of: numbers, tally, pace)))
        }
        if fill {
            for channel in channels { try await channel.closeFuture.get() }
        } else {
            try await Task.sleep(for: .seconds(seconds + 1))
            try await loop.submit { tally.stop() }.get()
            for channel in channels { try? await channel.close().get() }
        }
        let took = fill ? Double((NIODeadline.now() - begin).nanoseconds) / 1e9 : Double(seconds)
        let figures = try await loop.submit { tally.figures(seconds: took) }.get()
        try await group.shutdownGracefully()
        print(report(figures), terminator: "")
        if figures.failures > 0 { throw ExitCode(1) }
    }

    /// The clients of each connection.
    private var shares: [[Int]] {
        guard api == .etcdGRPC || api == .calls, connections > 0 else { return (0..<clients).map { [$0] } }
        return (0..<connections).map { Array(stride(from: $0, to: clients, by: connections)) }
    }

    /// What is at the end of a connection's pipeline.
    private func handler(
        of numbers: [Int], _ tally: LoadTally, _ pace: LoadPace?
    ) -> @Sendable (any Channel) throws -> Void {
        if api == .etcdGRPC {
            let shape = GRPCShape(
                operation: operation, authority: String(target.dropFirst("tcp:".count)), prefix: prefix,
                value: [UInt8](repeating: UInt8(ascii: "v"), count: valueBytes), keys: keys,
                isSerializable: !linearizable)
            return { channel in
                try channel.pipeline.syncOperations.addHandler(
                    GRPCConnection(numbers: numbers, shape: shape, tally: tally, pace: pace))
            }
        }
        if api == .calls {
            let shape = CallsShape(
                operation: operation, prefix: prefix, value: String(repeating: "v", count: valueBytes), keys: keys)
            return { channel in
                try channel.pipeline.syncOperations.addHandler(
                    CallsConnection(numbers: numbers, shape: shape, tally: tally, pace: pace))
            }
        }
        let requests = RequestShape(
            operation: operation, isEtcd: api == .etcd, prefix: prefix, valueBytes: valueBytes, keys: keys,
            isSerializable: !linearizable)
        return { channel in
            try channel.pipeline.syncOperations.addHTTPClientHandlers()
            try channel.pipeline.syncOperations.addHandler(
                LoadConnection(number: numbers[0], requests: requests, tally: tally, pace: pace))
        }
    }

    private func report(_ figures: LoadFigures) -> String {
        JSONText.object([
            ("operation", .string(operation.rawValue)), ("api", .string(api.rawValue)), ("clients", .integer(clients)),
            ("connections", .integer(shares.count)), ("rate", .integer(rate)), ("requests", .integer(figures.requests)),
            ("per_second", .decimal(figures.perSecond)),
            ("p50_ms", .decimal(figures.median)), ("p99_ms", .decimal(figures.percentile99)),
            ("max_ms", .decimal(figures.longest)), ("failures", .integer(figures.failures)),
            ("first_failure", .string(figures.firstFailure)),
        ]).text
    }

    /// A Unix socket whose backlog is full says so at once, where TCP would wait.
    private func connect(
        _ loop: any EventLoop, _ handler: @escaping @Sendable (any Channel) throws -> Void
    ) async throws -> any Channel {
        for _ in 0..<Self.connectAttemptsMax {
            do {
                return try await connectOnce(loop, handler)
            } catch let error as IOError where error.errnoCode == EAGAIN {
                try await Task.sleep(for: .milliseconds(10))
            }
        }
        return try await connectOnce(loop, handler)
    }

    private static let connectAttemptsMax = 500

    private func connectOnce(
        _ loop: any EventLoop, _ handler: @escaping @Sendable (any Channel) throws -> Void
    ) async throws -> any Channel {
        let bootstrap = ClientBootstrap(group: loop).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture { try handler(channel) }
        }
        if target.hasPrefix("unix:") {
            return try await bootstrap.connect(unixDomainSocketPath: String(target.dropFirst(5))).get()
        }
        let parts = target.split(separator: ":")
        guard parts.count == 3, parts[0] == "tcp", let port = Int(parts[2]) else {
            throw ValidationError("--target takes unix:PATH or tcp:HOST:PORT")
        }
        return try await bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connect(host: String(parts[1]), port: port).get()
    }
}
