// SPDX-License-Identifier: Apache-2.0
// Owns the one table of configuration keys: reading, checking, the example file and the manual come from it.

import ClusterTypes

/// Every key that gossipd knows, in the order of the example file.
enum KeyTable {
    static let all: [KeySpecification] =
        node + admin + log + membership + store + strict + limits + render + handlers

    /// The tables below the top level, in order, with the sentence that introduces each.
    static let tables: [(name: String, documentation: String)] = [
        ("", "The node itself."),
        ("tags", "Labels that every member sees, such as role = \"web\". They reload on SIGHUP."),
        (
            "admin",
            "The admin socket: HTTP over a Unix socket, for gossipctl. root, the daemon's own user and group and the group"
                + " gossipd always administer; the group gossipd-read always reads."
        ),
        ("log", "The log."),
        (
            "membership",
            "Failure detection and dissemination. Change the profile first; single values only for a"
                + " reason."
        ),
        ("store", "The configuration store."),
        (
            "strict",
            "Strict keys: prefixes that an elected leader keeps linearizable, off without prefixes: Docs/strict.md."
                + " Give all nodes the same prefixes and voters."
        ),
        ("limits", "Bounds on what peers may use."),
        ("render", "Keys become files on this host, as the descriptions in the directory say: Docs/delivery.md."),
        ("handlers", "Commands run on events, as the descriptions in the directory say: gossipd-handlers.d(5)."),
    ]

    private static let node: [KeySpecification] = [
        KeySpecification(
            "name", \.name, .name,
            default: .derived("the host name", initial: "", example: "web-1"),
            "The name of this node. It should be unique in the cluster; two nodes with one name stay visible, marked.",
            flag: "--name"),
        KeySpecification(
            "cluster", \.cluster, .name, default: .value("default"),
            "The name of the cluster. Packets of another cluster are refused."),
        KeySpecification(
            "bind", \.bind, .address(allowsUnspecified: true),
            default: .value(Address(ipv4: 0x7f00_0001, port: 7946)),
            "Where the daemon listens, UDP and TCP on one port. 0.0.0.0 or [::] listens on all addresses and then"
                + " needs advertise.",
            flag: "--bind"),
        KeySpecification(
            "advertise", \.advertise, .address(allowsUnspecified: false),
            default: .derived(
                "as bind", initial: Address(ipv4: 0, port: 0), example: Address(ipv4: 0xc000_020a, port: 7946)),
            "Where peers reach this node, when that differs from bind.",
            flag: "--advertise"),
        KeySpecification(
            "data_dir", \.dataDirectory, .path(max: ConfigurationBounds.pathSizeMax),
            default: .value("/var/lib/gossipd"),
            "The directory that holds the node's identity and the configuration store. One daemon per directory.",
            flag: "--data-dir"),
        KeySpecification(
            "join", \.join, .seeds, default: .value([]),
            "Nodes to join, as \"host:port\"; names are resolved again at each attempt. Any living member will do.",
            reload: .atOnce, flag: "--join"),
        KeySpecification(
            "key_file", \.keyFile, .optionalPath(max: ConfigurationBounds.pathSizeMax), default: .value(""),
            "The keys that the node's ring of keys begins with, one a line: 32 random bytes in base64; the first seals until"
                + " gossipctl key use says otherwise. Keys that the ring lacks are added at the start and on SIGHUP. Nobody but"
                + " the owner, root or the daemon, may read it. \"\" means the unit's credential \"keys\", if there is one."
                + " Without keys packets are not sealed.",
            reload: .atOnce),
        KeySpecification(
            "insecure", \.insecure, .boolean, default: .value(false),
            "Without keys: allows a bind address other than loopback although packets are not sealed. With keys: takes"
                + " plain packets, too, while sealing is being switched on. Whoever can send packets to the port can then change"
                + " members and configuration.",
            reload: .atOnce),
        KeySpecification(
            "leave_on_terminate", \.leaveOnTerminate, .boolean, default: .value(true),
            "On SIGTERM, tell the peers before stopping, so that they show this node as left instead of failed."),
        KeySpecification(
            "leave_timeout", \.leaveTimeout, .duration(.milliseconds(100)...(.seconds(60))),
            default: .value(.seconds(3)),
            "The longest wait for peers to acknowledge the leave. Keep it below TimeoutStopSec of the unit."),
        KeySpecification(
            "tags", \.tags, .tags, default: .value([:]),
            "Labels of this node.", reload: .atOnce),
    ]

