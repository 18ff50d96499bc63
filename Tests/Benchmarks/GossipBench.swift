// SPDX-License-Identifier: Apache-2.0
// Owns the command line of the benchmarks and the form of their report.

import ArgumentParser
import Simulator

@main
struct GossipBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gossipbench", abstract: "Measure gossipd.",
        subcommands: [HotPaths.self, LoadCommand.self, RepairCommand.self, StrictLogCommand.self],
        defaultSubcommand: HotPaths.self)
}

struct HotPaths: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Measure the hot paths in this process.",
        discussion: """
            Each figure is the median of several rounds after a warm-up; the spread is the distance from the lowest to
            the highest round. Times are CPU time of one thread. Docs/performance.md explains the figures.

            EXAMPLES
              gossipbench
              gossipbench --filter store
              gossipbench --json > figures.json
            """)

    @Option(help: ArgumentHelp("Only benchmarks whose name contains this.", valueName: "text"))
    var filter: String?

    @Option(help: "Rounds that count, 1 to 1000.")
    var rounds = 9

    @Flag(help: "Print one JSON document instead of the table.")
    var json = false

    @Flag(help: "Only say what there is to measure.")
    var list = false

    /// Memory first, while nothing else has used the heap.
    static var all: [Benchmark] {
        MemoryBenchmarks.all + CodecBenchmarks.all + KernelBenchmarks.all + MembershipBenchmarks.all
            + StoreBenchmarks.all + SimulatorBenchmarks.all
    }

    func validate() throws {
        guard (1...1_000).contains(rounds) else { throw ValidationError("--rounds takes 1 to 1000.") }
        guard !selected.isEmpty else { throw ValidationError("No benchmark's name contains that; see --list.") }
    }

    private var selected: [Benchmark] {
        guard let filter else { return Self.all }
        return Self.all.filter { $0.name.contains(filter) }
    }

    func run() throws {
        if list {
            for benchmark in selected {
                print("\(benchmark.name) (\(benchmark.unit.rawValue))\n    \(benchmark.meaning)")
            }
            return
        }
        var documents: [JSONText] = []
        if !json { print(Self.line("benchmark", "median", "lowest", "highest", "spread", "unit")) }
        for benchmark in selected {
            let summary = try benchmark.run(rounds: rounds)
            if json {
                documents.append(Self.document(benchmark, summary))
            } else {
                print(
                    Self.line(
                        benchmark.name, Self.number(summary.median), Self.number(summary.lowest),
                        Self.number(summary.highest), Figure.decimal(summary.spread, digits: 0) + " %",
                        benchmark.unit.rawValue))
            }
        }
        if json { print(JSONText.object([("benchmarks", .array(documents))]).text, terminator: "") }
    }

    private static func document(_ benchmark: Benchmark, _ summary: Summary) -> JSONText {
        .object([
            ("name", .string(benchmark.name)), ("unit", .string(benchmark.unit.rawValue)),
            ("median", .decimal(summary.median)), ("lowest", .decimal(summary.lowest)),
            ("highest", .decimal(summary.highest)), ("spread_percent", .decimal(summary.spread)),
            ("rounds", .integer(summary.rounds)), ("meaning", .string(benchmark.meaning)),
        ])
    }

    /// Three significant digits at least, no more than one decimal.
    private static func number(_ value: Double) -> String {
        value < 100 ? Figure.decimal(value, digits: 1) : Figure.grouped(Int(value.rounded()))
    }

    private static func line(_ name: String, _ columns: String...) -> String {
        var line = name + padding(26 - name.count)
        for column in columns.dropLast() { line += padding(12 - column.count) + column }
        return line + "  " + (columns.last ?? "")
    }

    private static func padding(_ count: Int) -> String { String(repeating: " ", count: max(1, count)) }
}
