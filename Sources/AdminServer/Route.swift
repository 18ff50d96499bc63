// SPDX-License-Identifier: Apache-2.0
// Owns how a request finds its route: path patterns, methods, allowed query names, parameters.

import AdminModel

/// One endpoint: what it is called, who may use it, what it does.
package struct Route: Sendable {
    package enum Method: String, Sendable {
        case get = "GET"
        case put = "PUT"
        case post = "POST"
        case patch = "PATCH"
        case delete = "DELETE"
    }

    package var method: Method
    /// Such as `/v1/members/{member}/ping`. `{key}` takes the whole rest of the path, other names one segment.
    package let pattern: String
    let path: PathPattern
    package var role: Role
    /// Query names that the endpoint understands; any other is an error.
    package var query: [String]
    /// How its body is taken.
    var body = BodyMode.collected
    /// From the end of a request to the start of its answer; nil for the settings' deadline. Of those whose answer
    /// takes long by nature, to come or to be written: a stop of the server does not wait for them.
    var patience: Duration?
    /// Its handler works on one key and is done in some ten microseconds, so it runs on the connection's event loop. The
    /// others have a thread to themselves, whatever they take.
    var isBrief = false
    var handler: @Sendable (RequestContext) async throws(AdminFailure) -> Answer

    init(
        _ method: Method, _ pattern: String, _ role: Role, query: [String] = [], body: BodyMode = .collected,
        patience: Duration? = nil, isBrief: Bool = false,
        handler: @escaping @Sendable (RequestContext) async throws(AdminFailure) -> Answer
    ) {
        self.method = method
        self.pattern = pattern
        path = PathPattern(pattern)
        self.role = role
        self.query = query
        self.body = body
        self.patience = patience
        self.isBrief = isBrief
        self.handler = handler
    }
}

enum BodyMode: Sendable {
    /// Whole, at most `AdminServerSettings.maxBodyBytes`.
    case collected
    /// Piece by piece as the handler reads it, at most as many bytes as the settings say.
    case streamed(max: @Sendable (AdminServerSettings) -> Int)
    /// Without an end, while the answer is being written.
    case live
}

/// What a handler gets; everything in it is validated but the body's content.
struct RequestContext: Sendable {
    var node: any NodeHandle
    /// Still percent-encoded.
    var parameter: String
    var query: URLQuery
    var acceptsOctets: Bool
    var body: [UInt8]
    /// Whether the request says that it has a body, be it an empty one.
    var declaresBody: Bool
    /// Of routes whose body is streamed.
    var stream = PullStream<[UInt8]> { () async throws(AdminFailure) in nil }
    /// The header `Idempotency-Key`.
    var idempotencyKey: String?
    /// The name of the caller's user.
    var user: @Sendable () -> String = { "" }
    /// The header `gossipd-timeout`: how long the client waits for calls about strict keys.
    var timeoutText: String?
    /// The header `gossipd-repeat`: the client sent the same before, and its connection broke.
    var isRepeat = false

    /// `{key}`
    func key() throws(AdminFailure) -> ConfigurationKey { try ConfigurationKey(pathEncoded: parameter) }

    /// `{member}`: a name, an id or the beginning of one.
    func member() throws(AdminFailure) -> String {
        guard let text = PercentEncoding.decode(parameter), Self.isReference(text) else {
            throw AdminFailure(.badRequest, "the path does not name a member by name or id")
        }
        return text
    }

    /// A member in the query; nil when it is absent.
    func reference(_ name: String) throws(AdminFailure) -> String? {
        guard let text = try value(name) else { return nil }
        guard Self.isReference(text) else {
            throw AdminFailure(.badRequest, "\(name) does not name a member by name or id")
        }
        return text
    }

    private static func isReference(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= AdminLimits.referenceBytesMax
            && !text.unicodeScalars.contains(where: \.isControl)
    }

    /// The one value of a query name; nil when it is absent.
    func value(_ name: String) throws(AdminFailure) -> String? {
        let values = query.values(name)
        guard values.count < 2 else { throw AdminFailure(.badRequest, "give \(name) once") }
        return values.first
    }

    /// `true`, `false` or absent.
    func flag(_ name: String) throws(AdminFailure) -> Bool {
        switch try value(name) {
        case nil, "false": return false
        case "true", "": return true
        case .some(let other): throw AdminFailure(.badRequest, "\(name) is \(other.quoted): give true or false")
        }
    }

    func prefix() throws(AdminFailure) -> KeyPrefix { try KeyPrefix(try value("prefix") ?? "") }

    func cursor() throws(AdminFailure) -> String? {
        guard let cursor = try value("since") else { return nil }
        guard (1...AdminLimits.cursorBytesMax).contains(cursor.utf8.count) else {
            throw AdminFailure(.badRequest, "since is not a cursor: give one that a stream printed, or start")
        }
        return cursor
    }

    func decode<Document: Decodable>(_ type: Document.Type) throws(AdminFailure) -> Document {
        try AdminJSON.decodeRequest(type, from: body)
    }
}

/// What a handler gives back.
enum Answer: Sendable {
    case bytes([UInt8], contentType: String)
    /// A key's bytes alone; what there is to say about them goes into the head.
    case value(KeyDocument)
    case events(Subscription<ClusterEvent>)
    /// With the time between two heartbeats; nil for the settings'.
    case watch(Subscription<WatchEvent>, heartbeat: Duration?)
    /// One key a line.
    case keys(PullStream<[KeyDocument]>)
    case octets(PullStream<[UInt8]>)
    case calls(KeyCallStream)

    static func json(_ document: some Encodable) throws(AdminFailure) -> Answer {
        do {
            return .bytes(try AdminJSON.encode(document), contentType: "application/json")
        } catch {
            throw AdminFailure(.internalError, "the answer could not be written as JSON")
        }
    }
}

/// The routes, searched in order.
package struct RouteTable: Sendable {
    package let routes: [Route]

    enum Match {
        case found(Route, parameter: String)
        /// The path exists with these methods.
        case otherMethod([Route.Method])
        case none
    }

    func match(method: String, path: Substring) -> Match {
        var allowed: [Route.Method] = []
        for route in routes {
            guard let parameter = route.path.parameter(of: path) else { continue }
            if route.method.rawValue == method { return .found(route, parameter: parameter) }
            allowed.append(route.method)
        }
        return allowed.isEmpty ? .none : .otherMethod(allowed)
    }
}
