// SPDX-License-Identifier: Apache-2.0
// Owns the tests of loading: defaults, values, flags, and the order of what wins.

import ClusterTypes
import DaemonConfig
import Testing

@Suite("Loading a configuration")
struct LoadTests {
    @Test("An empty file yields the defaults")
    func defaults() throws {
        let configuration = try parse("")
        #expect(configuration.name == testHostName)
        #expect(configuration.cluster == "default")
        #expect(configuration.bind == Address("127.0.0.1:7946"))
        #expect(configuration.advertise == configuration.bind)
        #expect(configuration.dataDirectory == "/var/lib/gossipd")
        #expect(configuration.join.isEmpty)
        #expect(!configuration.insecure)
        #expect(configuration.leaveOnTerminate)
        #expect(configuration.leaveTimeout == .seconds(3))
        #expect(configuration.tags.isEmpty)
        #expect(configuration.admin.socket == "/run/gossipd/gossipd.sock")
        #expect(configuration.admin.mode == 0o666)
        #expect(configuration.admin.group == nil)
        #expect(configuration.admin.readGroups.isEmpty)
        #expect(configuration.admin.bodyMax == 1_048_576)
        #expect(configuration.admin.connectionsMax == 256)
        #expect(configuration.log.format == .auto)
        #expect(configuration.log.level == .info)
        #expect(configuration.store.clockSkewMax == .seconds(60))
        #expect(configuration.store.syncIntervalMin == .milliseconds(250))
        #expect(configuration.limits.streamsMax == 128)
        #expect(configuration.limits.streamIdleTimeout == .seconds(10))
    }

    @Test(
        "The profile sets the defaults of membership",
        arguments: [
            ("lan", Interval.seconds(1), Interval.milliseconds(500), 3, Interval.milliseconds(100)),
            ("wan", .seconds(5), .seconds(3), 4, .milliseconds(300)),
            ("local", .milliseconds(250), .milliseconds(100), 3, .milliseconds(50)),
        ])
    func profiles(name: String, interval: Interval, timeout: Interval, multiplier: Int, gossip: Interval) throws {
        let membership = try parse("membership.profile = \"\(name)\"").membership
        #expect(membership.profile.rawValue == name)
        #expect(membership.probeInterval == interval)
        #expect(membership.probeTimeout == timeout)
        #expect(membership.suspicionMultiplier == multiplier)
        #expect(membership.gossipInterval == gossip)
        #expect(membership.indirectProbes == 3)
        #expect(membership.suspicionMaxMultiplier == 6)
        #expect(membership.refusedSuspicionMin == .milliseconds(500))
        #expect(membership.unreachableSuspicionMin == interval)
        #expect(membership.secondLooks == 10 && membership.sentinels == 2)
        #expect(membership.awarenessMax == 8)
        #expect(membership.gossipFanout == 3)
        #expect(membership.retransmitMultiplier == 4)
        #expect(membership.datagramSizeMax == 1400)
        #expect(membership.reconnectInterval == .seconds(5))
        #expect(membership.failedRetention == .seconds(72 * 3600))
        #expect(membership.forgottenRetention == .seconds(168 * 3600))
    }

    @Test("A written value stands whichever side of the profile it is written on")
    func profileAfterValue() throws {
        let membership = try parse("[membership]\nprobe_interval = \"2s\"\nprofile = \"wan\"\nprobe_timeout = \"1s\"")
            .membership
        #expect(membership.probeInterval == .seconds(2))
        #expect(membership.suspicionMultiplier == 4)
    }

    @Test("A full file is read key by key")
    func full() throws {
        let text = """
            name = "web-1"
            cluster = "prod"
            bind = "0.0.0.0:8000"
            advertise = "[2001:db8::10]:8000"
            data_dir = "/srv/gossipd"
            join = ["db-1:7946", "[::1]:9", "10.0.0.1:1"]
            insecure = true
            leave_on_terminate = false
            leave_timeout = "1m"
            [tags]
            role = "web"
            "zone.a" = ""
            [admin]
            socket = "/tmp/s"
            mode = "600"
            group = "wheel"
            admin_users = ["ann"]
            read_groups = []
            max_body = 65536
            [log]
            format = "json"
            level = "trace"
            """
        let configuration = try parse(text)
        #expect(configuration.name == "web-1")
        #expect(configuration.cluster == "prod")
        #expect(configuration.bind == Address("0.0.0.0:8000"))
        #expect(configuration.advertise == Address("[2001:db8::10]:8000"))
        #expect(configuration.join.map(\.description) == ["db-1:7946", "[::1]:9", "10.0.0.1:1"])
        #expect(configuration.insecure)
        #expect(!configuration.leaveOnTerminate)
        #expect(configuration.leaveTimeout == .seconds(60))
        #expect(configuration.tags == ["role": "web", "zone.a": ""])
        #expect(configuration.admin.mode == 0o600)
        #expect(configuration.admin.group == "wheel")
        #expect(configuration.admin.adminUsers == ["ann"])
        #expect(configuration.admin.readGroups == [])
        #expect(configuration.admin.bodyMax == 65_536)
        #expect(configuration.log.format == .json)
        #expect(configuration.log.level == .trace)
    }

