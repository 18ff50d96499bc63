// SPDX-License-Identifier: Apache-2.0
// Owns the endpoints as typed calls; each fails with the daemon's own failure.

import AdminModel

extension AdminClient {
    package func status() async throws(AdminFailure) -> StatusDocument { try await get("/v1/status") }

    package func members(_ filter: MemberFilter = MemberFilter()) async throws(AdminFailure) -> MembersDocument {
        var query = URLQuery()
        for state in filter.states.map(\.rawValue).sorted() { query.add("state", state) }
        for (name, value) in filter.tags.sorted(by: { $0.key < $1.key }) { query.add("tag", "\(name)=\(value)") }
        return try await get("/v1/members", query)
    }

    package func explain(_ member: String) async throws(AdminFailure) -> MemberExplanation {
        try await get(path(to: member))
    }

    package func forget(_ member: String, isForced: Bool = false) async throws(AdminFailure) -> ForgetResult {
        try await call(AdminRequest("DELETE", path(to: member) + (isForced ? "?force=true" : "")))
    }

    package func ping(_ member: String) async throws(AdminFailure) -> PingResult {
        try await call(AdminRequest("POST", path(to: member) + "/ping", mayBeRepeated: true))
    }

    package func roundTrips(from: String?, to: String?) async throws(AdminFailure) -> RoundTripsDocument {
        var query = URLQuery()
        query.add("from", from)
        query.add("to", to)
        return try await get("/v1/rtt", query)
    }

    package func sendEvent(_ name: String, payload: [UInt8]) async throws(AdminFailure) -> UserEventResult {
        try await call("POST", "/v1/events", UserEventRequest(name: name, payload: payload))
    }

    package func join(_ addresses: [String]) async throws(AdminFailure) -> JoinResult {
        try await call("POST", "/v1/join", JoinRequest(addresses: addresses), mayBeRepeated: true)
    }

    package func leave() async throws(AdminFailure) -> LeaveResult { try await call(AdminRequest("POST", "/v1/leave")) }

    package func changeTags(
        set: [String: String] = [:], unset: [String] = []
    ) async throws(AdminFailure) -> TagsDocument {
        let request = TagsRequest(set: set.isEmpty ? nil : set, unset: unset.isEmpty ? nil : unset)
        return try await call("PATCH", "/v1/tags", request, mayBeRepeated: true)
    }

    package func sealKeys() async throws(AdminFailure) -> SealKeysDocument { try await get("/v1/keys") }

    /// `text` is one key as in a key file.
    package func installKey(_ text: [UInt8]) async throws(AdminFailure) -> SealKeyResult {
        var request = AdminRequest("POST", "/v1/keys", body: text, mayBeRepeated: true)
        request.headers = [("content-type", "application/octet-stream")]
        return try await call(request)
    }

    package func useKey(_ key: SealKeyReference) async throws(AdminFailure) -> SealKeyResult {
        try await call(AdminRequest("POST", "/v1/keys/\(key)/use", mayBeRepeated: true))
    }

    package func retireKey(_ key: SealKeyReference) async throws(AdminFailure) -> SealKeyResult {
        try await call(AdminRequest("POST", "/v1/keys/\(key)/retire", mayBeRepeated: true))
    }

    /// The key as it is, or as it was.
    package func get(
        _ key: ConfigurationKey, at point: PastPoint? = nil, _ consistency: ReadConsistency? = nil
    ) async throws(AdminFailure) -> KeyDocument {
        var query = URLQuery(point)
        query.add("consistency", consistency?.rawValue)
        return try await get("/v1/kv/" + key.pathEncoded, query)
    }

    /// The bytes alone.
    package func getRaw(
        _ key: ConfigurationKey, at point: PastPoint? = nil, _ consistency: ReadConsistency? = nil
    ) async throws(AdminFailure) -> [UInt8] {
        var query = URLQuery(point)
        query.add("raw", "true")
        query.add("consistency", consistency?.rawValue)
        return try await succeed(AdminRequest("GET", "/v1/kv/" + key.pathEncoded, query: query)).body
    }

    package func put(
        _ key: ConfigurationKey, value: [UInt8], _ options: KeyWriteOptions = KeyWriteOptions()
    ) async throws(AdminFailure) -> WriteResult {
        var request = AdminRequest("PUT", "/v1/kv/" + key.pathEncoded, query: URLQuery(options), body: value)
        request.headers = [("content-type", "application/octet-stream")]
        return try await call(request)
    }

    package func delete(
        _ key: ConfigurationKey, _ options: KeyWriteOptions = KeyWriteOptions()
    ) async throws(AdminFailure) -> WriteResult {
        try await call(AdminRequest("DELETE", "/v1/kv/" + key.pathEncoded, query: URLQuery(options)))
    }

    package func list(
        _ prefix: KeyPrefix = .all, _ consistency: ReadConsistency? = nil
    ) async throws(AdminFailure) -> KeyListDocument {
        var query = URLQuery()
        query.add("prefix", prefix.description.isEmpty ? nil : prefix.description)
        query.add("consistency", consistency?.rawValue)
        return try await get("/v1/kv", query)
    }

