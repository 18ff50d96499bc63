// SPDX-License-Identifier: Apache-2.0
// Owns the checked configuration of one daemon: what the rest of gossipd may rely on once it is loaded.

import ClusterTypes

/// The configuration of one daemon, complete and checked.
///
/// Every property is described once, in `KeyTable`: name in the file, type, unit, default, range and source.
/// The values here are blank until `DaemonConfiguration.load` has filled them from that table.
package struct DaemonConfiguration: Equatable, Sendable {
    /// 1 to 64 bytes of letters, digits, `.`, `_`, `-`.
    package var name = ""
    /// 1 to 64 bytes; packets of another cluster are refused.
    package var cluster = ""
    package var bind = Address(ipv4: 0, port: 0)
    /// Where peers reach this node; never unspecified.
    package var advertise = Address(ipv4: 0, port: 0)
    package var dataDirectory = ""
    package var join: [Seed] = []
    package var insecure = false
    /// An absolute path; empty: the keys are the unit's credential, if it passes any.
    package var keyFile = ""
    package var leaveOnTerminate = false
    package var leaveTimeout = Interval.zero
    /// At most `Bounds.tagsMax`; names and values together at most `Bounds.tagBytesMax` bytes.
    package var tags: [String: String] = [:]
    package var admin = Admin()
    package var log = Log()
    package var membership = Membership()
    package var store = Store()
    package var strict = Strict()
    package var limits = Limits()
    package var render = Render()
    package var handlers = Handlers()

    package init() {}

    /// A node to join: a host name or address, and a port. Names are resolved each time they are tried.
    package struct Seed: Hashable, Sendable, CustomStringConvertible {
        package var host: String
        package var port: UInt16

        package init(host: String, port: UInt16) {
            self.host = host
            self.port = port
        }

        /// `HOST:PORT`, brackets around an IPv6 address.
        package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
    }

    /// The admin socket and who may use it.
    package struct Admin: Equatable, Sendable {
        /// At most 107 bytes, the size of `sun_path` without its end.
        package var socket = ""
        /// Permission bits of the socket file, 0...0o777.
        package var mode: UInt32 = 0
        /// The group that owns the socket file; nil leaves it to the process.
        package var group: String?
        package var adminUsers: [String] = []
        package var adminGroups: [String] = []
        package var readUsers: [String] = []
        package var readGroups: [String] = []
        /// Bytes.
        package var bodyMax = 0
        package var connectionsMax = 0
    }

    package struct Log: Equatable, Sendable {
        package var format = Format.auto
        package var level = Level.info

        package enum Format: String, CaseIterable, Sendable {
            case auto, journal, json, text
        }

        /// The names are those of swift-log.
        package enum Level: String, CaseIterable, Sendable {
            case trace, debug, info, notice, warning, error, critical
        }
    }

    /// The tunables of SWIM and Lifeguard; `KeyTable` holds formula and source of each.
    package struct Membership: Equatable, Sendable {
        package var profile = Profile.lan
        package var probeInterval = Interval.zero
        package var probeTimeout = Interval.zero
        package var indirectProbes = 0
        package var suspicionMultiplier = 0
        package var suspicionMaxMultiplier = 0
        package var refusedSuspicionMin = Interval.zero
        package var unreachableSuspicionMin = Interval.zero
        package var secondLooks = 0
        package var sentinels = 0
        package var awarenessMax = 0
        package var gossipInterval = Interval.zero
        package var gossipFanout = 0
        package var retransmitMultiplier = 0
        /// Bytes of one UDP payload.
        package var datagramSizeMax = 0
        package var reconnectInterval = Interval.zero
        package var failedRetention = Interval.zero
        package var forgottenRetention = Interval.zero

        package enum Profile: String, CaseIterable, Sendable {
            case lan, wan, local
        }
    }

    package struct Store: Equatable, Sendable {
        package var clockSkewMax = Interval.zero
        package var syncIntervalMin = Interval.zero
        package var historyAgeMax = Interval.zero
        package var historyPerKeyMax = 0
        package var watchHistory = 0
        package var collectionGrace = Interval.zero
        package var collectionInterval = Interval.zero
        /// Bytes in a second.
        package var repairBandwidth = 0
    }

    /// Keys that a group with an elected leader keeps linearizable.
    package struct Strict: Equatable, Sendable {
        /// Each ends with a slash; none is below another. Empty: the class is off.
        package var prefixes: [String] = []
        package var voters = Voters.count(3)
        /// Whether this node may become a voter.
        package var isEligible = true

        package enum Voters: Equatable, Sendable {
            /// 1, 3, 5 or 7.
            case count(Int)
            /// 1 to `ConfigurationBounds.votersMax` different names.
            case names([String])
        }
    }

    package struct Limits: Equatable, Sendable {
        package var streamsMax = 0
        package var streamIdleTimeout = Interval.zero
    }

    package struct Handlers: Equatable, Sendable {
        /// An absolute path; a folder that is not there means that no handler runs.
        package var directory = ""
    }

    package struct Render: Equatable, Sendable {
        /// An absolute path; a folder that is not there means that nothing is delivered.
        package var directory = ""
        /// The helper's socket; empty: the daemon writes with its own rights.
        package var helper = ""
        package var interval = Interval.zero
    }
}

/// What the command line said, as text and unchecked; each wins over its key in the file.
package struct ConfigurationOverrides: Equatable, Sendable {
    /// `--name`
    package var name: String?
    /// `--bind`
    package var bind: String?
    /// `--advertise`
    package var advertise: String?
    /// `--data-dir`
    package var dataDirectory: String?
    /// `--socket`
    package var socket: String?
    /// `--join`, repeated; when not empty it replaces the list of the file.
    package var join: [String]
    /// `--log-format`
    package var logFormat: String?
    /// `--log-level`
    package var logLevel: String?
    /// No flag: the unit passes keys as a credential.
    package var hasKeys = false

    package init(
        name: String? = nil, bind: String? = nil, advertise: String? = nil, dataDirectory: String? = nil,
        socket: String? = nil, join: [String] = [], logFormat: String? = nil, logLevel: String? = nil,
        hasKeys: Bool = false
    ) {
        self.name = name
        self.bind = bind
        self.advertise = advertise
        self.dataDirectory = dataDirectory
        self.socket = socket
        self.join = join
        self.logFormat = logFormat
        self.logLevel = logLevel
        self.hasKeys = hasKeys
    }
}
