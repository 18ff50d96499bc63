// SPDX-License-Identifier: Apache-2.0
// Owns transactions of strict keys as JSON: if all of `compare` hold then the steps of `then`, else those of `else`.

/// `POST /v1/txn`
package struct StrictTransactionRequest: Codable, Hashable, Sendable {
    package var compare: [Compare]?
    package var then: [Step]?
    package var otherwise: [Step]?

    package init(compare: [Compare] = [], then: [Step] = [], otherwise: [Step] = []) {
        self.compare = compare
        self.then = then
        self.otherwise = otherwise
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case compare, then
        case otherwise = "else"
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.fields(CodingKeys.self, of: "a transaction")
        compare = try fields.decodeIfPresent([Compare].self, forKey: .compare)
        then = try fields.decodeIfPresent([Step].self, forKey: .then)
        otherwise = try fields.decodeIfPresent([Step].self, forKey: .otherwise)
    }

    /// `{"key":"a","exists":true}`, `{"key":"a","version":"12"}`, `{"key":"a","value":"x"}` or
    /// `{"lock":"deploy","token":17}`.
    package struct Compare: Codable, Hashable, Sendable {
        package var key: String?
        package var exists: Bool?
        /// As `kv get` shows it; 0: the key is not there.
        package var version: VersionText?
        package var value: String?
        package var valueBase64: String?
        package var lock: String?
        package var token: UInt64?

        package init(key: String) { self.key = key }

        private enum CodingKeys: String, CodingKey, CaseIterable {
            case key, exists, version, value, lock, token
            case valueBase64 = "value_base64"
        }

        package init(from decoder: any Decoder) throws {
            let fields = try decoder.fields(CodingKeys.self, of: "a compare")
            key = try fields.decodeIfPresent(String.self, forKey: .key)
            exists = try fields.decodeIfPresent(Bool.self, forKey: .exists)
            version = try fields.decodeIfPresent(VersionText.self, forKey: .version)
            value = try fields.decodeIfPresent(String.self, forKey: .value)
            valueBase64 = try fields.decodeIfPresent(String.self, forKey: .valueBase64)
            lock = try fields.decodeIfPresent(String.self, forKey: .lock)
            token = try fields.decodeIfPresent(UInt64.self, forKey: .token)
        }

        package enum Meaning: Hashable, Sendable {
            case exists(ConfigurationKey, Bool)
            case version(ConfigurationKey, UInt64)
            case value(ConfigurationKey, [UInt8])
            case holds(lock: ConfigurationKey, token: UInt64)
        }

        /// Fails with `bad_request` when it says nothing, two things, or one that cannot be read.
        package func meaning() throws(AdminFailure) -> Meaning {
            let bytes = ByteText.join(text: value, base64: valueBase64)
            let conditions = [exists != nil, version != nil, value != nil || valueBase64 != nil, token != nil]
            guard conditions.count(where: { $0 }) == 1, (token != nil) == (lock != nil), (key == nil) == (lock != nil)
            else {
                throw AdminFailure(
                    .badRequest,
                    "a compare has a key and one of exists, version, value, value_base64, or a lock and its token")
            }
            if let lock, let token { return .holds(lock: try ConfigurationKey(lock), token: token) }
            let key = try ConfigurationKey(key ?? "")
            if let exists { return .exists(key, exists) }
            if let version { return .version(key, try version.number()) }
            guard let bytes else { throw AdminFailure(.badRequest, "value_base64 is not base64") }
            return .value(key, bytes)
        }
    }

    /// `{"put":"a","value":"x"}`, `{"delete":"a"}` or `{"get":"a"}`.
    package struct Step: Codable, Hashable, Sendable {
        package var put: String?
        package var value: String?
        package var valueBase64: String?
        /// Binds the key to this lease.
        package var lease: String?
        package var delete: String?
        package var get: String?

        package static func put(_ key: String, _ value: String) -> Step { Step(put: key, value: value) }
        package static func delete(_ key: String) -> Step { Step(delete: key) }
        package static func get(_ key: String) -> Step { Step(get: key) }

        package init(put: String? = nil, value: String? = nil, delete: String? = nil, get: String? = nil) {
            self.put = put
            self.value = value
            self.delete = delete
            self.get = get
        }

        private enum CodingKeys: String, CodingKey, CaseIterable {
            case put, value, lease, delete, get
            case valueBase64 = "value_base64"
        }

        package init(from decoder: any Decoder) throws {
            let fields = try decoder.fields(CodingKeys.self, of: "a step")
            put = try fields.decodeIfPresent(String.self, forKey: .put)
            value = try fields.decodeIfPresent(String.self, forKey: .value)
            valueBase64 = try fields.decodeIfPresent(String.self, forKey: .valueBase64)
            lease = try fields.decodeIfPresent(String.self, forKey: .lease)
            delete = try fields.decodeIfPresent(String.self, forKey: .delete)
            get = try fields.decodeIfPresent(String.self, forKey: .get)
        }

        package enum Meaning: Hashable, Sendable {
            case put(ConfigurationKey, [UInt8], lease: UInt64)
            case delete(ConfigurationKey)
            case get(ConfigurationKey)

            package var key: ConfigurationKey {
                switch self {
                case .put(let key, _, _), .delete(let key), .get(let key): key
                }
            }
        }

        /// Fails with `bad_request` when it is not one step, and with `too_large` when its value is.
        package func meaning() throws(AdminFailure) -> Meaning {
            let bytes = ByteText.join(text: value, base64: valueBase64)
            let hasValue = value != nil || valueBase64 != nil
            guard [put, delete, get].count(where: { $0 != nil }) == 1, put != nil || (!hasValue && lease == nil),
                value == nil || valueBase64 == nil
            else {
                throw AdminFailure(
                    .badRequest, "a step is one of put (with value or value_base64), delete and get, each with a key")
            }
            if let delete { return .delete(try ConfigurationKey(delete)) }
            if let get { return .get(try ConfigurationKey(get)) }
            let key = try ConfigurationKey(put ?? "")
            guard let bytes else {
                throw AdminFailure(.badRequest, "the put of \(key.description.quoted) has no value, or broken base64")
            }
            guard bytes.count <= AdminLimits.valueBytesMax else {
                throw AdminFailure(
                    .tooLarge,
                    "the value of \(key.description.quoted) has \(bytes.count) bytes: at most \(AdminLimits.valueBytesMax) are allowed"
                )
            }
            return .put(
                key, bytes, lease: try lease.map { text throws(AdminFailure) in try LeaseText.number(text) } ?? 0)
        }
    }

    /// Fails with `bad_request` when there is nothing to do or too much.
    package func validate() throws(AdminFailure) {
        let steps = (then ?? []).count + (otherwise ?? []).count
        guard steps > 0 else {
            throw AdminFailure(.badRequest, "the transaction does nothing: give steps in then or else")
        }
        guard steps + (compare ?? []).count <= AdminLimits.strictStepsMax else {
            throw AdminFailure(
                .tooLarge, "a transaction has at most \(AdminLimits.strictStepsMax) compares and steps: split it")
        }
    }
}

