// SPDX-License-Identifier: Apache-2.0
// Owns `gossipsim judge`: the verdict on what clients of a real group saw.

import AdminModel
import ArgumentParser
import FoundationEssentials
import Linearizability
import Simulator

struct Judge: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say whether the calls in a file are linearizable.",
        discussion: """
            One JSON object a line for each call: client, begin and end in nanoseconds, outcome (ok, fail, unknown),
            operation (get, put, delete, increment, acquire, release, compare_and_set, transaction), key, value, version.
            A transaction has compare, then, else, succeeded and results, a lock owner and token. Docs/simulation.md has
            the fields.

            A contradiction is told by the few calls that no order explains. What could not be judged to its end is
            told as undecided, which is no success.

            EXAMPLES
              gossipsim judge calls.jsonl
              gossipsim judge calls.jsonl --versions counted
              gossipsim judge calls.jsonl --in-use
            """)

    enum Versions: String, ExpressibleByArgument, CaseIterable {
        case ascending
        case counted
    }

    @Argument(help: ArgumentHelp("The file with the calls.", valueName: "path"))
    var file: String

    @Option(help: "What versions are: ascending over all keys, as log indexes are, or a count of each key's writes.")
    var versions = Versions.ascending

    @Flag(help: "Keys may have had values before the first call.")
    var inUse = false

    @Option(help: "States that a search remembers before it gives up, about 200 bytes each; 1000 to 100000000.")
    var statesMax = 1_000_000

    func validate() throws {
        guard (1_000...100_000_000).contains(statesMax) else {
            throw ValidationError("--states-max takes 1000 to 100000000.")
        }
    }

    func run() throws {
        guard let data = FileManager.default.contents(atPath: file), data.count <= HistoryFile.bytesMax else {
            throw ValidationError("Cannot read \(file), or it is larger than 1 GB: give the path of a file with calls")
        }
        let calls: [HistoryCall]
        do {
            calls = try HistoryFile.calls(data)
        } catch {
            throw ValidationError("\(file), \(error)")
        }
        var checker = HistoryChecker()
        checker.versions = versions == .ascending ? .ascending : .counted
        checker.beginsEmpty = !inUse
        checker.configurationsMax = statesMax
        let verdict = checker.check(calls)
        let open = calls.count { $0.returned == nil }
        print("\(Figure.grouped(calls.count)) calls, \(Figure.grouped(open)) without an answer: \(verdict)")
        guard verdict.isLinearizable else { throw ExitCode.failure }
    }
}
