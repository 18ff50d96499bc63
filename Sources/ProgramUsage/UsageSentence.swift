// SPDX-License-Identifier: Apache-2.0
// Owns what is said about wrong usage: one sentence, like every other error, in the place of the parser's four lines.

import AdminModel
import ArgumentParser

package enum UsageSentence {
    /// Nil when it is no wrong usage but a request for help, the version or completions, which the parser answers.
    package static func sentence(for error: any Error, of program: any ParsableCommand.Type) -> String? {
        guard program.exitCode(for: error) != .success else { return nil }
        return "\(reason(program.message(for: error))): see \(help(error, program))"
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
    private static func help(_ error: any Error, _ program: any ParsableCommand.Type) -> String {
        let parts = program.fullMessage(for: error).split(separator: "\n").last?.split(separator: "'") ?? []
        return parts.count > 1 && parts[0] == "  See " ? String(parts[1]) : "\(program._commandName) --help"
    }
}
