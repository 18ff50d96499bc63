// SPDX-License-Identifier: Apache-2.0
// Owns the sentence about a command that does not exist.

import AdminModel
import ArgumentParser

/// The parser takes an unknown command for an argument too many, and does not say which commands there are.
enum CommandNames {
    /// Options of `GlobalOptions`, which may stand before a command and take a value.
    private static let optionsWithValue: Set<String> = ["--socket", "--output", "--timeout"]

    /// The sentence when the arguments name a command that does not exist; nil when they do not, or when an option
    /// that only the parser understands comes first.
    static func defect(in arguments: [String]) -> String? {
        var group: any ParsableCommand.Type = Gossipctl.self
        var path = ["gossipctl"]
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if optionsWithValue.contains(argument) {
                _ = rest.popFirst()
                continue
            }
            if optionsWithValue.contains(where: { argument.hasPrefix($0 + "=") }) { continue }
            if argument.hasPrefix("-") { return nil }
            if path.count == 1, argument == "help" { return nil }
            // Its argument may be anything.
            guard group.configuration.defaultSubcommand == nil else { return nil }
            let commands = group.configuration.subcommands
            guard let next = commands.first(where: { $0.configuration.commandName == argument }) else {
                let name = (path.dropFirst() + [argument]).joined(separator: " ")
                let known = commands.compactMap { $0.configuration.commandName }.joined(separator: ", ")
                return "unknown command \(name.quoted): \(path.joined(separator: " ")) has \(known)"
            }
            guard !next.configuration.subcommands.isEmpty else { return nil }
            group = next
            path.append(argument)
        }
        return nil
    }
}
