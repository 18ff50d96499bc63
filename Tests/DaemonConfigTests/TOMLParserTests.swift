// SPDX-License-Identifier: Apache-2.0
// Owns the tests of reading TOML 1.0: values, tables, errors, and the place of each key.

import ClusterTypes
import Testing

@testable import DaemonConfig

@Suite("Reading TOML")
struct TOMLParserTests {
    private func document(_ text: String) throws(TOMLSyntaxError) -> TOMLDocument {
        var parser = TOMLParser(Array(text.utf8))
        return try parser.parse()
    }

    /// The document as text in one form, so that tables of tests stay readable.
    private func flat(_ members: [TOMLNode.Member]) -> String {
        members.map { "\($0.key)=\(flat($0.value))" }.joined(separator: " ")
    }

    private func flat(_ node: TOMLNode) -> String {
        switch node {
        case .string(let text): TOMLText.quoted(text)
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .boolean(let value): "\(value)"
        case .date: "date"
        case .array(let elements): "[" + elements.map(flat).joined(separator: ",") + "]"
        case .table(let members): "{" + flat(members) + "}"
        }
    }

    @Test(
        "Every form of a value is read",
        arguments: [
            ("\"\"", "\"\""), ("\"a\\tb\\\\\\\"\\u00e9\\U0001F600\"", "\"a\\tb\\\\\\\"é😀\""),
            ("'C:\\x'", "\"C:\\\\x\""),
            ("\"\"\"\na\nb\"\"\"", "\"a\\nb\""), ("\"\"\"a\\\n   \n  b\"\"\"", "\"ab\""),
            ("\"\"\"a\"\"\"\"\"", "\"a\\\"\\\"\""),
            ("\"\"\"a\"\"b\"\"\"", "\"a\\\"\\\"b\""), ("'''\r\na\r\nb'''", "\"a\\nb\""), ("''''a'''''", "\"'a''\""),
            ("''''''", "\"\""),
            ("0", "0"), ("+17", "17"), ("-17", "-17"), ("-0", "0"), ("1_000", "1000"), ("0xDEAD_beef", "3735928559"),
            ("0o755", "493"), ("0b101", "5"), ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("1.5", "1.5"), ("-0.0", "-0.0"), ("5e+2", "500.0"), ("1e06", "1000000.0"), ("6.6_6e-1", "0.666"),
            ("inf", "inf"),
            ("-inf", "-inf"), ("+nan", "nan"), ("1e400", "inf"),
            ("true", "true"), ("false", "false"),
            ("1979-05-27", "date"), ("1979-05-27T07:32:00Z", "date"), ("1979-05-27 07:32:00", "date"),
            ("1979-05-27t00:32:00.999-07:00", "date"), ("07:32:00", "date"), ("07:32:00.5", "date"),
            ("2000-02-29", "date"),
            ("[]", "[]"), ("[1, [2], 'a',]", "[1,[2],\"a\"]"), ("[\n# x\n1 # y\n,\n2\n]", "[1,2]"),
            ("{}", "{}"), ("{ a = 1, b.c = 2, b.d = {} }", "{a=1 b={c=2 d={}}}"), ("[{ a = 1 }, {}]", "[{a=1},{}]"),
        ])
    func values(text: String, expected: String) throws {
        #expect(flat(try document("x = \(text)").members) == "x=\(expected)")
        #expect(flat(try document("x=\(text) # end\r\ny = 1").members) == "x=\(expected) y=1")
    }

    @Test(
        "Tables grow as the standard allows",
        arguments: [
            ("[a]\nb = 1\n[c]\nd = 2", "a={b=1} c={d=2}"), ("[a.b]\nc = 1\n[a]\nd = 2", "a={b={c=1} d=2}"),
            ("a.b = 1\na.c = 2", "a={b=1 c=2}"), ("[a.b.c]\n[a]\nb.d = 1", "a={b={c={} d=1}}"),
            ("a.b = 1\n[a.c]\nd = 1", "a={b=1 c={d=1}}"),
            ("[a]\nb.c = 1\nb.d = 2\n[a.b.e]", "a={b={c=1 d=2 e={}}}"),
            ("[[a]]\nb = 1\n[[a]]\nb = 2\n[a.c]\nd = 3", "a=[{b=1},{b=2 c={d=3}}]"),
            ("[ a . 'b c' ]\n\"\" = 1", "a={b c={=1}}"), ("1 = 2\n3.4 = 5", "1=2 3={4=5}"), ("", ""),
            ("\u{feff}a = 1", "a=1"),
            ("[[a.b]]\n[[a.b]]\n[a]\nc = 1", "a={b=[{},{}] c=1}"),
        ])
    func tables(text: String, expected: String) throws {
        #expect(flat(try document(text).members) == expected)
    }

