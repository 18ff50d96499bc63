// SPDX-License-Identifier: Apache-2.0
// Owns the hint for an unknown key: the nearest known name.

/// Finds the known name that an unknown one was probably meant to be.
package enum KeySuggestion {
    /// The reason to print for an unknown key or table.
    static func sentence(for path: [String], isTable: Bool) -> String {
        let what = isTable ? "unknown table" : "unknown key"
        guard let leaf = path.last else { return what }
        let keys = KeyTable.all.map(\.name)
        let home = KeyTable.all.filter { $0.leaf == leaf && $0.path != path }
        if let known = home.first, !isTable {
            let place = known.table.isEmpty ? "at the top of the file, before any [table]" : "in [\(known.table)]"
            return "\(what) here; did you mean \"\(known.name)\"? It belongs \(place)"
        }
        let tables = KeyTable.tables.map(\.name).filter { !$0.isEmpty }
        let full = path.joined(separator: ".")
        let names = isTable ? tables + keys : keys + tables
        guard let nearest = nearest(to: full, in: names) ?? nearestLeaf(to: leaf) else {
            return what
        }
        return "\(what); did you mean \"\(nearest)\"?"
    }

    /// The same for a file that is not the daemon's and knows `names`.
    package static func sentence(for key: String, among names: [String], isTable: Bool) -> String {
        let what = isTable ? "unknown table" : "unknown key"
        return nearest(to: key, in: names).map { "\(what); did you mean \"\($0)\"?" } ?? what
    }

    /// Nil when no name is as near as half of its length.
    static func nearest(to text: String, in names: [String]) -> String? {
        guard text.utf8.count <= 128 else { return nil }
        var best: (name: String, distance: Int)?
        for name in names {
            let distance = editDistance(Array(text.utf8), Array(name.utf8))
            if distance <= name.utf8.count / 2, distance < best?.distance ?? .max { best = (name, distance) }
        }
        return best?.name
    }

    private static func nearestLeaf(to leaf: String) -> String? {
        guard let found = nearest(to: leaf, in: KeyTable.all.map(\.leaf)) else { return nil }
        return KeyTable.all.first { $0.leaf == found }?.name
    }

    /// Insertions, deletions and substitutions between the two, and swaps of neighbours as one (optimal string
    /// alignment).
    static func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...b.count)
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                var cost = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
                row.append(cost)
            }
            beforeLast = last
            last = row
        }
        return last[b.count]
    }
}
