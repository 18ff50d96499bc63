// SPDX-License-Identifier: Apache-2.0
// Owns `gossipbench repair`: what two kernels send each other until their stores are equal.

import ArgumentParser
import Simulator

struct RepairCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Count bytes and round trips of repair between two nodes.",
        discussion: """
            Two kernels with the same rows, of which one also holds the differences, exchange what differs over one
            stream. The bytes are those of the frames on it; "row_bytes" are the rows among them as the codec writes
            them. Two ways: "contexts", which tell what the other node has not seen, and "ranges", which are used when
            contexts are too large (here of 256 actors). "fresh" is a node with an empty store. "further_bytes" are
            those of exchanges beside the first: both nodes may begin one at the same moment.

            EXAMPLES
              gossipbench repair --rows 100000 --differences 1 --differences 1000
            """)

    @Option(help: "Rows that both nodes hold, 1 to 4000000.") var rows = 1_000_000
    @Option(help: "Bytes of a value, 0 to 10000.") var valueBytes = 100
    @Option(help: "Rows that one of them has in an older version; may be given several times.") var differences = [
        0, 1, 100, 10_000,
    ]
    @Flag(help: "Leave out the node with an empty store.") var noFresh = false
    @Flag(help: "Print one JSON document instead of the table.") var json = false

    func validate() throws {
        guard (1...4_000_000).contains(rows), (0...10_000).contains(valueBytes) else {
            throw ValidationError("an option is out of its range: see --help")
        }
        guard differences.allSatisfy({ (0...rows).contains($0) }) else {
            throw ValidationError("--differences takes 0 to the number of rows")
        }
    }

    func run() throws {
        let stores = try RepairStores(rows: rows, valueBytes: valueBytes)
        var repairs: [RepairFigures] = []
        for way in RepairWay.allCases where way != .fresh {
            for count in differences { repairs.append(try stores.repair(count, by: way)) }
        }
        if !noFresh { repairs.append(try stores.repair(rows, by: .fresh)) }
        if json { return print(JSONText.object([("repairs", .array(repairs.map(Self.document)))]).text) }
        for repair in repairs { print(Self.document(repair).text, terminator: "") }
    }

    private static func document(_ figures: RepairFigures) -> JSONText {
        .object([
            ("way", .string(figures.way.rawValue)), ("differences", .integer(figures.differences)),
            ("round_trips", .integer(figures.roundTrips)), ("frames", .integer(figures.frames)),
            ("bytes", .integer(figures.bytes)), ("row_bytes", .integer(figures.rowBytes)),
            ("further_bytes", .integer(figures.furtherBytes)),
            ("rows", .integer(figures.rows)), ("content_bytes", .integer(figures.contentBytes)),
            ("cpu_ms", .decimal(figures.cpuMilliseconds)),
        ])
    }
}
