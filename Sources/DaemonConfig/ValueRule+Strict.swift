// SPDX-License-Identifier: Apache-2.0
// Owns the rules of the values that say which keys are strict and who votes on them.

import ClusterTypes

extension ValueRule where Value == [String] {
    /// Beginnings of keys, each with a slash at its end.
    static var keyPrefixes: Self {
        let texts = Self.list(
            type: "list of key prefixes",
            range:
                "at most \(ConfigurationBounds.strictPrefixesMax), each at most \(Bounds.keyBytesMax) bytes and ending with /",
            what: "key prefixes such as \"locks/\"", max: ConfigurationBounds.strictPrefixesMax
        ) { text throws(Refusal) in
            try checkKeyPrefix(text)
            return text
        } text: {
            $0
        }
        return Self(type: texts.type, range: texts.range) { node throws(Refusal) in
            let prefixes = try texts.decode(node)
            for (index, prefix) in prefixes.enumerated() {
                for (other, wider) in prefixes.enumerated() where other != index {
                    guard prefix.utf8.starts(with: wider.utf8), prefix != wider || other < index else { continue }
                    throw Refusal(
                        reason: prefix == wider
                            ? "is there twice: \(shown(prefix))"
                            : "\(shown(prefix)) lies below \(shown(wider)), which covers it: leave it out",
                        element: ["[\(index)]"])
                }
            }
            return prefixes
        } encode: {
            TOMLText.list($0)
        }
    }
}

/// The rules of keys, so that no prefix stands there that no key can have.
private func checkKeyPrefix(_ text: String) throws(Refusal) {
    guard !text.isEmpty else {
        throw Refusal(reason: "must not be empty: not all keys can be strict, name a prefix such as \"locks/\"")
    }
    let size = text.utf8.count
    guard size <= Bounds.keyBytesMax else {
        throw Refusal(reason: "must be at most \(Bounds.keyBytesMax) bytes, not \(size)")
    }
    guard text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) }) else {
        throw Refusal(reason: "must not hold control characters: \(shown(text))")
    }
    // Without the slash "lock" would take "locksmith/..." along.
    guard text.utf8.last == UInt8(ascii: "/") else {
        throw Refusal(reason: "must end with a slash, such as \(shown(text + "/"))")
    }
    guard text.utf8.first != UInt8(ascii: "/"),
        !zip(text.utf8, text.utf8.dropFirst()).contains(where: { $0 == (47, 47) })
    else { throw Refusal(reason: "must have no empty segment, and so no leading or double slash: \(shown(text))") }
    guard !text.utf8.starts(with: Bounds.reservedKeyPrefix.utf8) else {
        throw Refusal(reason: "keys below \(shown(Bounds.reservedKeyPrefix)) belong to gossipd: choose another prefix")
    }
}

private func reason(against count: Int) -> String {
    if count > 7 { return ": name so many, or add them later with gossipctl strict add" }
    return count > 0 ? ": an even number of voters bears no more failures than one less" : ""
}

extension ValueRule where Value == DaemonConfiguration.Strict.Voters {
    /// A number, or names.
    static var voters: Self {
        let counts = [1, 3, 5, 7]
        let expected = "1, 3, 5 or 7, or an array of the nodes' names"
        let names = ValueRule<[String]>.list(
            type: "", range: "", what: "names", max: ConfigurationBounds.votersMax
        ) { text throws(Refusal) in
            try checkName(text, max: Bounds.nameBytesMax)
            return text
        } text: {
            $0
        }
        return Self(
            type: "integer or list of names",
            range: "1, 3, 5 or 7, or 1 to \(ConfigurationBounds.votersMax) different names"
        ) { node throws(Refusal) in
            switch node {
            case .integer(let count):
                guard counts.contains(count) else {
                    throw Refusal(
                        reason:
                            "must be 1, 3, 5 or 7, not \(count)\(reason(against: count))")
                }
                return .count(count)
            case .array:
                let list = try names.decode(node)
                guard !list.isEmpty else { throw Refusal(reason: "must be \(expected), not an empty list") }
                for (index, name) in list.enumerated() where list[..<index].contains(name) {
                    throw Refusal(reason: "is there twice: \(shown(name))", element: ["[\(index)]"])
                }
                return .names(list)
            case .string, .number, .boolean, .date, .table: throw .type(expected, node)
            }
        } encode: { voters in
            switch voters {
            case .count(let count): String(count)
            case .names(let list): TOMLText.list(list)
            }
        }
    }
}
