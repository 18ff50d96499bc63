// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the plots: well-formed XML with every point, and no effect on the simulation.

import ClusterTypes
import Simulator
import Testing

@Suite("Plots")
struct PlotTests {
    private static func report(recordsPlots: Bool) throws -> SimulationReport {
        let text = """
            nodes 10
            at 4s put n1 a "x"
            at 5s tag n2 role=web
            at 6s kill n3
            run 20s
            """
        let scenario = try ScenarioParser.parse(text, file: "made-up", name: "a <b> & \"c\"")
        return try Simulation(scenario: scenario, seed: 1, recordsPlots: recordsPlots).run()
    }

    @Test("Recording changes nothing in the report")
    func recording() throws {
        let plain = try Self.report(recordsPlots: false)
        let recorded = try Self.report(recordsPlots: true)
        #expect(plain.text == recorded.text && plain.json.text == recorded.json.text)
        #expect(plain.plotSamples.isEmpty && recorded.plotSamples.count == 401)
    }

    @Test("Each plot is well-formed XML, and each line has all of its points")
    func plots() throws {
        let report = try Self.report(recordsPlots: true)
        let plots = report.plots
        #expect(plots.map(\.name) == ["states.svg", "spread.svg", "traffic.svg"])
        for plot in plots { try checkWellFormed(plot.svg) }
        #expect(try points(plots[0].svg) == [401, 401, 401])
        // A step for each of nine others, and the beginning.
        #expect(try points(plots[1].svg) == [19, 19])
        #expect(try points(plots[2].svg) == [400, 400])
        #expect(plots.allSatisfy { !$0.svg.contains("<script") && $0.svg.contains("a &lt;b&gt; &amp; &quot;c&quot;") })
    }

    @Test("The samples tell who regards whom as what")
    func samples() throws {
        let samples = try Self.report(recordsPlots: true).plotSamples
        let before = try #require(samples.last { $0.at < .seconds(6) })
        #expect(before.running == 10 && before.alive == 90 && before.failed == 0)
        let after = try #require(samples.last)
        #expect(after.running == 9 && after.alive == 72 && after.failed == 9 && after.suspect == 0)
        #expect(after.datagramBytes > before.datagramBytes)
    }

    @Test(
        "Ticks are round and reach beyond the largest value",
        arguments: [(0, 1), (1, 1), (7.3, 8), (60, 60), (61, 80), (999, 1_000), (0.0042, 0.005), (14_200, 15_000)])
    func ticks(most: Double, end: Double) {
        let ticks = Ticks(most: most)
        #expect(abs(ticks.end - end) < 1e-9 * max(1, end), "\(ticks.end)")
        #expect((4...11).contains(ticks.values.count), "\(ticks.values)")
    }

    // MARK: - Reading

    struct Malformed: Error, CustomStringConvertible {
        var description: String
    }

    /// Elements nest, attributes are quoted, nothing stands unescaped.
    private func checkWellFormed(_ svg: String) throws {
        var open: [Substring] = []
        var rest = Substring(svg)
        #expect(rest.hasPrefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"))
        rest = rest.dropFirst(39)
        var elements = 0
        while let start = rest.firstIndex(of: "<") {
            try checkText(rest[..<start])
            guard let end = rest[start...].firstIndex(of: ">") else { throw Malformed(description: "no > after <") }
            let tag = rest[rest.index(after: start)..<end]
            rest = rest[rest.index(after: end)...]
            elements += 1
            if tag.hasPrefix("/") {
                guard open.popLast() == tag.dropFirst() else { throw Malformed(description: "<\(tag)> closes nothing") }
                continue
            }
            let isEmpty = tag.hasSuffix("/")
            let body = isEmpty ? tag.dropLast() : tag
            let name = body.prefix { $0 != " " }
            try checkAttributes(body.dropFirst(name.count))
            if !isEmpty { open.append(name) }
        }
        guard open.isEmpty, elements > 20 else { throw Malformed(description: "\(open) stay open") }
    }

    private func checkText(_ text: Substring) throws {
        for part in text.split(separator: Character("&"), omittingEmptySubsequences: false).dropFirst() {
            guard ["amp;", "lt;", "gt;", "quot;"].contains(where: part.hasPrefix) else {
                throw Malformed(description: "&\(part)")
            }
        }
    }

    private func checkAttributes(_ text: Substring) throws {
        var rest = text
        while !rest.isEmpty {
            let match = rest.firstMatch(of: /^ [a-zA-Z0-9:-]+="([^"<]*)"/)
            guard let match else { throw Malformed(description: "attributes \(rest)") }
            try checkText(match.output.1)
            rest = rest[match.range.upperBound...]
        }
    }

    /// The points of each line.
    private func points(_ svg: String) throws -> [Int] {
        svg.matches(of: /<polyline [^>]*points="([^"]*)"/).map { $0.output.1.split(separator: " ").count }
    }
}
