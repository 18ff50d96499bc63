// SPDX-License-Identifier: Apache-2.0
// Owns the list of endpoints; Docs/openapi.yaml describes each of them, and a test compares the two.

import AdminModel

extension RouteTable {
    /// Every endpoint but `/metrics`' own counters, which the server adds.
    package static let all = RouteTable(
        routes: cluster + streams + keys + collections + past + transfers + care + render + sealKeys
            + strict + calls + locks)

    /// The patience with answers that wait for other nodes, or for their reader.
    static let longAnswer = Duration.seconds(60)

    private static let cluster: [Route] = [
        Route(.get, "/v1/status", .read) { request async throws(AdminFailure) in
            try .json(try await request.node.status())
        },
        Route(.get, "/v1/members", .read, query: ["state", "tag"]) { request async throws(AdminFailure) in
            try .json(try await request.node.members(try request.memberFilter()))
        },
        Route(.get, "/v1/members/{member}", .read) { request async throws(AdminFailure) in
            try .json(try await request.node.explain(try request.member()))
        },
        Route(.delete, "/v1/members/{member}", .admin, query: ["force"]) { request async throws(AdminFailure) in
            try .json(try await request.node.forget(try request.member(), isForced: try request.flag("force")))
        },
        Route(.post, "/v1/members/{member}/ping", .read) { request async throws(AdminFailure) in
            try .json(try await request.node.ping(try request.member()))
        },
        Route(.get, "/v1/rtt", .read, query: ["from", "to"]) { request async throws(AdminFailure) in
            let from = try request.reference("from")
            return try .json(try await request.node.roundTrips(from: from, to: try request.reference("to")))
        },
        Route(.post, "/v1/join", .admin) { request async throws(AdminFailure) in
            let join = try request.decode(JoinRequest.self)
            try join.validate()
            return try .json(try await request.node.join(join.addresses))
        },
        Route(.post, "/v1/leave", .admin) { request async throws(AdminFailure) in
            try .json(try await request.node.leave())
        },
        Route(.patch, "/v1/tags", .admin) { request async throws(AdminFailure) in
            let tags = try request.decode(TagsRequest.self)
            try tags.validate()
            var result: TagsDocument?
            if let set = tags.set, !set.isEmpty { result = try await request.node.setTags(set) }
            if let names = tags.unset, !names.isEmpty { result = try await request.node.unsetTags(names) }
            return try .json(result)
        },
        Route(.get, "/metrics", .read) { request async throws(AdminFailure) in
            .bytes(
                Array(PrometheusText.render(try await request.node.metrics()).utf8),
                contentType: PrometheusText.contentType)
        },
    ]

    private static let streams: [Route] = [
        Route(.get, "/v1/events", .read, query: ["since", "follow"], patience: longAnswer) {
            request async throws(AdminFailure) in
            .events(try await request.node.events(since: try request.cursor(), follow: try request.flag("follow")))
        },
        Route(.post, "/v1/events", .admin) { request async throws(AdminFailure) in
            let event = try request.decode(UserEventRequest.self)
            return try .json(try await request.node.sendEvent(event.name, try event.check()))
        },
        Route(.get, "/v1/watch", .read, query: ["prefix", "since", "heartbeat"], patience: longAnswer) {
            request async throws(AdminFailure) in
            let text = try request.value("heartbeat")
            let heartbeat = try request.duration("heartbeat", default: .seconds(15), max: .seconds(300))
            let subscription = try await request.node.watch(try request.prefix(), since: try request.cursor())
            return .watch(subscription, heartbeat: text == nil ? nil : max(heartbeat, .seconds(1)))
        },
    ]

    private static let keys: [Route] = [
        Route(.get, "/v1/kv", .read, query: ["prefix", "consistency"]) { request async throws(AdminFailure) in
            try .json(try await request.node.list(try request.prefix(), try request.readOptions()))
        },
        Route(.get, "/v1/kv/{key}", .read, query: ["raw", "revision", "at", "consistency"], isBrief: true) {
            request async throws(AdminFailure) in
            let options = try request.readOptions()
            let raw = try request.flag("raw") || request.acceptsOctets
            let key = try request.key()
            let document: KeyDocument
            if let point = try request.pastPoint() {
                guard options.consistency != .linearizable else {
                    throw AdminFailure(.badRequest, "the past is read from this node's store: leave consistency out")
                }
                document = try await request.node.past(key, at: point)
            } else {
                document = try await request.node.get(key, options)
            }
            return raw ? .value(document) : try .json(document)
        },
        Route(.put, "/v1/kv/{key}", .admin, query: Route.writeQuery + ["ttl"], isBrief: true) {
            request async throws(AdminFailure) in
            let key = try request.key()
            // An empty value must be meant: `content-length: 0`, not a forgotten body.
            guard request.declaresBody else {
                throw AdminFailure(.badRequest, "the request has no body: send the value as the body")
            }
            guard request.body.count <= AdminLimits.valueBytesMax else {
                throw AdminFailure(
                    .tooLarge,
                    "the value has \(request.body.count) bytes: at most \(AdminLimits.valueBytesMax) are allowed")
            }
            return try .json(try await request.write([.put(key, request.body)]))
        },
        Route(.delete, "/v1/kv/{key}", .admin, query: Route.writeQuery, isBrief: true) {
            request async throws(AdminFailure) in
            try .json(try await request.write([.delete(try request.key())]))
        },
    ]

    private static let collections: [Route] = [
        Route(.get, "/v1/sets/{key}", .read) { request async throws(AdminFailure) in
            try .json(try await request.node.listSet(try request.key()))
        },
        Route(.post, "/v1/sets/{key}", .admin, query: Route.writeQuery) { request async throws(AdminFailure) in
            let key = try request.key()
            let writes: [KeyWrite] =
                switch try request.decode(SetRequest.self).change() {
                case .add(let elements): elements.map { .add(key, element: $0) }
                case .remove(let elements): elements.map { .remove(key, element: $0) }
                }
            return try .json(try await request.write(writes))
        },
        Route(.get, "/v1/counters/{key}", .read, isBrief: true) { request async throws(AdminFailure) in
            try .json(try await request.node.counter(try request.key()))
        },
        Route(.post, "/v1/counters/{key}", .admin, query: Route.writeQuery, isBrief: true) {
            request async throws(AdminFailure) in
            let key = try request.key()
            let increment = try request.decode(CounterRequest.self).increment
            return try .json(try await request.write([.increment(key, by: increment)]))
        },
    ]
}

extension RequestContext {
    /// `?state=alive&state=suspect&tag=role=web`
    fileprivate func memberFilter() throws(AdminFailure) -> MemberFilter {
        var filter = MemberFilter()
        for text in query.values("state") {
            guard let state = MemberState(rawValue: text), state != .unknown else {
                throw AdminFailure(.badRequest, "\(text.quoted) is no state: use alive, suspect, failed or left")
            }
            filter.states.insert(state)
        }
        for text in query.values("tag") {
            guard let (name, value) = text.cut(at: UInt8(ascii: "=")), !name.isEmpty else {
                throw AdminFailure(.badRequest, "\(text.quoted) is no tag condition: write NAME=VALUE")
            }
            filter.tags[String(name)] = String(value)
        }
        return filter
    }
}
