// SPDX-License-Identifier: Apache-2.0
// Owns the way of one request on one connection: role, route, body, answer; each failure becomes a JSON error.

import AdminModel
import HTTPTypes
import HummingbirdCore
import NIOCore

/// Serves the requests of one connection, one after the other.
struct RequestHandler: Sendable {
    let node: any NodeHandle
    let routes: RouteTable
    let policy: AccessPolicy
    let settings: AdminServerSettings
    let state: ServerState
    let peer: PeerCredentials?
    let connection: NIOLoopBound<ConnectionGuard>
    let integrity: Integrity
    let eventLoop: any EventLoop
    let denied: @Sendable (AdminFailure) -> Void

    /// Ends the connection after the answer: what is left of the request is not read.
    private struct CloseConnection: Error {}

    /// An answer on its way out; `cleanUp` is called when it is written or the client has gone.
    private struct Outgoing {
        var head: HTTPResponse
        var body: ResponseBody
        var cleanUp: @Sendable () -> Void = {}
    }

    func respond(to request: Request, _ writer: consuming ResponseWriter, on channel: any Channel) async throws {
        let hasBody = Self.hasBody(request)
        enter(hasBody ? .receiving : .answering(nil))
        var bodyRead = !hasBody
        var live: BodySource?
        var outgoing: Outgoing
        do {
            let (route, parameter, query) = try find(request)
            var context = RequestContext(
                node: node, parameter: parameter, query: query,
                acceptsOctets: request.headers[.accept] == "application/octet-stream", body: [],
                declaresBody: hasBody || request.headers[.contentLength] != nil)
            context.idempotencyKey = Self.header("idempotency-key", of: request)
            context.timeoutText = Self.header("gossipd-timeout", of: request)
            context.isRepeat = Self.header("gossipd-repeat", of: request) != nil
            context.user = { [peer, state] in peer.map { state.userName($0.user) } ?? "" }
            let source = hasBody ? try bodySource(request, route) : nil
            if source != nil, request.headers[.expect]?.lowercased() == "100-continue" {
                try await writer.writeInformationalHead(HTTPResponse(status: .continue))
            }
            var place: TransferPlace?
            switch route.body {
            case .collected:
                if let source { context.body = try await collect(source) }
                bodyRead = true
                // Whoever asks to wait for other nodes may wait for long.
                let waits = query.items.contains { $0.name == "wait" } ? settings.answerDeadline : nil
                enter(.answering(route.patience ?? waits))
            case .live:
                live = source
                source.map { context.stream = $0.stream }
            case .streamed:
                place = try TransferPlace(state, max: settings.maxTransfers)
                guard let source else { break }
                let patience = route.patience
                context.stream = PullStream { [self] () async throws(AdminFailure) in
                    let piece = try await source.next()
                    if piece == nil { enter(.answering(patience)) }
                    return piece
                }
            }
            defer {
                place?.giveBack()
                if let source { bodyRead = source.isOver }
            }
            let answer =
                try await runsOnLoop(route)
                ? route.handler(context)
                : LoopExecutor.offLoop { () async throws(AdminFailure) in try await route.handler(context) }
            outgoing = try self.outgoing(answer, route, channel)
            state.count { $0.requestsSucceeded += 1 }
        } catch let failure as AdminFailure {
            state.countFailure(failure.code)
            if failure.code == .denied { denied(failure) }
            outgoing = try self.outgoing(failure, closing: !bodyRead)
            if failure.code == .methodNotAllowed { outgoing.head.headerFields[.allow] = allowedMethods(request) }
        }
        enter(live == nil ? .writing : .exchanging)
        defer { outgoing.cleanUp() }
        try await writer.write(response: outgoing.head, body: outgoing.body)
        if let live { bodyRead = live.isOver }
        if !bodyRead { throw CloseConnection() }
        enter(.idle)
    }

