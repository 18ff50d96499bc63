// SPDX-License-Identifier: Apache-2.0
// Owns the way from our addresses to those of the socket calls and of SwiftNIO, and back.

import ClusterTypes
import Glibc
import NIOCore

/// Which addresses a socket can speak to.
enum SocketFamily: Sendable {
    case ipv4
    case ipv6
    /// An IPv6 socket bound to `::`, which speaks IPv4 through mapped addresses.
    case dual

    init(boundTo address: Address) {
        self = address.isIPv4 ? .ipv4 : address.isUnspecified ? .dual : .ipv6
    }

    var domain: CInt { self == .ipv4 ? AF_INET : AF_INET6 }

    func reaches(_ address: Address) -> Bool {
        switch self {
        case .ipv4: address.isIPv4
        case .ipv6: !address.isIPv4
        case .dual: true
        }
    }
}

extension Address {
    /// Calls `body` with the address as a socket of `family` wants it; `family` must reach it.
    func withSockaddr<Result>(
        _ family: SocketFamily, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        switch family {
        case .ipv4:
            var raw = sockaddr_in()
            raw.sin_family = sa_family_t(AF_INET)
            raw.sin_port = port.bigEndian
            raw.sin_addr.s_addr = UInt32(truncatingIfNeeded: low).bigEndian
            return Self.call(&raw, body)
        case .ipv6, .dual:
            var raw = sockaddr_in6()
            raw.sin6_family = sa_family_t(AF_INET6)
            raw.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &raw.sin6_addr) { bytes in
                bytes.storeBytes(of: high.bigEndian, toByteOffset: 0, as: UInt64.self)
                bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            return Self.call(&raw, body)
        }
    }

    private static func call<Raw, Result>(
        _ raw: inout Raw, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        withUnsafePointer(to: &raw) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<Raw>.size))
            }
        }
    }

    init(_ raw: sockaddr_in) {
        self.init(ipv4: UInt32(bigEndian: raw.sin_addr.s_addr), port: UInt16(bigEndian: raw.sin_port))
    }

    init(_ raw: sockaddr_in6) {
        var bytes = raw.sin6_addr
        self = withUnsafeBytes(of: &bytes) { bytes in
            Address(
                high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
                port: UInt16(bigEndian: raw.sin6_port))
        }
    }

    /// nil for what is neither IPv4 nor IPv6.
    init?(_ address: SocketAddress) {
        switch address {
        case .v4(let v4): self.init(v4.address)
        case .v6(let v6): self.init(v6.address)
        case .unixDomainSocket: return nil
        }
    }

    /// An IPv4 address in its own family, as a stream to it needs.
    var socketAddress: SocketAddress {
        if isIPv4 {
            var raw = sockaddr_in()
            raw.sin_family = sa_family_t(AF_INET)
            raw.sin_port = port.bigEndian
            raw.sin_addr.s_addr = UInt32(truncatingIfNeeded: low).bigEndian
            return SocketAddress(raw)
        }
        var raw = sockaddr_in6()
        raw.sin6_family = sa_family_t(AF_INET6)
        raw.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &raw.sin6_addr) { bytes in
            bytes.storeBytes(of: high.bigEndian, toByteOffset: 0, as: UInt64.self)
            bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        return SocketAddress(raw)
    }
}
