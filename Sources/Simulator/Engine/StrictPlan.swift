// SPDX-License-Identifier: Apache-2.0
// Owns a transaction of a simulated client, as the group and as the judge of histories see it.

import Linearizability
import RaftCore
import StrictCore

struct StrictPlan {
    enum Compare {
        case exists(StrictKey, Bool)
        case version(StrictKey, UInt64)
        case value(StrictKey, String)
        case holds(StrictKey, LogIndex)
    }

    enum Step {
        case put(StrictKey, String)
        case delete(StrictKey)
        case get(StrictKey)
    }

    var compares: [Compare]
    var then: [Step]
    var otherwise: [Step]

    init(_ compares: [Compare], then: [Step], otherwise: [Step]) {
        self.compares = compares
        self.then = then
        self.otherwise = otherwise
    }

    var transaction: StrictTransaction {
        StrictTransaction(
            compares: compares.map {
                switch $0 {
                case .exists(let key, let isThere): .exists(key, isThere)
                case .version(let key, let version): .version(key, version)
                case .value(let key, let value): .value(key, Array(value.utf8))
                case .holds(let lock, let token): .holds(lock: lock, token: token)
                }
            }, then: then.map(Self.step), otherwise: otherwise.map(Self.step))
    }

    private static func step(_ step: Step) -> StrictStep {
        switch step {
        case .put(let key, let value): .put(key, value: Array(value.utf8), lease: 0)
        case .delete(let key): .delete(key)
        case .get(let key): .get(key)
        }
    }

    var operation: HistoryOperation {
        .transaction(
            compares.map {
                switch $0 {
                case .exists(let key, let isThere): .exists(key.text, isThere)
                case .version(let key, let version): .version(key.text, version)
                case .value(let key, let value): .value(key.text, value)
                case .holds(let lock, let token): .holds(lock.text, token: token)
                }
            }, then: then.map(Self.told), otherwise: otherwise.map(Self.told))
    }

    private static func told(_ step: Step) -> HistoryStep {
        switch step {
        case .put(let key, let value): .put(key.text, value)
        case .delete(let key): .delete(key.text)
        case .get(let key): .get(key.text)
        }
    }
}
