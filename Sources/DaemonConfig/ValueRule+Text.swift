// SPDX-License-Identifier: Apache-2.0
// Owns the rules of values that are text: names, paths, addresses, modes, lists and tags.

import ClusterTypes

/// Bounds that are not one key's own.
package enum ConfigurationBounds {
    /// Bytes of a socket's path: `sun_path` holds 108 with the terminating NUL (unix(7)).
    package static let socketPathSizeMax = 107
    /// Bytes of any other path (PATH_MAX without the NUL).
    package static let pathSizeMax = 4095
    /// Entries of `join` and of each list of users or groups.
    package static let listMax = 64
    /// Bytes of a host name (RFC 1035 section 2.3.4).
    package static let hostSizeMax = 253
    /// Prefixes of strict keys.
    package static let strictPrefixesMax = 64
    /// Named founders of the strict group.
    package static let votersMax = 9
    /// Bytes of a user's or group's name (useradd(8)).
    package static let accountSizeMax = 32
}

func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
    default:
        false
    }
}

/// Checks letters, digits, `.`, `_`, `-` and the length; `what` begins the sentence.
func checkName(_ text: String, max: Int, what: String = "") throws(Refusal) {
    let size = text.utf8.count
    guard size > 0 else { throw Refusal(reason: "\(what)must not be empty") }
    guard size <= max else { throw Refusal(reason: "\(what)must be at most \(max) bytes, not \(size)") }
    guard text.utf8.allSatisfy(isNameByte) else {
        throw Refusal(reason: "\(what)must be letters, digits, \".\", \"_\" or \"-\" only, not \(shown(text))")
    }
}

/// The text of a string node; `expected` names what should stand there, for the refusal.
package func decodeString(_ node: TOMLNode, _ expected: String = "a string") throws(Refusal) -> String {
    guard case .string(let text) = node else { throw .type(expected, node) }
    return text
}

extension ValueRule where Value == String {
    package static var name: Self {
        Self(type: "name", range: "1 to \(Bounds.nameBytesMax) bytes of letters, digits, . _ -") {
            node throws(Refusal) in
            let text = try decodeString(node)
            try checkName(text, max: Bounds.nameBytesMax)
            return text
        } encode: {
            TOMLText.quoted($0)
        }
    }

    package static func path(max: Int) -> Self {
        Self(type: "path", range: "1 to \(max) bytes") { node throws(Refusal) in
            let text = try decodeString(node, "a path")
            let size = text.utf8.count
            guard size > 0 else { throw Refusal(reason: "must not be empty") }
            guard size <= max else { throw Refusal(reason: "must be at most \(max) bytes, not \(size)") }
            guard text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f }) else {
                throw Refusal(reason: "must not hold control characters: \(shown(text))")
            }
            return text
        } encode: {
            TOMLText.quoted($0)
        }
    }
}

extension ValueRule where Value == String {
    /// A path from the root.
    static func absolutePath(max: Int) -> Self {
        let path = path(max: max)
        return Self(type: path.type, range: path.range + ", from the root") { node throws(Refusal) in
            let text = try path.decode(node)
            guard text.utf8.first == UInt8(ascii: "/") else {
                throw Refusal(reason: "must begin with a slash: \(shown(text))")
            }
            return text
        } encode: {
            TOMLText.quoted($0)
        }
    }

    /// A path from the root, or an empty text for none.
    static func optionalPath(max: Int) -> Self {
        let path = absolutePath(max: max)
        return Self(type: path.type, range: "empty, or \(path.range)") { node throws(Refusal) in
            if case .string("") = node { return "" }
            return try path.decode(node)
        } encode: {
            TOMLText.quoted($0)
        }
    }
}

extension ValueRule where Value == String? {
    /// A user's or group's name, or nothing.
    package static var account: Self {
        Self(type: "name", range: "1 to 32 bytes of letters, digits, . _ -") { node throws(Refusal) in
            let text = try decodeString(node)
            try checkName(text, max: ConfigurationBounds.accountSizeMax)
            return text
        } encode: {
            TOMLText.quoted($0 ?? "")
        }
    }
}

extension ValueRule where Value == Address {
    /// `IPV4:PORT` or `[IPV6]:PORT`.
    static func address(allowsUnspecified: Bool) -> Self {
        let example = "\"192.0.2.10:7946\" or \"[2001:db8::10]:7946\""
        return Self(type: "address", range: "IPv4:port or [IPv6]:port") { node throws(Refusal) in
            let text = try decodeString(node, "an address such as \(example)")
            guard let address = Address(text) else {
                let isName = Address.splitHostPort(text) != nil
                let hint = isName ? ": host names are not taken here" : ""
                throw Refusal(reason: "must be an address and a port such as \(example), not \(shown(text))\(hint)")
            }
            guard address.port > 0 else { throw Refusal(reason: "must name a port from 1 to 65535, not 0") }
            guard allowsUnspecified || !address.isUnspecified else {
                throw Refusal(
                    reason: "must be an address at which peers reach this host, not \(address.host);"
                        + " write for example advertise = \"192.0.2.10:\(address.port)\"")
            }
            return address
        } encode: {
            TOMLText.quoted($0.description)
        }
    }
}

