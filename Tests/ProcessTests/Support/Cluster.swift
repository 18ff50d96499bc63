// SPDX-License-Identifier: Apache-2.0
// Owns several daemons that are members of one cluster.

import AdminClient
import AdminModel

/// Daemons `n1`, `n2`, ...; the others join through the first.
struct Cluster: Sendable {
    var daemons: [DaemonProcess]

    subscript(index: Int) -> DaemonProcess { daemons[index] }

    /// Starts `count` daemons and waits until each sees all alive. `configure` changes the options of each.
    static func form(
        _ count: Int, in arena: Arena, _ configure: (inout DaemonOptions) throws -> Void = { _ in }
    ) async throws -> Cluster {
        var cluster = Cluster(daemons: [])
        for index in 1...count {
            try cluster.add("n\(index)", in: arena, configure)
            if index == 1 { try await cluster[0].waitUntilReady() }
        }
        try await cluster.allSeeAll()
        return cluster
    }

    /// Starts one more and does not wait.
    mutating func add(
        _ name: String, in arena: Arena, _ configure: (inout DaemonOptions) throws -> Void = { _ in }
    ) throws {
        var options = try DaemonOptions(name)
        options.join = daemons.first.map { [$0.options.advertise ?? $0.address] } ?? []
        try configure(&options)
        daemons.append(try DaemonProcess(options, in: arena))
    }

    /// Waits until every daemon sees every one alive.
    func allSeeAll(within limit: Duration = .seconds(15)) async throws {
        for daemon in daemons {
            try await eventually("\(daemon.name) sees \(daemons.count) alive", within: limit, every: .milliseconds(5)) {
                (try await daemon.client.status().members.alive == daemons.count).orNil
            }
        }
    }

    /// Waits until all stores are equal.
    func converge(within limit: Duration = .seconds(15)) async throws {
        try await eventually("all stores are equal", within: limit) {
            var roots: Set<String> = []
            for daemon in daemons { roots.insert(try await daemon.client.status().store.root) }
            return (roots.count == 1).orNil
        }
    }
}
