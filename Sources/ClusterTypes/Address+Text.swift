// SPDX-License-Identifier: Apache-2.0
// Owns the text of an address: `192.0.2.1:7946` and `[2001:db8::1]:7946` (RFC 3986 section 3.2.2, RFC 5952).

extension Address: CustomStringConvertible {
    package var description: String {
        isIPv4 ? "\(host):\(port)" : "[\(host)]:\(port)"
    }

    /// The address without brackets and port; IPv6 in the canonical form of RFC 5952.
    package var host: String {
        if let ipv4 {
            return "\(ipv4 >> 24).\(ipv4 >> 16 & 255).\(ipv4 >> 8 & 255).\(ipv4 & 255)"
        }
        let groups = groups
        guard let zeros = Self.longestZeroRun(groups) else {
            return groups.map { String($0, radix: 16) }.joined(separator: ":")
        }
        let head = groups[..<zeros.lowerBound].map { String($0, radix: 16) }.joined(separator: ":")
        let tail = groups[zeros.upperBound...].map { String($0, radix: 16) }.joined(separator: ":")
        return head + "::" + tail
    }

    /// Parses `IPV4:PORT` or `[IPV6]:PORT`. Host names are not addresses: nil.
    package init?(_ text: some StringProtocol) {
        guard let (host, port) = Self.splitHostPort(text) else { return nil }
        self.init(host: host, port: port)
    }

    /// Parses an IPv4 address (four decimal numbers) or an IPv6 address (RFC 4291 section 2.2, no zone).
    package init?(host: some StringProtocol, port: UInt16) {
        if let ipv4 = Self.parseIPv4(host) {
            self.init(ipv4: ipv4, port: port)
        } else if let groups = Self.parseIPv6(host) {
            let high = groups[..<4].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
            let low = groups[4...].reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
            self.init(high: high, low: low, port: port)
        } else {
            return nil
        }
    }

    /// Splits `HOST:PORT` or `[HOST]:PORT`, where HOST may be a name; nil when the port is missing or not 0...65535.
    package static func splitHostPort(_ text: some StringProtocol) -> (host: String, port: UInt16)? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard digits.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let port = UInt16(digits) else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        return host.isEmpty ? nil : (host, port)
    }

    private var groups: [UInt16] {
        [high, low].flatMap { half in
            stride(from: 48, through: 0, by: -16).map { UInt16(truncatingIfNeeded: half >> UInt64($0)) }
        }
    }

    /// The first longest run of at least two zero groups, which RFC 5952 section 4.2 writes as `::`.
    private static func longestZeroRun(_ groups: [UInt16]) -> Range<Int>? {
        var best: Range<Int>?
        var start = 0
        while start < groups.count {
            var end = start
            while end < groups.count, groups[end] == 0 { end += 1 }
            if end - start >= 2, end - start > (best?.count ?? 0) { best = start..<end }
            start = end + 1
        }
        return best
    }

    private static func parseIPv4(_ text: some StringProtocol) -> UInt32? {
        let parts = String(text).split(separator: Character("."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }),
                let byte = UInt8(part)
            else { return nil }
            value = value << 8 | UInt32(byte)
        }
        return value
    }

    private static func parseIPv6(_ text: some StringProtocol) -> [UInt16]? {
        var head: [UInt16] = []
        var tail: [UInt16] = []
        var sawGap = false
        var parts = String(text).split(separator: Character(":"), omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 3, parts.count <= 9 else { return nil }
        // A leading or trailing `::` leaves two empty parts at that end; one of them is the gap.
        if parts[0].isEmpty {
            guard parts[1].isEmpty else { return nil }
            parts.removeFirst()
        }
        if parts[parts.count - 1].isEmpty {
            guard parts.count >= 2, parts[parts.count - 2].isEmpty else { return nil }
            parts.removeLast()
        }
        for (index, part) in parts.enumerated() {
            if part.isEmpty {
                guard !sawGap else { return nil }
                sawGap = true
            } else if part.contains(".") {
                guard index == parts.count - 1, let ipv4 = parseIPv4(part) else { return nil }
                let words = [UInt16(ipv4 >> 16), UInt16(ipv4 & 0xffff)]
                if sawGap { tail += words } else { head += words }
            } else {
                guard part.utf8.count <= 4, part.utf8.allSatisfy(Hex.isDigit), let word = UInt16(part, radix: 16)
                else { return nil }
                if sawGap { tail.append(word) } else { head.append(word) }
            }
        }
        let missing = 8 - head.count - tail.count
        guard sawGap ? missing >= 1 : missing == 0 else { return nil }
        return head + Array(repeating: 0, count: missing) + tail
    }
}
