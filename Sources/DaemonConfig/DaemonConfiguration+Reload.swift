// SPDX-License-Identifier: Apache-2.0
// Owns what a changed configuration means for a running daemon.

/// What differs between two configurations, in the order of `KeyTable`.
package struct ReloadDifference: Equatable, Sendable {
    /// These take effect now: apply them.
    package var atOnce: [Change] = []
    /// These wait for a restart: name them in the log and go on with the old value.
    package var restart: [Change] = []

    package var isEmpty: Bool { atOnce.isEmpty && restart.isEmpty }

    /// A key with the old and the new value as TOML.
    package struct Change: Equatable, Sendable, CustomStringConvertible {
        /// Such as `log.level`.
        package var key: String
        package var old: String
        package var new: String

        /// `log.level changed from "info" to "debug"`
        package var description: String { "\(key) changed from \(old) to \(new)" }
    }
}

extension DaemonConfiguration {
    package static func reloadDifference(
        from old: DaemonConfiguration, to new: DaemonConfiguration
    ) -> ReloadDifference {
        var difference = ReloadDifference()
        for key in KeyTable.all {
            let change = ReloadDifference.Change(key: key.name, old: key.render(old), new: key.render(new))
            guard change.old != change.new else { continue }
            switch key.reload {
            case .atOnce: difference.atOnce.append(change)
            case .restart: difference.restart.append(change)
            }
        }
        return difference
    }

    /// This configuration with those keys of `new` that take effect at once; the rest stays as it runs.
    package func adopting(reloadable new: DaemonConfiguration) -> DaemonConfiguration {
        var adopted = self
        for key in KeyTable.all where key.reload == .atOnce {
            key.adopt(&adopted, new)
        }
        return adopted
    }
}
