// SPDX-License-Identifier: Apache-2.0
// Owns the promise that a description means what the manual says, and that each mistake is named with its line.

import AdminModel
import Testing

@testable import Delivery

@Suite("One file of render.d")
struct RenderDescriptionTests {
    static let least = "destination = \"/etc/a\"\ntemplate_text = \"x\"\n"

    @Test("The least description has the documented defaults")
    func defaults() throws {
        let spec = try describe(Self.least)
        #expect(spec == RenderSpec(name: "web", source: .template("x"), destination: "/etc/a"))
        #expect(spec.mode == 0o644 && spec.checkTimeout == .seconds(10) && spec.reloadTimeout == .seconds(60))
        #expect(spec.waitMin == .milliseconds(200) && spec.waitMax == .seconds(5))
        #expect(!spec.allowEmpty && spec.sizeMinPercent == 25)
    }

    @Test("Every key arrives where it belongs")
    func everything() throws {
        let spec = try describe(
            """
            destination = "/etc/nginx/nginx.conf"
            template = "/etc/gossipd/nginx.mustache"
            owner = "www-data"
            group = "33"
            mode = "0640"
            check = ["nginx", "-t", "-c", "{file}"]
            check_timeout = "3s"
            reload_command = ["nginx", "-s", "reload"]
            reload_timeout = "1m30s"
            wait_min = "0s"
            wait_max = "1s"
            allow_empty = true
            size_min_percent = 0
            [keys]
            app_port = "app/port"
            tls = { key = "app/tls", default = "" }
            [prefixes]
            backends = "app/backends/"
            [sets]
            hosts = "app/hosts"
            blocked = { key = "app/blocked", default = ["a", "b"] }
            [members]
            all = {}
            web = { state = ["alive", "left"], tags = { role = "web" } }
            """)
        var expected = RenderSpec(
            name: "web", source: .templateFile("/etc/gossipd/nginx.mustache"), destination: "/etc/nginx/nginx.conf")
        expected.owner = "www-data"
        expected.group = "33"
        expected.mode = 0o640
        expected.check = ["nginx", "-t", "-c", "{file}"]
        expected.checkTimeout = .seconds(3)
        expected.reload = .command(["nginx", "-s", "reload"])
        expected.reloadTimeout = .seconds(90)
        expected.waitMin = .zero
        expected.waitMax = .seconds(1)
        expected.allowEmpty = true
        expected.sizeMinPercent = 0
        expected.inputs = [
            "app_port": .key(try ConfigurationKey("app/port"), default: nil),
            "tls": .key(try ConfigurationKey("app/tls"), default: ""),
            "backends": .prefix(try KeyPrefix("app/backends/")),
            "hosts": .set(try ConfigurationKey("app/hosts"), default: nil),
            "blocked": .set(try ConfigurationKey("app/blocked"), default: ["a", "b"]),
            "all": .members(MemberFilter(states: [.alive, .suspect])),
            "web": .members(MemberFilter(states: [.alive, .left], tags: ["role": "web"])),
        ]
        #expect(spec == expected)
        #expect(spec.readInputs.count == 7)
        #expect(spec.readInputs[0] == expected.inputs["all"])
    }

    @Test("A key as the source is read itself, and a unit is a reload")
    func keySource() throws {
        let spec = try describe("destination = \"/etc/motd\"\nkey = \"app/motd\"\nreload_unit = \"a@b.service\"\n")
        #expect(spec.source == .key(try ConfigurationKey("app/motd")))
        #expect(spec.readInputs == [.key(try ConfigurationKey("app/motd"), default: nil)])
        #expect(spec.reload == .unit("a@b.service"))
    }

