// SPDX-License-Identifier: Apache-2.0
// Owns the query of writes and of looks at the past: conditions, reasons, waiting, points in time, pages.

import AdminModel

extension Route {
    /// What every write understands.
    static let writeQuery = ["if_version", "if_absent", "message", "request_id", "wait", "wait_timeout"]
    /// What every page understands.
    static let pageQuery = ["limit"]
}

extension RequestContext {
    /// `?if_version=` or `?if_absent=true`, `?message=`, `?ttl=`, `?request_id=` or the header `Idempotency-Key`.
    func writeOptions() throws(AdminFailure) -> KeyWriteOptions {
        var options = KeyWriteOptions()
        let version = try value("if_version")
        let absent = try flag("if_absent")
        guard version == nil || !absent else {
            throw AdminFailure(.badRequest, "if_version and if_absent exclude each other: give one")
        }
        if absent { options.condition = .absent }
        if let version { options.condition = .version(version) }
        options.message = try value("message") ?? ""
        if let text = try value("ttl") {
            let duration = try duration(text, "ttl", max: AdminLimits.timeToLiveMax)
            options.ttlMilliseconds = UInt64(duration / .milliseconds(1))
        }
        options.requestID = try value("request_id") ?? idempotencyKey
        guard idempotencyKey == nil || idempotencyKey == options.requestID else {
            throw AdminFailure(.badRequest, "request_id and the header Idempotency-Key differ: give one of them")
        }
        options.user = user()
        options.timeout = try strictTimeout()
        options.isRepeat = isRepeat
        try options.validate()
        return options
    }

    /// The header `gossipd-timeout`, at most `AdminLimits.strictTimeoutMax`.
    func strictTimeout() throws(AdminFailure) -> Duration {
        guard let timeoutText else { return AdminLimits.strictTimeoutDefault }
        return try duration(timeoutText, "gossipd-timeout", max: AdminLimits.strictTimeoutMax)
    }

    /// `?consistency=linearizable|local` and the timeout.
    func readOptions() throws(AdminFailure) -> ReadOptions {
        guard let text = try value("consistency") else { return ReadOptions(timeout: try strictTimeout()) }
        guard let consistency = ReadConsistency(rawValue: text) else {
            throw AdminFailure(.badRequest, "consistency is \(text.quoted): give linearizable or local")
        }
        return ReadOptions(consistency, timeout: try strictTimeout())
    }

    /// Writes, and waits for other nodes when the query says so.
    func write(_ writes: [KeyWrite]) async throws(AdminFailure) -> WriteResult {
        let options = try writeOptions()
        let wait = try writeWait()
        try KeyWrite.checkWritable(writes)
        let result = try await node.write(writes, options)
        // What the group has committed is on a majority of the voters for good: there is nobody to wait for.
        guard let wait, result.keyClass != .strict else { return result }
        let (node, version) = (node, result.version)
        guard let key = writes.first?.key else { return result }
        return try await wait.finish(result) { atLeast, timeout throws(AdminFailure) in
            try await node.holders(key, version: version, atLeast: atLeast, timeout: timeout)
        }
    }

    /// `?wait=N|majority|all`, `?wait_timeout=`; nil when there is nothing to wait for.
    func writeWait() throws(AdminFailure) -> WriteWait? {
        let timeout = try duration("wait_timeout", default: .seconds(10), max: AdminLimits.waitMax)
        guard let text = try value("wait") else { return nil }
        guard let goal = WaitGoal(text) else {
            throw AdminFailure(.badRequest, "wait is \(text.quoted): give a number of nodes, majority or all")
        }
        return WriteWait(goal: goal, timeout: timeout)
    }

    func duration(_ name: String, default other: Duration, max: Duration) throws(AdminFailure) -> Duration {
        guard let text = try value(name) else { return other }
        return try duration(text, name, max: max)
    }

    private func duration(_ text: String, _ name: String, max: Duration) throws(AdminFailure) -> Duration {
        guard let duration = DurationText.parse(text, max: max) else {
            throw AdminFailure(
                .badRequest,
                "\(name) is \(text.quoted): give a duration such as 90s, 5m or 24h, at most \(max.components.seconds)s")
        }
        return duration
    }

    /// A number of at least one; nil when it is absent.
    func number(_ name: String) throws(AdminFailure) -> UInt64? {
        guard let text = try value(name) else { return nil }
        guard let number = UInt64(text), number > 0 else {
            throw AdminFailure(.badRequest, "\(name) is \(text.quoted): give a number above zero")
        }
        return number
    }

    /// `?limit=`, at most `AdminLimits.pageEntriesMax`.
    func limit(default other: Int = 100) throws(AdminFailure) -> Int {
        guard let number = try number("limit") else { return other }
        guard number <= AdminLimits.pageEntriesMax else {
            throw AdminFailure(.badRequest, "limit is \(number): at most \(AdminLimits.pageEntriesMax) are allowed")
        }
        return Int(number)
    }

    /// `?revision=` or `?at=`; nil when neither is there.
    func pastPoint() throws(AdminFailure) -> PastPoint? {
        let time = try value("at")
        guard let revision = try number("revision") else { return try time.map(pastTime) }
        guard time == nil else {
            throw AdminFailure(.badRequest, "revision and at exclude each other: give one")
        }
        return .revision(revision)
    }

    /// A revision or a time under one name, as `from` and `to` have it.
    func pastPoint(_ name: String) throws(AdminFailure) -> PastPoint? {
        guard let text = try value(name) else { return nil }
        if let revision = UInt64(text) { return .revision(revision) }
        return try pastTime(text)
    }

    private func pastTime(_ text: String) throws(AdminFailure) -> PastPoint {
        guard let time = Timestamp(text) else {
            throw AdminFailure(.badRequest, "\(text.quoted) is no time: write it as 2026-11-20T12:00:00Z")
        }
        // What will be then nobody knows: the present in its place would look like an answer.
        guard time <= WallClock.read() else {
            throw AdminFailure(.badRequest, "\(time) lies in the future: give a time of the past, or none for now")
        }
        return .time(time)
    }

    /// The key named by a query; nil when it is absent.
    func optionalKey(_ name: String) throws(AdminFailure) -> ConfigurationKey? {
        guard let text = try value(name) else { return nil }
        return try ConfigurationKey(text)
    }
}
