// SPDX-License-Identifier: Apache-2.0
// Owns the endpoints of the durable store: holders, history, differences, import, export, backup, care.

import AdminModel

extension RouteTable {
    static let past: [Route] = [
        Route(.get, "/v1/holders/{key}", .read, query: ["version", "at_least", "timeout"], patience: longAnswer) {
            request async throws(AdminFailure) in
            let key = try request.key()
            let atLeast = try request.number("at_least") ?? 1
            let version = try request.value("version")
            let timeout = try request.duration("timeout", default: .seconds(10), max: AdminLimits.waitMax)
            return try .json(
                try await request.node.holders(
                    key, version: version, atLeast: Int(clamping: atLeast), timeout: timeout))
        },
        Route(.get, "/v1/history/{key}", .read, query: Route.pageQuery + ["before"]) {
            request async throws(AdminFailure) in
            try .json(
                try await request.node.history(
                    try request.key(), before: try request.number("before"), limit: try request.limit()))
        },
        Route(.get, "/v1/diff", .read, query: Route.pageQuery + ["prefix", "from", "to", "after"]) {
            request async throws(AdminFailure) in
            guard let from = try request.pastPoint("from") else {
                throw AdminFailure(.badRequest, "from is missing: give a revision or a time")
            }
            return try .json(
                try await request.node.difference(
                    try request.prefix(), from: from, to: try request.pastPoint("to"),
                    after: try request.optionalKey("after"), limit: try request.limit(default: 1_000)))
        },
    ]

    static let transfers: [Route] = [
        Route(.get, "/v1/export", .read, query: ["prefix"], patience: longAnswer) {
            request async throws(AdminFailure) in
            .keys(try await request.node.export(try request.prefix()))
        },
        Route(
            .post, "/v1/import", .admin,
            query: ["dry_run", "prune", "prefix", "message", "request_id", "if_version", "if_absent"],
            body: .streamed { $0.maxImportBytes }, patience: .seconds(120)
        ) { request async throws(AdminFailure) in
            try .json(try await ImportHandler(request).run())
        },
        Route(.get, "/v1/backup", .read, patience: longAnswer) { request async throws(AdminFailure) in
            .octets(try await request.node.backup())
        },
        Route(
            .post, "/v1/restore", .admin, query: ["strict"], body: .streamed { $0.maxRestoreBytes },
            patience: .seconds(1800)
        ) {
            request async throws(AdminFailure) in
            guard request.declaresBody else {
                throw AdminFailure(.badRequest, "the request has no body: send a backup as the body")
            }
            let text = try request.value("strict") ?? StrictRestore.with.rawValue
            guard let mode = StrictRestore(rawValue: text) else {
                throw AdminFailure(.badRequest, "strict is \(text.quoted): give with, skip or only")
            }
            return try .json(try await request.node.restore(request.stream, strict: mode))
        },
    ]

    static let care: [Route] = [
        Route(.get, "/v1/verify", .read, query: ["timeout"], patience: longAnswer) {
            request async throws(AdminFailure) in
            let timeout = try request.duration("timeout", default: .seconds(10), max: AdminLimits.waitMax)
            return try .json(try await request.node.verify(timeout: timeout))
        },
        Route(.get, "/v1/doctor", .read) { request async throws(AdminFailure) in
            try .json(try await request.node.doctor())
        },
        Route(.get, "/v1/queue", .read, query: Route.pageQuery + ["after"]) { request async throws(AdminFailure) in
            try .json(
                try await request.node.queuedWrites(
                    after: try request.number("after"), limit: try request.limit(default: 1_000)))
        },
        Route(.post, "/v1/queue", .admin) { request async throws(AdminFailure) in
            let decision = try request.decode(QueueRequest.self)
            try decision.validate()
            return try .json(
                try await request.node.decideQueued(
                    apply: decision.apply ?? [], drop: decision.drop ?? [], user: request.user()))
        },
    ]
}
