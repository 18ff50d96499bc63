// SPDX-License-Identifier: Apache-2.0
// Owns the lines of `POST /v1/calls`: many calls about keys over one connection, and their answers.

/// One line of the request: `{"id":1,"put":"a","value":"x"}`, `{"id":2,"delete":"a"}` or `{"id":3,"get":"a"}`.
package struct KeyCallRequest: Codable, Hashable, Sendable {
    /// The answer has the same; those of calls under way should differ.
    package var id: UInt64
    package var put: String?
    package var value: String?
    package var valueBase64: String?
    package var delete: String?
    package var get: String?
    /// Of `put` and `delete`.
    package var ifVersion: String?
    package var ifAbsent: Bool?
    package var message: String?
    /// Of `put`: `90s`, `5m`, `24h`.
    package var ttl: String?
    /// Of `get`.
    package var consistency: String?

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case id, put, value, delete, get, message, ttl, consistency
        case valueBase64 = "value_base64"
        case ifVersion = "if_version"
        case ifAbsent = "if_absent"
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.fields(CodingKeys.self, of: "a call")
        func text(_ key: CodingKeys) throws -> String? { try fields.decodeIfPresent(String.self, forKey: key) }
        id = try fields.decode(UInt64.self, forKey: .id)
        put = try text(.put)
        value = try text(.value)
        valueBase64 = try text(.valueBase64)
        delete = try text(.delete)
        get = try text(.get)
        ifVersion = try text(.ifVersion)
        ifAbsent = try fields.decodeIfPresent(Bool.self, forKey: .ifAbsent)
        message = try text(.message)
        ttl = try text(.ttl)
        consistency = try text(.consistency)
    }

    /// Fails with `bad_request` when it is not one call that can be made, and with `too_large` when its value is.
    package func meaning(timeout: Duration) throws(AdminFailure) -> KeyCall {
        let hasValue = value != nil || valueBase64 != nil
        guard [put, delete, get].count(where: { $0 != nil }) == 1, (put != nil) == hasValue,
            value == nil || valueBase64 == nil
        else {
            throw AdminFailure(
                .badRequest, "a call is one of put (with value or value_base64), delete and get, each with a key")
        }
        if let get { return KeyCall(id: id, .get(try ConfigurationKey(get), try readOptions(timeout))) }
        guard consistency == nil else { throw AdminFailure(.badRequest, "consistency is for get: leave it out") }
        let options = try writeOptions(timeout)
        if let delete {
            guard ttl == nil else { throw AdminFailure(.badRequest, "ttl is for put: leave it out") }
            return KeyCall(id: id, .write(.delete(try ConfigurationKey(delete)), options))
        }
        let key = try ConfigurationKey(put ?? "")
        guard let bytes = ByteText.join(text: value, base64: valueBase64) else {
            throw AdminFailure(.badRequest, "value_base64 is not base64")
        }
        return KeyCall(id: id, .write(try KeyCall.put(key, bytes), options))
    }

    private func readOptions(_ timeout: Duration) throws(AdminFailure) -> ReadOptions {
        guard ifVersion == nil, ifAbsent == nil, message == nil, ttl == nil else {
            throw AdminFailure(.badRequest, "if_version, if_absent, message and ttl are for writes: leave them out")
        }
        guard let consistency else { return ReadOptions(timeout: timeout) }
        guard let wanted = ReadConsistency(rawValue: consistency) else {
            throw AdminFailure(
                .badRequest, "consistency is \(consistency.quoted): give linearizable or local")
        }
        return ReadOptions(wanted, timeout: timeout)
    }

    private func writeOptions(_ timeout: Duration) throws(AdminFailure) -> KeyWriteOptions {
        var options = KeyWriteOptions()
        options.timeout = timeout
        guard ifVersion == nil || ifAbsent != true else {
            throw AdminFailure(.badRequest, "if_version and if_absent exclude each other: give one")
        }
        if ifAbsent == true { options.condition = .absent }
        if let ifVersion { options.condition = .version(ifVersion) }
        options.message = message ?? ""
        if let ttl {
            guard let duration = DurationText.parse(ttl, max: AdminLimits.timeToLiveMax) else {
                throw AdminFailure(.badRequest, "ttl is \(ttl.quoted): give a duration such as 90s, 5m or 24h")
            }
            options.ttlMilliseconds = UInt64(duration / .milliseconds(1))
        }
        try options.validate()
        return options
    }
}

/// A call that can be made.
package struct KeyCall: Hashable, Sendable {
    package enum Action: Hashable, Sendable {
        /// A put or a delete.
        case write(KeyWrite, KeyWriteOptions)
        case get(ConfigurationKey, ReadOptions)
    }

    package var id: UInt64
    package var action: Action

    package init(id: UInt64, _ action: Action) {
        self.id = id
        self.action = action
    }

    /// Fails with `too_large`, or as keys that nobody may write do.
    package static func put(_ key: ConfigurationKey, _ value: [UInt8]) throws(AdminFailure) -> KeyWrite {
        guard value.count <= AdminLimits.valueBytesMax else {
            throw AdminFailure(
                .tooLarge, "the value has \(value.count) bytes: at most \(AdminLimits.valueBytesMax) are allowed")
        }
        return .put(key, value)
    }
}

/// What became of a call.
package enum KeyCallResult: Hashable, Sendable {
    /// A strict key was written; its version, 0 after a delete.
    case committed(version: UInt64)
    case written(WriteResult)
    case found(KeyDocument)
    case failed(AdminFailure)
}

/// One line of the answer: `{"id":1,"version":"12"}`, `{"id":3,"found":{...}}` or `{"id":2,"error":{...}}`. Of a line that is no
/// call `line` says which one it was, from 1.
package struct KeyCallAnswer: Codable, Hashable, Sendable {
    package var id: UInt64?
    package var line: Int?
    package var version: String?
    /// Of a strict key that was put with a time to live.
    package var lease: String?
    package var found: KeyDocument?
    package var error: ErrorDocument.Detail?
    /// The last line when the daemon ends the stream: why.
    package var closed: String?

    package init(line: Int, _ failure: AdminFailure) {
        self.line = line
        error = ErrorDocument(failure).error
    }

    package init(closed: String) { self.closed = closed }

    package init(id: UInt64, _ result: KeyCallResult) {
        self.id = id
        switch result {
        case .committed(let version): self.version = String(version)
        case .written(let result):
            version = result.version
            lease = result.lease
        case .found(let document): found = document
        case .failed(let failure): error = ErrorDocument(failure).error
        }
    }
}
