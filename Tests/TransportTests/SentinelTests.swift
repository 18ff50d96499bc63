// SPDX-License-Identifier: Apache-2.0
// Owns the proofs about sentinel streams on real sockets, plain and sealed: held, ended in order, broken off, ended with their key.

import ClusterTypes
import Glibc
import NodeKernel
import SWIMCore
import Sealing
import Testing

@testable import Transport

@Suite("Sentinels on real sockets", .serialized)
struct SentinelTests {
    private func nodes(_ count: Int, keys: [ClusterKey]) throws -> [TestNode] {
        var nodes: [TestNode] = []
        for number in 0..<count {
            nodes.append(
                try TestNode.make("s\(number)", seeds: nodes.first.map { [$0.driver.address] } ?? []) {
                    $0.seal = SealSettings(keys: keys)
                })
        }
        return nodes
    }

    private func statistics(_ node: TestNode) async throws -> KernelStatistics {
        guard case .statistics(let view) = await node.driver.perform(.statistics) else {
            throw RawSocket.Failure(operation: "statistics", code: 0)
        }
        return view.kernel
    }

    /// Every node has reached the others, and holds `held` streams, its own and those of others.
    private func isWatching(_ nodes: [TestNode], held: UInt64) async throws -> Bool {
        for node in nodes {
            let (alive, statistics) = (try await node.status().alive, try await statistics(node))
            if alive < nodes.count || statistics.sentinelsHeld < held { return false }
        }
        return true
    }

    private func failures(_ node: TestNode) -> [Evidence] {
        node.host.events.compactMap {
            if case .member(let event) = $0, case .failed(let evidence, after: _) = event.kind { evidence } else { nil }
        }
    }

    @Test("a node that stops says farewell: nobody is hinted at its death", arguments: [false, true])
    func farewell(isSealed: Bool) async throws {
        let nodes = try nodes(3, keys: isSealed ? [sealKey(1)] : [])
        try await withNodes(nodes) {
            // Among three each watches both others.
            try await eventually("all watch all") { try await isWatching(nodes, held: 4) }
            await nodes[2].driver.stop()
            for node in nodes.dropLast() {
                // Anything that its end set off has been handled before the answer.
                try await eventually("the streams are gone") {
                    try await node.driver.withCore { $0.streams?.count ?? 0 } ?? 0 <= 2
                }
                #expect(try await statistics(node).sentinelsBroken == 0)
            }
        }
    }

    @Test(
        "a node that ends without a farewell is failed on the word of its host's kernel, not when its turn comes",
        arguments: [false, true])
    func death(isSealed: Bool) async throws {
        let nodes = try nodes(3, keys: isSealed ? [sealKey(1)] : [])
        try await withNodes(nodes) {
            try await eventually("all watch all") { try await isWatching(nodes, held: 4) }
            // What the system does for a process that is killed: its sockets close, and nothing is said.
            _ = try await nodes[2].driver.withCore { core in
                core.datagrams?.stop()
                _ = core.streams?.stop()
            }
            for node in nodes.dropLast() {
                try await eventually("the failure") { !failures(node).isEmpty }
                #expect(try await statistics(node).sentinelsBroken > 0)
            }
            // The other may have heard it from the first.
            let evidence = nodes.dropLast().flatMap { failures($0) }
            #expect(evidence.contains { $0.streamRefused && $0.hint != nil })
        }
    }

    @Test(
        "a host that takes the connection for a process that stands still is told from one that is gone, sealed as well"
    )
    func mute() async throws {
        let side = try await Side { $0.seal = SealSettings(keys: [sealKey(1)]) }
        let (listener, address) = try RawSocket.bound(SOCK_STREAM)
        try await with(side) {
            let id = StreamID(rawValue: 2)
            try await side.run { $0.open(id, to: address, timeout: .seconds(1)) }
            try await eventually("the refusal: nobody listens yet") { side.ends.map(\.1) == [.refused] }
            #expect(side.connected.isEmpty)
            #expect(listen(listener.descriptor, 4) == 0)
            let second = StreamID(rawValue: 4)
            try await side.run { $0.open(second, to: address, timeout: .seconds(1)) }
            try await eventually("the connection") { side.connected == [second] }
            #expect(side.opened.isEmpty && side.ends.count == 1)
        }
    }

    /// Connections to `port` that the system itself looks after: their timer is 02, keepalive (proc_net_tcp of the kernel's
    /// documentation).
    private func keptAlive(to port: UInt16) throws -> Int {
        let file = open("/proc/self/net/tcp", O_RDONLY)
        guard file >= 0 else { throw RawSocket.Failure(operation: "open", code: errno) }
        defer { close(file) }
        var (text, buffer) = ([UInt8](), [UInt8](repeating: 0, count: 65_536))
        while case let count = read(file, &buffer, buffer.count), count > 0 { text += buffer.prefix(count) }
        let wanted =
            ":" + String(repeating: "0", count: max(0, 4 - String(port, radix: 16).count))
            + String(port, radix: 16, uppercase: true)
        return String(decoding: text, as: UTF8.self).split(separator: "\n").count { line in
            let fields = line.split(separator: " ")
            return fields.count > 5 && fields[2].hasSuffix(wanted) && fields[5].hasPrefix("02:")
        }
    }

    @Test("the end that opened a kept stream has the system look after it, and the other end does not")
    func keepAlive() async throws {
        let (a, b) = (try await Side(), try await Side())
        try await with(a, b) {
            let id = StreamID(rawValue: 2)
            try await a.run { $0.open(id, to: b.address, timeout: .seconds(1)) }
            try await eventually("the stream") { a.opened == [id] && b.accepted.count == 1 }
            #expect(try keptAlive(to: b.address.port) == 0)
            let accepted = try #require(b.accepted.first)
            try await a.run { $0.keep(id) }
            try await b.run { $0.keep(accepted) }
            #expect(try keptAlive(to: b.address.port) == 1)
        }
    }

    @Test("streams live on when a key is added, end when theirs is removed, and are watched anew; nobody is blamed")
    func retiredKey() async throws {
        let (old, new) = (sealKey(1), sealKey(2))
        let nodes = try nodes(2, keys: [old])
        try await withNodes(nodes) {
            try await eventually("both watch") { try await isWatching(nodes, held: 2) }
            for keys in [[old, new], [new, old]] {
                for node in nodes { node.driver.seal(with: SealSettings(keys: keys)) }
            }
            for node in nodes {
                #expect(try await node.driver.withCore { $0.streams?.count ?? 0 } ?? 0 >= 2)
                #expect(node.driver.counters.streamsEndedByKeys == 0)
            }
            for node in nodes { node.driver.seal(with: SealSettings(keys: [new])) }
            try await eventually("the old streams end, and new ones are held") {
                try await isWatching(nodes, held: 3)
                    && nodes.contains { $0.driver.counters.streamsEndedByKeys > 0 }
            }
            for node in nodes { #expect(failures(node).isEmpty) }
        }
    }
}
