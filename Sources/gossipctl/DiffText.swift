// SPDX-License-Identifier: Apache-2.0
// Owns differences for people: lines with `-` and `+` and a little of what surrounds them.

import AdminModel

enum DiffText {
    /// Lines of one side that are compared; longer values are shown as removed and added whole.
    private static let linesMax = 4_000
    /// Unchanged lines shown around a change.
    private static let contextLines = 3

    /// What the two sides are called in the head of each key.
    struct Sides {
        var old: String
        var new: String
    }

    static func render(_ entry: DiffEntry, _ sides: Sides, _ terminal: Terminal) -> String {
        let key = entry.key.printable
        let old = entry.change == .added ? "/dev/null" : "\(key) (\(sides.old))"
        let new = entry.change == .removed ? "/dev/null" : "\(key) (\(sides.new))"
        var text = paint("--- \(old)", .bold, terminal) + paint("+++ \(new)", .bold, terminal)
        if entry.old == nil && entry.new == nil { return text + "(contents left out)\n" }
        for line in lines(from: entry.old.map(lines) ?? [], to: entry.new.map(lines) ?? []) {
            let colour: Colour? = line.hasPrefix("-") ? .red : line.hasPrefix("+") ? .green : nil
            text += paint(line, colour, terminal)
        }
        return text
    }

    /// A content as lines of text that cannot steer the terminal.
    static func lines(_ content: KeyContent) -> [String] {
        switch content {
        case .register(let bytes):
            guard let text = ByteText.split(bytes).text else { return ["base64:" + ByteText.base64(bytes)] }
            return text.split(separator: "\n", omittingEmptySubsequences: false).map { String($0).printable }
        case .set(let elements): return elements.map { Format.preview($0).printable }
        case .counter(let value): return [String(value)]
        }
    }

    /// The lines of a unified difference, without its head: ` same`, `-old`, `+new`, `@@` where lines are left out.
    static func lines(from old: [String], to new: [String]) -> [String] {
        guard max(old.count, new.count) <= linesMax else { return old.map { "-" + $0 } + new.map { "+" + $0 } }
        let difference = new.difference(from: old)
        var removed: Set<Int> = []
        var inserted: Set<Int> = []
        for change in difference {
            switch change {
            case .remove(let offset, _, _): removed.insert(offset)
            case .insert(let offset, _, _): inserted.insert(offset)
            }
        }
        var all: [(line: String, isSame: Bool)] = []
        var (left, right) = (0, 0)
        while left < old.count || right < new.count {
            if removed.contains(left) {
                all.append(("-" + old[left], false))
                left += 1
            } else if inserted.contains(right) {
                all.append(("+" + new[right], false))
                right += 1
            } else {
                all.append((" " + old[left], true))
                left += 1
                right += 1
            }
        }
        return shortened(all)
    }

    private static func shortened(_ all: [(line: String, isSame: Bool)]) -> [String] {
        var isShown = [Bool](repeating: false, count: all.count)
        for index in all.indices where !all[index].isSame {
            for near in max(0, index - contextLines)...min(all.count - 1, index + contextLines) { isShown[near] = true }
        }
        var lines: [String] = []
        for index in all.indices {
            if isShown[index] {
                if index > 0, !isShown[index - 1] { lines.append("@@ line \(index + 1) @@") }
                lines.append(all[index].line)
            }
        }
        return lines
    }

    private static func paint(_ text: String, _ colour: Colour?, _ terminal: Terminal) -> String {
        (terminal.colours ? colour?.paint(text) ?? text : text) + "\n"
    }
}
