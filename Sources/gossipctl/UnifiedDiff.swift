// SPDX-License-Identifier: Apache-2.0
// Owns the difference of two files in the unified form that patch(1) reads; its time and length are bounded.

import AdminModel

/// A difference as `diff -u` prints it.
enum UnifiedDiff {
    /// Lines of one side that are compared with each other; beyond that all are shown as removed and added. What the two
    /// sides have in common at their beginning and end does not count.
    private static let linesMax = 2_000
    /// Unchanged lines around a change.
    private static let contextLines = 3

    private enum Kind: String {
        case same = " "
        case removed = "-"
        case added = "+"
    }

    private struct Line {
        var kind: Kind
        var text: Substring
        /// Whether a line feed ends it; only the last line of a file may have none.
        var isEnded: Bool
    }

    /// Nil when the two are equal. `old` nil: there is no file yet. Bytes that are not text are not shown.
    static func render(old: [UInt8]?, new: [UInt8], path: String) -> [String]? {
        guard old != new else { return nil }
        let head = ["--- \(old == nil ? "/dev/null" : path)", "+++ \(path)"]
        guard let before = text(old ?? []), let after = text(new) else {
            let sizes = "\(old.map { "\($0.count) bytes" } ?? "no file") before, \(new.count) bytes after"
            return head + ["Contents are not text: \(sizes)"]
        }
        return head + hunks(compare(lines(before), lines(after)))
    }

    private static func text(_ bytes: [UInt8]) -> String? {
        bytes.contains(0) ? nil : String(validating: bytes, as: UTF8.self)
    }

    /// Equal by bytes: Swift's strings take a composed and a decomposed accent for the same.
    private struct Bytes: Hashable {
        var text: Substring
        var isEnded: Bool

        static func == (a: Bytes, b: Bytes) -> Bool {
            a.isEnded == b.isEnded && a.text.utf8.elementsEqual(b.text.utf8)
        }

        func hash(into hasher: inout Hasher) {
            for byte in text.utf8 { hasher.combine(byte) }
        }
    }

    private static func lines(_ text: String) -> [Bytes] {
        var lines: [Bytes] = []
        var rest = text[...]
        while let end = rest.utf8.firstIndex(of: UInt8(ascii: "\n")) {
            lines.append(Bytes(text: rest[..<end], isEnded: true))
            rest = rest[rest.utf8.index(after: end)...]
        }
        if !rest.isEmpty { lines.append(Bytes(text: rest, isEnded: false)) }
        return lines
    }

    private static func compare(_ old: [Bytes], _ new: [Bytes]) -> [Line] {
        let head = zip(old, new).prefix { $0 == $1 }.count
        let tail = zip(old.dropFirst(head).reversed(), new.dropFirst(head).reversed()).prefix { $0 == $1 }.count
        func line(_ kind: Kind) -> (Bytes) -> Line { { Line(kind: kind, text: $0.text, isEnded: $0.isEnded) } }
        let middle = changes(Array(old[head..<(old.count - tail)]), Array(new[head..<(new.count - tail)]), line)
        return old.prefix(head).map(line(.same)) + middle + old.suffix(tail).map(line(.same))
    }

    private static func changes(_ old: [Bytes], _ new: [Bytes], _ line: (Kind) -> (Bytes) -> Line) -> [Line] {
        guard max(old.count, new.count) <= linesMax else { return old.map(line(.removed)) + new.map(line(.added)) }
        var removed: Set<Int> = []
        var added: Set<Int> = []
        for change in new.difference(from: old) {
            switch change {
            case .remove(let offset, _, _): removed.insert(offset)
            case .insert(let offset, _, _): added.insert(offset)
            }
        }
        var lines: [Line] = []
        var (left, right) = (0, 0)
        while left < old.count || right < new.count {
            if removed.contains(left) {
                lines.append(line(.removed)(old[left]))
                left += 1
            } else if added.contains(right) {
                lines.append(line(.added)(new[right]))
                right += 1
            } else {
                lines.append(line(.same)(old[left]))
                left += 1
                right += 1
            }
        }
        return lines
    }

    /// Groups changes that are near each other, each under `@@ -line,count +line,count @@`.
    private static func hunks(_ all: [Line]) -> [String] {
        var isShown = [Bool](repeating: false, count: all.count)
        for index in all.indices where all[index].kind != .same {
            for near in max(0, index - contextLines)...min(all.count - 1, index + contextLines) { isShown[near] = true }
        }
        var text: [String] = []
        var (oldLine, newLine) = (1, 1)
        var index = 0
        while index < all.count {
            guard isShown[index] else {
                oldLine += 1
                newLine += 1
                index += 1
                continue
            }
            let end = all[index...].indices.first { !isShown[$0] } ?? all.count
            let hunk = all[index..<end]
            let oldCount = hunk.count { $0.kind != .added }
            let newCount = hunk.count { $0.kind != .removed }
            text.append("@@ -\(range(oldLine, oldCount)) +\(range(newLine, newCount)) @@")
            for line in hunk {
                text.append(line.kind.rawValue + line.text)
                if !line.isEnded { text.append("\\ No newline at end of file") }
            }
            oldLine += oldCount
            newLine += newCount
            index = end
        }
        return text
    }

    /// As `diff -u`: the count is left out when it is 1, and an empty range names the line before it.
    private static func range(_ line: Int, _ count: Int) -> String {
        switch count {
        case 0: "\(line - 1),0"
        case 1: "\(line)"
        default: "\(line),\(count)"
        }
    }
}
