// SPDX-License-Identifier: Apache-2.0
// Owns the agreement between Docs/operations.md and the code: events, metrics, exit statuses.

import Glibc
import SystemdSupport
import Testing

@Suite("Docs/operations.md")
struct OperationsPageTests {
    static let page = RepositoryFile.path("Docs/operations.md")
    static let begin = "<!-- events: begin -->\n"
    static let end = "<!-- events: end -->"

    /// Set GOSSIPD_REWRITE=1 to write the table instead of comparing.
    @Test("The table of events is what EventKind renders")
    func events() throws {
        let expected = "\n" + JournalCatalog.markdown() + "\n"
        let text = try RepositoryFile.read(Self.page)
        let head = try #require(text.range(of: Self.begin))
        let tail = try #require(text[head.upperBound...].range(of: Self.end))
        if getenv("GOSSIPD_REWRITE") != nil {
            try RepositoryFile.write(Self.page, text[..<head.upperBound] + expected + text[tail.lowerBound...])
            return
        }
        #expect(text[head.upperBound..<tail.lowerBound] == expected)
    }

    @Test("Every metric that the code builds has one row, and every row stands for such a metric")
    func metrics() throws {
        let daemon = try [
            "Metrics.swift", "Metrics+Store.swift", "Metrics+Render.swift", "Metrics+Events.swift",
            "Metrics+Strict.swift",
        ].map {
            try RepositoryFile.read(RepositoryFile.path("Sources/gossipd/\($0)"))
        }.joined()
        let server = try RepositoryFile.read(RepositoryFile.path("Sources/AdminServer/ServerCounters.swift"))
        var built = Set(Self.literals(daemon).filter { $0.hasPrefix("gossipd_") || $0.hasPrefix("process_") })
        for call in ["counter(\"", "gauge(\""] {
            for part in server.pieces(separatedBy: call).dropFirst() {
                built.insert("gossipd_admin_" + part.prefix { $0 != "\"" })
            }
        }
        // The rules above would find nothing if the sources were written in another way.
        #expect(built.count > 60)
        #expect(built.contains("gossipd_admin_connections_open"))
        let text = try RepositoryFile.read(Self.page)
        let rows = Self.rows(of: text).filter { $0.hasPrefix("gossipd_") || $0.hasPrefix("process_") }
        #expect(Set(rows).count == rows.count)
        #expect(built.subtracting(rows).sorted() == [])
        #expect(Set(rows).subtracting(built).sorted() == [])
    }

    @Test("Every exit status of both programs has a row", arguments: ["gossipd", "gossipctl"])
    func exitStatuses(program: String) throws {
        let file = program == "gossipd" ? "Sources/gossipd/Gossipd.swift" : "Sources/AdminModel/AdminFailure.swift"
        let source = try RepositoryFile.read(RepositoryFile.path(file))
        var statuses: Set<String> = []
        for line in source.split(separator: "\n") where line.hasPrefix("    case ") {
            let parts = line.split(separator: "=")
            if parts.count == 2, let status = Int(parts[1].filter { $0 != " " }) { statuses.insert("\(status)") }
        }
        #expect(statuses.count >= 5)
        // The argument parser's own (sysexits.h, EX_USAGE).
        statuses.insert("64")
        let text = try RepositoryFile.read(Self.page)
        let section = try #require(text.pieces(separatedBy: "\n### \(program)\n").last)
        let table = section.split(separator: "\n", omittingEmptySubsequences: false).prefix { !$0.hasPrefix("#") }
        let rows = table.filter { $0.hasPrefix("| ") }.compactMap { Int($0.dropFirst(2).prefix { $0 != " " }) }
        #expect(Set(rows.map { "\($0)" }) == statuses)
        #expect(Set(rows).count == rows.count)
    }

    /// String literals of Swift source, simple ones.
    private static func literals(_ source: String) -> [String] {
        source.split(separator: "\n").filter { !$0.contains("///") }.flatMap { line in
            let parts = line.split(separator: "\"", omittingEmptySubsequences: false)
            return stride(from: 1, to: parts.count, by: 2).map { String(parts[$0]) }
        }
    }

    /// The names in the first column of the page's tables.
    private static func rows(of text: String) -> [String] {
        text.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { String($0.dropFirst(3).prefix { $0 != "`" }) }
    }
}

extension String {
    /// The pieces between the occurrences of `separator`.
    fileprivate func pieces(separatedBy separator: String) -> [Substring] {
        var pieces: [Substring] = []
        var rest = self[...]
        while let found = rest.range(of: separator) {
            pieces.append(rest[..<found.lowerBound])
            rest = rest[found.upperBound...]
        }
        return pieces + [rest]
    }
}

extension StringProtocol {
    /// The first occurrence of `text`, by bytes.
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = utf8.startIndex
        while start < utf8.endIndex {
            if utf8[start...].starts(with: text.utf8) {
                return start..<utf8.index(start, offsetBy: text.utf8.count)
            }
            start = utf8.index(after: start)
        }
        return nil
    }
}
