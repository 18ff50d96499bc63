// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what is said about a wrong file: each line is what the operator reads.

import ClusterTypes
import DaemonConfig
import Testing

@Suite("What is wrong with a file")
struct ProblemTests {
    @Test(
        "An unknown key is named with its line and the nearest known name",
        arguments: [
            ("nmae = 1", "1: nmae: unknown key; did you mean \"name\"?"),
            (
                "\n[membership]\nprob_interval = \"1s\"",
                "3: membership.prob_interval: unknown key; did you mean \"membership.probe_interval\"?"
            ),
            ("[membershp]\nprobe_interval = \"1s\"", "1: membershp: unknown table; did you mean \"membership\"?"),
            (
                "probe_interval = \"1s\"",
                "1: probe_interval: unknown key here; did you mean \"membership.probe_interval\"? It belongs in [membership]"
            ),
            (
                "[log]\nbind = \"\"",
                "2: log.bind: unknown key here; did you mean \"bind\"? It belongs at the top of the file, before any [table]"
            ),
            ("log_level = \"info\"", "1: log_level: unknown key; did you mean \"log.level\"?"),
            ("data-dir = \"/x\"", "1: data-dir: unknown key; did you mean \"data_dir\"?"),
            ("zzzzzzzzzzzzzzz = 1", "1: zzzzzzzzzzzzzzz: unknown key"),
            ("[admin.deep]\nx = 1", "1: admin.deep: unknown table; did you mean \"admin.mode\"?"),
            ("[[servers]]\nx = 1\n[[servers]]", "1: servers: unknown table"),
            ("\"\" = 1", "1: \"\": unknown key"),
            ("\"a b\" = 1", "1: \"a b\": unknown key"),
        ])
    func unknown(text: String, line: String) {
        #expect(problems(text) == ["test.toml:\(line)"])
    }

    @Test(
        "A wrong type says what is expected and what was found",
        arguments: [
            ("name = 3", "1: name: must be a string, not an integer"),
            ("name = [\"a\"]", "1: name: must be a string, not an array"),
            ("name = {}", "1: name: must be a string, not a table"),
            ("insecure = \"yes\"", "1: insecure: must be true or false, not a string"),
            ("insecure = 1979-05-27", "1: insecure: must be true or false, not a date or time"),
            ("join = \"a:1\"", "1: join: must be an array of \"host:port\" strings, not a string"),
            ("join = [\n\"a:1\",\n7,\n]", "3: join[1]: must be a string, not an integer"),
            (
                "leave_timeout = 3",
                "1: leave_timeout: must be a duration such as \"500ms\", \"1s\" or \"1m30s\", not an integer"
            ),
            ("[admin]\nmode = 660", "2: admin.mode: must be an octal string such as \"0660\", not an integer"),
            ("[admin]\nmax_connections = 1.0", "2: admin.max_connections: must be an integer, not a decimal number"),
            ("[admin]\nmax_connections = \"1\"", "2: admin.max_connections: must be an integer, not a string"),
            (
                "[admin]\nmax_body = true",
                "2: admin.max_body: must be a size such as \"512KiB\" or \"1MiB\", not a boolean"
            ),
            ("admin = 3", "1: admin: must be a table, written as [admin], not an integer"),
            ("[[log]]\nlevel = \"info\"", "1: log: must be a table, written as [log], not an array"),
            ("tags = \"a\"", "1: tags: must be a table of strings, not a string"),
            ("[tags]\na = 1", "2: tags.a: must be a string, not an integer"),
            ("[tags]\nzone.a = \"x\"", "2: tags.zone: must be a string, not a table; quote a name that holds dots"),
        ])
    func types(text: String, line: String) {
        #expect(problems(text) == ["test.toml:\(line)"])
    }

