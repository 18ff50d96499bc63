// SPDX-License-Identifier: Apache-2.0
// Owns the opening of a node's two sockets: TCP and UDP on one address and port.

import ClusterTypes
import Glibc
import NIOCore
import Synchronization

/// A node's bound sockets, not yet in use: their address is known before the kernel is made.
package final class NodeSockets: Sendable {
    /// The address with the port that the system chose if 0 was asked.
    package let address: Address
    private let descriptors: Mutex<(stream: CInt, datagram: CInt)?>

    private init(address: Address, stream: CInt, datagram: CInt) {
        self.address = address
        descriptors = Mutex((stream, datagram))
    }

    deinit {
        if let (stream, datagram) = take() {
            _ = close(stream)
            _ = close(datagram)
        }
    }

    /// Whoever takes the descriptors closes them; nil when they were taken before.
    func take() -> (stream: CInt, datagram: CInt)? {
        descriptors.withLock { descriptors in
            defer { descriptors = nil }
            return descriptors
        }
    }

    /// Binds both sockets to `address`; with port 0 to one free port. `::` serves IPv4 as well.
    package static func bind(
        to address: Address, receiveBufferBytes: Int = TransportConfiguration().receiveBufferBytes
    ) throws(TransportFailure) -> NodeSockets {
        // A port that is free for TCP may be taken for UDP; then another one is tried.
        var attemptsLeft = address.port == 0 ? 32 : 1
        while true {
            attemptsLeft -= 1
            let stream = try openStream(address)
            do throws(TransportFailure) {
                let bound = try boundAddress(stream, asked: address)
                let datagram = try openDatagram(bound, receiveBufferBytes: receiveBufferBytes)
                return NodeSockets(address: bound, stream: stream, datagram: datagram)
            } catch {
                _ = close(stream)
                if case .addressInUse = error, attemptsLeft > 0 { continue }
                throw error
            }
        }
    }

    /// A listening TCP socket.
    static func openStream(_ address: Address) throws(TransportFailure) -> CInt {
        let descriptor = try open(address, type: CInt(SOCK_STREAM.rawValue), isUDP: false)
        do throws(TransportFailure) {
            // A restart must not wait for the connections of the last process to be forgotten (TIME_WAIT).
            try set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1, address)
            try bind(descriptor, address, isUDP: false)
            if listen(descriptor, 256) != 0 {
                throw TransportFailure(operation: "listen", address, isUDP: false, errno: errno)
            }
            return descriptor
        } catch {
            _ = close(descriptor)
            throw error
        }
    }

    static func openDatagram(_ address: Address, receiveBufferBytes: Int) throws(TransportFailure) -> CInt {
        let descriptor = try open(address, type: CInt(SOCK_DGRAM.rawValue), isUDP: true)
        do throws(TransportFailure) {
            // The system cuts it to what it allows; a smaller buffer works too.
            try? set(descriptor, SOL_SOCKET, SO_RCVBUF, CInt(clamping: receiveBufferBytes), address)
            try bind(descriptor, address, isUDP: true)
            return descriptor
        } catch {
            _ = close(descriptor)
            throw error
        }
    }

    private static func open(_ address: Address, type: CInt, isUDP: Bool) throws(TransportFailure) -> CInt {
        let family = SocketFamily(boundTo: address)
        let flags = CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(family.domain, type | flags, 0)
        if descriptor < 0 { throw TransportFailure(operation: "socket", address, isUDP: isUDP, errno: errno) }
        if family != .ipv4 {
            do throws(TransportFailure) {
                try set(descriptor, CInt(IPPROTO_IPV6), IPV6_V6ONLY, family == .dual ? 0 : 1, address)
            } catch {
                _ = close(descriptor)
                throw error
            }
        }
        return descriptor
    }

    private static func bind(_ descriptor: CInt, _ address: Address, isUDP: Bool) throws(TransportFailure) {
        let code = address.withSockaddr(SocketFamily(boundTo: address)) { Glibc.bind(descriptor, $0, $1) }
        if code != 0 { throw TransportFailure(operation: "bind", address, isUDP: isUDP, errno: errno) }
    }

    private static func set(
        _ descriptor: CInt, _ level: CInt, _ option: CInt, _ value: CInt, _ address: Address
    ) throws(TransportFailure) {
        var value = value
        if setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<CInt>.size)) != 0 {
            throw .system(operation: "setsockopt", address, errno: errno)
        }
    }

    private static func boundAddress(_ descriptor: CInt, asked: Address) throws(TransportFailure) -> Address {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let bound: Address? = withUnsafeMutablePointer(to: &storage) { pointer in
            let code = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &length)
            }
            if code != 0 { return nil }
            return pointer.pointee.ss_family == sa_family_t(AF_INET)
                ? pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { Address($0.pointee) }
                : pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { Address($0.pointee) }
        }
        guard let bound else { throw .system(operation: "getsockname", asked, errno: errno) }
        return bound
    }
}