    private static let admin: [KeySpecification] = [
        KeySpecification(
            "admin.socket", \.admin.socket, .path(max: ConfigurationBounds.socketPathSizeMax),
            default: .value("/run/gossipd/gossipd.sock"),
            "The path of the socket. A socket passed by systemd wins over it.", flag: "--socket"),
        KeySpecification(
            "admin.mode", \.admin.mode, .mode, default: .value(0o666),
            "The permission bits of the socket file. Everybody may connect by default, because the role decides who"
                + " may do what, and tells who may not; 0660 keeps strangers from connecting at all."),
        KeySpecification(
            "admin.group", \.admin.group, .account,
            default: .derived("the daemon's group", initial: nil, example: "gossipd-read"),
            "The group that owns the socket file. The daemon must be a member of it."),
        KeySpecification(
            "admin.admin_users", \.admin.adminUsers, .accounts, default: .value([]),
            "Users who may also change things."),
        KeySpecification(
            "admin.admin_groups", \.admin.adminGroups, .accounts, default: .value([]),
            "Groups whose members may also change things."),
        KeySpecification(
            "admin.read_users", \.admin.readUsers, .accounts, default: .value([]),
            "Users who may also read."),
        KeySpecification(
            "admin.read_groups", \.admin.readGroups, .accounts, default: .value([]),
            "Groups whose members may also read."),
        KeySpecification(
            "admin.max_body", \.admin.bodyMax, .size((64 << 10)...(16 << 20)), default: .value(1 << 20),
            "The largest body of a request. A value travels as it is; elements of sets travel as JSON, which makes them"
                + " up to a third longer."),
        KeySpecification(
            "admin.max_connections", \.admin.connectionsMax, .integer(1...10_000), default: .value(256),
            "Connections at one time; more are closed at once."),
    ]

    private static let log: [KeySpecification] = [
        KeySpecification(
            "log.format", \.log.format, .choice, default: .value(.auto),
            "journal: native fields to systemd-journald; json: one object a line; text: for people; auto: journal"
                + " when standard error goes there, else text.",
            flag: "--log-format"),
        KeySpecification(
            "log.level", \.log.level, .choice, default: .value(.info),
            "The least severe level that is written.", reload: .atOnce, flag: "--log-level"),
    ]

