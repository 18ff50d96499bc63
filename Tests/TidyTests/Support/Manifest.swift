// SPDX-License-Identifier: Apache-2.0
// Owns reading the edges between modules out of Package.swift.

struct Manifest {
    /// What each module may import of ours and of others, by the names used in `import`.
    var edges: [String: Set<String>] = [:]

    init(_ text: String) {
        var products: [String: String] = [:]
        for match in text.matches(of: /let (\w+): Target\.Dependency = \.product\(name: "(\w+)"/) {
            products[String(match.1)] = String(match.2)
        }
        for match in text.matches(of: /\b(?:module|program)\(\s*"([\w-]+)"/) {
            let rest = Self.upToClosing(text[match.range.upperBound...])
            var names: Set<String> = []
            for literal in rest.matches(of: /(package: )?"([\w-]+)"/) where literal.1 == nil {
                names.insert(String(literal.2))
            }
            for word in rest.matches(of: /\b(\w+)\b/) {
                if let product = products[String(word.1)] { names.insert(product) }
            }
            edges[String(match.1)] = names
        }
    }

    /// What stands before the parenthesis that closes the call.
    private static func upToClosing(_ text: Substring) -> Substring {
        var depth = 1
        for index in text.indices {
            if text[index] == "(" { depth += 1 }
            if text[index] == ")" { depth -= 1 }
            if depth == 0 { return text[..<index] }
        }
        return text
    }
}