extension ValueRule where Value == UInt32 {
    /// Permission bits as an octal string.
    package static var mode: Self {
        Self(type: "mode", range: "0000 to 0777, octal") { node throws(Refusal) in
            let example = "an octal string such as \"0660\""
            let text = try decodeString(node, example)
            guard (1...4).contains(text.utf8.count), text.utf8.allSatisfy({ $0 >= 48 && $0 <= 55 }),
                let mode = UInt32(text, radix: 8)
            else { throw Refusal(reason: "must be \(example), not \(shown(text))") }
            guard mode <= 0o777 else { throw Refusal(reason: "must be 0000 to 0777, not \(text)") }
            return mode
        } encode: {
            let digits = String($0, radix: 8)
            return TOMLText.quoted(String(repeating: "0", count: Swift.max(0, 4 - digits.count)) + digits)
        }
    }
}

extension ValueRule {
    /// An array of strings; `element` checks each one.
    static func list<Element: Equatable & Sendable>(
        type: String, range: String, what: String, max: Int = ConfigurationBounds.listMax,
        element: @escaping @Sendable (String) throws(Refusal) -> Element,
        text: @escaping @Sendable (Element) -> String
    ) -> Self where Value == [Element] {
        Self(type: type, range: range) { node throws(Refusal) in
            guard case .array(let nodes) = node else { throw .type("an array of \(what)", node) }
            guard nodes.count <= max else {
                throw Refusal(reason: "must hold at most \(max) entries, not \(nodes.count)")
            }
            var elements: [Element] = []
            for (index, node) in nodes.enumerated() {
                do throws(Refusal) {
                    elements.append(try element(try decodeString(node)))
                } catch {
                    throw Refusal(reason: error.reason, element: ["[\(index)]"])
                }
            }
            return elements
        } encode: {
            TOMLText.list($0.map(text))
        }
    }
}

extension ValueRule where Value == [String] {
    /// At most `max` strings of at most `sizeMax` bytes each.
    package static func texts(max: Int, sizeMax: Int) -> Self {
        .list(
            type: "list of strings", range: "at most \(max), each at most \(sizeMax) bytes", what: "strings", max: max
        ) { text throws(Refusal) in
            let size = text.utf8.count
            guard size <= sizeMax else { throw Refusal(reason: "must be at most \(sizeMax) bytes, not \(size)") }
            guard !text.utf8.contains(0) else { throw Refusal(reason: "must not hold a NUL: \(shown(text))") }
            return text
        } text: {
            $0
        }
    }

    static var accounts: Self {
        .list(
            type: "list of names", range: "at most 64, each 1 to 32 bytes of letters, digits, . _ -", what: "names"
        ) { text throws(Refusal) in
            try checkName(text, max: ConfigurationBounds.accountSizeMax)
            return text
        } text: {
            $0
        }
    }
}

extension ValueRule where Value == [DaemonConfiguration.Seed] {
    static var seeds: Self {
        .list(
            type: "list of host:port", range: "at most 64", what: "\"host:port\" strings"
        ) { text throws(Refusal) in
            guard let (host, port) = Address.splitHostPort(text) else {
                throw Refusal(
                    reason: "must be a host and a port such as \"node-2.example.net:7946\" or"
                        + " \"[2001:db8::10]:7946\", not \(shown(text))")
            }
            guard port > 0 else { throw Refusal(reason: "must name a port from 1 to 65535, not 0") }
            if let address = Address(host: host, port: port) {
                guard !address.isUnspecified else {
                    throw Refusal(reason: "must be an address that can be dialled, not \(address.host)")
                }
            } else {
                guard !host.contains(":") else {
                    throw Refusal(reason: "is not an IPv6 address: \(shown(host))")
                }
                guard host.utf8.count <= ConfigurationBounds.hostSizeMax, host.utf8.allSatisfy(isNameByte) else {
                    throw Refusal(
                        reason: "must name a host of at most \(ConfigurationBounds.hostSizeMax) letters, digits,"
                            + " \".\", \"_\" or \"-\", not \(shown(host))")
                }
            }
            return .init(host: host, port: port)
        } text: {
            $0.description
        }
    }
}

extension ValueRule where Value == [String: String] {
    package static var tags: Self {
        Self(
            type: "table of strings",
            range:
                "at most \(Bounds.tagsMax) tags; names 1 to \(Bounds.tagNameBytesMax) bytes of letters, digits, . _ -;"
                + " names and values together at most \(Bounds.tagBytesMax) bytes"
        ) { node throws(Refusal) in
            guard case .table(let members) = node else { throw .type("a table of strings", node) }
            guard members.count <= Bounds.tagsMax else {
                throw Refusal(reason: "must hold at most \(Bounds.tagsMax) tags, not \(members.count)")
            }
            var tags: [String: String] = [:]
            var size = 0
            for member in members {
                do throws(Refusal) {
                    try checkName(member.key, max: Bounds.tagNameBytesMax, what: "the name of a tag ")
                    if case .table = member.value {
                        throw Refusal(reason: "must be a string, not a table; quote a name that holds dots")
                    }
                    let value = try decodeString(member.value)
                    tags[member.key] = value
                    size += member.key.utf8.count + value.utf8.count
                } catch {
                    throw Refusal(reason: error.reason, element: [member.key])
                }
            }
            guard size <= Bounds.tagBytesMax else {
                throw Refusal(
                    reason: "names and values together must be at most \(Bounds.tagBytesMax) bytes,"
                        + " not \(size)")
            }
            return tags
        } encode: { tags in
            let pairs = tags.sorted { $0.key < $1.key }.map { "\(TOMLText.key($0.key)) = \(TOMLText.quoted($0.value))" }
            return pairs.isEmpty ? "{}" : "{ " + pairs.joined(separator: ", ") + " }"
        }
    }
}
