// SPDX-License-Identifier: Apache-2.0
// Owns SIGHUP: what takes effect at once, what waits for a restart, and what happens to a bad file.

import AdminModel
import ClusterTypes
import DaemonConfig
import Delivery
import Handlers
import Logging
import NodeKernel
import SWIMCore
import Sealing
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
            return await refuse("the configuration was not loaded again", "\(error)", current)
        }
        let files: [ClusterKey]
        do throws(KeyFailure) {
            files = try KeySource.keys(loaded)
        } catch {
            return await refuse("the keys were not loaded again", "\(error)", current)
        }
        refusedReload.clear()
        _ = await adopt(files, acceptsPlain: loaded.insecure)
        let difference = DaemonConfiguration.reloadDifference(from: current, to: loaded)
        let adopted = current.adopting(reloadable: loaded)
        let seal = SealSettings(keys: files, acceptsPlain: loaded.insecure)
        for warning in warnings.replace(adopted, seal) { logger.warning("\(warning)") }
        log.level.level = Logger.Level(adopted.log.level)
        _ = await driver.perform(.replaceSeeds(adopted.join.map(\.description)))
        let removed = current.tags.keys.filter { adopted.tags[$0] == nil }.sorted()
        let reply = await driver.perform(.changeTags(set: adopted.sortedTags, unset: removed))
        if case .failure(let failure) = reply {
            logger.event(
                .reloadFailed, "the tags were not changed: \(failure)", metadata: ["reason": "\(failure)"])
        }
        await delivery.reload()
        let what = Self.whatWasLoaded(
            difference.atOnce, keys: files.map(\.id), files: await delivery.status().files.count)
        logger.event(.reloaded, "configuration loaded again: \(what)")
        for change in difference.restart {
            logger.event(
                .restartRequired, "\(change) takes effect after a restart", metadata: ["key": "\(change.key)"])
        }
        await handlers.reload()
        notifier.ready(status: await statusLine())
        return adopted
    }

    /// The settings that changed, and what was read again whether it did or not.
    static func whatWasLoaded(_ changes: [ReloadDifference.Change], keys: [KeyID], files: Int) -> String {
        if changes.isEmpty, keys.isEmpty, files == 0 { return "nothing has changed" }
        var parts = changes.isEmpty ? ["no setting has changed"] : changes.map(\.description)
        if !keys.isEmpty {
            parts.append("keys read: \(keys.map(\.description).joined(separator: ", ")) from the files")
        }
        if files > 0 { parts.append("\(counted(files, "description")) of files read") }
        return parts.joined(separator: "; ")
    }

    /// Goes on with what is in force, and has it seen until a reload succeeds.
    private func refuse(_ what: String, _ reason: String, _ current: DaemonConfiguration) async -> DaemonConfiguration {
        logger.event(.reloadFailed, "\(what): \(reason)", metadata: ["reason": "\(reason)"])
        let lines = reason.split(separator: "\n")
        let more = lines.count > 1 ? " (and \(counted(lines.count - 1, "more problem")))" : ""
        refusedReload.set((lines.first.map(String.init) ?? what) + more, at: Timestamp(SystemClock.now().wall))
        notifier.ready(status: await statusLine())
        return current
    }
}
