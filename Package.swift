// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
// This file owns the modules of gossipd and every edge between them; nothing else states an edge.

import PackageDescription

let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// A module of ours: its own folder under Sources, the edges it may use, the strict settings.
func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// Makes the programs smaller, on disk and in memory: Docs/performance.md has the figures. Packed relocations need
/// glibc 2.36; nothing looks the programs' symbols up by name. With every symbol bound at the start, the tables that lead
/// to them are read-only from then on (full RELRO); the programs are position independent by default.
let compact: [LinkerSetting] = [
    .unsafeFlags(
        ["-use-ld=lld"]
            + ["-z", "pack-relative-relocs", "-z", "relro", "-z", "now", "--no-export-dynamic"].flatMap {
                ["-Xlinker", $0]
            },
        .when(configuration: .release))
]

/// A command line program: thin, it only wires modules together.
func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: strict, linkerSettings: compact)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let hummingbirdCore: Target.Dependency = .product(name: "HummingbirdCore", package: "hummingbird")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let mustache: Target.Dependency = .product(name: "Mustache", package: "swift-mustache")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let unixSignals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")

let package = Package(
    name: "gossipd",
    products: [
        .executable(name: "gossipd", targets: ["gossipd"]),
        .executable(name: "gossipctl", targets: ["gossipctl"]),
        .executable(name: "gossipd-render", targets: ["gossipd-render"]),
        .executable(name: "gossipd-apply", targets: ["gossipd-apply"]),
        .executable(name: "gossipsim", targets: ["gossipsim"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
    ],
    targets: [
        // The cores: no I/O, no clock, no randomness of their own, no logger, no Foundation.
        module("ClusterTypes"),
        module("SWIMCore", ["ClusterTypes"]),
        module("StoreCore", ["ClusterTypes"]),
        module("NetworkCoordinates", ["ClusterTypes"]),
        module("RaftCore", ["ClusterTypes"]),
        // What the strict log comes to: keys, leases, locks.
        module("StrictCore", ["ClusterTypes", "StoreCore", "RaftCore"]),
        // A node's part in the strict group: its founding, Raft over the state, calls from any node.
        module("StrictGroup", ["ClusterTypes", "RaftCore", "StrictCore"]),
        module(
            "NodeKernel",
            ["ClusterTypes", "SWIMCore", "StoreCore", "NetworkCoordinates", "RaftCore", "StrictCore", "StrictGroup"]),
        module(
            "WireProtocol",
            [
                "ClusterTypes", "SWIMCore", "StoreCore", "NetworkCoordinates", "RaftCore", "StrictCore", "StrictGroup",
                "NodeKernel",
            ]),

        // Judges histories of calls, wherever they were made: in virtual time or by real processes.
        module("Linearizability"),

        // Keys, sealed datagrams and streams: over bytes alone, and pure as the cores are.
        module("Sealing", ["ClusterTypes", crypto]),

        // Two drivers of the kernel: virtual time, and the real network.
        module(
            "Simulator",
            [
                "ClusterTypes", "SWIMCore", "StoreCore", "RaftCore", "StrictCore", "StrictGroup", "NodeKernel",
                "WireProtocol", "Linearizability",
            ]),
        module(
            "Transport",
            [
                "ClusterTypes", "SWIMCore", "StrictGroup", "NodeKernel", "WireProtocol", "Sealing", "CSocketErrors",
                nioCore, nioPosix,
            ]),
        .systemLibrary(name: "CSocketErrors", path: "Sources/CSocketErrors"),
        .systemLibrary(
            name: "CSQLite", path: "Sources/CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        // Pure over bytes, so that a program without SQLite can check a backup.
        module("BackupFormat", ["ClusterTypes", "StoreCore", "WireProtocol"]),
        module(
            "Persistence",
            ["ClusterTypes", "StoreCore", "RaftCore", "StrictCore", "StrictGroup", "BackupFormat", "CSQLite"]),

        // The host: systemd, configuration, the admin API.
        .systemLibrary(
            name: "CSystemd", path: "Sources/CSystemd", pkgConfig: "libsystemd",
            providers: [.apt(["libsystemd-dev"])]),
        module("SystemdSupport", ["CSystemd", logging]),
        module("DaemonConfig", ["ClusterTypes"]),
        module("AdminModel"),
        module(
            "AdminServer",
            ["AdminModel", "DaemonConfig", nioCore, nioPosix, hummingbirdCore, httpTypes, logging]),
        module("AdminClient", ["AdminModel", nioCore, nioPosix, nioHTTP1]),
        module("ProgramUsage", ["AdminModel", arguments]),

        // Keys to files: what is rendered, written, checked, reloaded, and when.
        .systemLibrary(name: "CProcess", path: "Sources/CProcess"),
        module("Delivery", ["ClusterTypes", "AdminModel", "DaemonConfig", "CProcess"]),

        // Commands that run on events.
        module("Handlers", ["ClusterTypes", "AdminModel", "DaemonConfig", "Delivery"]),

        // The programs.
        program(
            "gossipd",
            [
                "ClusterTypes", "SWIMCore", "StoreCore", "RaftCore", "StrictCore", "StrictGroup", "NodeKernel",
                "WireProtocol",
                "Transport", "Persistence",
                "BackupFormat",

                "Sealing", "SystemdSupport", "DaemonConfig", "AdminModel", "AdminServer", "Delivery", "Handlers",
                "ProgramUsage",
                nioCore, nioPosix, logging, arguments, unixSignals,
            ]),
        // Two small programs beside the daemon (Docs/decisions/0008): templates, and what needs root.
        program("gossipd-render", ["DaemonConfig", "Delivery", mustache]),
        program("gossipd-apply", ["Delivery", "AdminModel", "SystemdSupport", logging, arguments]),
        program("gossipctl", ["AdminModel", "AdminClient", "BackupFormat", "ProgramUsage", arguments]),
        program(
            "gossipsim",
            ["ClusterTypes", "SWIMCore", "Simulator", "Linearizability", "AdminModel", "ProgramUsage", arguments]),
        // Not a package of its own: `package` access, which the benchmarks need, ends at the package's border.
        .executableTarget(
            name: "gossipbench",
            dependencies: [
                "ClusterTypes", "SWIMCore", "StoreCore", "RaftCore", "StrictGroup", "NodeKernel", "WireProtocol",
                "Simulator", "Persistence", arguments, nioCore, nioPosix, nioHTTP1,
            ],
            path: "Tests/Benchmarks", exclude: ["daemons.sh", "daemons"], swiftSettings: strict),

        // A node in memory behind the admin API: for its tests and for fuzzing.
        .target(
            name: "AdminServerFixture", dependencies: ["AdminModel", "AdminServer", nioPosix],
            path: "Tests/AdminServerFixture", swiftSettings: strict),
        // What bytes are fed to: by the fuzzer, and by the tests that replay what it found.
        .target(
            name: "FuzzTargets",
            dependencies: [
                "ClusterTypes", "StoreCore", "RaftCore", "StrictCore", "StrictGroup", "NodeKernel", "WireProtocol",
                "Sealing",
                "BackupFormat", "Persistence", "DaemonConfig", "AdminModel", "AdminServer", "AdminServerFixture",
                nioPosix,
                logging,
            ],
            path: "Tests/FuzzTargets", swiftSettings: strict),
        tests("FuzzTests", ["FuzzTargets", nioPosix], exclude: ["Inputs"]),
        tests("ClusterTypesTests", ["ClusterTypes"]),
        // Stories in text, played line by line.
        .target(name: "ScenarioText", path: "Tests/ScenarioText", swiftSettings: strict),
        tests("SWIMCoreTests", ["ClusterTypes", "SWIMCore", "ScenarioText"], exclude: ["Scenarios"]),
        tests("StoreCoreTests", ["ClusterTypes", "StoreCore"]),
        tests("NetworkCoordinatesTests", ["ClusterTypes", "NetworkCoordinates"]),
        tests("RaftCoreTests", ["ClusterTypes", "RaftCore", "ScenarioText"], exclude: ["Scenarios"]),
        tests("StrictCoreTests", ["ClusterTypes", "RaftCore", "StrictCore"]),
        tests(
            "StrictGroupTests", ["ClusterTypes", "RaftCore", "StrictCore", "StrictGroup", "Linearizability"]),
        tests("LinearizabilityTests", ["ClusterTypes", "Linearizability", "gossipsim"]),
        tests(
            "NodeKernelTests",
            [
                "ClusterTypes", "SWIMCore", "StoreCore", "NetworkCoordinates", "StrictCore", "StrictGroup",
                "NodeKernel",
            ]),
        tests(
            "WireProtocolTests",
            [
                "ClusterTypes", "SWIMCore", "StoreCore", "NetworkCoordinates", "RaftCore", "StrictCore", "StrictGroup",
                "NodeKernel", "WireProtocol",
            ]),
        tests("SealingTests", ["ClusterTypes", "Sealing", crypto], exclude: ["Vectors"]),
        tests(
            "SimulationTests",
            ["ClusterTypes", "SWIMCore", "StoreCore", "NodeKernel", "RaftCore", "StrictCore", "Simulator"],
            exclude: ["Scenarios"]),
        tests(
            "TransportTests",
            [
                "ClusterTypes", "SWIMCore", "StoreCore", "StrictCore", "StrictGroup", "NodeKernel", "WireProtocol",
                "Sealing", "Transport", nioCore, nioPosix,
            ]),
        tests("BackupFormatTests", ["ClusterTypes", "StoreCore", "BackupFormat"]),
        tests(
            "PersistenceTests",
            [
                "ClusterTypes", "StoreCore", "RaftCore", "StrictCore", "StrictGroup", "BackupFormat", "Persistence",
                "CSQLite",
            ]),
        tests("SystemdSupportTests", ["SystemdSupport", logging]),
        tests("DaemonConfigTests", ["ClusterTypes", "DaemonConfig"]),
        tests(
            "AdminServerTests",
            [
                "ClusterTypes", "AdminModel", "AdminServer", "AdminServerFixture", "AdminClient", "gossipctl", nioCore,
                nioPosix, logging,
            ]),
        tests(
            "DeliveryTests",
            [
                "ClusterTypes", "AdminModel", "DaemonConfig", "Delivery", "SystemdSupport", "gossipd-render",
                "gossipd-apply",
            ]),
        tests("HandlersTests", ["AdminModel", "DaemonConfig", "Delivery", "Handlers"]),
        tests("GossipctlTests", ["AdminModel", "ProgramUsage", "gossipctl", arguments]),
        tests(
            "GossipdTests",
            [
                "ClusterTypes", "SWIMCore", "StoreCore", "RaftCore", "StrictCore", "StrictGroup", "NodeKernel",
                "WireProtocol", "Sealing", "Transport",
                "SystemdSupport", "DaemonConfig", "AdminModel", "AdminServer", "ProgramUsage", "gossipd", logging,
                nioPosix, arguments,
            ]),
        tests("ProcessTests", ["AdminModel", "AdminClient", "Persistence"]),
        tests("TidyTests", []),
    ],
    swiftLanguageModes: [.v6]
)

// Needs `--sanitize fuzzer` to link, so nothing but `make fuzz` builds it.
if Context.environment["GOSSIPD_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "gossipfuzz", dependencies: ["FuzzTargets"], path: "Tests/Fuzz",
            exclude: ["fuzz.py", "seeds.py"], swiftSettings: strict,
            // The default linker does not get through the fuzzer's library.
            linkerSettings: [.unsafeFlags(["-use-ld=lld"])]))
}