    @Test("Every flag wins over its key in the file")
    func overrides() throws {
        let overrides = ConfigurationOverrides(
            name: "flag", bind: "127.0.0.2:1", advertise: "127.0.0.3:2", dataDirectory: "d", socket: "s",
            join: ["x:1", "y:2"], logFormat: "text", logLevel: "error")
        let text = """
            name = "file"
            bind = "127.0.0.1:9"
            advertise = "127.0.0.1:9"
            data_dir = "f"
            join = ["z:3"]
            [admin]
            socket = "f"
            [log]
            format = "json"
            level = "debug"
            """
        let configuration = try parse(text, overrides: overrides)
        #expect(configuration.name == "flag")
        #expect(configuration.bind == Address("127.0.0.2:1"))
        #expect(configuration.advertise == Address("127.0.0.3:2"))
        #expect(configuration.dataDirectory == "d")
        #expect(configuration.admin.socket == "s")
        #expect(configuration.join.map(\.description) == ["x:1", "y:2"])
        #expect(configuration.log.format == .text)
        #expect(configuration.log.level == .error)
    }

    @Test("A wrong value in the file does not matter when a flag replaces it")
    func overriddenMistake() throws {
        #expect(try parse("name = 3", overrides: .init(name: "flag")).name == "flag")
    }

    @Test("A wrong flag is named as the flag")
    func wrongFlags() {
        let lines = problems(
            "", overrides: .init(name: "", bind: "web:1", join: ["a:1", "b"], logLevel: "loud"))
        #expect(
            lines
                == [
                    "--log-level: must be \"trace\", \"debug\", \"info\", \"notice\", \"warning\", \"error\" or"
                        + " \"critical\", not \"loud\"",
                    "--name: must not be empty",
                    "--bind: must be an address and a port such as \"192.0.2.10:7946\" or \"[2001:db8::10]:7946\", not"
                        + " \"web:1\": host names are not taken here",
                    "--join: must be a host and a port such as \"node-2.example.net:7946\" or \"[2001:db8::10]:7946\","
                        + " not \"b\"",
                ].sorted { rank($0) < rank($1) })
    }

    /// Flags are reported in the order of the table of keys.
    private func rank(_ line: String) -> Int {
        ["--name", "--bind", "--join", "--log-level"].firstIndex { line.hasPrefix($0) } ?? .max
    }

    @Test("Without a file the flags and the defaults make the configuration")
    func noFile() throws {
        let configuration = try DaemonConfiguration.load(file: nil, overrides: .init(name: "n"), hostName: "h")
        #expect(configuration.name == "n")
        #expect(try DaemonConfiguration.load(file: nil, hostName: "h").name == "h")
        #expect(throws: ConfigurationError.self) { try DaemonConfiguration.load(file: nil, hostName: "a b") }
    }

    @Test(
        "A file that cannot be read is an error that says why",
        arguments: [
            ("/nonexistent/gossipd.toml", "cannot be opened: No such file or directory"),
            ("/", "is a directory, not a file"),
            ("", "is not a path"), ("/dev/zero", "the file is larger than 1 MiB"),
        ])
    func unreadable(path: String, reason: String) {
        do throws(ConfigurationError) {
            _ = try DaemonConfiguration.load(file: path, hostName: "h")
            Issue.record("accepted")
        } catch {
            #expect(error.description == "\(path): \(reason)")
        }
    }

    @Test("An empty device is an empty file")
    func devNull() throws {
        #expect(try DaemonConfiguration.load(file: "/dev/null", hostName: testHostName) == (try parse("")))
    }

    @Test("This host has a name")
    func hostName() {
        #expect(!HostName.current().isEmpty)
    }
}
