// SPDX-License-Identifier: Apache-2.0
// Owns clusters with a strict group: their start, and waiting for what the group is to do.

import AdminClient
import AdminModel

extension Cluster {
    /// Daemons `n1` to `n{count}`, of which the first `voters` found the group; waits until each knows its leader.
    static func strict(_ count: Int, voters: Int = 3, in arena: Arena) async throws -> Cluster {
        let names = (1...voters).map { "\"n\($0)\"" }.joined(separator: ", ")
        let cluster = try await form(count, in: arena) {
            $0.configuration = "[strict]\nprefixes = [\"strict/\"]\nvoters = [\(names)]\n"
        }
        for daemon in cluster.daemons { try await daemon.knowsLeader() }
        return cluster
    }

    func daemon(named name: String) throws -> DaemonProcess {
        guard let daemon = daemons.first(where: { $0.name == name }) else {
            throw Trouble("there is no daemon \(name)")
        }
        return daemon
    }
}

extension DaemonProcess {
    /// - Returns: The leader's name, once this node knows one.
    @discardableResult
    func knowsLeader() async throws -> String {
        try await eventually("\(name) knows a leader", within: .seconds(30)) {
            let group = try await client.strictGroup()
            return group.group == nil ? nil : group.leader?.name
        }
    }

    /// Waits until this node knows exactly these voters and learners, and a leader among them.
    func knowsMembers(voters: [String], learners: [String] = []) async throws {
        try await eventually("\(name) knows the voters \(voters) and learners \(learners)", within: .seconds(30)) {
            let group = try await client.strictGroup()
            let told = [StrictDocument.Vote.voter, .learner].map { vote in
                group.members.filter { $0.vote == vote }.map(\.member.name).sorted()
            }
            return (told == [voters, learners] && group.leader.map { voters.contains($0.name) } == true).orNil
        }
    }

    /// Waits until this node has this part in the group, as `status` tells.
    func hasStrictRole(_ role: String) async throws {
        try await eventually("\(name) is a \(role)", within: .seconds(30)) {
            (try await client.strictGroup().role == role).orNil
        }
    }

    /// Writes until it is done; safe to repeat, as the value says who wrote it.
    func putStrict(_ key: String, _ value: String) async throws {
        let key = try ConfigurationKey(key)
        try await eventually("\(name) writes \(value)", within: .seconds(30)) {
            do throws(AdminFailure) {
                _ = try await client.put(key, value: Array(value.utf8))
                return true
            } catch {
                guard error.code.exitStatus == .unavailable else { throw error }
                return nil
            }
        }
    }
}
