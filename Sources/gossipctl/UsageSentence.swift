// SPDX-License-Identifier: Apache-2.0
// Owns what is said about wrong usage: one sentence, like every other error, in the place of the parser's four lines.

import ArgumentParser

enum UsageSentence {
    /// Nil when it is no wrong usage but a request for help, the version or completions, which the parser answers.
    static func sentence(for error: any Error) -> String? {
        guard Gossipctl.exitCode(for: error) != .success else { return nil }
        return "\(reason(Gossipctl.message(for: error))): see \(help(Gossipctl.fullMessage(for: error)))"
    }

    /// The parser's words in one line, without what makes two sentences of them.
    private static func reason(_ message: String) -> String {
        let lines = message.split(separator: "\n").map { $0.drop { $0 == " " } }
        var text = lines.joined(separator: " ").printable
        for (words, instead) in [
            (". Please provide ", ": give "), (". Please use ", ": use "), (". Did you mean ", " (did you mean "),
        ] {
            guard let range = text.ranges(of: words).last else { continue }
            text.replaceSubrange(range, with: instead)
            if text.last == "?" { text.append(")") }
        }
        while text.last == "." { text.removeLast() }
        return text.prefix(1).lowercased() + text.dropFirst()
    }

    /// `gossipctl kv put --help`, from the parser's last line: only there it says which command it was in.
    private static func help(_ fullMessage: String) -> String {
        let parts = fullMessage.split(separator: "\n").last?.split(separator: "'") ?? []
        return parts.count > 1 && parts[0] == "  See " ? String(parts[1]) : "gossipctl --help"
    }
}

/// An option's value with bounds, which the sentence about a wrong one names.
protocol BoundedArgument: ExpressibleByArgument {
    /// As it goes on after "the value is invalid:".
    static var bounds: String { get }
}

extension BoundedArgument {
    /// For the `transform` of an option: `init?(argument:)` alone cannot say why.
    static func parse(_ text: String) throws -> Self {
        guard let value = Self(argument: text) else { throw ValidationError("give \(bounds)") }
        return value
    }
}