    /// The first write of a user looks its name up, and a directory service may be slow.
    private func runsOnLoop(_ route: Route) -> Bool {
        route.isBrief && (route.role == .read || peer.map { state.knowsName(of: $0.user) } ?? true)
    }

    private static func header(_ name: String, of request: Request) -> String? {
        HTTPField.Name(name).flatMap { request.headers[$0] }
    }

    private static func hasBody(_ request: Request) -> Bool {
        request.headers[.contentLength].map { $0 != "0" } ?? (request.headers[.transferEncoding] != nil)
    }

    /// What RFC 9110 section 15.5.6 wants beside a 405.
    private func allowedMethods(_ request: Request) -> String {
        let target = request.head.path ?? ""
        let path = target.cut(at: UInt8(ascii: "?"))?.before ?? target[...]
        guard case .otherMethod(let allowed) = routes.match(method: request.method.rawValue, path: path) else {
            return ""
        }
        return allowed.map(\.rawValue).joined(separator: ", ")
    }

    private func find(_ request: Request) throws(AdminFailure) -> (Route, parameter: String, URLQuery) {
        let target = request.head.path ?? ""
        let (path, queryText) = target.cut(at: UInt8(ascii: "?")) ?? (target[...], "")
        switch routes.match(method: request.method.rawValue, path: path) {
        case .found(let route, let parameter):
            guard policy.role(of: peer) >= route.role else { throw policy.denial(of: route.role, for: peer) }
            let query = try URLQuery(queryText)
            for (name, _) in query.items where !route.query.contains(name) {
                throw AdminFailure(.badRequest, "query parameter \(name.quoted) is not known here")
            }
            return (route, parameter, query)
        case .otherMethod(let allowed):
            try requireRead()
            let list = allowed.map(\.rawValue).joined(separator: ", ")
            throw AdminFailure(.methodNotAllowed, "\(request.method.rawValue.quoted) is not possible here: use \(list)")
        case .none:
            try requireRead()
            throw AdminFailure(.unknownEndpoint, "there is no endpoint \(path.quoted): see Docs/openapi.yaml")
        }
    }

    /// Strangers are not told which paths exist.
    private func requireRead() throws(AdminFailure) {
        guard policy.role(of: peer) >= .read else { throw policy.denial(of: .read, for: peer) }
    }

    /// The body as the route takes it; fails with `too_large` when it is announced to be.
    private func bodySource(_ request: Request, _ route: Route) throws(AdminFailure) -> BodySource {
        let announced = request.headers[.contentLength].flatMap(Int.init)
        let limit: Int
        var progressed: @Sendable () -> Void = {}
        switch route.body {
        case .collected: limit = settings.maxBodyBytes
        case .streamed(let max):
            limit = max(settings)
            progressed = { [self] in enter(.receiving) }
        case .live: limit = .max
        }
        guard (announced ?? 0) <= limit else { throw BodySource.tooLarge(limit) }
        return BodySource(
            request.body, announced: announced, bytesMax: limit, integrity: integrity, progressed: progressed)
    }

