// SPDX-License-Identifier: Apache-2.0
// Owns the calls of the durable store: holders, the past, import, export, backup, care, delivery.

import AdminModel

extension AdminClient {
    /// Answers when `atLeast` nodes hold the write, or `timeout` is over; `timeout` is cut to what the daemon allows.
    package func holders(
        _ key: ConfigurationKey, version: String?, atLeast: Int, timeout: Duration
    ) async throws(AdminFailure) -> HoldersDocument {
        let wait = min(timeout, AdminLimits.waitMax)
        var query = URLQuery()
        query.add("version", version)
        query.add("at_least", String(atLeast))
        query.add("timeout", Self.text(wait))
        return try await patient(by: wait).get("/v1/holders/" + key.pathEncoded, query)
    }

    package func history(
        _ key: ConfigurationKey, before: UInt64? = nil, limit: Int
    ) async throws(AdminFailure) -> HistoryDocument {
        var query = URLQuery()
        query.add("before", before.map { "\($0)" })
        query.add("limit", String(limit))
        return try await get("/v1/history/" + key.pathEncoded, query)
    }

    package func difference(
        _ prefix: KeyPrefix, from: PastPoint, to: PastPoint? = nil, after: String? = nil
    ) async throws(AdminFailure) -> DiffDocument {
        var query = URLQuery()
        query.add("prefix", prefix.description.isEmpty ? nil : prefix.description)
        query.add("from", from.queryText)
        query.add("to", to?.queryText)
        query.add("after", after)
        return try await get("/v1/diff", query)
    }

    /// The keys below a prefix as JSON lines, in pieces that need not end with a line.
    package func export(
        _ prefix: KeyPrefix = .all, onPiece: ([UInt8]) async throws(AdminFailure) -> Void
    ) async throws(AdminFailure) {
        var query = URLQuery()
        query.add("prefix", prefix.description.isEmpty ? nil : prefix.description)
        try await download(AdminRequest("GET", "/v1/export", query: query), onPiece: onPiece)
    }

    /// Brings the keys to what the lines say, in one transaction.
    package func `import`(
        _ lines: PullStream<[UInt8]>, dryRun: Bool = false, prune: Bool = false, prefix: KeyPrefix = .all,
        _ options: KeyWriteOptions = KeyWriteOptions()
    ) async throws(AdminFailure) -> ImportResult {
        var query = URLQuery(options)
        query.add("dry_run", dryRun ? "true" : nil)
        query.add("prune", prune ? "true" : nil)
        query.add("prefix", prefix.description.isEmpty ? nil : prefix.description)
        var request = AdminRequest("POST", "/v1/import", query: query)
        request.headers = [("content-type", "application/x-ndjson")]
        request.upload = lines
        return try await patient(by: .seconds(60)).call(request)
    }

    package func backup(onPiece: ([UInt8]) async throws(AdminFailure) -> Void) async throws(AdminFailure) {
        try await download(AdminRequest("GET", "/v1/backup"), onPiece: onPiece)
    }

    package func restore(
        _ bytes: PullStream<[UInt8]>, strict: StrictRestore = .with
    ) async throws(AdminFailure) -> RestoreResult {
        var query = URLQuery()
        query.add("strict", strict == .with ? nil : strict.rawValue)
        var request = AdminRequest("POST", "/v1/restore", query: query)
        request.headers = [("content-type", "application/octet-stream")]
        request.upload = bytes
        return try await patient(by: .seconds(1800)).call(request)
    }

    package func verify(timeout: Duration) async throws(AdminFailure) -> VerifyDocument {
        let wait = min(timeout, AdminLimits.waitMax)
        var query = URLQuery()
        query.add("timeout", Self.text(wait))
        return try await patient(by: wait).get("/v1/verify", query)
    }

    package func doctor() async throws(AdminFailure) -> DoctorDocument { try await get("/v1/doctor") }

    package func queuedWrites(after: UInt64? = nil) async throws(AdminFailure) -> QueueDocument {
        var query = URLQuery()
        query.add("after", after.map { "\($0)" })
        return try await get("/v1/queue", query)
    }

    package func decideQueued(_ request: QueueRequest) async throws(AdminFailure) -> QueueResult {
        try await call("POST", "/v1/queue", request)
    }

    package func renderStatus() async throws(AdminFailure) -> RenderStatusDocument {
        try await get("/v1/render/status")
    }

    package func renderFleet() async throws(AdminFailure) -> RenderFleetDocument {
        var query = URLQuery()
        query.add("fleet", "true")
        return try await get("/v1/render/status", query)
    }

    /// No names mean all files, here and below.
    package func renderPlan(_ names: [String] = []) async throws(AdminFailure) -> RenderPlanDocument {
        let patient = patient(by: AdminLimits.renderApplyMax)
        return try await patient.call("POST", "/v1/render/plan", RenderRequest(names: names), mayBeRepeated: true)
    }

    package func renderApply(_ names: [String] = []) async throws(AdminFailure) -> RenderApplyDocument {
        let patient = patient(by: AdminLimits.renderApplyMax)
        return try await patient.call("POST", "/v1/render/apply", RenderRequest(names: names), mayBeRepeated: true)
    }

    /// This client, for an exchange that the daemon may answer so much later.
    private func patient(by wait: Duration) -> AdminClient {
        var client = self
        client.timeout += wait
        return client
    }

    /// As the daemon reads durations.
    static func text(_ duration: Duration) -> String { "\(max(1, Int64(duration / .milliseconds(1))))ms" }
}

extension URLQuery {
    /// As the daemon reads them; the user is not among them.
    init(_ options: KeyWriteOptions) {
        self.init()
        switch options.condition {
        case .always: break
        case .absent: add("if_absent", "true")
        case .version(let version): add("if_version", version)
        }
        add("message", options.message.isEmpty ? nil : options.message)
        add("request_id", options.requestID)
        add("ttl", options.ttlMilliseconds.map { "\($0)ms" })
    }

    /// `revision` or `at`.
    init(_ point: PastPoint?) {
        self.init()
        switch point {
        case nil: break
        case .revision(let revision): add("revision", "\(revision)")
        case .time(let time): add("at", time.description)
        }
    }
}

extension PastPoint {
    /// As `from` and `to` have it.
    fileprivate var queryText: String {
        switch self {
        case .revision(let revision): "\(revision)"
        case .time(let time): time.description
        }
    }
}
