// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the files that systemd reads, by systemd's own tools.

import Glibc
import Testing

@Suite("Files for systemd")
struct PackagingTests {
    /// The unit with a program that exists here, under its own name.
    private func unit(in folder: TemporaryFolder, replacing old: String = "", by new: String = "") throws -> String {
        let text = try RepositoryFile.read(RepositoryFile.path("Packaging/gossipd.service"))
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            if line.hasPrefix("ExecStart=") { return "ExecStart=/bin/true" }
            return line == old ? new : String(line)
        }
        let path = folder.path + "/gossipd.service"
        try RepositoryFile.write(path, lines.joined(separator: "\n"))
        return path
    }

    @Test("systemd-analyze accepts the unit without a word, and would not accept a misspelt key")
    func verify() throws {
        let folder = try TemporaryFolder()
        let good = try Command.run(
            "systemd-analyze", "verify", "--recursive-errors=no", "--man=no", try unit(in: folder))
        #expect(good.status == 0, "\(good.output)")
        #expect(good.output.isEmpty, "\(good.output)")
        let path = try unit(in: folder, replacing: "NoNewPrivileges=yes", by: "NoNewPrivilege=yes")
        #expect(try Command.run("systemd-analyze", "verify", "--recursive-errors=no", "--man=no", path).status != 0)
    }

    @Test("The unit's exposure is 1.5 or lower")
    func exposure() throws {
        let folder = try TemporaryFolder()
        let path = try unit(in: folder)
        let result = try Command.run(
            "systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", path)
        #expect(result.status == 0, "\(result.output)")
    }

    @Test("The unit restarts on failure, but not for what only a person can correct, and stops after leave_timeout")
    func behaviour() throws {
        let lines = try RepositoryFile.read(RepositoryFile.path("Packaging/gossipd.service")).split(separator: "\n")
        for line in [
            "Type=notify", "ExecStart=/usr/bin/gossipd --config /etc/gossipd/gossipd.toml",
            "ExecReload=/bin/kill -HUP $MAINPID",
            "User=gossipd", "Group=gossipd", "Restart=on-failure", "RestartPreventExitStatus=64 77 78",
            "StateDirectory=gossipd", "KillSignal=SIGTERM", "RestartKillSignal=SIGUSR2", "RuntimeDirectoryPreserve=yes",
            "OnFailure=gossipd-retry@%n.service", "LoadCredential=keys:/etc/gossipd/keys.d", "SetCredential=keys:none",
            "RuntimeDirectory=gossipd", "RuntimeDirectoryMode=0755", "ConfigurationDirectory=gossipd",
            "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "PrivateUsers=no",
        ] {
            #expect(lines.contains(Substring(line)), "\(line)")
        }
        let stop = try #require(lines.first { $0.hasPrefix("TimeoutStopSec=") })
        // The default of leave_timeout is 3 s.
        #expect(try #require(Int(stop.dropFirst("TimeoutStopSec=".count))) > 3)
    }

    @Test(
        "The template is the unit under other names",
        arguments: [("gossipd.service", "gossipd@.service"), ("gossipd.socket", "gossipd@.socket")])
    func template(single: String, template: String) throws {
        let names = [
            (
                "/etc/gossipd/gossipd.toml",
                "/etc/gossipd/%i.toml --data-dir /var/lib/gossipd-%i "
                    + "--socket /run/gossipd-%i/gossipd.sock"
            ),
            ("Directory=gossipd", "Directory=gossipd-%i"), ("/etc/gossipd/keys.d", "/etc/gossipd/%i.keys.d"),
            ("gossipd.socket", "gossipd@%i.socket"), ("gossipd.service", "gossipd@%i.service"),
            ("/run/gossipd/", "/run/gossipd-%i/"),
        ]
        func settings(_ name: String) throws -> [String] {
            try RepositoryFile.read(RepositoryFile.path("Packaging/\(name)")).split(separator: "\n").map(String.init)
                .filter { !$0.hasPrefix("#") && !$0.hasPrefix("Description=") }
        }
        let expected = try settings(single).map { line in
            // /etc/gossipd is shared by all clusters.
            if line.hasPrefix("ConfigurationDirectory=") { return line }
            guard let name = names.first(where: { line.contains($0.0) }) else { return line }
            return line.replacing(name.0, with: name.1)
        }
        #expect(try settings(template) == expected)
        #expect(expected.contains { $0.contains("%i") })
    }

    private static func settings(_ unit: String, _ key: String) throws -> [String] {
        try RepositoryFile.read(RepositoryFile.path("Packaging/\(unit)")).split(separator: "\n")
            .filter { $0.hasPrefix(key + "=") }.map { String($0.dropFirst(key.utf8.count + 1)) }
    }

    @Test("No instance of the template can have another unit's folder: its name is taken by a unit that only refuses")
    func instances() throws {
        let names = try Command.run("ls", RepositoryFile.path("Packaging")).output.split(separator: "\n").map(
            String.init)
        let others = names.filter { $0.hasSuffix(".service") && !$0.contains("@") && $0 != "gossipd.service" }
        #expect(others.contains("gossipd-apply.service"))
        let installed = try ["Makefile", "Packaging/debian/rules"].map {
            try RepositoryFile.read(RepositoryFile.path($0))
        }
        for key in ["StateDirectory", "RuntimeDirectory"] {
            let pattern = try #require(try Self.settings("gossipd@.service", key).first)
            let prefix = try #require(pattern.split(separator: "%").first)
            #expect(pattern == prefix + "%i")
            for folder in try others.flatMap({ try Self.settings($0, key) }) where folder.hasPrefix(prefix) {
                let refusing = "gossipd@\(folder.dropFirst(prefix.utf8.count)).service"
                #expect(names.contains(refusing) && installed.allSatisfy { $0.contains(refusing) }, "\(refusing)")
                let path = RepositoryFile.path("Packaging/\(refusing)")
                let verified = try Command.run("systemd-analyze", "verify", "--recursive-errors=no", "--man=no", path)
                #expect(verified.status == 0 && verified.output.isEmpty, "\(verified.output)")
                for key in ["StateDirectory", "RuntimeDirectory", "User", "WantedBy"] {
                    #expect(try Self.settings(refusing, key).isEmpty)
                }
                let start = try #require(try Self.settings(refusing, "ExecStart").first)
                #expect(start.hasPrefix("/bin/sh -c '") && start.hasSuffix("exit 78'"))
                let said = try Command.run(
                    "/bin/sh", "-c", String(start.dropFirst("/bin/sh -c '".utf8.count).dropLast()))
                #expect(said.status == 78 && said.output.contains("another name"), "\(said)")
            }
        }
    }

    @Test("Package, manual pages and API description are of the version that the programs tell")
    func oneVersion() throws {
        let source = try RepositoryFile.read(RepositoryFile.path("Sources/AdminModel/AdminVersion.swift"))
        let version = try #require(source.split(separator: "\"").dropFirst().first)
        let changelog = try RepositoryFile.read(RepositoryFile.path("Packaging/debian/changelog"))
        let listed = try #require(changelog.split(separator: ")").first?.split(separator: "(").last)
        #expect(listed.prefix { $0 != "~" && $0 != "-" } == version)
        let api = try RepositoryFile.read(RepositoryFile.path("Docs/openapi.yaml"))
        #expect(api.contains("\n  version: \(version)\n"))
        let pages = try Command.run("ls", RepositoryFile.path("Packaging/man")).output.split(separator: "\n")
            .filter { $0 != "generate" }
        #expect(pages.count >= 6)
        for page in pages {
            let text = try RepositoryFile.read(RepositoryFile.path("Packaging/man/\(page)"))
            let titles = text.split(separator: "\n").filter { $0.hasPrefix(".TH ") }
            #expect(titles.count == 1, "\(page)")
            #expect(titles.allSatisfy { $0.contains("\"gossipd \(version)\"") }, "\(page)")
        }
        // Says so before it builds anything.
        let folder = try TemporaryFolder()
        for name in ["Packaging/debian", "Sources/AdminModel", "bin"] {
            _ = try Command.run("mkdir", "-p", folder.path + "/" + name)
        }
        for tool in ["dpkg-buildpackage", "dh"] {
            _ = try Command.run("ln", "-s", "/bin/true", folder.path + "/bin/" + tool)
        }
        for name in ["Packaging/build-deb", "Packaging/debian/changelog"] {
            _ = try Command.run("cp", RepositoryFile.path(name), folder.path + "/" + name)
        }
        try RepositoryFile.write(
            folder.path + "/Sources/AdminModel/AdminVersion.swift", source.replacing(version, with: "9.9.9"))
        let build = try Command.run(
            "env", "PATH=\(folder.path)/bin:/usr/bin:/bin", "bash", folder.path + "/Packaging/build-deb")
        #expect(build.status == 1 && build.output.contains("of 9.9.9"), "\(build)")
    }

    @Test("The page of a single command has the version that the program tells")
    func generatedPages() throws {
        let folder = try TemporaryFolder()
        let program = folder.path + "/gossipctl"
        try RepositoryFile.write(
            program,
            #"""
            #!/bin/sh
            [ "$1" = --version ] && { echo "gossipctl 9.9.9"; exit; }
            echo '{"command":{"commandName":"gossipctl","subcommands":[{"commandName":"ping","abstract":"Send one."}]}}'

            """#)
        _ = try Command.run("chmod", "0755", program)
        let made = try Command.run(RepositoryFile.path("Packaging/man/generate"), program, folder.path + "/pages")
        #expect(made.status == 0, "\(made.output)")
        let page = try RepositoryFile.read(folder.path + "/pages/gossipctl-ping.1")
        let title = #".TH GOSSIPCTL\-PING 1 "" "gossipctl 9.9.9" "User Commands""#
        #expect(page.split(separator: "\n").contains { $0 == title }, "\(page)")
    }

    @Test(
        "What the daemon and its helper log as an error or worse is an event, so that the catalog explains it",
        arguments: [("gossipd", 21), ("gossipd-apply", 2)])
    func errorsAreEvents(program: String, filesMin: Int) throws {
        let folder = RepositoryFile.path("Sources/\(program)")
        let files = try Command.run("ls", folder).output.split(separator: "\n").filter { $0.hasSuffix(".swift") }
        #expect(files.count >= filesMin)
        for file in files {
            let text = try RepositoryFile.read(folder + "/" + file)
            #expect(!text.contains("logger.error(") && !text.contains("logger.critical("), "\(file)")
        }
    }

    @Test("Every line of the helper's log is an event")
    func helperLines() throws {
        let text = try RepositoryFile.read(RepositoryFile.path("Sources/gossipd-apply/HelperLog.swift"))
        for level in ["trace", "debug", "info", "notice", "warning"] { #expect(!text.contains("logger.\(level)(")) }
        #expect(text.contains("EventKind.metadataKey"))
    }

    @Test(
        "systemd-sysusers makes the user, both groups and the membership",
        .enabled(if: geteuid() == 0, "needs root"))
    func sysusers() throws {
        let root = try TemporaryFolder()
        _ = try Command.run("mkdir", root.path + "/etc")
        let file = RepositoryFile.path("Packaging/gossipd.sysusers")
        let result = try Command.run("systemd-sysusers", "--root=\(root.path)", file)
        #expect(result.status == 0, "\(result.output)")
        let users = try RepositoryFile.read(root.path + "/etc/passwd")
        #expect(users.contains("gossipd:x:"))
        #expect(users.contains(":/var/lib/gossipd:/usr/sbin/nologin"))
        let groups = try RepositoryFile.read(root.path + "/etc/group").split(separator: "\n")
        #expect(groups.contains { $0.hasPrefix("gossipd:") })
        #expect(groups.contains { $0.hasPrefix("gossipd-read:") && $0.hasSuffix(":gossipd") })
    }
}