    /// The whole body; fails with `too_large`, and without an answer when the body did not come to its end.
    private func collect(_ source: BodySource) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        do throws(AdminFailure) {
            while let piece = try await source.next() { bytes += piece }
        } catch {
            if error.code == .badRequest { throw CloseConnection() }
            throw error
        }
        return bytes
    }

    private func outgoing(
        _ answer: Answer, _ route: Route, _ channel: any Channel
    ) throws(AdminFailure) -> Outgoing {
        switch answer {
        case .bytes(var bytes, let contentType):
            if route.pattern == "/metrics" { bytes += Array(PrometheusText.render(state.counters.samples).utf8) }
            return outgoing(.ok, bytes, contentType: contentType, closing: false)
        case .value(let document): return value(document)
        case .events(let subscription): return try stream(subscription, nil, channel)
        case .watch(let subscription, let heartbeat): return try stream(subscription, heartbeat, channel)
        case .keys(let pages):
            return try transfer(PullWriter<[KeyDocument]>.lines(pages), contentType: "application/x-ndjson")
        case .calls(let calls):
            let place = try calls.place(in: state, max: settings.maxStreams, on: channel)
            var result = outgoing(
                contentType: "application/x-ndjson", ResponseBody { writer in try await calls.write(to: &writer) })
            result.cleanUp = { state.closeStream(place) }
            return result
        case .octets(let pieces):
            return try transfer(PullWriter<[UInt8]>.octets(pieces), contentType: "application/octet-stream")
        }
    }

    private func value(_ document: KeyDocument) -> Outgoing {
        var result = outgoing(
            .ok, document.content.rawBytes, contentType: "application/octet-stream", closing: false)
        guard document.keyClass == .strict else { return result }
        for (name, value) in [
            ("gossipd-class", document.keyClass.rawValue), ("gossipd-version", document.version),
            ("gossipd-staleness-ms", document.stalenessMilliseconds.map { "\($0)" }),
        ] {
            guard let value, let name = HTTPField.Name(name) else { continue }
            result.head.headerFields[name] = value
        }
        return result
    }

    private func stream(
        _ subscription: Subscription<some StreamLine>, _ heartbeat: Duration?, _ channel: any Channel
    ) throws(AdminFailure) -> Outgoing {
        let stream = try StreamWriter(
            subscription, heartbeat: heartbeat, settings: settings, state: state, channel: channel)
        var result = outgoing(contentType: "application/x-ndjson", longBody { try await stream.write(to: &$0) })
        if let name = HTTPField.Name("gossipd-cursor") { result.head.headerFields[name] = stream.startCursor }
        return result
    }

    private func transfer<Piece>(_ writer: PullWriter<Piece>, contentType: String) throws(AdminFailure) -> Outgoing {
        let place: TransferPlace
        do throws(AdminFailure) {
            place = try TransferPlace(state, max: settings.maxTransfers)
        } catch {
            writer.stream.close()
            throw error
        }
        var result = outgoing(contentType: contentType, longBody { try await writer.write(to: &$0) })
        result.cleanUp = {
            writer.stream.close()
            place.giveBack()
        }
        return result
    }

    /// A body that is made while it is written.
    private func longBody(
        _ write: @escaping @Sendable (inout any ResponseBodyWriter) async throws -> Void
    ) -> ResponseBody {
        ResponseBody { writer in try await LoopExecutor.offLoop { try await write(&writer) } }
    }

    private func outgoing(contentType: String, _ body: ResponseBody) -> Outgoing {
        var head = HTTPResponse(status: .ok)
        head.headerFields[.contentType] = contentType
        return Outgoing(head: head, body: body)
    }

    private func outgoing(_ failure: AdminFailure, closing: Bool) throws -> Outgoing {
        let body = try AdminJSON.encode(ErrorDocument(failure))
        let status = HTTPResponse.Status(code: failure.code.httpStatus)
        return outgoing(status, body, contentType: "application/json", closing: closing)
    }

    private func outgoing(
        _ status: HTTPResponse.Status, _ bytes: [UInt8], contentType: String, closing: Bool
    ) -> Outgoing {
        var head = HTTPResponse(status: status)
        head.headerFields[.contentType] = contentType
        head.headerFields[.contentLength] = String(bytes.count)
        // Whoever keeps a connection for its next request is told that this server takes no more.
        if closing || state.isStopping { head.headerFields[.connection] = "close" }
        return Outgoing(head: head, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    /// Moves the guard's deadline to another phase of the request.
    private func enter(_ phase: ConnectionGuard.Phase) {
        // What runs on the loop neither waits for a turn of it nor wakes it.
        if eventLoop.inEventLoop { return connection.value.enter(phase) }
        let connection = connection
        eventLoop.execute { connection.value.enter(phase) }
    }
}
