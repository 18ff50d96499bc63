// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the scenario language.

import ClusterTypes
import SWIMCore
import Simulator
import Testing

@Suite("Scenario language")
struct ScenarioParserTests {
    private func parse(_ text: String) throws(ScenarioFailure) -> Scenario {
        try ScenarioParser.parse(text, file: "story.scenario", name: "story")
    }

    @Test("A whole story is read")
    func story() throws {
        let scenario = try parse(
            """
            # Half against half.
            nodes 50
            seeds 2
            start-over 3s
            profile local
            hold n50
            loss 10%
            at 10s partition 1-25 | 26-50   # two sides
            at 20s every 500ms for 30s put n3 app/{n} "x # y"
            expect alive n1 within 5s
            at 70s heal
            expect converged within 30s
            expect no false failures
            run 120s
            """)
        #expect(scenario.nodes == 50)
        #expect(scenario.seeds == 2)
        #expect(scenario.startSpread == .seconds(3))
        #expect(scenario.profile == .local)
        #expect(scenario.held == [.numbers([50...50])])
        #expect(scenario.duration == .seconds(120))
        #expect(scenario.steps.map(\.at) == [.zero, .seconds(10), .seconds(20), .seconds(70)])
        #expect(scenario.steps[2].repetition?.every == .milliseconds(500))
        #expect(scenario.steps[2].line == 9)
        guard case .write(let nodes, .put(key: let key, let value, ttl: _)) = scenario.steps[2].action else {
            Issue.record("line 9 is no put")
            return
        }
        #expect(nodes == .numbers([3...3]))
        #expect(key == "app/{n}")
        #expect(value == .text("x # y"))
        #expect(scenario.expectations.map(\.condition) == [.alive(.numbers([1...1])), .converged, .noFalseFailures])
        #expect(scenario.expectations.map(\.from) == [.seconds(50), .seconds(70), .seconds(70)])
        #expect(scenario.expectations.map(\.within) == [.seconds(5), .seconds(30), nil])
    }

    @Test(
        "Each statement is understood",
        arguments: [
            "start n1", "restart 1-3", "kill all", "down first 2", "bounce random for 2s", "leave last 50%",
            "forget n1 by n2", "tag n1 role=web=1", "stall random 20% for 4s", "mute n1,n3 for 1s", "cut n1 -> n2",
            "mend n1 -> n2", "partition first 50% | last 50%", "isolate n1 for 2s", "heal", "loss 1.5%",
            "loss 10% n1 -> all", "delay 5ms jitter 1ms", "delay 5ms n1 -> n2", "duplicate 1%", "reorder 5% by 20ms",
            "reorder 5%", "corrupt 1%", "disk 5ms jitter 1ms", "disk 2s n1", "clock n1 +30s", "clock n1 -1.5s",
            "drift n1 -200ppm", "put n1 a/b \"x \\\"y\\\" \\n\"", "put n1 a/b size 20KB", "delete n1 a/b",
            "add n1 a/b \"x\"", "remove n1 a/b \"x\"", "increment n1 c", "increment all c by -5", "measure 5s",
            "note \"now it gets hard\"", "crash lost", "crash torn n1", "crash half all", "crash unsynced",
            "disk full n1 for 5s", "disk stall random for 5s", "disk error n1 for 2s", "disk save n1",
            "disk restore n1",
            "disk wipe n1", "disk clone n1 -> n5", "disk clone n1 -> n5 same-id", "clock n1 right", "clock n1 +365d",
            "put n1 a/b \"x\" ttl 5s", "import n1 a 200 \"x\"", "call n1 keys 8", "call all keys 8 together 5",
        ])
    func statements(line: String) throws {
        let scenario = try parse("nodes 5\nat 5s \(line)\nrun 30s")
        #expect(scenario.steps.count == 1)
        #expect(scenario.steps[0].at == .seconds(5))
    }

    @Test("Calls come one by one unless so many are to come together", arguments: [("", 1), (" together 7", 7)])
    func together(suffix: String, count: Int) throws {
        let scenario = try parse("nodes 5\nstrict s/ voters 3\nat 5s call n1 keys 8\(suffix)\nrun 30s")
        guard case .call(let nodes, keys: 8, together: count)? = scenario.steps.first?.action else {
            Issue.record("\(scenario.steps)")
            return
        }
        #expect(nodes == .numbers([1...1]))
    }

    @Test(
        "Each condition is understood",
        arguments: [
            "formed", "converged", "failed n1", "alive all", "left last 1", "members 4", "value a \"x\"",
            "counter a -3",
            "actors at most 20", "rows at most 5", "versions at most 3", "queued n5 1",
            "no key a", "element a \"x\"", "no element a \"x\"", "no false failures",
        ])
    func conditions(line: String) throws {
        #expect(try parse("at 5s expect \(line)").expectations.count == 1)
    }