    @Test(
        "A value out of bounds says the bounds",
        arguments: [
            ("name = \"\"", "1: name: must not be empty"),
            ("name = \"\(String(repeating: "x", count: 65))\"", "1: name: must be at most 64 bytes, not 65"),
            ("name = \"a b\"", "1: name: must be letters, digits, \".\", \"_\" or \"-\" only, not \"a b\""),
            ("name = \"é\"", "1: name: must be letters, digits, \".\", \"_\" or \"-\" only, not \"é\""),
            (
                "bind = \"127.0.0.1\"",
                "1: bind: must be an address and a port such as \"192.0.2.10:7946\" or \"[2001:db8::10]:7946\", not \"127.0.0.1\""
            ),
            ("bind = \"127.0.0.1:0\"", "1: bind: must name a port from 1 to 65535, not 0"),
            (
                "bind = \"127.0.0.1:65536\"",
                "1: bind: must be an address and a port such as \"192.0.2.10:7946\" or \"[2001:db8::10]:7946\", not \"127.0.0.1:65536\""
            ),
            ("join = [\"a:0\"]", "1: join[0]: must name a port from 1 to 65535, not 0"),
            ("join = [\"0.0.0.0:1\"]", "1: join[0]: must be an address that can be dialled, not 0.0.0.0"),
            ("join = [\"[::zz]:1\"]", "1: join[0]: is not an IPv6 address: \"::zz\""),
            (
                "join = [\"a b:1\"]",
                "1: join[0]: must name a host of at most 253 letters, digits, \".\", \"_\" or \"-\", not \"a b\""
            ),
            (
                "join = [\(Array(repeating: "\"a:1\"", count: 65).joined(separator: ","))]",
                "1: join: must hold at most 64 entries, not 65"
            ),
            ("data_dir = \"\"", "1: data_dir: must not be empty"),
            ("data_dir = \"a\\nb\"", "1: data_dir: must not hold control characters: \"a\\nb\""),
            (
                "leave_timeout = \"soon\"",
                "1: leave_timeout: must be a duration such as \"500ms\", \"1s\" or \"1m30s\", not \"soon\""
            ),
            ("leave_timeout = \"2m\"", "1: leave_timeout: must be 100ms to 1m, not 2m"),
            (
                "[admin]\nsocket = \"/\(String(repeating: "x", count: 107))\"",
                "2: admin.socket: must be at most 107 bytes, not 108"
            ),
            ("[admin]\nmode = \"0888\"", "2: admin.mode: must be an octal string such as \"0660\", not \"0888\""),
            ("[admin]\nmode = \"4755\"", "2: admin.mode: must be 0000 to 0777, not 4755"),
            (
                "[admin]\nmax_connections = 9223372036854775807",
                "2: admin.max_connections: must be 1 to 10000, not 9223372036854775807"
            ),
            (
                "[admin]\nmax_connections = -9223372036854775808",
                "2: admin.max_connections: must be 1 to 10000, not -9223372036854775808"
            ),
            ("[admin]\nmax_body = \"1KiB\"", "2: admin.max_body: must be 64KiB to 16MiB, not 1KiB"),
            (
                "[admin]\nmax_body = \"8589934592GiB\"",
                "2: admin.max_body: must be a size such as \"512KiB\" or \"1MiB\", not \"8589934592GiB\""
            ),
            ("[admin]\nread_users = [\"\"]", "2: admin.read_users[0]: must not be empty"),
            (
                "[log]\nlevel = \"INFO\"",
                "2: log.level: must be \"trace\", \"debug\", \"info\", \"notice\", \"warning\", \"error\" or \"critical\", not \"INFO\""
            ),
            (
                "[membership]\ndatagram_size_max = 1231",
                "2: membership.datagram_size_max: must be 1232 to 65507 bytes, not 1231"
            ),
            (
                "[membership]\nprofile = \"wide\"",
                "2: membership.profile: must be \"lan\", \"wan\" or \"local\", not \"wide\""
            ),
            (
                "[tags]\n\"a b\" = \"x\"",
                "2: tags.\"a b\": the name of a tag must be letters, digits, \".\", \"_\" or \"-\" only, not \"a b\""
            ),
            ("[tags]\n\"\" = \"x\"", "2: tags.\"\": the name of a tag must not be empty"),
            (
                "[tags]\na = \"\(String(repeating: "x", count: Bounds.tagBytesMax))\"",
                "1: tags: names and values together must be at most \(Bounds.tagBytesMax) bytes, not \(Bounds.tagBytesMax + 1)"
            ),
            (
                "[tags]\n\((0..<65).map { "t\($0) = ''" }.joined(separator: "\n"))",
                "1: tags: must hold at most 64 tags, not 65"
            ),
        ])
    func bounds(text: String, line: String) {
        #expect(problems(text) == ["test.toml:\(line)"])
    }

    @Test(
        "Keys that do not fit together are refused at the one that is written",
        arguments: [
            (
                "bind = \"10.0.0.1:1\"",
                "1: bind: 10.0.0.1:1 is not a loopback address and there is no key to seal packets with; put a key file into the folder keys.d beside this file, which the unit passes on (NAME.keys.d for gossipd@NAME), or write key_file = \"PATH\", or insecure = true to accept that whoever reaches the port can change members and configuration"
            ),
            (
                "insecure = true\nbind = \"0.0.0.0:9\"",
                "2: advertise: missing: bind is 0.0.0.0:9, which peers cannot dial; write advertise = \"ADDRESS:9\" with the address at which they reach this host"
            ),
            (
                "insecure = true\nbind = \"[::]:9\"",
                "2: advertise: missing: bind is [::]:9, which peers cannot dial; write advertise = \"ADDRESS:9\" with the address at which they reach this host"
            ),
            (
                "advertise = \"0.0.0.0:9\"",
                "1: advertise: must be an address at which peers reach this host, not 0.0.0.0; write for example advertise = \"192.0.2.10:9\""
            ),
            (
                "[membership]\nprobe_timeout = \"1s\"",
                "2: membership.probe_timeout: must be shorter than probe_interval (1s), not 1s"
            ),
            (
                "[membership]\nprobe_interval = \"400ms\"",
                "2: membership.probe_timeout: must be shorter than probe_interval (400ms), not 500ms"
            ),
            (
                "[membership]\ngossip_interval = \"2s\"",
                "2: membership.gossip_interval: must be at most probe_interval (1s), not 2s"
            ),
            (
                "[membership]\nforgotten_retention = \"1h\"",
                "2: membership.forgotten_retention: must be at least failed_retention (72h), not 1h"
            ),
        ])
    func together(text: String, line: String) {
        #expect(problems(text) == ["test.toml:\(line)"])
    }

    @Test("All problems of a file are reported, in its order")
    func all() {
        let text = """
            bind = "x"
            [log]
            level = "loud"
            colour = true
            [membership]
            probe_timeout = "5s"
            """
        #expect(problems(text).map { $0.split(separator: ":")[1] } == ["1", "3", "4", "6"])
    }

    @Test("A refused value is not reported a second time by a check that depends on it")
    func noEcho() {
        #expect(problems("bind = \"0.0.0.0\"").count == 1)
        #expect(problems("[membership]\nprobe_interval = \"1\"\nprobe_timeout = \"20s\"").count == 1)
    }

    @Test("A host name that is no node name asks for the key")
    func hostName() {
        #expect(
            problems("", hostName: "a b") == [
                "test.toml: name: the host name \"a b\" must be letters, digits, \".\", \"_\" or \"-\" only, not"
                    + " \"a b\"; write name = \"NAME\""
            ])
    }

    @Test(
        "A file that is not TOML is refused with its line",
        arguments: [
            ("name = ", 1), ("name = \"a\"\nname = \"b\"", 2), ("\n\n[log", 3), ("a = 99999999999999999999", 1),
            ("a = \"\\ud800\"", 1), ("a = 1\n[a]\n", 2), ("join = [\"a\"\n\"b\"]", 2), ("= 1", 1), ("a", 1),
            ("a = \"x", 1), ("a = 1 b = 2", 1), ("[log]\n[log]", 2), ("a = 2000-02-30", 1), ("a = 0x", 1),
        ])
    func syntax(text: String, line: Int) {
        let lines = problems(text)
        #expect(lines.count == 1)
        #expect(lines.first?.hasPrefix("test.toml:\(line): TOML syntax, column ") == true, "\(lines)")
    }

    @Test("A NUL byte is refused with its line")
    func nul() {
        #expect(
            problems("name = \"a\"\n\u{0}bind = 3") == [
                "test.toml:2: TOML syntax, column 1: expected a key, found \"\\u0000\""
            ])
        #expect(
            problems("name = \"a\\u0000b\"") == [
                "test.toml:1: name: must be letters, digits, \".\", \"_\" or \"-\" only, not \"a\\u0000b\""
            ])
    }

    @Test("Bytes that are not UTF-8 are refused with their line")
    func encoding() {
        let bytes = Array("name = \"a\"\n# ".utf8) + [0xff, 0xfe]
        #expect(
            throws: ConfigurationError(problems: [
                .init(place: .file("f", line: 2, column: 3), reason: "the file is not valid UTF-8")
            ])
        ) { try DaemonConfiguration.parse(bytes, file: "f", hostName: "h") }
    }
}
