// SPDX-License-Identifier: Apache-2.0
// Owns tables for people: aligned columns, cut at the terminal's width, no control character let through.

import AdminModel

struct TextTable {
    struct Cell {
        var text: String
        var colour: Colour?

        init(_ text: String, _ colour: Colour? = nil) {
            self.text = text.printable
            self.colour = colour
        }
    }

    var header: [String]
    var rows: [[Cell]] = []
    /// Columns whose cells stand at the right edge: numbers.
    var rightAligned: Set<Int> = []

    init(_ header: [String], rightAligned: Set<Int> = []) {
        self.header = header
        self.rightAligned = rightAligned
    }

    mutating func add(_ cells: [Cell]) { rows.append(cells) }

    /// The table with a line feed after each line; no trailing spaces.
    func render(for terminal: Terminal) -> String {
        let lines = [header.map { Cell($0, .bold) }] + rows
        let widths = header.indices.map { column in
            lines.map { column < $0.count ? $0[column].text.count : 0 }.max() ?? 0
        }
        return lines.map { render($0, widths, terminal) + "\n" }.joined()
    }

    private func render(_ cells: [Cell], _ widths: [Int], _ terminal: Terminal) -> String {
        let gap = 2
        var line = ""
        var used = 0
        for (column, cell) in cells.enumerated() {
            let isLast = column == cells.count - 1
            let padding = String(repeating: " ", count: max(0, widths[column] - cell.text.count))
            let isRight = rightAligned.contains(column)
            let before = isRight ? padding : ""
            var after = isRight || isLast ? "" : padding
            var text = cell.text
            if let width = terminal.width {
                let room = max(0, width - used - before.count)
                if text.count > room {
                    text = room > 1 ? text.prefix(room - 1) + "\u{2026}" : ""
                    after = ""
                }
            }
            used += before.count + text.count + after.count + gap
            let painted = terminal.colours && !text.isEmpty ? cell.colour?.paint(text) ?? text : text
            line += before + painted + after + (isLast ? "" : "  ")
            if let width = terminal.width, used >= width { break }
        }
        while line.last == " " { line.removeLast() }
        return line
    }
}

extension String {
    /// Control characters escaped, so that a name or value cannot steer the terminal or break the line.
    var printable: String {
        guard unicodeScalars.contains(where: \.isControl) else { return self }
        var result = ""
        for scalar in unicodeScalars {
            if scalar.isControl {
                result += scalar == "\n" ? "\\n" : scalar == "\t" ? "\\t" : "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