    @Test(
        "What the standard forbids is refused at its place",
        arguments: [
            ("a = 1\na = 2", 2, 1), ("a = 1\n'a' = 2", 2, 1), ("[a]\n[a]", 2, 2), ("a.b = 1\n[a]", 2, 2),
            ("[a]\nb = 1\n[a.b]", 3, 2),
            ("a = {}\n[a.b]", 2, 2), ("a = {}\na.b = 1", 2, 1), ("a = []\n[[a]]", 2, 3), ("[a]\n[[a]]", 2, 3),
            ("[[a]]\n[a]", 2, 2),
            ("[a.b]\n[a]\nb.d = 1", 3, 1), ("[a.b.c]\n[a]\nb.d = 1\n[a.b]", 4, 2), ("a = { b = 1, b = 2 }", 1, 14),
            ("a = { b.c = 1, b = 2 }", 1, 16),
            ("a = { b = {}, b.c = 1 }", 1, 15),
            ("a = { b = 1, }", 1, 14), ("a = { b = 1\n}", 1, 12), ("a = 1 b = 2", 1, 7), ("a =", 1, 4), ("a", 1, 2),
            ("= 1", 1, 1),
            ("a. = 1", 1, 4), (".a = 1", 1, 1), ("a..b = 1", 1, 3), ("é = 1", 1, 1), ("a = é", 1, 5), ("[a", 1, 3),
            ("[]", 1, 2), ("[a]]", 1, 4), ("[[a]", 1, 5),
            ("[ [a]]", 1, 3), ("[=]", 1, 2), ("[}\"", 1, 2), ("a = ]", 1, 5), ("a = [1 2]", 1, 8), ("a = [,]", 1, 6),
            ("a = [1", 1, 7),
            ("a = \"x", 1, 5), ("a = \"x\ny\"", 1, 5), ("a = 'x", 1, 5), ("a = \"\"\"x", 1, 5),
            ("\"\"\"a\"\"\" = 1", 1, 1), ("a = \"\\x41\"", 1, 6), ("a = \"\\u12\"", 1, 6),
            ("a = \"\\ud800\"", 1, 6), ("a = \"\\U00110000\"", 1, 6), ("a = \"\\uFFFFFFFF\"", nil, nil),
            ("a = \"\"\"\\ x\"\"\"", 1, 8), ("a = \"\u{7f}\"", 1, 6), ("# \u{1}", 1, 3),
            ("a = 1\rb = 2", 1, 6), ("a = 01", 1, 5), ("a = 1__0", 1, 5), ("a = _1", 1, 5), ("a = 1_", 1, 5),
            ("a = +0x1", 1, 5), ("a = 0x", 1, 5), ("a = 0b2", 1, 5),
            ("a = 1.", 1, 5), ("a = .5", 1, 5), ("a = 1e", 1, 5), ("a = 01.5", 1, 5), ("a = 1.e5", 1, 5),
            ("a = 9223372036854775808", 1, 5), ("a = TRUE", 1, 5), ("a = yes", 1, 5),
            ("a = 1979-02-29", 1, 5), ("a = 1979-13-01", 1, 5), ("a = 24:00:00", 1, 5), ("a = 07:60:00", 1, 5),
            ("a = 07:32", 1, 5), ("a = 1979-05-27T", 1, 5), ("a = 1979-05-27T07:32:00.Z", 1, 5),
            ("a = 1979-05-27T07:32:00+25:00", 1, 5),
            ("a = 1979-05-27 x", 1, 16), ("a\n= 1", 1, 2), ("\nx = 1\n  y z", 3, 5), ("a = --1", 1, 5),
            ("a = + 1", 1, 5),
        ] as [(String, Int?, Int?)])
    func forbidden(text: String, line: Int?, column: Int?) {
        do throws(TOMLSyntaxError) {
            let members = try document(text).members
            #expect(line == nil, "accepted as \(flat(members))")
        } catch {
            #expect(error.location.line == line, "\(error)")
            #expect(error.location.column == column, "\(error)")
            #expect(!error.reason.isEmpty)
        }
    }