    package func listSet(_ key: ConfigurationKey) async throws(AdminFailure) -> SetDocument {
        try await get("/v1/sets/" + key.pathEncoded)
    }

    package func addToSet(
        _ key: ConfigurationKey, _ elements: [String], _ options: KeyWriteOptions = KeyWriteOptions()
    ) async throws(AdminFailure) -> WriteResult {
        try await call("POST", "/v1/sets/" + key.pathEncoded, SetRequest(add: elements), URLQuery(options))
    }

    package func removeFromSet(
        _ key: ConfigurationKey, _ elements: [String], _ options: KeyWriteOptions = KeyWriteOptions()
    ) async throws(AdminFailure) -> WriteResult {
        try await call("POST", "/v1/sets/" + key.pathEncoded, SetRequest(remove: elements), URLQuery(options))
    }

    package func counter(_ key: ConfigurationKey) async throws(AdminFailure) -> CounterDocument {
        try await get("/v1/counters/" + key.pathEncoded)
    }

    package func addToCounter(
        _ key: ConfigurationKey, _ increment: Int64, _ options: KeyWriteOptions = KeyWriteOptions()
    ) async throws(AdminFailure) -> WriteResult {
        try await call(
            "POST", "/v1/counters/" + key.pathEncoded, CounterRequest(increment: increment), URLQuery(options))
    }

    /// The text of `/metrics`.
    package func metrics() async throws(AdminFailure) -> String {
        String(decoding: try await succeed(AdminRequest("GET", "/metrics")).body, as: UTF8.self)
    }

    /// Cluster events; `onEvent` gets each with its line and returns false to stop.
    package func events(
        since: String? = nil, follow: Bool = false, onOpen: () async throws(AdminFailure) -> Void = {},
        onEvent: (ClusterEvent, [UInt8]) async throws(AdminFailure) -> Bool
    ) async throws(AdminFailure) {
        var query = URLQuery()
        query.add("since", since)
        query.add("follow", follow ? "true" : nil)
        try await lines("/v1/events", query, { _ throws(AdminFailure) in try await onOpen() }, onEvent)
    }

    /// Changes below a prefix; `onOpen` gets the cursor from which nothing is missed, `onEvent` gets each with its line and returns false to stop.
    package func watch(
        _ prefix: KeyPrefix = .all, since: String? = nil, heartbeat: Duration? = nil,
        onOpen: (_ cursor: String?) async throws(AdminFailure) -> Void = { _ in },
        onEvent: (WatchEvent, [UInt8]) async throws(AdminFailure) -> Bool
    ) async throws(AdminFailure) {
        var query = URLQuery()
        query.add("prefix", prefix.description.isEmpty ? nil : prefix.description)
        query.add("since", since)
        query.add("heartbeat", heartbeat.map(Self.text))
        var client = self
        if let heartbeat { client.silenceMax = heartbeat * 3 + .seconds(5) }
        try await client.lines("/v1/watch", query, onOpen, onEvent)
    }

    private func lines<Event: Decodable>(
        _ path: String, _ query: URLQuery, _ onOpen: (String?) async throws(AdminFailure) -> Void,
        _ onEvent: (Event, [UInt8]) async throws(AdminFailure) -> Bool
    ) async throws(AdminFailure) {
        try await stream(AdminRequest("GET", path, query: query), onOpen: onOpen) { line throws(AdminFailure) in
            guard let event = try? AdminJSON.decode(Event.self, from: line) else {
                throw AdminFailure(.badAnswer, "the daemon sent a line that is not an event: is it of another version?")
            }
            return try await onEvent(event, line)
        }
    }

    private func path(to member: String) -> String { "/v1/members/" + PercentEncoding.encode(member) }

    func get<Document: Decodable>(
        _ path: String, _ query: URLQuery = URLQuery()
    ) async throws(AdminFailure) -> Document {
        try await call(AdminRequest("GET", path, query: query))
    }

    func call<Document: Decodable>(
        _ method: String, _ path: String, _ body: some Encodable, _ query: URLQuery = URLQuery(),
        mayBeRepeated: Bool = false
    ) async throws(AdminFailure) -> Document {
        guard let bytes = try? AdminJSON.encode(body) else {
            throw AdminFailure(.badRequest, "the request cannot be written as JSON")
        }
        var request = AdminRequest(method, path, query: query, body: bytes, mayBeRepeated: mayBeRepeated)
        request.headers = [("content-type", "application/json")]
        return try await call(request)
    }

    func call<Document: Decodable>(_ request: AdminRequest) async throws(AdminFailure) -> Document {
        let response = try await succeed(request)
        guard let document = try? AdminJSON.decode(Document.self, from: response.body) else {
            throw AdminFailure(.badAnswer, "the daemon's answer cannot be read: is it of another version?")
        }
        return document
    }

    private func succeed(_ request: AdminRequest) async throws(AdminFailure) -> AdminResponse {
        let response = try await send(request)
        guard response.isSuccess else { throw response.failure }
        return response
    }
}
