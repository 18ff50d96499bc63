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

    /// Spaces between two columns.
    private static let gap = 2
    /// A column keeps this many characters, or all when it has fewer, before the last columns give way.
    private static let shareMin = 4

    /// The table with a line feed after each line; no trailing spaces.
    func render(for terminal: Terminal) -> String {
        let lines = [header.map { Cell($0, .bold) }] + rows
        let natural = header.indices.map { column in
            lines.map { column < $0.count ? $0[column].text.displayedWidth : 0 }.max() ?? 0
        }
        let widths = terminal.width.map { Self.widths(natural, within: $0) } ?? natural
        return lines.map { render($0, widths, terminal) + "\n" }.joined()
    }

    /// The columns' widths in a line of `width` characters: the widest are cut first, all to the same width. Only
    /// when that is too narrow to read do the last columns give way; then there are fewer widths than columns.
    static func widths(_ natural: [Int], within width: Int) -> [Int] {
        var shown = natural
        func taken(_ widths: [Int]) -> Int { widths.reduce(0, +) + gap * max(0, widths.count - 1) }
        // The mark that columns are missing takes room, too.
        func fits(_ widths: [Int]) -> Bool {
            taken(widths.map { min($0, shareMin) }) + (widths.count < natural.count ? gap + 1 : 0) <= width
        }
        while shown.count > 1, !fits(shown) { shown.removeLast() }
        let room = width - (shown.count < natural.count ? gap + 1 : 0)
        guard taken(shown) > room else { return shown }
        var share = shareMin
        while taken(shown.map { min($0, share + 1) }) <= room { share += 1 }
        var widths = shown.map { min($0, share) }
        // What an equal share leaves over goes to the first columns that are cut.
        for column in widths.indices where widths[column] < shown[column] && taken(widths) < room {
            widths[column] += 1
        }
        return widths
    }

    private func render(_ cells: [Cell], _ widths: [Int], _ terminal: Terminal) -> String {
        var parts: [String] = []
        for (width, (column, cell)) in zip(widths, cells.enumerated()) {
            let text = cell.text.displayedWidth > width ? cell.text.cut(toWidth: width - 1) + "\u{2026}" : cell.text
            let padding = String(repeating: " ", count: max(0, width - text.displayedWidth))
            let painted = terminal.colours && !text.isEmpty ? cell.colour?.paint(text) ?? text : text
            let isLast = column == cells.count - 1
            parts.append(rightAligned.contains(column) ? padding + painted : painted + (isLast ? "" : padding))
        }
        if widths.count < header.count { parts.append("\u{2026}") }
        var line = parts.joined(separator: String(repeating: " ", count: Self.gap))
        while line.last == " " { line.removeLast() }
        return line
    }
}
