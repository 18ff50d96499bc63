// SPDX-License-Identifier: Apache-2.0
// Owns turning `HOST:PORT` into addresses, off the event loop.

import ClusterTypes
import Glibc
import NIOCore
import NIOPosix

/// Resolves seeds with getaddrinfo on one thread of its own. It lives on the event loop.
///
/// getaddrinfo cannot be interrupted: a name server that does not answer holds the thread for its own timeout, and
/// seeds behind it are answered empty when their time is over. They are asked again by the kernel, ever more rarely.
final class SeedResolver {
    /// Addresses taken of one name.
    static let addressesMax = 16

    private let family: SocketFamily
    private let timeout: Interval
    private let pendingMax: Int
    private let loop: any EventLoop
    private let counters: CounterBox
    private let deliver: (String, [Address]) -> Void
    private let threads = NIOThreadPool(numberOfThreads: 1)
    private var isStarted = false
    private var isStopped = false
    private var pending: [UInt64: String] = [:]
    private var nextID: UInt64 = 0
    /// Jobs that the thread has not finished, timed out or not.
    private var queued = 0

    init(
        family: SocketFamily, timeout: Interval, pendingMax: Int, loop: any EventLoop, counters: CounterBox,
        deliver: @escaping (String, [Address]) -> Void
    ) {
        self.family = family
        self.timeout = timeout
        self.pendingMax = pendingMax
        self.loop = loop
        self.counters = counters
        self.deliver = deliver
    }

    /// Answers each call with exactly one `deliver` unless stopped; literal addresses at once.
    func resolve(_ seed: String) {
        guard !isStopped else { return }
        if let address = Address(seed) { return deliver(seed, family.reaches(address) ? [address] : []) }
        guard let (host, port) = Address.splitHostPort(seed), queued < pendingMax else { return failed(seed) }
        if !isStarted {
            // Most nodes are configured with addresses and never need the thread.
            isStarted = true
            threads.start()
        }
        let id = nextID
        nextID += 1
        pending[id] = seed
        queued += 1
        let family = family
        threads.runIfActive(eventLoop: loop) { Self.lookUp(host, port: port, family: family) }
            .assumeIsolated()
            .whenComplete { [weak self] result in
                guard let self else { return }
                queued -= 1
                answer(id, (try? result.get()) ?? [])
            }
        loop.assumeIsolated().scheduleTask(in: TimeAmount(timeout)) { [weak self] in self?.answer(id, []) }
    }

    func stop() {
        isStopped = true
        pending.removeAll()
        // It does not wait for a lookup that hangs; the thread ends after it.
        if isStarted { threads.shutdownGracefully { _ in } }
    }

    private func answer(_ id: UInt64, _ addresses: [Address]) {
        guard let seed = pending.removeValue(forKey: id) else { return }
        if addresses.isEmpty { failed(seed) } else { deliver(seed, addresses) }
    }

    private func failed(_ seed: String) {
        counters.update { $0.resolutionFailures += 1 }
        deliver(seed, [])
    }

    /// Blocks. The addresses in the order the system prefers (RFC 6724), each once.
    private static func lookUp(_ host: String, port: UInt16, family: SocketFamily) -> [Address] {
        var hints = addrinfo()
        hints.ai_family = family == .dual ? AF_UNSPEC : family.domain
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var addresses: [Address] = []
        var next = list
        while let entry = next?.pointee, addresses.count < addressesMax {
            next = entry.ai_next
            guard let name = entry.ai_addr else { continue }
            var address: Address
            switch entry.ai_family {
            case AF_INET:
                address = name.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { Address($0.pointee) }
            case AF_INET6:
                address = name.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { Address($0.pointee) }
            case _:
                continue
            }
            address.port = port
            if family.reaches(address), !addresses.contains(address) { addresses.append(address) }
        }
        return addresses
    }
}
