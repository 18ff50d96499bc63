// SPDX-License-Identifier: Apache-2.0
// Owns giving back the pages of code that only the start needed.

import FoundationEssentials
import Glibc

/// Parsing arguments and configuration, opening the store and joining touch most of the program's code once. The kernel keeps
/// these pages of the file mapped, and counts them as resident, until memory is short. Unmapped, they stay in its page cache,
/// and whatever is needed again is mapped at its next use, a soft fault of well below a microsecond each (madvise(2)).
enum StartupPages {
    /// How long after the start is over: joining and the first answers belong to it.
    static let delay = Duration.seconds(60)

    /// Unmaps the code. Code is never written, so nothing can be lost; a system that refuses keeps the pages.
    static func giveBack() {
        guard let maps = try? String(contentsOfFile: "/proc/self/maps", encoding: .utf8) else { return }
        for range in codeRanges(in: maps) {
            guard let start = UnsafeMutableRawPointer(bitPattern: range.lowerBound) else { continue }
            _ = madvise(start, range.count, MADV_DONTNEED)
        }
    }

    /// The mappings of files that are executable and not writable, from the text of proc_pid_maps(5). Data that the loader has
    /// relocated is not among them: it would be read from the file again, without its relocations.
    static func codeRanges(in maps: String) -> [Range<UInt>] {
        maps.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count >= 6, fields[1] == "r-xp", fields[5].hasPrefix("/") else { return nil }
            let ends = fields[0].split(separator: "-")
            guard ends.count == 2, let start = UInt(ends[0], radix: 16), let end = UInt(ends[1], radix: 16), start < end
            else { return nil }
            return start..<end
        }
    }
}