    @Test(
        "A key is found on its line and column, whatever stands before it",
        arguments: [
            ("name = 1", ["name"], 1, 1), ("\n\n  name = 1", ["name"], 3, 3), ("# name = 2\nname = 1", ["name"], 2, 1),
            ("a = \"# \\\" name = 1\"\nname = 1", ["name"], 2, 1), ("a = '\\'\nname = 1", ["name"], 2, 1),
            ("a = \"\"\"\nname = 2\n\"\"\"\nname = 1", ["name"], 4, 1),
            ("a = '''\n'' name = 2\n'''\nname = 1", ["name"], 4, 1),
            ("join = [\n  \"a:1\", # ] \n  \"b:2\",\n]\nname = 1", ["name"], 5, 1),
            ("join = [\n  \"a:1\",\n  \"b:2\",\n]", ["join", "[1]"], 3, 3),
            ("x = [[1, 2], [\n3]]", ["x", "[1]", "[0]"], 2, 1),
            ("[log]\nlevel = 1", ["log", "level"], 2, 1), ("[log]\nlevel = 1", ["log"], 1, 2),
            ("a=1\nlog . \"level\" = 1", ["log", "level"], 2, 1), ("[a.b]\nc.d = 1", ["a", "b", "c", "d"], 2, 1),
            ("tags = { a = 1, b = { c = 2 } }", ["tags", "b", "c"], 1, 23),
            ("tags = { a = [1,\n 2], b = 3 }", ["tags", "b"], 2, 6),
            ("\"\\u00e9\\n\" = 1", ["é\n"], 1, 1), ("[[x]]\na = 1\n[[x]]\na = 2", ["x", "[1]", "a"], 4, 1),
            ("[[x]]\n[x.y]\na = 2", ["x", "[0]", "y", "a"], 3, 1), ("a = 1\r\nname = 1\r\n", ["name"], 2, 1),
            ("tags = { \"é\" = 1, b = 2 }", ["tags", "b"], 1, 19), ("\u{feff}name = 1", ["name"], 1, 1),
            ("[a.b]\n[a]", ["a"], 1, 2), ("", ["name"], nil, nil),
        ] as [(String, [String], Int?, Int?)])
    func places(text: String, path: [String], line: Int?, column: Int?) throws {
        let found = try document(text).locations[path]
        #expect(found?.line == line)
        #expect(found?.column == column)
    }

    @Test(
        "Every key and element has a place",
        arguments: [
            "a = 1\n[b]\nc = [1, 2, { d = 3 }]\ne.f = 'x'\n[b.g]\nh = { i = [[], [1]] }\n",
            "[[a]]\nb = 1\n[[a]]\n[a.c]\nd = [ # ]\n 'x]', \"\"\"]\"\"\" ]\n[[a.e]]\n[[a.e]]\nf = 1\n",
            "\"quoted \\\"key\\\"\" = 1\n'literal \\' . \"\\u0041\" = 2\n",
        ])
    func complete(text: String) throws {
        let document = try document(text)
        var missing: [[String]] = []
        func walk(_ node: TOMLNode, _ path: [String]) {
            if document.locations[path] == nil { missing.append(path) }
            switch node {
            case .table(let members): for member in members { walk(member.value, path + [member.key]) }
            case .array(let elements): for (index, node) in elements.enumerated() { walk(node, path + ["[\(index)]"]) }
            case .string, .integer, .number, .boolean, .date: break
            }
        }
        for member in document.members { walk(member.value, [member.key]) }
        #expect(missing.isEmpty)
    }

    @Test("Any text is read or refused inside its own bounds", arguments: [UInt64(1), 2, 3])
    func anyText(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array("[]{}\"'\\=.,#\n ab01u-:T\r\t+_eé\u{0}")
        var accepted = 0
        for _ in 0..<4_000 {
            let size = Int.random(in: 0...12, using: &generator)
            let text = String((0..<size).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] })
            let lines = 1 + text.utf8.count { $0 == UInt8(ascii: "\n") }
            do throws(TOMLSyntaxError) {
                let document = try document(text)
                accepted += 1
                #expect(document.locations.values.allSatisfy { (1...lines).contains($0.line) && $0.column >= 1 })
            } catch {
                #expect((1...lines).contains(error.location.line))
                #expect((1...(text.unicodeScalars.count + 1)).contains(error.location.column))
            }
        }
        #expect(accepted > 50)
    }
}
