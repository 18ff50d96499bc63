// SPDX-License-Identifier: Apache-2.0
// Owns durations and sizes as people write them: `1m30s`, `512KiB`.

import ClusterTypes

/// Durations: whole numbers with units, the largest unit first, each at most once.
package enum DurationText {
    private static let units: [(name: Substring, nanoseconds: Int64)] = [
        ("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000),
        ("ms", 1_000_000), ("us", 1_000), ("ns", 1),
    ]

    /// Nil for anything that is not such a duration or does not fit 64 bits of nanoseconds.
    package static func parse(_ text: String) -> Interval? {
        var rest = Substring(text)
        var next = units.startIndex
        var total: Int64 = 0
        repeat {
            guard let (count, unit) = takeNumber(&rest),
                let index = units[next...].firstIndex(where: { $0.name == unit })
            else { return nil }
            let (product, isTooLong) = count.multipliedReportingOverflow(by: units[index].nanoseconds)
            let (sum, isOver) = total.addingReportingOverflow(product)
            guard !isTooLong, !isOver else { return nil }
            total = sum
            next = index + 1
        } while !rest.isEmpty
        return Interval(nanoseconds: total)
    }

    /// The shortest form that `parse` reads back; durations below zero do not exist in a configuration.
    package static func format(_ interval: Interval) -> String {
        var rest = interval.nanoseconds
        guard rest > 0 else { return "0s" }
        var out = ""
        // Days are read but not written: operators say 72h.
        for unit in units.dropFirst() where rest >= unit.nanoseconds {
            out += "\(rest / unit.nanoseconds)\(unit.name)"
            rest %= unit.nanoseconds
        }
        return out
    }
}

/// Sizes in bytes: a whole number and one of B, KiB, MiB, GiB (IEC 80000-13).
package enum SizeText {
    private static let units: [(name: Substring, bytes: Int64)] = [
        ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1),
    ]

    package static func parse(_ text: String) -> Int? {
        var rest = Substring(text)
        guard let (count, name) = takeNumber(&rest), rest.isEmpty,
            let unit = units.first(where: { $0.name == name })
        else { return nil }
        let (bytes, isTooLarge) = count.multipliedReportingOverflow(by: unit.bytes)
        return isTooLarge ? nil : Int(exactly: bytes)
    }

    package static func format(_ bytes: Int) -> String {
        for unit in units where bytes >= unit.bytes && Int64(bytes) % unit.bytes == 0 {
            return "\(Int64(bytes) / unit.bytes)\(unit.name)"
        }
        return "\(bytes)B"
    }
}

/// Takes digits and the letters behind them from the front of `text`.
private func takeNumber(_ text: inout Substring) -> (count: Int64, unit: Substring)? {
    let digits = text.prefix { ("0"..."9").contains($0) }
    guard !digits.isEmpty, let count = Int64(digits) else { return nil }
    text = text[digits.endIndex...]
    let unit = text.prefix { !("0"..."9").contains($0) }
    text = text[unit.endIndex...]
    return (count, unit)
}
