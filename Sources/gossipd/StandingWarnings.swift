// SPDX-License-Identifier: Apache-2.0
// Owns what an operator should know for as long as the configuration in force stays as it is.

import ClusterTypes
import DaemonConfig
import Synchronization
import Transport

/// The sentences that `status` and `doctor` show; a reload changes them.
final class StandingWarnings: Sendable {
    private let held: Mutex<[String]>

    init(_ configuration: DaemonConfiguration, _ seal: SealSettings) {
        held = Mutex(configuration.standingWarnings(seal))
    }

    var sentences: [String] { held.withLock { $0 } }

    /// Returns those that were not there before.
    func replace(_ configuration: DaemonConfiguration, _ seal: SealSettings) -> [String] {
        let sentences = configuration.standingWarnings(seal)
        return held.withLock { held in
            let new = sentences.filter { !held.contains($0) }
            held = sentences
            return new
        }
    }
}

extension DaemonConfiguration {
    func standingWarnings(_ seal: SealSettings) -> [String] {
        if seal.keys.isEmpty {
            guard !bind.isLoopback else { return [] }
            return ["packets are neither encrypted nor authenticated (insecure = true): keep this network to yourself"]
        }
        guard seal.acceptsPlain else { return [] }
        return [
            "packets that are not sealed are taken, too (insecure = true): remove it when all members have the keys"
        ]
    }
}
