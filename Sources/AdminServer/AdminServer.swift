// SPDX-License-Identifier: Apache-2.0
// Owns the admin server's life: socket, accepting, serving, stopping.

import AdminModel
import Glibc
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// The admin API on a Unix socket.
///
/// Life: `start()` makes the socket, so that clients can connect; `run()` serves until `stop()` was called and the
/// last connection is closed. The owner calls `run()` from a task of its own:
///
///     let server = AdminServer(settings: settings, node: node, group: group, logger: logger)
///     try await server.start()
///     await withDiscardingTaskGroup { group in
///         group.addTask { await server.run() }
///         ...
///         await server.stop()
///     }
package final class AdminServer: Sendable {
    private enum Life {
        case new
        case listening(any Channel, AdminSocket)
        case stopped
    }

    private let settings: AdminServerSettings
    private let adoptedDescriptor: Int32?
    private let node: any NodeHandle
    private let policy: AccessPolicy
    private let group: any EventLoopGroup
    private let logger: Logger
    private let denied: @Sendable (AdminFailure) -> Void
    private let state = ServerState()
    private let accepted = AcceptQueue()
    private let life = Mutex<Life>(.new)
    private let running = Mutex(false)

    /// - Parameters:
    ///   - listenDescriptor: a listening Unix stream socket to take over, as from systemd; the path in the settings
    ///     is then not touched.
    ///   - policy: who may do what; nil resolves it from the settings.
    ///   - denied: called for each request that its caller may not make, from any thread.
    package init(
        settings: AdminServerSettings, node: any NodeHandle, group: any EventLoopGroup, logger: Logger,
        listenDescriptor: Int32? = nil, policy: AccessPolicy? = nil,
        denied: @escaping @Sendable (AdminFailure) -> Void = { _ in }
    ) {
        self.settings = settings
        self.node = node
        self.group = group
        self.logger = logger
        adoptedDescriptor = listenDescriptor
        self.policy = policy ?? AccessPolicy(settings)
        self.denied = denied
    }

    package var counters: AdminServerCounters { state.counters }

    /// Makes or adopts the socket and begins to accept. Call it once.
    package func start() async throws(AdminServerStartError) {
        for name in policy.unknownNames {
            // The package's own groups are missing wherever gossipd runs from a build folder: no reason to worry.
            let expected = AdminServerSettings.packageGroups.contains(name)
            logger.log(
                level: expected ? .info : .warning,
                "the admin API is to obey \(name.quoted), but this host has no such user or group")
        }
        let socket: AdminSocket
        if let adoptedDescriptor {
            socket = try AdminSocket.adopt(adoptedDescriptor)
        } else {
            socket = try AdminSocket.make(settings)
        }
        do {
            let listener = try await listen(socket.descriptor)
            life.withLock { $0 = .listening(listener, socket) }
        } catch {
            socket.removeFile()
            throw .system(operation: "listen on \(settings.socketPath)", code: (error as? IOError)?.errnoCode ?? EINVAL)
        }
    }

    /// Serves connections; returns after `stop()`, when all of them are closed. Cancelling its task closes them, too,
    /// but `stop()` is still needed.
    package func run() async {
        running.withLock { $0 = true }
        let logger = logger
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { tasks in
                while let connection = await accepted.next() {
                    tasks.addTask(executorPreference: connection.executor) { await connection.serve(logger: logger) }
                }
            }
        } onCancel: {
            accepted.finish()
        }
    }

    /// Stops accepting, ends streams with a last line, gives open requests `grace`, those that only wait for the node to answer
    /// `graceMax`, closes what is left and removes the socket file. Does nothing when it is not running.
    package func stop(grace: Duration = .milliseconds(500), graceMax: Duration = .seconds(4)) async {
        let ended = life.withLock { life in
            let before = life
            life = .stopped
            return before
        }
        guard case .listening(let listener, let socket) = ended else { return }
        socket.removeFile()
        // First of all nobody else comes in: who is not accepted yet waits in a passed socket's queue for the next process,
        // and everybody who is gets told below.
        try? await listener.setOption(.autoRead, value: false).get()
        await settle()
        try? await listener.close().get()
        accepted.finish()
        let open = state.stop()
        for end in open.streams { end(.shutdown) }
        let closed = EventLoopFuture.andAllComplete(open.channels.map(\.closeFuture), on: group.next())
        let timers = [
            group.next().scheduleTask(in: TimeAmount(grace)) {
                for channel in open.channels { channel.pipeline.fireUserInboundEventTriggered(ServerGraceOver()) }
            },
            group.next().scheduleTask(in: TimeAmount(graceMax)) {
                for channel in open.channels { channel.close(promise: nil) }
            },
        ]
        // An idle connection has little to wait for.
        for channel in open.channels { channel.pipeline.fireUserInboundEventTriggered(ServerStopping()) }
        try? await closed.get()
        for timer in timers { timer.cancel() }
        // What was accepted but never reached `run` still has to be served to its end, which is at once.
        if !running.withLock({ $0 }) {
            while let connection = await accepted.next() { await connection.serve(logger: logger) }
        }
    }

    /// Waits for connections that were taken from the socket's queue and are not known here yet: after the turn that accepts,
    /// one comes to its own loop, back to the listener's, which must be open still, and once more to its own.
    private func settle() async {
        for _ in 0..<3 {
            for loop in Array(group.makeIterator()) { try? await loop.submit {}.get() }
        }
    }

    private func listen(_ descriptor: Int32) async throws -> any Channel {
        let state = state
        return try await ServerBootstrap(group: group)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptErrorHandler(state: state))
                }
            }
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture { try accept(channel) }
            }
            .withBoundSocket(descriptor).get()
    }

    /// What a client is told that is one too many.
    package static func refusal(_ maxConnections: Int) -> AdminFailure {
        AdminFailure(
            .busy,
            "the daemon has as many connections as it takes (\(maxConnections)): close some, try again later, or raise"
                + " admin.max_connections")
    }

    /// Sets up one accepted connection, on its event loop, and hands it to `run`.
    private func accept(_ channel: any Channel) throws {
        let state = state
        let accepted = accepted
        let isOpen = state.open(channel, max: settings.maxConnections) && accepted.reserve()
        let refusal = isOpen ? nil : Self.refusal(settings.maxConnections)
        channel.closeFuture.whenComplete { _ in state.closed(channel) }
        let connection = ConnectionGuard(settings: settings, state: state, refusal: refusal)
        do {
            try channel.pipeline.syncOperations.addHandler(connection)
        } catch {
            // What was announced must be handed over, or `run` waits for it for ever.
            if isOpen { accepted.fulfil(nil) }
            throw error
        }
        guard isOpen else { return }

        let peer = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self, PeerCredentials.read)
        let bound = NIOLoopBound(connection, eventLoop: channel.eventLoop)
        let handler = RequestHandler(
            node: node, routes: .all, policy: policy, settings: settings, state: state,
            peer: peer.flatMap { $0 }, connection: bound, integrity: connection.integrity, eventLoop: channel.eventLoop,
            denied: denied)
        let http = HTTP1Channel(
            responder: { request, writer, channel in try await handler.respond(to: request, writer, on: channel) },
            configuration: .init(
                additionalChannelHandlers: [ProtocolErrorHandler(connection: bound.value, state: state)],
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: 8 * 1024, maxHeaderListSize: 16 * 1024, maxHeaderFieldCount: 64)))
        http.setup(channel: channel, logger: logger).whenComplete { result in
            accepted.fulfil(
                (try? result.get()).map {
                    AcceptedConnection(http: http, value: $0, executor: LoopExecutor(channel.eventLoop))
                })
        }
    }
}

/// Sent through a connection's pipeline when the server stops: the guard closes it if no request is under way.
struct ServerStopping: Sendable {}

/// Sent some time later: the guard closes the connection unless its answer only waits for the node.
struct ServerGraceOver: Sendable {}
