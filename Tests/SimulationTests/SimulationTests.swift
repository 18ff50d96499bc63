// SPDX-License-Identifier: Apache-2.0
// Owns the simulations of the gate: whole clusters under faults, over fixed seeds; `make simulate` takes fresh ones.

import ClusterTypes
import FoundationEssentials
import Simulator
import Testing

@Suite("Simulated clusters")
struct SimulationTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var scenario: String
        var seed: UInt64

        var testDescription: String { "gossipsim run --scenario \(scenario) --seed \(seed)" }
    }

    /// The scenarios that the gate holds the cluster to, each over fixed seeds: the gate says the same of the same tree.
    static let cases: [Case] = ["loss", "split", "flapping", "oneway"].flatMap { scenario in
        ([1, 2, 3, 4] as [UInt64]).map { Case(scenario: scenario, seed: $0) }
    }

    /// Shorter stories about clocks, leaving and dying.
    static let smallCases: [Case] = ["skew", "quarantine", "leave", "kill"].flatMap { scenario in
        ([1, 2] as [UInt64]).map { Case(scenario: scenario, seed: $0) }
    }

    /// Failure detection at its targets; `make simulate` takes fresh seeds of these as of all others.
    static let detectionCases: [Case] =
        ["dead", "vanished", "third", "rolling", "oneways", "suspended"].flatMap { scenario in
            ([1, 2] as [UInt64]).map { Case(scenario: scenario, seed: $0) }
        } + ["stopped", "lossy", "lossier", "sick"].map { Case(scenario: $0, seed: 1) } + [
            // Second looks without relays let all those behind a one-way cut confirm each other.
            Case(scenario: "oneways", seed: 2_139_159_843),
            // A refutation's few transmissions went to nodes that could not hear it, and whoever still accused was not told.
            Case(scenario: "oneways", seed: 592_886_531), Case(scenario: "lossier", seed: 2_526_742_166),
        ]

    /// Stories about what lasts: crashes, disks, collection, clocks, copies.
    static let lastingCases: [Case] = [
        "crashes", "disk-full", "disk-stall", "disk-error", "away", "stranded", "interrupted", "year-ahead", "restored",
        "cloned",
        "wiped", "import", "ttl", "events", "event-burst",
    ].flatMap { scenario in ([1, 2] as [UInt64]).map { Case(scenario: scenario, seed: $0) } }

    /// Strict keys under everything that may go wrong; `make simulate` takes fresh seeds.
    static let strictCases: [Case] = [
        "strict", "strict-bunches", "strict-crashes", "strict-partitions", "strict-clocks", "strict-members",
        "strict-disks", "strict-recovery", "strict-meeting",
    ].map { Case(scenario: $0, seed: 1) }

    /// Seeds that once ended in a false failure: by stale news of a node that had been cut off, by stalls longer than a
    /// suspicion, by gossip of a refutation that missed a node, by an accusation that only the accuser heard of.
    static let keptCases: [Case] = [
        Case(scenario: "voiceless", seed: 1_148_657_870), Case(scenario: "voiceless", seed: 9),
        Case(scenario: "voiceless", seed: 19),
        // The holder of a quarantined change had given up pushing it, and nobody asked for it when its time had come.
        Case(scenario: "quarantine", seed: 5_000),
        // A suspect that had missed the gossip heard of it only when its turn came; failed probes outlived answered ones.
        Case(scenario: "flapping", seed: 3_079_305_720), Case(scenario: "oneway", seed: 23_796),
        Case(scenario: "stalls", seed: 33), Case(scenario: "stalls", seed: 36), Case(scenario: "stalls", seed: 121),
        Case(scenario: "stalls", seed: 226),
        Case(scenario: "oneway", seed: 16),
        // Actors were guessed to be in use and never folded; the rows that a reset took over were taken for acknowledged.
        Case(scenario: "actors", seed: 1), Case(scenario: "actors", seed: 2_358_562_734),
        // The check of what is durable did not see the rows of a store that was taken over whole.
        Case(scenario: "actors", seed: 81_000),
        // What is expired on the disk does not show after a restart.
        Case(scenario: "ttl", seed: 355_846_234),
        // An exchange of stores sent rows of the strict feed that waited for their commit.
        Case(scenario: "strict-disks", seed: 3_209_082_398), Case(scenario: "strict-disks", seed: 3_209_082_401),
        // A host that came back under a new id asked its former one, at its own address, and took itself for a double.
        Case(scenario: "strict-meeting", seed: 3),
        // A voter that was left of the second group made a host that had just joined a member of it, by asking for its vote.
        Case(scenario: "strict-meeting", seed: 5_001),
    ]

    /// Two cases that run at once: nothing is shared, and machines have two cores.
    struct Pair: Sendable, CustomTestStringConvertible {
        var cases: [Case]

        var testDescription: String { cases.map(\.testDescription).joined(separator: ", ") }
    }

    static let pairs: [Pair] = {
        let all = cases + smallCases + detectionCases + lastingCases + strictCases + keptCases
        return stride(from: 0, to: all.count, by: 2).map { Pair(cases: Array(all[$0..<min($0 + 2, all.count)])) }
    }()

    @Test("A disturbed cluster ends where its scenario says", arguments: pairs)
    func scenarios(of pair: Pair) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for test in pair.cases { group.addTask { try Self.simulate(test) } }
            try await group.waitForAll()
        }
    }

    private static func simulate(_ test: Case) throws {
        // Said before it runs: a broken invariant ends the process.
        print("simulating: \(test.testDescription)")
        let scenario = try #require(try BuiltInScenario.named(test.scenario)?.scenario())
        let report = try Simulation(scenario: scenario, seed: test.seed).run()
        #expect(report.isOK, "replay with: \(test.testDescription)\n\(report.failures.joined(separator: "\n"))")
        #expect(report.roots.count == 1, "replay with: \(test.testDescription)")
    }

    @Test("The stories in the folder come true", arguments: try stories())
    func story(path: String) throws {
        print("simulating: gossipsim run --scenario-file \(path) --seed 1")
        let scenario = try Self.read(path)
        let report = try Simulation(scenario: scenario, seed: 1).run()
        #expect(report.isOK, "\(path): \(report.failures.joined(separator: "\n"))")
    }

    @Test(
        "What does not come true is told",
        arguments: [
            ("at 5s partition 1-3 | 4-5\nat 20s expect converged within 5s", "alive"),
            ("at 5s partition 1-3 | 4-5\nat 5s put n1 a \"x\"\nat 20s expect value a \"x\" within 1s", "reads nothing"),
            ("at 5s expect failed n3 within 5s", "holds n3 for alive"),
            ("at 5s kill n3\nat 15s expect alive n3 within 1s", "holds n3 for failed"),
            ("at 5s expect members 6", "counts 5"),
            ("at 5s put n1 a \"x\"\nat 6s expect no key a", "reads \"x\""),
            ("at 5s add n1 a \"x\"\nat 6s expect no element a \"x\"", "reads a set of 1 elements"),
            ("at 5s increment n1 a\nat 6s expect counter a 2", "reads 1"),
            ("hold n5\nexpect formed\nat 5s expect members 5", "counts 4"),
            ("loss 100%\nexpect formed within 5s", "does not know"),
            ("at 5s stall n3 for 25s\nat 30s expect no false failures", "false failures of 1 nodes"),
        ])
    func unmetExpectations(text: String, finding: String) throws {
        let scenario = try ScenarioParser.parse("nodes 5\n\(text)\nrun 31s", file: "made-up", name: "made-up")
        let report = try Simulation(scenario: scenario, seed: 3).run()
        #expect(!report.isOK)
        #expect(report.failures.contains { $0.contains(finding) }, "\(report.failures)")
        #expect(report.text.contains("result: FAILED"))
    }

    private static let folder = #filePath.split(separator: Character("/")).dropLast().joined(separator: "/")

    private static func stories() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "/\(folder)/Scenarios").filter { $0.hasSuffix(".scenario") }
            .sorted().map { "/\(folder)/Scenarios/\($0)" }
    }

    private static func read(_ path: String) throws -> Scenario {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        return try ScenarioParser.parse(text, file: path, name: path)
    }
}
