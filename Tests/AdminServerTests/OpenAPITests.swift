// SPDX-License-Identifier: Apache-2.0
// Owns the test that Docs/openapi.yaml and the routes served say the same.

import AdminModel
import AdminServer
import FoundationEssentials
import Testing

@Suite struct OpenAPITests {
    /// An operation as the file has it. The file is written in a plain style: two spaces an indent, one key a line.
    struct Operation: Hashable {
        var method: String
        var path: String
        var role = ""
        var query: Set<String> = []
    }

    private static func load() throws -> String {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return try String(contentsOfFile: "/\(root)/Docs/openapi.yaml", encoding: .utf8)
    }

    private static func operations(_ text: String) -> [Operation] {
        var operations: [Operation] = []
        var path = ""
        var parameter = ""
        for line in text.split(separator: "\n").prefix(while: { $0 != "components:" }) {
            let word = line.drop { $0 == " " }
            switch line.count - word.count {
            case 2 where word.hasPrefix("/"):
                path = String(word.dropLast())
            case 4 where !path.isEmpty && word.hasSuffix(":"):
                operations.append(Operation(method: word.dropLast().uppercased(), path: path))
            case 6 where word.hasPrefix("x-role: "):
                operations[operations.count - 1].role = String(word.dropFirst(8))
            case 8 where word.hasPrefix("- name: "):
                parameter = String(word.dropFirst(8))
            case 10 where word == "in: query":
                operations[operations.count - 1].query.insert(parameter)
            default: break
            }
        }
        return operations
    }

    @Test func `every route served is described with its role and query, and nothing else is`() throws {
        let described = Self.operations(try Self.load())
        let served = RouteTable.all.routes.map { route in
            Operation(
                method: route.method.rawValue, path: route.pattern, role: route.role == .admin ? "admin" : "read",
                query: Set(route.query))
        }
        #expect(described.count == Set(described).count)
        #expect(Set(described) == Set(served), "\(Set(described).symmetricDifference(served))")
    }

    @Test func `the file's version is this software's, and it lists every code that is sent`() throws {
        let text = try Self.load()
        #expect(text.contains("\n  version: \(AdminVersion.current)\n"))
        for code in AdminFailure.Code.allCases {
            #expect(text.contains("\n                - \(code.rawValue)\n") == !code.isClientSide, "\(code)")
        }
    }
}
