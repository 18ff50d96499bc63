// SPDX-License-Identifier: Apache-2.0
// Owns what errors of the UDP socket mean: which are this host's own, and which speak of the way to a peer.

import CSocketErrors
import ClusterTypes
import Glibc

/// Why this host could not send a datagram. It says nothing about the peer.
package enum SendFailure: String, Hashable, Sendable, CaseIterable {
    /// A firewall or a policy of this host (EPERM, EACCES).
    case forbidden
    /// No room in a queue of this host (ENOBUFS, EAGAIN, ENOMEM).
    case noBuffers = "no_buffers"
    /// No route to the target, or the network is down (ENETUNREACH, EHOSTUNREACH, ENETDOWN).
    case noRoute = "no_route"
    /// An address that this socket cannot send to.
    case badAddress = "bad_address"
    /// Larger than the way allows (EMSGSIZE).
    case tooLarge = "too_large"
    /// The socket is not open.
    case notOpen = "not_open"
    case other

    init(errno code: CInt) {
        self =
            switch code {
            case EPERM, EACCES: .forbidden
            case ENOBUFS, EAGAIN, ENOMEM: .noBuffers
            case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN, ENONET: .noRoute
            case EINVAL, EAFNOSUPPORT, EADDRNOTAVAIL, EDESTADDRREQ: .badAddress
            case EMSGSIZE: .tooLarge
            case _: .other
            }
    }
}

/// What ICMP said of a datagram of ours. Anybody can forge it: it decides nothing.
package enum PathError: String, Hashable, Sendable, CaseIterable {
    /// Nobody listens at the port.
    case refused
    case hostUnreachable = "host_unreachable"
    case networkUnreachable = "network_unreachable"
    /// A firewall on the way says that it forbids it.
    case forbidden
    case tooLarge = "too_large"
    case other

    init(errno code: CInt) {
        self =
            switch code {
            case ECONNREFUSED: .refused
            case EHOSTUNREACH, EHOSTDOWN, ENONET: .hostUnreachable
            case ENETUNREACH: .networkUnreachable
            case EACCES, EPERM: .forbidden
            case EMSGSIZE: .tooLarge
            case _: .other
            }
    }
}

/// The error queue of a UDP socket (ip(7), IP_RECVERR).
enum SocketErrors {
    /// SO_EE_ORIGIN_ICMP and SO_EE_ORIGIN_ICMP6 of linux/errqueue.h.
    private static let originsOfICMP: ClosedRange<CInt> = 2...3

    /// Entries that are taken in one go, so that a flood of forged errors holds nobody up.
    static let takenMax = 64

    /// Whether errors are queued from now on. Without, the node works as well and learns less.
    static func enable(_ descriptor: CInt, family: SocketFamily) -> Bool {
        gossipd_socket_errors_enable(descriptor, family == .ipv4 ? 0 : 1) == 0
    }

    /// Takes what waits and hands each ICMP error with its target to `body`; returns whether anything waited.
    static func take(from descriptor: CInt, _ body: (PathError, Address?) -> Void) -> Bool {
        var error = gossipd_socket_error()
        for taken in 0..<takenMax {
            let outcome = gossipd_socket_errors_take(descriptor, &error)
            if outcome == 0 { return taken > 0 }
            guard outcome > 0, originsOfICMP.contains(error.origin) else { continue }
            body(PathError(errno: error.code), address(of: &error.target))
        }
        return true
    }

    static func drops(at descriptor: CInt) -> UInt32 { gossipd_socket_drops(descriptor) }

    /// nil for anything but IPv4 and IPv6.
    static func address(of storage: inout sockaddr_storage) -> Address? {
        withUnsafePointer(to: &storage) { pointer in
            switch pointer.pointee.ss_family {
            case sa_family_t(AF_INET):
                pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { Address($0.pointee) }
            case sa_family_t(AF_INET6):
                pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { Address($0.pointee) }
            case _: nil
            }
        }
    }
}
