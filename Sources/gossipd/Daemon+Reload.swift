// SPDX-License-Identifier: Apache-2.0
// Owns SIGHUP: what takes effect at once, what waits for a restart, and what happens to a bad file.

import DaemonConfig
import Delivery
import Logging
import NodeKernel
import SWIMCore
import SystemdSupport
import Transport

extension Daemon {
    /// Loads the file again and applies what can change at run time; a bad file changes nothing.
    func reload(_ current: DaemonConfiguration) async -> DaemonConfiguration {
        notifier.reloading(status: "loading the configuration again")
        defer { signals.somethingHappened() }
        let loaded: DaemonConfiguration
        do throws(ConfigurationError) {
            loaded = try DaemonConfiguration.load(file: configurationFile, overrides: overrides)
        } catch {
            logger.event(
                .reloadFailed, "the configuration was not loaded again: \(error)", metadata: ["reason": "\(error)"])
            notifier.ready(status: await statusLine())
            return current
        }
        let seal: SealSettings
        do throws(KeyFailure) {
            seal = try KeySource.settings(loaded)
        } catch {
            logger.event(
                .reloadFailed, "the keys were not loaded again: \(error)", metadata: ["reason": "\(error)"])
            notifier.ready(status: await statusLine())
            return current
        }
        driver.seal(with: seal)
        let difference = DaemonConfiguration.reloadDifference(from: current, to: loaded)
        let adopted = current.adopting(reloadable: loaded)
        log.level.level = Logger.Level(adopted.log.level)
        _ = await driver.perform(.replaceSeeds(adopted.join.map(\.description)))
        let removed = current.tags.keys.filter { adopted.tags[$0] == nil }.sorted()
        let reply = await driver.perform(.changeTags(set: adopted.sortedTags, unset: removed))
        if case .failure(let failure) = reply {
            logger.event(
                .reloadFailed, "the tags were not changed: \(failure)", metadata: ["reason": "\(failure)"])
        }
        let changes = difference.atOnce.map(\.description).joined(separator: "; ")
        logger.event(
            .reloaded, "configuration loaded again: \(changes.isEmpty ? "nothing has changed" : changes)")
        for change in difference.restart {
            logger.event(
                .restartRequired, "\(change) takes effect after a restart", metadata: ["key": "\(change.key)"])
        }
        await delivery.reload()
        notifier.ready(status: await statusLine())
        return adopted
    }
}