/// A version in JSON: a text as `kv get` shows it, or a number.
package struct VersionText: Codable, Hashable, Sendable {
    package var text: String

    package init(_ text: String) { self.text = text }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(UInt64.self) {
            text = String(number)
        } else {
            text = try container.decode(String.self)
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }

    /// The log index; fails with `bad_request` when it is not the version of a strict key.
    package func number() throws(AdminFailure) -> UInt64 {
        guard let number = UInt64(text), text == String(number) else {
            throw AdminFailure(
                .badRequest, "\(text.quoted) is not the version of a strict key: it is a number, as kv get shows it")
        }
        return number
    }
}

package enum LeaseText {
    /// Fails with `bad_request` when it is not the id of a lease.
    package static func number(_ text: String) throws(AdminFailure) -> UInt64 {
        guard let number = UInt64(text), number > 0 else {
            throw AdminFailure(.badRequest, "\(text.quoted) is not the id of a lease, which is a number above zero")
        }
        return number
    }
}

/// The answer to a transaction.
package struct StrictTransactionResult: Codable, Hashable, Sendable {
    /// Of one step, in their order.
    package struct Step: Codable, Hashable, Sendable {
        package var put: String?
        package var delete: String?
        package var get: String?
        /// `delete` and `get`: whether the key was there.
        package var found: Bool?
        /// `get` of a key that is there, as `kv get` has it.
        package var value: String?
        package var valueBase64: String?
        package var version: String?
        package var lease: String?

        package init(put: String? = nil, delete: String? = nil, get: String? = nil) {
            self.put = put
            self.delete = delete
            self.get = get
        }

        private enum CodingKeys: String, CodingKey {
            case put, delete, get, found, value, version, lease
            case valueBase64 = "value_base64"
        }
    }

    package var keyClass = KeyClass.strict
    /// Whether all compares held, and so which steps were done.
    package var succeeded: Bool
    package var results: [Step]
    /// The version of every key that was put; nil when none was.
    package var version: String?

    package init(succeeded: Bool, results: [Step], version: String? = nil) {
        self.succeeded = succeeded
        self.results = results
        self.version = version
    }

    private enum CodingKeys: String, CodingKey {
        case succeeded, results, version
        case keyClass = "class"
    }
}
