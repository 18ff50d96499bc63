// SPDX-License-Identifier: Apache-2.0
// Owns how much of what a program printed goes into a sentence, which the whole fleet can read.

enum LastWords {
    /// Lines of a program's output in a sentence: the last ones, where programs say why.
    static let linesMax = 3
    /// Bytes of them together.
    static let bytesMax = 300

    /// The last lines in one line, separated by ` / `; what was cut off at the beginning is `...`.
    static func of(_ text: String) -> String {
        let lines = text.split(whereSeparator: \.isNewline).suffix(linesMax).joined(separator: " / ")
        guard lines.utf8.count > bytesMax else { return lines }
        var count = 3
        let tail = lines.unicodeScalars.reversed().prefix { scalar in
            count += UTF8.width(scalar)
            return count <= bytesMax
        }
        return "..." + String(String.UnicodeScalarView(tail.reversed()))
    }

    /// The first bytes of a text, never half a character; `...` when it goes on.
    static func head(of text: String, bytesMax: Int) -> String {
        guard text.utf8.count > bytesMax else { return text }
        var count = 3
        let head = text.unicodeScalars.prefix { scalar in
            count += UTF8.width(scalar)
            return count <= bytesMax
        }
        return String(String.UnicodeScalarView(head)) + "..."
    }
}
