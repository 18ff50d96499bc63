// SPDX-License-Identifier: Apache-2.0
// Owns the promise that templates see what the manual says, and that what is missing is named with a remedy.

import AdminModel
import Testing

@testable import Delivery

@Suite("The data of templates")
struct RenderInputTests {
    private static func spec(_ names: String) throws -> RenderSpec {
        try describe("destination = \"/etc/a\"\ntemplate_text = \"x\"\n" + names)
    }

    private static func refusal(_ names: String, _ contents: [InputContent]) throws -> String {
        let spec = try spec(names)
        do throws(DeliveryFailure) {
            _ = try spec.values(contents)
        } catch .missing(let sentence) {
            return sentence
        }
        return ""
    }

    @Test("Values, counters and defaults are texts")
    func texts() throws {
        let spec = try Self.spec("[keys]\na = \"a\"\nb = \"b\"\nc = { key = \"c\", default = \"d\" }\n")
        let values = try spec.values([
            .key(try register("a", "é\n")), .key(try document("b", .counter(-3))), .key(nil),
        ])
        #expect(values == ["a": .text("é\n"), "b": .text("-3"), "c": .text("d")])
    }

    @Test("Prefixes and sets are lists in byte order that know their ends")
    func lists() throws {
        let spec = try Self.spec(
            "[prefixes]\na = \"p/\"\nb = \"q/\"\n[sets]\nc = \"c\"\nd = { key = \"d\", default = [\"2\", \"1\"] }\n")
        let values = try spec.values([
            .keys([try register("p/b/c", "2"), try register("p/B", "1")]), .keys([]),
            .key(try document("c", .set([Array("x".utf8)]))), .key(nil),
        ])
        let row = { (value: String, isFirst: Bool, isLast: Bool) -> [String: RenderValue] in
            ["value": .text(value), "first": .flag(isFirst), "last": .flag(isLast)]
        }
        let one = row("1", true, false).merging(["key": .text("p/B"), "name": .text("B")]) { a, _ in a }
        let two = row("2", false, true).merging(["key": .text("p/b/c"), "name": .text("b/c")]) { a, _ in a }
        #expect(values["a"] == .list([.table(one), .table(two)]))
        #expect(values["b"] == .list([]))
        #expect(values["c"] == .list([.table(row("x", true, true))]))
        #expect(values["d"] == .list([.table(row("1", true, false)), .table(row("2", false, true))]))
    }

    @Test("Members come by name, then id; an IPv6 host has brackets where an address needs them")
    func members() throws {
        let values = try Self.spec("[members]\na = {}\n").values([
            .members([
                try member("b", "192.0.2.1:7946"),
                try member("a", "[2001:db8::1]:7947", id: "2", tags: ["role": "web"]),
                try member("a", "192.0.2.2:1", id: "1"),
            ])
        ])
        guard case .list(let rows) = values["a"] else { throw TestFailure("no list") }
        #expect(rows.count == 3)
        #expect(
            rows[1]
                == .table([
                    "id": .text("2"), "name": .text("a"), "address": .text("[2001:db8::1]:7947"),
                    "host": .text("2001:db8::1"), "url_host": .text("[2001:db8::1]"), "port": .text("7947"),
                    "state": .text("alive"), "tags": .table(["role": .text("web")]), "first": .flag(false),
                    "last": .flag(false),
                ]))
        guard case .table(let last) = rows[2] else { throw TestFailure("no table") }
        #expect(last["name"] == .text("b") && last["url_host"] == .text("192.0.2.1") && last["last"] == .flag(true))
    }

    @Test("What the documented fields are is what elements have")
    func fields() throws {
        let spec = try Self.spec("[members]\nm = {}\n[prefixes]\np = \"p/\"\n[sets]\ns = \"s\"\n")
        let values = try spec.values([
            .members([try member("a", "192.0.2.1:1")]), .keys([try register("p/a", "")]),
            .key(try document("s", .set([[65]]))),
        ])
        for (name, table) in [("m", "members"), ("p", "prefixes"), ("s", "sets")] {
            guard case .list(let rows) = values[name], case .table(let row) = rows[0] else {
                throw TestFailure("no list")
            }
            #expect(row.keys.sorted() == RenderRules.fields[table]?.sorted())
        }
    }

    @Test("All missing keys are in one sentence, each once, with what to do")
    func missing() throws {
        let sentence = try Self.refusal(
            "[keys]\na = \"app/a\"\nb = \"app/b\"\nc = \"app/a\"\n[sets]\nd = \"app/d\"\n",
            [.key(nil), .key(try register("app/b", "")), .key(nil), .key(nil)])
        #expect(
            sentence
                == "keys \"app/a\", \"app/d\" are missing: write them with gossipctl or give them defaults")
    }

    @Test("Hundreds of missing keys are counted, not listed")
    func manyMissing() throws {
        let names = (100..<200).map { "n\($0) = \"k\($0)\"\n" }.joined()
        let sentence = try Self.refusal("[keys]\n" + names, [InputContent](repeating: .key(nil), count: 100))
        #expect(sentence.contains("84 more") && sentence.utf8.count < 400)
    }

    @Test("Wrong types and values that are no text are told with the remedy")
    func wrong() throws {
        let set = KeyContent.set([[0xff]])
        #expect(
            try Self.refusal("[keys]\na = \"a\"\n", [.key(try document("a", set))])
                == "key \"a\" is a set, not a value: declare it under [sets]")
        #expect(
            try Self.refusal("[keys]\na = \"a\"\n", [.key(try document("a", .register([0xff])))])
                .contains("is not UTF-8 text"))
        #expect(
            try Self.refusal("[sets]\na = \"a\"\n", [.key(try register("a", ""))])
                == "key \"a\" is a register, not a set: declare it under [keys]")
        #expect(
            try Self.refusal("[sets]\na = \"a\"\n", [.key(try document("a", set))])
                .contains("1 of the elements of \"a\" are not UTF-8"))
        #expect(
            try Self.refusal("[prefixes]\na = \"p/\"\n", [.keys([try document("p/s", set)])])
                .contains("keep sets out of the prefix"))
    }

    @Test("A file that is one key takes any bytes; a set or nothing is refused")
    func oneKey() throws {
        let spec = try describe("destination = \"/etc/a\"\nkey = \"app/a\"\n")
        #expect(try spec.keyBytes([.key(try document("app/a", .register([0xff, 0])))]) == [0xff, 0])
        #expect(try spec.keyBytes([.key(try document("app/a", .counter(7)))]) == Array("7\n".utf8))
        #expect(throws: DeliveryFailure.self) { try spec.keyBytes([.key(nil)]) }
        #expect(throws: DeliveryFailure.self) { try spec.keyBytes([.key(try document("app/a", .set([])))]) }
    }
}
