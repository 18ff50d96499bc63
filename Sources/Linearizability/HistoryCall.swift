// SPDX-License-Identifier: Apache-2.0
// Owns what a history is made of: calls, what they asked for, and what was seen of them.

/// One call of one client, as the client saw it. A call that is known to have had no effect is left out.
package struct HistoryCall: Hashable, Sendable {
    package var client: Int
    /// Nanoseconds on a clock that all clients of the history share.
    package var invoked: Int64
    /// nil: no answer came. The call may have taken effect at any time since, may do so yet, or never.
    package var returned: Int64?
    package var operation: HistoryOperation
    /// What the answer said; of no meaning without one.
    package var observation: HistoryObservation

    package init(
        client: Int, invoked: Int64, returned: Int64?, _ operation: HistoryOperation,
        _ observation: HistoryObservation = .nothing
    ) {
        self.client = client
        self.invoked = invoked
        self.returned = returned
        self.operation = operation
        self.observation = observation
    }
}

/// Of a register with a version: a key has a value and counts the writes since it was created. A lock is a name of its
/// own kind, under the same names as keys.
package enum HistoryOperation: Hashable, Sendable {
    case get(String)
    case put(String, String)
    case delete(String)
    /// Writes the value if the condition holds, which may be about another key.
    case compareAndSet(HistoryCondition, String, String)
    /// Adds to a decimal number; a key that is not there has 0.
    case increment(String, by: Int64)
    /// Calls of one owner by name; waiting for the lock is a part of the call.
    case acquire(String, owner: Int)
    /// By its holder, or in its name when its lease ends.
    case release(String, owner: Int)
    case transaction([HistoryCondition], then: [HistoryStep], otherwise: [HistoryStep])
}

package enum HistoryCondition: Hashable, Sendable {
    case exists(String, Bool)
    /// 0: it is not there.
    case version(String, UInt64)
    case value(String, String)
    /// The lock is held under this token.
    case holds(String, token: UInt64)

    var key: String {
        switch self {
        case .exists(let key, _), .version(let key, _), .value(let key, _), .holds(let key, _): key
        }
    }
}

package enum HistoryStep: Hashable, Sendable {
    case get(String)
    case put(String, String)
    case delete(String)
    case increment(String, by: Int64)
    case acquire(String, owner: Int)
    case release(String, owner: Int)

    var key: String {
        switch self {
        case .get(let key), .put(let key, _), .delete(let key), .increment(let key, _), .acquire(let key, _),
            .release(let key, _):
            key
        }
    }

    var isRead: Bool { if case .get = self { true } else { false } }
}

/// What the versions of a history's keys are.
package enum HistoryVersions: Hashable, Sendable {
    /// A key's writes since it was created.
    case counted
    /// The place of a key's last write in the one order of all writes to all keys, such as a log index: never the same
    /// twice but for the writes of one transaction, and higher than that of each write before.
    case ascending
}

package enum HistoryObservation: Hashable, Sendable {
    /// It took effect; more was not said, or not kept.
    case nothing
    /// Of a get: nil when the key was not there. The version may be unknown.
    case found(String?, version: UInt64? = nil)
    /// Of a put: the key's version after it.
    case written(version: UInt64)
    /// Of a delete: whether the key was there; of a release: whether the owner held the lock.
    case existed(Bool)
    /// Of an increment: the number after it.
    case number(Int64)
    /// Of an acquire. Each holder's token is higher than the one before.
    case locked(token: UInt64)
    /// Of an acquire: another owner held it.
    case busy
    /// Of a compare-and-set or transaction: which branch was taken, and what its steps gave, or nothing about these.
    case branch(succeeded: Bool, [HistoryObservation] = [])
}
