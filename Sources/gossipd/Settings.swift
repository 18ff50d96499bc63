// SPDX-License-Identifier: Apache-2.0
// Owns the way from the checked configuration to the settings of each part.

import AdminServer
import ClusterTypes
import DaemonConfig
import Logging
import NodeKernel
import Persistence
import SWIMCore
import Sealing
import StoreCore
import StrictGroup
import SystemdSupport
import Transport
import WireProtocol

extension DaemonConfiguration {
    var sortedTags: [Tag] { tags.map { Tag(name: $0.key, value: $0.value) }.sorted() }

    /// Where peers reach this node; port 0 means the port that the system chose.
    func advertised(boundTo bound: Address) -> Address {
        var address = advertise
        if address.port == 0 { address.port = bound.port }
        return address
    }
}

extension KernelConfiguration {
    init(
        _ configuration: DaemonConfiguration, peers: [StoredPeer], keys: StartingKeys, signer: AuthorSigner
    ) {
        self.init(cluster: ClusterID(name: configuration.cluster), sizes: PacketCodec.sizes)
        swim = SWIMConfiguration(configuration.membership)
        authorship = Authorship(signer, cluster: cluster)
        store = StoreConfiguration(configuration.store)
        // Always with room for the seal, which may be switched on while the node runs.
        datagramBytesMax = configuration.membership.datagramSizeMax - SealedLayout.overheadBytes
        ringRules = .sealing()
        ring = keys.ring.map { Ring($0) }
        ringMode = keys.seal.ringMode
        seeds = configuration.join.map(\.description)
        rememberedPeers = peers.map {
            RememberedPeer(id: $0.id, name: $0.name, address: $0.address, key: $0.key)
        }
        streamsMax = configuration.limits.streamsMax
        streamIdleTimeout = configuration.limits.streamIdleTimeout
        sentinels = configuration.membership.sentinels
        syncIntervalMin = configuration.store.syncIntervalMin
        collectionGrace = configuration.store.collectionGrace
        collectionInterval = configuration.store.collectionInterval
        repairBytesPerSecond = configuration.store.repairBandwidth
        strict = StrictConfiguration(configuration.strict)
    }
}

extension StrictConfiguration {
    init(_ strict: DaemonConfiguration.Strict) {
        let voters: StrictVoters =
            switch strict.voters {
            case .count(let count): .count(count)
            case .names(let names): .names(names)
            }
        self.init(prefixes: strict.prefixes, voters: voters, isEligible: strict.isEligible)
    }
}

extension Authorship {
    /// Ed25519 over the bytes that Docs/protocol.md describes.
    init(_ signer: AuthorSigner, cluster: ClusterID) {
        self.init(
            sign: { signer.proof(of: $0.signedBytes(cluster: cluster)) },
            isGenuine: { AuthorSigner.isGenuine($1, of: $0.signedBytes(cluster: cluster)) })
    }
}

extension StoreConfiguration {
    init(_ store: DaemonConfiguration.Store) {
        self.init(clockSkewMaxMilliseconds: UInt64(clamping: store.clockSkewMax.nanoseconds / 1_000_000))
    }
}

extension HistoryLimits {
    init(_ store: DaemonConfiguration.Store) {
        self.init(
            ageMilliseconds: UInt64(clamping: store.historyAgeMax.nanoseconds / 1_000_000),
            countPerKey: store.historyPerKeyMax, changesKept: store.watchHistory)
    }
}

extension SWIMConfiguration {
    init(_ membership: DaemonConfiguration.Membership) {
        self.init(profile: Profile(rawValue: membership.profile.rawValue) ?? .lan)
        probeInterval = membership.probeInterval
        probeTimeout = membership.probeTimeout
        probeTimeoutMin = membership.probeTimeout / 5
        indirectProbes = membership.indirectProbes
        suspicionMultiplier = membership.suspicionMultiplier
        suspicionMaxMultiplier = membership.suspicionMaxMultiplier
        refusedSuspicionMin = membership.refusedSuspicionMin
        unreachableSuspicionMin = membership.unreachableSuspicionMin
        stalledTargetPatience = membership.probeInterval * 2
        secondLooks = membership.secondLooks
        awarenessMax = membership.awarenessMax
        gossipInterval = membership.gossipInterval
        gossipFanout = membership.gossipFanout
        retransmitMultiplier = membership.retransmitMultiplier
        reconnectInterval = membership.reconnectInterval
        failedRetention = membership.failedRetention
        forgottenRetention = membership.forgottenRetention
    }
}

extension TransportConfiguration {
    init(_ configuration: DaemonConfiguration, seal: SealSettings) {
        self.init()
        self.seal = seal
        datagramBytesMax = configuration.membership.datagramSizeMax
        inboundStreamsMax = max(1, configuration.limits.streamsMax / 2)
        outboundStreamsMax = max(1, configuration.limits.streamsMax / 2)
        streamIdleTimeout = configuration.limits.streamIdleTimeout * 3
    }
}

extension AdminServerSettings {
    init(_ admin: DaemonConfiguration.Admin) {
        self.init(socketPath: admin.socket)
        socketMode = admin.mode
        socketGroup = admin.group
        adminUsers = admin.adminUsers
        adminGroups += admin.adminGroups.filter { !adminGroups.contains($0) }
        readUsers = admin.readUsers
        readGroups += admin.readGroups.filter { !readGroups.contains($0) }
        maxBodyBytes = admin.bodyMax
        maxConnections = admin.connectionsMax
    }
}

extension DaemonLog {
    init(_ log: DaemonConfiguration.Log) {
        self.init(format: LogFormat(rawValue: log.format.rawValue) ?? .auto, level: Logger.Level(log.level))
    }
}

extension Logger.Level {
    init(_ level: DaemonConfiguration.Log.Level) {
        self =
            switch level {
            case .trace: .trace
            case .debug: .debug
            case .info: .info
            case .notice: .notice
            case .warning: .warning
            case .error: .error
            case .critical: .critical
            }
    }
}