    @Test(
        "A wrong value is refused with file, line, key and reason",
        arguments: [
            ("destinaton = \"/etc/b\"", "web.toml:3: destinaton: unknown key; did you mean \"destination\"?"),
            ("[key]\na = \"b\"", "web.toml:3: key: must be a key such as \"app/motd\", not a table"),
            ("[memberz]\na = {}", "web.toml:3: memberz: unknown table; did you mean \"members\"?"),
            ("key = \"app/a\"", "only one of template, template_text and key"),
            ("mode = 644", "web.toml:3: mode: must be an octal string"),
            ("mode = \"4755\"", "must be 0000 to 0777"),
            ("mode = \"0888\"", "octal"),
            ("owner = \"a b\"", "web.toml:3: owner:"),
            ("check = \"nginx -t\"", "web.toml:3: check: must be an array"),
            ("check = []", "must name a program"),
            ("check = [\"\"]", "must name a program"),
            ("check = [\"nginx\", \"-t\"]", "web.toml:3: check: must name {file}, the path of the new file"),
            ("check = [\"nginx\", \"-t\", \"{fil}\"]", "web.toml:3: check: must name {file}"),
            ("check = [\"a\", 1]", "web.toml:3: check[1]: must be a string"),
            ("check = [\"a\\u0000b\"]", "NUL"),
            ("check = [" + String(repeating: "\"a\", ", count: 65) + "]", "at most 64 entries"),
            ("check_timeout = 10", "must be a duration"),
            ("check_timeout = \"1ms\"", "must be 100ms to 10m"),
            ("wait_max = \"100ms\"", "web.toml:3: wait_max: wait_min (200ms) must be at most wait_max (100ms)"),
            ("wait_min = \"6s\"", "web.toml:3: wait_min: wait_min (6s)"),
            ("size_min_percent = 101", "must be 0 to 100"),
            ("allow_empty = \"yes\"", "must be true or false"),
            ("reload_unit = \"nginx\"", "must be a unit such as"),
            ("reload_unit = \"--now.service\"", "must be a unit such as"),
            ("reload_unit = \"a b.service\"", "must be a unit such as"),
            ("reload_unit = \"a.service\"\nreload_command = [\"a\"]", "web.toml:4: reload_command: only one of"),
            ("[keys]\n1a = \"b\"", "web.toml:4: keys.1a: a name in a template"),
            ("[keys]\na-b = \"b\"", "a name in a template"),
            ("[keys]\na = \"/b\"", "web.toml:4: keys.a: key \"/b\" begins or ends with a slash"),
            ("[keys]\na = \".gossipd/render/x\"", "gossipd's own"),
            ("[keys]\na = { default = \"b\" }", "missing key"),
            ("[keys]\na = { key = \"b\", defualt = \"b\" }", "keys.a.defualt: unknown key; did you mean \"default\"?"),
            ("[keys]\na = { key = \"b\", default = 1 }", "keys.a.default: must be a string, not an integer"),
            ("[keys]\na = \"b\"\n[sets]\na = \"b\"", "web.toml:6: sets.a: a is declared in [keys] already"),
            ("[prefixes]\na = \"\"", "takes in .gossipd/"),
            ("[prefixes]\na = \".goss\"", "takes in .gossipd/"),
            ("[prefixes]\na = \".gossipd/render/\"", "takes in .gossipd/"),
            ("[sets]\na = { key = \"b\", default = \"c\" }", "sets.a.default: must be an array"),
            ("[members]\na = \"b\"", "members.a: must be a table such as {}"),
            (
                "[members]\na = { state = [\"dead\"] }",
                "members.a.state[0]: must be one of alive, suspect, failed, left"
            ),
            ("[members]\na = { state = [] }", "at least one state"),
            ("[members]\na = { tag = {} }", "did you mean \"tags\"?"),
            (
                "[keys]\nport = \"b\"\n[members]\na = {}",
                "web.toml:4: keys.port: port is a field of what [members] lists"
            ),
            ("keys = 1", "must be a table, written as [keys]"),
            ("a =", "TOML syntax"),
        ])
    func refusals(line: String, reason: String) {
        #expect(problems(Self.least + line + "\n").contains(reason), "\(problems(Self.least + line + "\n"))")
    }

    @Test(
        "A destination that is no plain path is refused",
        arguments: ["etc/a", "", "/", "/etc/../a", "/etc//a", "/etc/./a", "/etc/a/", "/etc/..", "/a\\u0007"])
    func destinations(path: String) {
        #expect(problems("destination = \"\(path)\"\nkey = \"a\"\n").contains("web.toml:1: destination: must"))
    }

    @Test(
        "A destination where the kernel shows itself is refused with what to do instead, also behind a link",
        arguments: ["/proc/sys/net/ipv4/ip_forward", "/sys/kernel/a", "/proc", "FOLDER/link/a"])
    func kernelFolders(path: String) throws {
        let folder = try TestFolder()
        try CommandRunner.run(["ln", "-s", "/proc/sys", folder.path("link")], timeout: .seconds(5)).expectSuccess()
        let text = problems("destination = \"\(path.replacing("FOLDER", with: folder.path))\"\nkey = \"a\"\n")
        #expect(text.hasPrefix("web.toml:1: destination: must not be below /"), "\(text)")
        #expect(text.contains("deliver a file for sysctl.d(5) or tmpfiles.d(5)"), "\(text)")
        #expect(problems("destination = \"/process/a\"\nkey = \"a\"\n").isEmpty)
    }