    private static let store: [KeySpecification] = [
        KeySpecification(
            "store.max_clock_skew", \.store.clockSkewMax, .duration(.milliseconds(100)...(.seconds(3600))),
            default: .value(.seconds(60)),
            "A change stamped further ahead of this host's clock is put aside, not applied and not forwarded.",
            source: "hybrid logical clocks (Kulkarni et al. 2014): the bound on l - pt"),
        KeySpecification(
            "store.sync_interval_min", \.store.syncIntervalMin, .duration(.milliseconds(10)...(.seconds(60))),
            default: .value(.milliseconds(250)),
            "The shortest time between two repairs that this node starts.",
            source: "bounds repair traffic to one exchange per node and interval"),
        KeySpecification(
            "store.history_max_age", \.store.historyAgeMax, .duration(.seconds(1)...(.seconds(10 * 366 * 86_400))),
            default: .value(.seconds(90 * 86_400)),
            "Changes older than this leave the history of their key, except the newest that watches may resume from."),
        KeySpecification(
            "store.history_max_per_key", \.store.historyPerKeyMax, .integer(1...100_000), default: .value(100),
            "Changes kept in the history of one key, except the newest that watches may resume from."),
        KeySpecification(
            "store.watch_history", \.store.watchHistory, .integer(100...10_000_000), default: .value(100_000),
            "Changes of all keys together that a watch can resume from; one that was away for more is told to resync."),
        KeySpecification(
            "store.collection_grace", \.store.collectionGrace, .duration(.seconds(1)...(.seconds(366 * 86_400))),
            default: .value(.seconds(86_400)),
            "What was deleted is forgotten when it is older than this and every member holds the deletion. A node that"
                + " left, and stays away for longer, fetches the store anew when it comes back.",
            source: "Docs/decisions/0007-collection-and-folding.md"),
        KeySpecification(
            "store.collection_interval", \.store.collectionInterval, .duration(.milliseconds(100)...(.seconds(86_400))),
            default: .value(.seconds(60)),
            "Between two attempts to collect what was deleted."),
        KeySpecification(
            "store.repair_bandwidth", \.store.repairBandwidth, .size((64 << 10)...(16 << 30)),
            default: .value(64 << 20),
            "Bytes of configuration that this node sends in a second to repair differences, all peers together; new"
                + " changes are not held back by it."),
    ]

    private static let strict: [KeySpecification] = [
        KeySpecification(
            "strict.prefixes", \.strict.prefixes, .keyPrefixes, default: .value([]),
            "Keys that begin so are strict: reads and writes go through the leader of the voters, locks and transactions"
                + " work, and without a majority of the voters writes fail. [] switches the class off."),
        KeySpecification(
            "strict.voters", \.strict.voters, .voters, default: .value(.count(3)),
            "Who founds the group: the names of the nodes, or how many eligible ones. It forms by itself, once, when they see"
                + " each other alive. From then on only gossipctl strict add and remove change who votes, not this key."
        ),
        KeySpecification(
            "strict.eligible", \.strict.isEligible, .boolean, default: .value(true),
            "Whether this node may become a voter, which keeps all strict keys in memory and syncs each write to disk. Others are"
                + " clients of the group and hold copies for local reads."),
    ]

    private static let limits: [KeySpecification] = [
        KeySpecification(
            "limits.streams_max", \.limits.streamsMax, .integer(4...65_536), default: .value(128),
            "TCP streams with peers at one time; more are refused."),
        KeySpecification(
            "limits.stream_idle_timeout", \.limits.streamIdleTimeout,
            .duration(.seconds(1)...(.seconds(3600))), default: .value(.seconds(10)),
            "A stream on which nothing moves for so long is closed."),
    ]

    private static let handlers: [KeySpecification] = [
        KeySpecification(
            "handlers.directory", \.handlers.directory, .absolutePath(max: ConfigurationBounds.pathSizeMax),
            default: .value("/etc/gossipd/handlers.d"),
            "The folder of handlers, NAME.toml each. Without it none runs. SIGHUP reads it again.")
    ]

    private static let render: [KeySpecification] = [
        KeySpecification(
            "render.directory", \.render.directory, .absolutePath(max: ConfigurationBounds.pathSizeMax),
            default: .value("/etc/gossipd/render.d"),
            "The folder of descriptions, NAME.toml each. Without it nothing is delivered. SIGHUP reads it again."),
        KeySpecification(
            "render.helper", \.render.helper, .optionalPath(max: ConfigurationBounds.socketPathSizeMax),
            default: .value("/run/gossipd-apply.sock"),
            "The socket of gossipd-apply, which writes the files with root's rights. \"\" means that the daemon writes them"
                + " itself, with its own rights."),
        KeySpecification(
            "render.interval", \.render.interval, .duration(.seconds(1)...(.seconds(86_400))),
            default: .value(.seconds(600)),
            "Between two looks at every file, changed or not: what somebody else changed on disk is put right then."),
    ]
}
