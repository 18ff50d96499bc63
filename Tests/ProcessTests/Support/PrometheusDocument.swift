// SPDX-License-Identifier: Apache-2.0
// Owns a strict reading of the Prometheus text format: what promtool demands, for hosts that have none.

/// The series of a `/metrics` page, and every way in which the page breaks the format or its conventions.
struct PrometheusDocument {
    /// Sample names, with the endings of histograms.
    private(set) var names: Set<String> = []
    private(set) var faults: [String] = []

    private struct Family {
        var name: String
        var kind = ""
        var series: Set<String> = []
        var buckets: [(bound: Double, count: Double)] = []
        var parts: [String: Double] = [:]
    }

    private static let kinds: Set<String> = ["counter", "gauge", "histogram"]
    private static let oddUnits = [
        "milliseconds", "microseconds", "nanoseconds", "minutes", "hours", "kilobytes", "kibibytes", "megabytes",
        "mebibytes", "percent",
    ]

    init(_ text: String) {
        if !text.hasSuffix("\n") { faults.append("the last line has no end") }
        var family: Family?
        var seen: Set<String> = []
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().enumerated() {
            let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
            let place = "line \(number + 1): \(line)"
            if line.hasPrefix("# HELP ") {
                finish(family)
                let name = words.count > 2 ? words[2] : ""
                if words.count < 4 || words[3].isEmpty { faults.append("no help: \(place)") }
                if !seen.insert(name).inserted { faults.append("in two places: \(place)") }
                family = Family(name: name)
            } else if line.hasPrefix("# TYPE ") {
                if words.count != 4 || words[2] != family?.name || family?.kind != "" || !Self.kinds.contains(words[3])
                {
                    faults.append("no such type here: \(place)")
                } else {
                    family?.kind = words[3]
                }
            } else if family == nil || family?.kind == "" {
                faults.append("a sample without help and type: \(place)")
            } else {
                addSample(String(line), to: &family, place)
            }
        }
        finish(family)
    }

    private mutating func addSample(_ line: String, to family: inout Family?, _ place: String) {
        guard let match = line.wholeMatch(of: /([a-z_][a-z0-9_]*)(?:\{(.*)\})? ([^ ]+)/),
            let value = Double(match.3 == "+Inf" ? "inf" : String(match.3)), var current = family
        else { return faults.append("no sample: \(place)") }
        let name = String(match.1)
        names.insert(name)
        let series = name + (match.2.map { "{\($0)}" } ?? "")
        if !current.series.insert(series).inserted { faults.append("a series twice: \(place)") }
        if let labels = match.2, labels.wholeMatch(of: Self.labels) == nil { faults.append("odd labels: \(place)") }
        switch current.kind {
        case "histogram":
            let part = name.hasPrefix(current.name) ? String(name.dropFirst(current.name.count)) : ""
            if part == "_bucket" {
                guard let bound = match.2.flatMap({ $0.firstMatch(of: /le="([^"]+)"/) }) else {
                    return faults.append("a bucket without bound: \(place)")
                }
                current.buckets.append((bound.1 == "+Inf" ? .infinity : Double(bound.1) ?? .nan, value))
            } else if part == "_sum" || part == "_count" {
                current.parts[part] = value
            } else {
                faults.append("no part of a histogram: \(place)")
            }
        default:
            if name != current.name { faults.append("under another's name: \(place)") }
            if current.kind == "counter", value < 0 { faults.append("a counter below zero: \(place)") }
        }
        family = current
    }

    private static var labels: Regex<Substring> { /(?:[a-z_]+="(?:[^"\\\n]|\\.)*"(?:,[a-z_]+="(?:[^"\\\n]|\\.)*")*)/ }

    /// What is wrong with a metric as a whole.
    private mutating func finish(_ family: Family?) {
        guard let family else { return }
        if family.series.isEmpty { faults.append("\(family.name) has no sample") }
        if (family.kind == "counter") != family.name.hasSuffix("_total") {
            faults.append("\(family.name): counters, and they alone, end with _total")
        }
        for ending in ["_count", "_sum", "_bucket"] where family.name.hasSuffix(ending) {
            faults.append("\(family.name) ends as if it were part of a histogram")
        }
        let words = family.name.split(separator: "_").map(String.init)
        for unit in Self.oddUnits where words.contains(unit) { faults.append("\(family.name): no base unit") }
        guard family.kind == "histogram" else { return }
        let bounds = family.buckets.map(\.bound)
        let counts = family.buckets.map(\.count)
        if bounds != bounds.sorted() || bounds.last != .infinity || counts != counts.sorted() {
            faults.append("\(family.name): buckets must grow up to +Inf")
        }
        if family.parts["_count"] != counts.last || family.parts["_sum"] == nil {
            faults.append("\(family.name): count or sum is missing or does not fit")
        }
    }
}
