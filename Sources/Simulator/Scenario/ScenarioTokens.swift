// SPDX-License-Identifier: Apache-2.0
// Owns the words of a scenario line: tokens, durations, percentages, node selectors, and the reasons they are wrong.

import ClusterTypes

/// One word or one quoted text of a line.
package enum ScenarioToken: Hashable, Sendable {
    case word(String)
    case text(String)

    var description: String {
        switch self {
        case .word(let word): "'\(word)'"
        case .text(let text): "\"\(text)\""
        }
    }
}

/// Why a line is not understood.
struct LineFailure: Error {
    var reason: String
}

/// Reads the tokens of one line from left to right.
package struct ScenarioLine {
    private var tokens: [ScenarioToken]
    private var position = 0

    init(_ line: some StringProtocol) throws(LineFailure) { tokens = try Self.tokenize(line) }

    var isAtEnd: Bool { position == tokens.count }

    /// `"..."` with \" \\ and \n; `#` starts a comment.
    static func tokenize(_ line: some StringProtocol) throws(LineFailure) -> [ScenarioToken] {
        var tokens: [ScenarioToken] = []
        var rest = Substring(line)
        while let character = rest.first {
            if character == " " || character == "\t" || character == "\r" {
                rest.removeFirst()
            } else if character == "#" {
                break
            } else if character == "\"" {
                rest.removeFirst()
                tokens.append(.text(try quotedText(&rest)))
            } else {
                let word = rest.prefix { $0 != " " && $0 != "\t" && $0 != "\r" }
                tokens.append(.word(String(word)))
                rest.removeFirst(word.count)
            }
        }
        return tokens
    }

    private static func quotedText(_ rest: inout Substring) throws(LineFailure) -> String {
        var text = ""
        while let character = rest.popFirst() {
            if character == "\"" { return text }
            if character != "\\" {
                text.append(character)
                continue
            }
            switch rest.popFirst() {
            case "\"": text.append("\"")
            case "\\": text.append("\\")
            case "n": text.append("\n")
            case let other?: throw LineFailure(reason: "\\\(other) means nothing; write \\\" \\\\ or \\n")
            case nil: break
            }
        }
        throw LineFailure(reason: "the text has no closing \"")
    }

    func peekWord() -> String? {
        guard position < tokens.count, case .word(let word) = tokens[position] else { return nil }
        return word
    }

    mutating func accept(_ word: String) -> Bool {
        guard peekWord() == word else { return false }
        position += 1
        return true
    }

    mutating func require(_ word: String) throws(LineFailure) {
        if !accept(word) { throw LineFailure(reason: "expected '\(word)'\(found)") }
    }

    mutating func word(_ what: String) throws(LineFailure) -> String {
        guard let word = peekWord() else { throw LineFailure(reason: "expected \(what)\(found)") }
        position += 1
        return word
    }

    mutating func text(_ what: String) throws(LineFailure) -> String {
        guard position < tokens.count, case .text(let text) = tokens[position] else {
            throw LineFailure(reason: "expected \(what) in quotes\(found)")
        }
        position += 1
        return text
    }

    func finish() throws(LineFailure) {
        if position < tokens.count {
            throw LineFailure(reason: "\(tokens[position].description) is one word too many")
        }
    }

    private var found: String {
        position < tokens.count ? ", found \(tokens[position].description)" : " at the end of the line"
    }
}

// MARK: - Values

extension ScenarioLine {
    /// `500us`, `20ms`, `1.5s`, `2m`, `1h`; not negative.
    mutating func duration() throws(LineFailure) -> Interval {
        let word = try word("a duration such as 500ms")
        guard let interval = Self.duration(word) else {
            throw LineFailure(reason: "'\(word)' is no duration; write 200us, 500ms, 10s, 2m, 1h or 1d")
        }
        return interval
    }

