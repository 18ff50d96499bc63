// SPDX-License-Identifier: Apache-2.0
// Owns the tests of names and addresses.

import ClusterTypes
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Transport

private final class Answers: Sendable {
    private let list = Mutex<[(seed: String, addresses: [Address])]>([])

    func add(_ seed: String, _ addresses: [Address]) { list.withLock { $0.append((seed, addresses)) } }

    var all: [(seed: String, addresses: [Address])] { list.withLock { $0 } }
}

@Suite("Seeds and addresses")
struct ResolverTests {
    /// Resolves all at once and waits for as many answers.
    private func resolve(
        _ seeds: [String], family: SocketFamily = .ipv4, pendingMax: Int = 64
    ) async throws -> [(seed: String, addresses: [Address])] {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let answers = Answers()
        let box = NIOLoopBoundBox<SeedResolver?>.makeEmptyBox(valueType: SeedResolver.self, eventLoop: loop)
        try await loop.submit {
            let resolver = SeedResolver(
                family: family, timeout: .seconds(8), pendingMax: pendingMax, loop: loop, counters: CounterBox()
            ) { answers.add($0, $1) }
            box.value = resolver
            for seed in seeds { resolver.resolve(seed) }
        }.get()
        try await eventually("answers for \(seeds)") { answers.all.count >= seeds.count }
        try await loop.submit {
            box.value?.stop()
            box.value = nil
        }.get()
        return answers.all
    }

    @Test("literal addresses need no lookup, and only those the socket reaches are given")
    func literals() async throws {
        let answers = try await resolve(["127.0.0.1:7946", "[::1]:7946"], family: .ipv4)
        #expect(answers.map(\.addresses) == [[Address(ipv4: 0x7f00_0001, port: 7_946)], []])
        let both = try await resolve(["127.0.0.1:1", "[::1]:1"], family: .dual)
        #expect(both.allSatisfy { $0.addresses.count == 1 })
    }

    @Test("a name is looked up, each address once, with the port")
    func name() async throws {
        let answers = try await resolve(["localhost:7946"])
        #expect(answers.map(\.seed) == ["localhost:7946"])
        #expect(answers.first?.addresses == [Address(ipv4: 0x7f00_0001, port: 7_946)])
    }

    @Test("what cannot resolve is answered empty", arguments: ["no-port", ":1", "host:99999", "", "[::1:1"])
    func malformed(_ seed: String) async throws {
        #expect(try await resolve([seed]).map(\.addresses) == [[]])
    }

    @Test("lookups beyond the bound are answered empty at once")
    func bound() async throws {
        let answers = try await resolve(["localhost:1", "localhost:2", "localhost:3"], pendingMax: 1)
        #expect(answers.count == 3)
        #expect(answers.filter { $0.addresses.isEmpty }.count == 2)
    }

    @Test(
        "an address survives the way through SwiftNIO's",
        arguments: [
            Address(ipv4: 0xc000_0201, port: 7_946), Address(high: 0x2001_0db8_0000_0000, low: 0x1234, port: 1),
            Address(high: 0, low: 1, port: 65_535),
        ])
    func conversion(_ address: Address) throws {
        let socketAddress = address.socketAddress
        #expect(Address(socketAddress) == address)
        #expect(socketAddress.port == Int(address.port))
        #expect(socketAddress.ipAddress == address.host)
    }
}
