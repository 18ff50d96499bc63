// SPDX-License-Identifier: Apache-2.0
// Owns the commands of scenarios.

import ClusterTypes
import RaftCore
import ScenarioText

/// Why a scenario cannot be played.
struct ScenarioError: Error {
    let line: String
}

/// Understands one command a line; nodes are `a`, `b`, `c`...
struct ScenarioPlayer: ScenarioPlaying {
    private var cluster = Cluster(voters: 1, seed: 1)

    var violations: [String] { cluster.checker.violations }

    /// The story since the last call.
    mutating func takeOutput() -> [String] {
        defer { cluster.story.removeAll() }
        return cluster.story.isEmpty ? ["nothing"] : cluster.story
    }

    mutating func step(_ line: String) throws(ScenarioError) {
        let words = line.split(separator: Character(" ")).map(String.init)
        let error = ScenarioError(line: line)
        func node(_ index: Int) throws(ScenarioError) -> NodeID {
            guard index < words.count, words[index].utf8.count == 1, let byte = words[index].utf8.first,
                (97...122).contains(byte)
            else { throw error }
            return id(Int(byte) - 96)
        }
        func number(_ key: String) -> Int? {
            words.first { $0.hasPrefix(key + "=") }.flatMap { Int($0.dropFirst(key.utf8.count + 1)) }
        }
        switch words[0] {
        case "cluster": try begin(words, number, error)
        case "run":
            guard let milliseconds = number("milliseconds") else { throw error }
            cluster.run(for: .milliseconds(milliseconds))
        case "propose":
            guard words.count >= 3 else { throw error }
            let target = try node(1)
            for count in 1...(number("count") ?? 1) {
                tell(cluster.propose(number("count") == nil ? words[2] : "\(words[2])\(count)", on: target))
            }
        case "read": tell(cluster.read(on: try node(1)))
        case "join": cluster.add(try node(1))
        case "add-learner": tell(cluster.change(.addLearner(try node(2)), on: try node(1)))
        case "promote": tell(cluster.change(.promote(try node(2)), on: try node(1)))
        case "remove": tell(cluster.change(.remove(try node(2)), on: try node(1)))
        case "transfer": tell(transfer(from: try node(1), to: try node(2)))
        case "stand": stand(try node(1))
        case "compact": cluster.compact(try node(1), padding: number("padding") ?? 0)
        case "status": cluster.story += cluster.status
        case "log": try cluster.story.append(log(of: node(1)))
        case _: try fault(words, node, number, error)
        }
    }

    private mutating func fault(
        _ words: [String], _ node: (Int) throws(ScenarioError) -> NodeID, _ number: (String) -> Int?,
        _ error: ScenarioError
    ) throws(ScenarioError) {
        switch words[0] {
        case "crash": cluster.crash(try node(1))
        case "restart": cluster.restart(try node(1))
        case "damage":
            // Crash, and the log is found damaged from an index on.
            guard let at = number("at") else { throw error }
            cluster.crash(try node(1))
            cluster.restart(try node(1), cutAt: LogIndex(at))
        case "pause":
            guard let milliseconds = number("milliseconds") else { throw error }
            cluster.nodes[try node(1)]?.pausedUntil = cluster.now + .milliseconds(milliseconds)
        case "stall-disk": cluster.nodes[try node(1)]?.isDiskStalled = true
        case "resume-disk": cluster.nodes[try node(1)]?.isDiskStalled = false
        case "cut":
            // `cut a > b` is one way, `cut a b` both ways.
            let isOneWay = words.count == 4 && words[2] == ">"
            let (from, to) = (try node(1), try node(isOneWay ? 3 : 2))
            cluster.cuts.insert([from, to])
            if !isOneWay { cluster.cuts.insert([to, from]) }
        case "isolate":
            let target = try node(1)
            for other in cluster.order where other != target {
                cluster.cuts.insert([target, other])
                cluster.cuts.insert([other, target])
            }
        case "heal": cluster.cuts.removeAll()
        case "lose-messages": cluster.flights.removeAll()
        case _: throw error
        }
    }

    private mutating func begin(
        _ words: [String], _ number: (String) -> Int?, _ error: ScenarioError
    ) throws(ScenarioError) {
        guard let voters = number("voters"), (1...26).contains(voters) else { throw error }
        var configuration = RaftConfiguration()
        if let kept = number("entries-kept") { configuration.entriesKept = kept }
        if let bytes = number("chunk-bytes") { configuration.snapshotChunkBytesMax = bytes }
        if let bytes = number("append-bytes") { configuration.appendBytesMax = bytes }
        if let bytes = number("uncommitted-bytes") { configuration.uncommittedBytesMax = bytes }
        if let voters = number("voters-min") { configuration.votersMin = voters }
        cluster = Cluster(voters: voters, seed: UInt64(number("seed") ?? 1), configuration: configuration)
        cluster.tellsChunks = words.contains("chunks")
    }

    private mutating func tell(_ failure: RaftFailure?) {
        if let failure { cluster.story.append("refused: \(describe(failure))") }
    }

    private func describe(_ failure: RaftFailure) -> String {
        switch failure {
        case .notLeader(let leader): leader.map { "\(name($0)) leads" } ?? "no leader is known"
        case .tooMuchUncommitted(let bytes): "\(bytes) bytes are not committed"
        case .transferring(let target): "hands over to \(name(target))"
        case .termNotEstablished: "nothing of this term is committed"
        case .changeInProgress(let index): "the change at \(index) is not committed"
        case .learnerBehind(let match, let last): "the learner is at \(match) of \(last)"
        case .wouldLoseQuorum(let reachable, let needed): "\(reachable) voters could be heard, needed are \(needed)"
        case let other: "\(other)"
        }
    }

    private mutating func transfer(from: NodeID, to: NodeID) -> RaftFailure? {
        let now = cluster.now
        return cluster.act(from) { raft, _ -> RaftFailure? in
            do throws(RaftFailure) {
                try raft.transferLeadership(to: to, now: now)
                return nil
            } catch {
                return error
            }
        } ?? nil
    }

    /// Makes the node stand for election at once, as if its leader had asked for it.
    private mutating func stand(_ id: NodeID) {
        guard let raft = cluster.nodes[id]?.raft, let other = cluster.order.first(where: { $0 != id }) else { return }
        let now = cluster.now
        let message = RaftMessage(from: other, to: id, term: raft.term, body: .timeoutNow(answered: 0))
        cluster.act(id) { $0.onMessage(message, now: now, using: &$1) }
    }

    private func log(of id: NodeID) -> String {
        guard let raft = cluster.nodes[id]?.raft else { return "\(name(id)) is down" }
        var parts: [String] = []
        for index in raft.firstIndex..<(raft.lastPosition.index + 1) {
            guard let entry = raft.entry(at: index) else { continue }
            let payload =
                switch entry.payload {
                case .empty: "-"
                case .command(let bytes): String(decoding: bytes, as: UTF8.self)
                case .membership(let membership): "[\(cluster.describe(membership))]"
                }
            parts.append("\(entry.position) \(payload)")
        }
        return "\(name(id)): \(parts.joined(separator: ", "))"
    }
}