    @Test(
        "What the helper's unit hides, replaces or makes read-only is no destination, unless another helper is named",
        arguments: [
            ("/tmp", "/tmp"), ("/var/tmp/b", "/var/tmp"), ("/home", "/home"), ("/root", "/root"),
            ("/run/user/0", "/run/user"), ("/dev", "/dev"), ("/usr/local/etc", "/usr"), ("/boot", "/boot"),
            ("/etc/gossipd", "/etc/gossipd"), ("/var/spool/link", "/tmp"),
        ])
    func hiddenFolders(path: String, folder: String) throws {
        let place = try TestFolder()
        try CommandRunner.run(["ln", "-s", "/tmp", place.path("link")], timeout: .seconds(5)).expectSuccess()
        let text = "destination = \"\(path.replacing("/var/spool", with: place.path))/a.toml\"\nkey = \"a\"\n"
        let told = problems(text, within: DestinationLimits(isConfined: true))
        #expect(told.hasPrefix("web.toml:1: destination: must not be below \(folder), "), "\(told)")
        #expect(told.contains("gossipd-apply") && told.contains("choose a folder below /etc, /run or /var"), "\(told)")
        #expect(problems(text).isEmpty)
    }

    @Test(
        "Folders of gossipd, of its instances and of its helper are never a destination",
        arguments: [
            ("/var/lib/gossipd/a", true), ("/var/lib/gossipd-apply/pending.json", true), ("/run/gossipd-b/a", true),
            ("/run/gossipd-apply.sock", true), ("/var/run/gossipd/a", true), ("/var/lib/gossip/a", false),
            ("/var/lib/gossipdx/a", false), ("/run/app/gossipd/a", false),
        ])
    func ownFolders(path: String, isRefused: Bool) {
        let told = problems("destination = \"\(path)\"\nkey = \"a\"\n")
        #expect(told.contains("which is gossipd's own") == isRefused, "\(told)")
    }

    @Test("The list of what is hidden is that of the helper's unit")
    func unitHides() throws {
        let unit = String(decoding: try repositoryFile("Packaging/gossipd-apply.service"), as: UTF8.self)
            .split(separator: "\n")
        for line in [
            "PrivateTmp=yes", "ProtectHome=yes", "PrivateDevices=yes", "ProtectSystem=strict",
            "ReadOnlyPaths=-/etc/gossipd",
            "InaccessiblePaths=-/var/lib/gossipd", "ReadWritePaths=/etc /run /var",
        ] {
            #expect(unit.contains(Substring(line)), "\(line)")
        }
        let socket = String(decoding: try repositoryFile("Packaging/gossipd-apply.socket"), as: UTF8.self)
        #expect(socket.contains("ListenStream=\(DestinationLimits.unitSocket)\n"))
    }

    @Test("A check may name the new file anywhere in its words")
    func checkNamesTheFile() throws {
        #expect(try describe(Self.least + "check = [\"sh\", \"-c\", \"grep x {file}\"]\n").check?.count == 3)
    }

    @Test("A destination in gossipd's own folders is refused, by its name and through a link")
    func ownFolders() throws {
        let folder = try TestFolder()
        try CommandRunner.run(["mkdir", folder.path("data")], timeout: .seconds(5)).expectSuccess()
        try CommandRunner.run(["ln", "-s", folder.path("data"), folder.path("link")], timeout: .seconds(5))
            .expectSuccess()
        for (path, isRefused) in [("data/a", true), ("link/a", true), ("data2", false), ("data", true)] {
            let text = problems(
                "destination = \"\(folder.path(path))\"\nkey = \"a\"\n",
                within: DestinationLimits(folders: [folder.path("data")]))
            #expect(text.contains("must not be inside") == isRefused, "\(path)")
        }
    }

    @Test("Everything wrong is told at once, in the order of the lines")
    func allAtOnce() {
        let lines = problems("mode = \"9\"\nowner = 1\n").split(separator: "\n")
        #expect(lines.count == 4)
        #expect(lines[0].hasPrefix("web.toml:1: mode:") && lines[1].hasPrefix("web.toml:2: owner:"))
        #expect(lines[2].contains("destination: missing") && lines[3].contains("template: missing"))
    }

    @Test("Names are for templates, and at most 256")
    func names() {
        #expect(
            problems("destination = \"/etc/a\"\nkey = \"a\"\n[keys]\nb = \"c\"\n").contains("names are for templates"))
        let many = (0..<257).map { "n\($0) = \"k\"\n" }.joined()
        #expect(
            problems(Self.least + "[keys]\n" + many) == "web.toml:260: keys.n256: a template may use at most 256 names")
    }
}

extension CommandResult {
    func expectSuccess() { #expect(status == 0, "\(errorText)") }
}
