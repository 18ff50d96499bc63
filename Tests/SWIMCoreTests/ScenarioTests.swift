// SPDX-License-Identifier: Apache-2.0
// Owns the scenarios in text: stories of a small cluster, input by input, with what came of it.

import ClusterTypes
import SWIMCore
import ScenarioText
import Testing

/// `ScenarioFolder` says what the files look like.
@Suite("Scenarios")
struct ScenarioTests {
    static let folder = ScenarioFolder(besideTest: #filePath)
    static let files = [
        "crash", "vanish", "buddy", "stall", "one-way-cut", "partition", "udp-blocked", "leave", "forget", "gossip",
        "claims",
    ]

    @Test("a scenario ends as its file says", arguments: files)
    func scenario(file: String) throws {
        var player = ScenarioPlayer()
        let difference = try Self.folder.difference(of: file, with: &player)
        #expect(difference == nil)
    }

    @Test("every file in the folder is played")
    func noFileForgotten() throws {
        #expect(try Self.folder.names() == Self.files.sorted())
    }
}

/// Why a scenario cannot be played.
struct ScenarioError: Error {
    let line: String
}

/// Understands the commands of scenarios.
struct ScenarioPlayer: ScenarioPlaying {
    private var cluster = Cluster(1, seed: 1)
    private var extra: [String] = []

    /// The story since the last call.
    mutating func takeOutput() -> [String] {
        defer { extra.removeAll() }
        let lines = cluster.takeStory() + extra
        return lines.isEmpty ? ["nothing"] : lines
    }

    mutating func step(_ line: String) throws(ScenarioError) {
        let words = line.split(separator: Character(" ")).map(String.init)
        let error = ScenarioError(line: line)
        func node(_ index: Int) throws(ScenarioError) -> Int {
            guard index < words.count, words[index].utf8.count == 1, let byte = words[index].utf8.first,
                (97...122).contains(byte)
            else { throw error }
            return Int(byte) - 96
        }
        func number(_ key: String) -> UInt64? {
            words.first { $0.hasPrefix(key + "=") }.flatMap { UInt64($0.dropFirst(key.utf8.count + 1)) }
        }
        switch words[0] {
        case "cluster":
            guard let count = number("nodes"), (1...26).contains(count) else { throw error }
            let retention = number("retention-seconds")
            cluster = Cluster(Int(count), seed: number("seed") ?? 1) { configuration in
                if let retention { configuration.failedRetention = .seconds(Int(retention)) }
                if let relays = number("relays") { configuration.indirectProbes = Int(relays) }
            }
            cluster.tellsAwareness = words.contains("health")
        case "run":
            guard let milliseconds = number("milliseconds") else { throw error }
            cluster.run(for: .milliseconds(Int(milliseconds)))
        case "crash": cluster.set(.crashed, of: try node(1))
        case "vanish": cluster.set(.vanished, of: try node(1))
        case "stall":
            guard let milliseconds = number("milliseconds") else { throw error }
            cluster.stall(try node(1), for: .milliseconds(Int(milliseconds)))
        case "cut":
            // `cut a > b` is one way, `cut a b` both ways.
            let isOneWay = words.count == 4 && words[2] == ">"
            let (from, to) = (try node(1), try node(isOneWay ? 3 : 2))
            cluster.cut(from: from, to: to)
            if !isOneWay { cluster.cut(from: to, to: from) }
        case "block-udp": cluster.blockUDP(of: try node(1))
        case "heal": cluster.heal()
        case "leave":
            cluster.act(on: try node(1)) { node in
                node.perform { $0.leave(deadline: $1.now + .seconds(2), clock: $1, using: &$2, into: &$3) }
            }
        case "forget":
            let target = try node(2)
            var isForgotten = false
            cluster.act(on: try node(1)) { isForgotten = $0.forget(target) }
            if !isForgotten { extra.append("refused") }
        case "synchronise": cluster.synchronise(try node(1), try node(2))
        case "hear":
            let claim = try claim(words, error)
            cluster.act(on: try node(1)) { $0.hear(claim, from: 26) }
        case "tag":
            guard words.count == 4 else { throw error }
            let tag = Tag(name: words[2], value: words[3])
            cluster.act(on: try node(1)) { node in
                node.perform { $0.replaceTags([tag], clock: $1, into: &$3) }
            }
        case "table": extra += cluster.table(of: try node(1))
        case "agreed": extra.append(cluster.isAgreed ? "yes" : "no")
        case _: throw error
        }
    }

    /// `hear NODE suspect SUBJECT INCARNATION by ACCUSER`
    private func claim(_ words: [String], _ error: ScenarioError) throws(ScenarioError) -> MemberUpdate {
        guard words.count >= 5, let incarnation = UInt64(words[4]), let subject = words[3].utf8.first else {
            throw error
        }
        let by = words.count == 7 ? Int(words[6].utf8.first ?? 97) - 96 : 1
        let number = Int(subject) - 96
        switch words[2] {
        case "alive": return alive(number, incarnation)
        case "suspect": return suspect(number, incarnation, by: by)
        case "failed": return failed(number, incarnation, by: by)
        case "left": return left(number, incarnation)
        case "forgotten": return forgotten(number, incarnation, by: by)
        case _: throw error
        }
    }
}
