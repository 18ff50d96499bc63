// SPDX-License-Identifier: Apache-2.0
// Owns where a scenario comes from - by name or from a file - and the command that replays it.

import ArgumentParser
import ClusterTypes
import FoundationEssentials
import Simulator

/// A scenario's text and how to ask for it again.
struct ScenarioSource {
    /// A scenario file is smaller than this, in bytes.
    static let fileBytesMax = 1024 * 1024

    var name: String
    var file: String
    var text: String
    /// The arguments that choose it.
    var arguments: String

    static func named(_ name: String) throws -> ScenarioSource {
        let scenario = try builtIn(name)
        return ScenarioSource(name: name, file: name, text: scenario.text, arguments: "--scenario \(name)")
    }

    static func builtIn(_ name: String) throws -> BuiltInScenario {
        guard let scenario = BuiltInScenario.named(name) else {
            let names = BuiltInScenario.all.map(\.name).joined(separator: ", ")
            throw ValidationError("There is no scenario '\(name)': the built-in ones are \(names)")
        }
        return scenario
    }

    static func file(_ path: String) throws -> ScenarioSource {
        guard let data = FileManager.default.contents(atPath: path), data.count <= fileBytesMax else {
            throw ValidationError("Cannot read \(path), or it is larger than 1 MB: give the path of a scenario file")
        }
        let file = path.split(separator: Character("/")).last.map(String.init) ?? path
        let name = file.split(separator: Character(".")).first.map(String.init) ?? file
        return ScenarioSource(
            name: name, file: path, text: String(decoding: data, as: UTF8.self), arguments: "--scenario-file \(path)")
    }

    func scenario(nodes: Int?, duration: Interval?) throws -> Scenario {
        do {
            return try ScenarioParser.parse(text, file: file, name: name, nodes: nodes, duration: duration)
        } catch {
            throw ValidationError("\(error)")
        }
    }

    /// The one line that runs this again.
    func replay(seed: UInt64, nodes: Int?, duration: String?) -> String {
        var line = "gossipsim run \(arguments) --seed \(seed)"
        if let nodes { line += " --nodes \(nodes)" }
        if let duration { line += " --duration \(duration)" }
        return line
    }
}

/// A duration as scenarios write it.
struct DurationArgument: ExpressibleByArgument {
    var interval: Interval
    var text: String

    init?(argument: String) {
        guard let interval = ScenarioLine.duration(argument), interval > .zero else { return nil }
        self.interval = interval
        text = argument
    }
}