    @Test(
        "What is wrong is said with file, line and reason",
        arguments: [
            ("nodes 0", "'0' is not a number of nodes from 1 to 10000"),
            ("nodes five", "'five' is not a number of nodes from 1 to 10000"),
            ("at 10 heal", "'10' is no duration; write 200us, 500ms, 10s, 2m, 1h or 1d"),
            ("at 1s", "expected a statement at the end of the line"),
            ("at 1s heal now", "'now' is one word too many"),
            ("at 1s call n1 keys 8 together 0", "'0' is not a number of calls from 1 to 1000"),
            ("at 1s call n1 keys 8 together", "expected a number of calls at the end of the line"),
            ("at 1s kil n1", "'kil' is no statement"),
            ("at 1s kill n6", "n6 does not exist in a cluster of 5 nodes"),
            ("at 1s kill n3-n2", "'n3-n2' names no nodes"),
            ("at 1s kill n0", "'n0' names no nodes"),
            ("at 1s kill n1-n2-n3", "'n1-n2-n3' names no nodes"),
            ("at 1s kill -1", "'-1' names no nodes"),
            ("at 1s loss 101%", "'101%' is no percentage; write 0% to 100%"),
            ("at 1s loss ten", "'ten' is no percentage"),
            ("at 1s cut n1 n2", "expected '->', found 'n2'"),
            ("at 1s partition 1-3", "a partition needs two sides: 1-25 | 26-50"),
            ("at 1s partition 1-3 | 3-5", "n3 is on two sides of the partition"),
            ("at 1s partition random | n1", "the sides of a partition cannot be random: they could overlap"),
            ("at 1s put n1 key value", "expected the value in quotes, found 'value'"),
            ("at 1s put n1 key \"value", "the text has no closing \""),
            ("at 1s put n1 key \"\\x\"", "\\x means nothing; write \\\" \\\\ or \\n"),
            ("at 1s put n1 key size 2MB", "'2MB' is no size up to 524288 bytes; write 300, 20KB or 1MB"),
            (
                "at 1s put n1 key size 9223372036854775807MB",
                "'9223372036854775807MB' is no size up to 524288 bytes; write 300, 20KB or 1MB"
            ),
            ("at 1s drift n1 -9223372036854775808ppm", "'-9223372036854775808ppm' is no drift"),
            ("at 1s stall n1 4s", "expected 'for', found '4s'"),
            ("at 1s every 0s for 5s heal", "'every' needs a duration above zero"),
            ("at 90s heal", "this goes on until 90.000 s, after the end of the run"),
            ("at 50s every 1s for 20s heal", "this goes on until 70.000 s, after the end of the run"),
            ("at 50s expect formed within 20s", "this may take until 70.000 s, after the end of the run"),
            ("expect sunshine", "'sunshine' cannot be expected"),
            ("expect no rain", "after 'expect no' comes"),
            ("expect no false failures within 5s", "does not become true by waiting"),
            ("expect failed n9", "n9 does not exist in a cluster of 5 nodes"),
            ("tag n1 web", "'web' is no tag; write NAME=VALUE"),
            ("clock n1 30s", "'30s' is no jump; write +30s or -2s"),
            ("drift n1 2%", "'2%' is no drift; write 200ppm or -200ppm"),
            ("disk slow n1", "'slow' is no fault of a disk"),
            ("crash softly", "'softly' is nothing that a crash leaves"),
            ("disk clone all -> n5", "a clone has one source"), ("disk full n1", "expected 'for'"),
            ("disk clone n9 -> n1", "n9 does not exist"), ("expect rows 5", "expected 'at'"),
            ("profile moon", "'moon' is no profile; write lan, wan or local"),
            ("hold", "expected nodes such as n1, 1-25 or all at the end of the line"),
        ])
    func faults(line: String, reason: String) {
        let failure = #expect(throws: ScenarioFailure.self) { try parse("# one\nnodes 5\n\(line)\nnodes 5") }
        #expect(failure?.description.hasPrefix("story.scenario:3: ") == true)
        #expect(failure?.reason.contains(reason) == true, "got: \(failure?.reason ?? "nothing")")
    }

    @Test(
        "Nodes are counted from one, shares are rounded, and at least one is meant",
        arguments: [
            ("n1", [0]), ("2-4", [1, 2, 3]), ("n1,n5,n7-n8", [0, 4, 6, 7]), ("all", Array(0..<10)),
            ("first 50%", [0, 1, 2, 3, 4]), ("last 3", [7, 8, 9]), ("first 1%", [0]), ("random 0.1%", [5]),
        ] as [(String, [Int])])
    func selectors(text: String, members: [Int]) throws {
        let scenario = try parse("nodes 10\nat 1s kill \(text)")
        guard case .kill(let selector) = scenario.steps[0].action else {
            Issue.record("not a kill")
            return
        }
        var rng = SeededGenerator(seed: 1)
        #expect(try selector.resolve(count: 10, running: [5], using: &rng) == members)
    }

    @Test("Built-in scenarios can be read", arguments: BuiltInScenario.all.map(\.name))
    func builtIn(name: String) throws {
        let scenario = try #require(try BuiltInScenario.named(name)?.scenario())
        #expect(!scenario.expectations.isEmpty)
    }

    @Test("A built-in scenario for too small a cluster says which node is missing")
    func tooSmall() throws {
        let kill = try #require(BuiltInScenario.named("kill"))
        let failure = #expect(throws: ScenarioFailure.self) { try kill.scenario(nodes: 3) }
        #expect(failure?.description == "kill:2: n5 does not exist in a cluster of 3 nodes")
    }
}
