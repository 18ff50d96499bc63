// SPDX-License-Identifier: Apache-2.0
// Owns the keys of the daemon around the kernel's ring: the ring it starts with, and what its files have said last.

import ClusterTypes
import DaemonConfig
import Logging
import NodeKernel
import Persistence
import Sealing
import Synchronization
import SystemdSupport
import Transport

/// What the daemon knows of keys beside the ring. Of the files only ids are kept.
final class NodeKeys: Sendable {
    private let ids: Mutex<[KeyID]>
    /// The key that each address has used last by its own choice.
    let used: @Sendable () async -> [Address: KeyID]

    init(files: [ClusterKey], used: @escaping @Sendable () async -> [Address: KeyID]) {
        ids = Mutex(files.map(\.id))
        self.used = used
    }

    /// The ids in the key file or the credentials as they were read last, in their order.
    var inFiles: [KeyID] {
        get { ids.withLock { $0 } }
        set { ids.withLock { $0 = newValue } }
    }
}

/// The keys of a start.
struct StartingKeys: Sendable {
    var files: [ClusterKey]
    /// Nil while packets are not sealed.
    var ring: KeyRing?
    var seal: SealSettings

    /// The ring of the data directory with the keys of the files in it, durable. Without files nothing is sealed, whatever the
    /// directory holds: sealing is switched on and off by the configuration alone.
    static func load(
        _ files: [ClusterKey], _ configuration: DaemonConfiguration, _ directory: DataDirectory, now: UInt64
    ) throws(StartFailure) -> StartingKeys {
        guard !files.isEmpty else {
            return StartingKeys(files: [], ring: nil, seal: SealSettings(acceptsPlain: configuration.insecure))
        }
        let stored = directory.keyRing
        var ring = KeyRing()
        if let stored {
            do throws(KeyRingCodecFailure) {
                ring = try KeyRing(encoded: stored)
            } catch {
                let failure = PersistenceFailure.corruptKeys(file: directory.path + "/keys", reason: "it is no ring")
                throw StartFailure(storage: failure)
            }
        }
        ring.merge(KeyRing(keys: files))
        _ = ring.expire(at: now)
        let encoded = ring.encoded()
        if encoded != stored {
            do throws(PersistenceFailure) {
                try directory.writeKeyRing(encoded)
            } catch {
                throw StartFailure(storage: error)
            }
        }
        return StartingKeys(
            files: files, ring: ring,
            seal: SealSettings(keys: ring.accepted, acceptsPlain: configuration.insecure))
    }
}

extension SealSettings {
    var ringMode: RingMode {
        if keys.isEmpty { return .off }
        return acceptsPlain ? .offered : .required
    }
}

extension KeyRing {
    /// `ee32d191 seals, 0a1b2c3d is accepted`
    var sentence: String {
        guard let primary else { return "there is none" }
        let others = accepted.dropFirst().map(\.id.description)
        guard !others.isEmpty else { return "\(primary.id) seals" }
        return "\(primary.id) seals, \(EventNarrator.join(others)) \(others.count == 1 ? "is" : "are") accepted"
    }

    /// What an operator should know when the files say something else than the ring; nil when they do not.
    func difference(toFiles ids: [KeyID]) -> String? {
        guard let first = ids.first, let primary, first != primary.id else { return nil }
        if self[first]?.state == .installed {
            return "the first key of the key file is \(first), and packets are sealed with \(primary.id); "
                + "gossipctl key use \(first) changes that"
        }
        return "the first key of the key file is \(first), which was retired: packets are sealed with \(primary.id); "
            + "put that key into the file in its place"
    }
}

extension Daemon {
    /// Adds the keys of the files to the ring; what was decided about keys stays. False when that failed, which is told.
    func adopt(_ files: [ClusterKey], acceptsPlain: Bool) async -> Bool {
        keys.inFiles = files.map(\.id)
        let settings = SealSettings(keys: files, acceptsPlain: acceptsPlain)
        driver.acceptPlain(acceptsPlain)
        _ = await driver.perform(.ring(.setMode(settings.ringMode)))
        guard !files.isEmpty else {
            driver.seal(with: SealSettings(acceptsPlain: acceptsPlain))
            return true
        }
        var ring = KeyRing(keys: files)
        // A start without key files has passed it over.
        if let stored = directory.keyRing, let former = try? KeyRing(encoded: stored) { ring.merge(former) }
        if case .failure(let failure) = await driver.perform(.ring(.join(Ring(ring).bytes))) {
            logger.event(
                .reloadFailed, "the keys were not loaded again: \(failure)", metadata: ["reason": "\(failure)"])
            return false
        }
        if case .ring(let view) = await driver.perform(.ring(.read)), let ring = view.decoded {
            tellDifference(ring)
        }
        return true
    }

    func tellDifference(_ ring: KeyRing) {
        if let difference = ring.difference(toFiles: keys.inFiles) { logger.notice("\(difference)") }
    }
}

extension RingView {
    /// The ring with its keys; nil while packets are not sealed.
    var decoded: KeyRing? { ring.flatMap { try? KeyRing(encoded: $0.bytes.secretBytes) } }
}
