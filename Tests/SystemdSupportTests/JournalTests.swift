// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the journal: its fields in a real journald, and the catalog.

import Glibc
import Logging
import SystemdSupport
import Testing

@Suite("The journal")
struct JournalTests {
    @Test(
        "A real journald stores the fields, also of an entry larger than a datagram",
        .enabled(if: PrivateJournal.isAvailable, "needs root, unshare -m and systemd-journald"))
    func fields() throws {
        let journal = try PrivateJournal()
        let size = 400_000
        try journal.enter {
            let log = DaemonLog(format: .journal, level: .info)
            let logger = log.logger(label: "swim")
            logger.event(
                .memberFailed, "member web-3 failed: no ack",
                metadata: ["member": "web-3", "reason": "no ack from 3 probes", "confirmed_by": ["db-1", "web-2"]])
            logger.event(.joinFailed, "large", metadata: ["reason": "\(String(repeating: "r", count: size))"])
            logger.debug("not shown")
            _ = log.flush(milliseconds: 5_000)
        }
        let entries = try journal.entries("SYSLOG_IDENTIFIER=gossipd")
        #expect(entries.count == 2)
        let failed = try #require(entries.first { $0.contains("web-3") })
        for field in [
            #""MESSAGE":"member web-3 failed: no ack""#, #""PRIORITY":"4""#, #""GOSSIPD_EVENT":"member_failed""#,
            #""GOSSIPD_MEMBER":"web-3""#, #""GOSSIPD_REASON":"no ack from 3 probes""#, #""GOSSIPD_LOGGER":"swim""#,
            #""MESSAGE_ID":"\#(EventKind.memberFailed.messageID)""#, #""_TRANSPORT":"journal""#,
            #""_PID":"\#(getpid())""#,
        ] {
            #expect(failed.contains(field), "\(field) is missing in \(failed)")
        }
        let large = try #require(entries.first { $0.contains(EventKind.joinFailed.messageID) })
        #expect(large.contains(String(repeating: "r", count: size)))
    }

    @Test("Every kind of event has a name, an id, a subject, a meaning and an action of its own")
    func kinds() {
        let kinds = EventKind.allCases
        #expect(Set(kinds.map(\.messageID)).count == kinds.count)
        #expect(Set(kinds.map(\.subject)).count == kinds.count)
        for kind in kinds {
            #expect(kind.messageID.utf8.count == 32, "\(kind)")
            #expect(kind.messageID.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) }, "\(kind)")
            #expect(kind.rawValue.utf8.allSatisfy { "abcdefghijklmnopqrstuvwxyz_".utf8.contains($0) }, "\(kind)")
            #expect(!kind.subject.hasSuffix("."), "\(kind)")
            #expect(kind.action.hasSuffix("."), "\(kind)")
        }
    }

    @Test("Packaging/gossipd.catalog is what the table of events renders")
    func catalogIsCurrent() throws {
        let path = RepositoryFile.path("Packaging/gossipd.catalog")
        if getenv("GOSSIPD_REWRITE") != nil { try RepositoryFile.write(path, JournalCatalog.render()) }
        #expect(try RepositoryFile.read(path) == JournalCatalog.render())
    }

    @Test("The manual's table of events has one row of five cells for each kind")
    func markdown() {
        let rows = JournalCatalog.markdown().split(separator: "\n").dropFirst(2)
        #expect(rows.count == EventKind.allCases.count)
        for (row, kind) in zip(rows, EventKind.allCases) {
            #expect(row.hasPrefix("| `\(kind.rawValue)` | \(kind.level) | `\(kind.messageID)` | "))
            #expect(row.count { $0 == "|" } == 6, "\(row)")
            #expect(row.count { $0 == "`" } % 2 == 0, "\(row)")
        }
    }

    @Test("journalctl takes the catalog and finds every event in it")
    func catalogIsAccepted() throws {
        let root = try TemporaryFolder()
        _ = try Command.run(
            "mkdir", "-p", root.path + "/usr/lib/systemd/catalog", root.path + "/var/lib/systemd/catalog")
        try RepositoryFile.write(root.path + "/usr/lib/systemd/catalog/gossipd.catalog", JournalCatalog.render())
        let update = try Command.run("journalctl", "--update-catalog", "--root", root.path)
        #expect(update.status == 0, "\(update.output)")
        #expect(update.output.isEmpty, "\(update.output)")
        let list = try Command.run("journalctl", "--list-catalog", "--root", root.path)
        #expect(list.status == 0, "\(list.output)")
        for kind in EventKind.allCases {
            #expect(
                list.output.contains("\(kind.messageID) gossipd: \(kind.subject)"), "\(kind) is not in \(list.output)")
        }
    }
}