    package static func duration(_ word: String, secondsMax: Double = 1e6) -> Interval? {
        let units: [(String, Double)] = [
            ("us", 1e-6), ("ms", 1e-3), ("s", 1), ("m", 60), ("h", 3600), ("d", 86_400),
        ]
        for (unit, factor) in units where word.hasSuffix(unit) {
            guard let count = decimal(word.dropLast(unit.count)) else { continue }
            let seconds = count * factor
            return seconds <= secondsMax ? .seconds(seconds) : nil
        }
        return nil
    }

    /// `10%` or `0.5%` as a probability.
    mutating func percentage() throws(LineFailure) -> Double {
        let word = try word("a percentage such as 10%")
        guard word.hasSuffix("%"), let count = Self.decimal(word.dropLast()), count <= 100 else {
            throw LineFailure(reason: "'\(word)' is no percentage; write 0% to 100%")
        }
        return count / 100
    }

    mutating func integer(_ what: String, in range: ClosedRange<Int>) throws(LineFailure) -> Int {
        let word = try word(what)
        guard let value = Int(word), range.contains(value) else {
            let bounds = "\(range.lowerBound) to \(range.upperBound)"
            throw LineFailure(reason: "'\(word)' is not \(what) from \(bounds)")
        }
        return value
    }

    /// `300`, `20KB`, `1MB`; a kilobyte is 1024 bytes.
    mutating func size() throws(LineFailure) -> Int {
        let word = try word("a size such as 20KB")
        for (unit, factor) in [("KB", 1024), ("MB", 1024 * 1024), ("B", 1), ("", 1)] where word.hasSuffix(unit) {
            guard let count = Int(word.dropLast(unit.count)) else { continue }
            let (size, isTooLarge) = count.multipliedReportingOverflow(by: factor)
            if !isTooLarge, (0...Bounds.valueBytesMax).contains(size) { return size }
        }
        throw LineFailure(reason: "'\(word)' is no size up to \(Bounds.valueBytesMax) bytes; write 300, 20KB or 1MB")
    }

    mutating func selector() throws(LineFailure) -> NodeSelector {
        let word = try word("nodes such as n1, 1-25 or all")
        switch word {
        case "all": return .all
        case "first": return .first(try amount())
        case "last": return .last(try amount())
        case "random":
            if let next = peekWord(), Self.amount(next) != nil { return .random(try amount()) }
            return .random(.count(1))
        default: return .numbers(try Self.ranges(word))
        }
    }

    private mutating func amount() throws(LineFailure) -> NodeSelector.Amount {
        let word = try word("a count or a percentage")
        guard let amount = Self.amount(word) else {
            throw LineFailure(reason: "'\(word)' is neither a count nor a percentage")
        }
        return amount
    }

    private static func amount(_ word: String) -> NodeSelector.Amount? {
        if word.hasSuffix("%") {
            guard let percent = decimal(word.dropLast()), percent <= 100 else { return nil }
            return .percent(percent)
        }
        guard let count = Int(word), (1...Scenario.nodesMax).contains(count) else { return nil }
        return .count(count)
    }

    private static func ranges(_ word: String) throws(LineFailure) -> [ClosedRange<Int>] {
        var ranges: [ClosedRange<Int>] = []
        for part in word.split(separator: Character(","), omittingEmptySubsequences: false) {
            let ends = part.split(separator: Character("-"), omittingEmptySubsequences: false).map { end -> Int? in
                let digits = end.hasPrefix("n") ? end.dropFirst() : end
                guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
                return Int(digits)
            }
            guard let low = ends[0], let high = ends[ends.count - 1], ends.count <= 2, low >= 1, low <= high,
                high <= Scenario.nodesMax
            else {
                throw LineFailure(
                    reason: "'\(word)' names no nodes; write n1, 1-25, n1,n4, all, first 50%, last 3 or random")
            }
            ranges.append(low...high)
        }
        return ranges
    }

    /// Digits with at most one point: no sign, no exponent.
    private static func decimal(_ text: some StringProtocol) -> Double? {
        guard let first = text.utf8.first, first >= 48, first <= 57,
            text.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 || $0 == 46 })
        else { return nil }
        return Double(text)
    }
}
