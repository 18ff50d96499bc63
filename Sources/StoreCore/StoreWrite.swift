// SPDX-License-Identifier: Apache-2.0
// Owns a local write as a value: what to do, on which condition, and what to say of it.

import ClusterTypes

/// One step of a transaction.
package enum StoreWrite: Hashable, Sendable {
    case put(key: String, value: [UInt8])
    case delete(key: String)
    case add(key: String, element: [UInt8])
    case remove(key: String, element: [UInt8])
    case increment(key: String, by: Int64)

    package var key: String {
        switch self {
        case .put(let key, _), .delete(let key), .add(let key, _), .remove(let key, _), .increment(let key, _): key
        }
    }
}

/// On which state of its key a write may happen. Judged on the writing node alone.
package enum WriteCondition: Hashable, Sendable {
    case always
    /// Nothing is live under the key.
    case absent
    /// The key's newest write has this version (`Version.description`), and the key is live.
    case version(String)
}

/// What goes along with a write.
package struct WriteOptions: Hashable, Sendable {
    package var condition: WriteCondition
    package var user: String
    package var reason: String
    /// Milliseconds after the write's stamp when a register stops to show; nil: never. Only `put`.
    package var ttlMilliseconds: UInt64?
    /// The same id again gets the same answer and writes nothing.
    package var requestID: String?
    /// Numbers of the import queue that are decided by these writes: both become durable together. At most
    /// `dequeuedMax`.
    package var dequeued: [UInt64]

    package static let dequeuedMax = 100_000

    package init(
        condition: WriteCondition = .always, user: String = "", reason: String = "", ttlMilliseconds: UInt64? = nil,
        requestID: String? = nil, dequeued: [UInt64] = []
    ) {
        self.condition = condition
        self.user = user
        self.reason = reason
        self.ttlMilliseconds = ttlMilliseconds
        self.requestID = requestID
        self.dequeued = dequeued
    }

    package static let none = WriteOptions()
}
