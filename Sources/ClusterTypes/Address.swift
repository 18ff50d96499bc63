// SPDX-License-Identifier: Apache-2.0
// Owns a peer's transport address: IPv4 or IPv6 with a port.

/// An IP address and the port that serves both UDP datagrams and TCP streams.
///
/// IPv4 is held as an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2), so that one form compares and hashes.
package struct Address: Hashable, Comparable, Sendable {
    package var high: UInt64
    package var low: UInt64
    package var port: UInt16

    /// An IPv6 address from its 128 bits; a mapped IPv4 address is IPv4.
    package init(high: UInt64, low: UInt64, port: UInt16) {
        self.high = high
        self.low = low
        self.port = port
    }

    /// An IPv4 address from its 32 bits, most significant byte first.
    package init(ipv4: UInt32, port: UInt16) {
        self.init(high: 0, low: 0x0000_ffff_0000_0000 | UInt64(ipv4), port: port)
    }

    package var isIPv4: Bool { high == 0 && low >> 32 == 0x0000_ffff }

    /// The 32 bits of an IPv4 address; nil for IPv6.
    package var ipv4: UInt32? { isIPv4 ? UInt32(truncatingIfNeeded: low) : nil }

    /// 127.0.0.0/8 or ::1.
    package var isLoopback: Bool {
        if let ipv4 { return ipv4 >> 24 == 127 }
        return high == 0 && low == 1
    }

    /// 0.0.0.0 or ::, which a socket may bind but no peer can reach.
    package var isUnspecified: Bool { isIPv4 ? ipv4 == 0 : high == 0 && low == 0 }

    package static func < (a: Address, b: Address) -> Bool {
        if a.high != b.high { return a.high < b.high }
        return a.low != b.low ? a.low < b.low : a.port < b.port
    }
}
