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

    /// Ends the connection after the answer: what is left of the request is not read.
    private struct CloseConnection: Error {}

    func respond(to request: Request, _ writer: consuming ResponseWriter, on channel: any Channel) async throws {
        let length = request.headers[.contentLength]
        let hasBody = length.map { $0 != "0" } ?? (request.headers[.transferEncoding] != nil)
        enter(hasBody ? .receiving : .answering)
        var bodyRead = !hasBody
        var response: (head: HTTPResponse, body: ResponseBody)
        do {
            let (route, parameter, query) = try find(request)
            var body: [UInt8] = []
            if hasBody {
                try checkAnnouncedSize(request)
                if request.headers[.expect]?.lowercased() == "100-continue" {
                    try await writer.writeInformationalHead(HTTPResponse(status: .continue))
                }
                body = try await collect(request)
                bodyRead = true
                enter(.answering)
            }
            let answer = try await route.handler(
                RequestContext(
                    node: node, parameter: parameter, query: query,
                    acceptsOctets: request.headers[.accept] == "application/octet-stream", body: body,
                    declaresBody: hasBody || length != nil))
            response = try self.response(answer, route, channel)
            state.count { $0.requestsSucceeded += 1 }
        } catch let failure as AdminFailure {
            state.countFailure(failure.code)
            response = try self.response(failure, closing: !bodyRead)
            if failure.code == .methodNotAllowed { response.head.headerFields[.allow] = allowedMethods(request) }
        }
        enter(.writing)
        try await writer.write(response: response.head, body: response.body)
        if !bodyRead { throw CloseConnection() }
        enter(.idle)
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

    private var tooLarge: AdminFailure {
        AdminFailure(.tooLarge, "the body is too large: at most \(settings.maxBodyBytes) bytes are allowed")
    }

    private func checkAnnouncedSize(_ request: Request) throws(AdminFailure) {
        if let announced = request.headers[.contentLength].flatMap(Int.init), announced > settings.maxBodyBytes {
            throw tooLarge
        }
    }

    /// The whole body; fails with `too_large`, and without an answer when the body did not come to its end.
    private func collect(_ request: Request) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await part in request.body {
            guard bytes.count + part.readableBytes <= settings.maxBodyBytes else { throw tooLarge }
            bytes.append(contentsOf: part.readableBytesView)
        }
        let announced = request.headers[.contentLength].flatMap(Int.init)
        guard announced == nil || announced == bytes.count, !integrity.isBroken else { throw CloseConnection() }
        return bytes
    }

    private func response(
        _ answer: Answer, _ route: Route, _ channel: any Channel
    ) throws(AdminFailure) -> (HTTPResponse, ResponseBody) {
        switch answer {
        case .bytes(var bytes, let contentType):
            if route.pattern == "/metrics" { bytes += Array(PrometheusText.render(state.counters.samples).utf8) }
            return response(.ok, bytes, contentType: contentType, closing: false)
        case .events(let subscription): return try stream(subscription, channel)
        case .watch(let subscription): return try stream(subscription, channel)
        }
    }

    private func stream(
        _ subscription: Subscription<some StreamLine>, _ channel: any Channel
    ) throws(AdminFailure) -> (HTTPResponse, ResponseBody) {
        let stream = try StreamWriter(subscription, settings: settings, state: state, channel: channel)
        var head = HTTPResponse(status: .ok)
        head.headerFields[.contentType] = "application/x-ndjson"
        return (head, ResponseBody { writer in try await stream.write(to: &writer) })
    }

    private func response(_ failure: AdminFailure, closing: Bool) throws -> (HTTPResponse, ResponseBody) {
        let body = try AdminJSON.encode(ErrorDocument(failure))
        let status = HTTPResponse.Status(code: failure.code.httpStatus)
        return response(status, body, contentType: "application/json", closing: closing)
    }

    private func response(
        _ status: HTTPResponse.Status, _ bytes: [UInt8], contentType: String, closing: Bool
    ) -> (HTTPResponse, ResponseBody) {
        var head = HTTPResponse(status: status)
        head.headerFields[.contentType] = contentType
        head.headerFields[.contentLength] = String(bytes.count)
        if closing { head.headerFields[.connection] = "close" }
        return (head, ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    /// Moves the guard's deadline to another phase of the request.
    private func enter(_ phase: ConnectionGuard.Phase) {
        let connection = connection
        eventLoop.execute { connection.value.enter(phase) }
    }
}
