// SPDX-License-Identifier: Apache-2.0
// Owns one metric's value and the Prometheus text format (version 0.0.4) that `/metrics` answers with.

/// One value of one metric. Samples of one name must agree on help and kind.
package struct MetricSample: Hashable, Sendable {
    package enum Kind: String, Sendable {
        /// Only grows while the process lives; its name ends with `_total`.
        case counter
        case gauge
        /// Three kinds of samples, told apart by `part`.
        case histogram
    }

    /// Which number of a histogram a sample is.
    package enum Part: String, Sendable {
        /// How many were at most its label `le`.
        case bucket = "_bucket"
        case sum = "_sum"
        case count = "_count"
    }

    /// `gossipd_` first, the unit last: `gossipd_uptime_seconds`.
    package var name: String
    package var help: String
    package var kind: Kind
    package var labels: [Label]
    package var value: Double
    /// Nil for all but histograms; its name is appended to the metric's.
    package var part: Part?

    package struct Label: Hashable, Sendable {
        package var name: String
        package var value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    package init(
        _ name: String, help: String, kind: Kind, labels: [Label] = [], value: Double, part: Part? = nil
    ) {
        self.name = name
        self.help = help
        self.kind = kind
        self.labels = labels
        self.value = value
        self.part = part
    }

    /// The samples of a histogram whose buckets hold `counts`, each what fell into it alone; the last one is beyond the last
    /// of `bounds`.
    package static func histogram(
        _ name: String, help: String, bounds: [Double], counts: [UInt64], sum: Double
    ) -> [MetricSample] {
        precondition(counts.count == bounds.count + 1, "\(counts.count) buckets for \(bounds.count) bounds")
        var samples: [MetricSample] = []
        var total: UInt64 = 0
        for (bound, count) in zip(bounds + [.infinity], counts) {
            total += count
            samples.append(
                MetricSample(
                    name, help: help, kind: .histogram, labels: [Label("le", PrometheusText.number(bound))],
                    value: Double(total), part: .bucket))
        }
        samples.append(MetricSample(name, help: help, kind: .histogram, value: sum, part: .sum))
        samples.append(MetricSample(name, help: help, kind: .histogram, value: Double(total), part: .count))
        return samples
    }
}

package enum PrometheusText {
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// Metrics in the order of their first sample, the samples of each together, as the format demands.
    package static func render(_ samples: [MetricSample]) -> String {
        var order: [String] = []
        var groups: [String: [MetricSample]] = [:]
        for sample in samples {
            if groups[sample.name] == nil { order.append(sample.name) }
            groups[sample.name, default: []].append(sample)
        }
        var text = ""
        for name in order {
            let group = groups[name] ?? []
            if let first = group.first {
                text += "# HELP \(name) \(escape(first.help, quotes: false))\n# TYPE \(name) \(first.kind.rawValue)\n"
            }
            for sample in group {
                text += "\(name)\(sample.part?.rawValue ?? "")\(labels(sample.labels)) \(number(sample.value))\n"
            }
        }
        return text
    }

    private static func labels(_ labels: [MetricSample.Label]) -> String {
        guard !labels.isEmpty else { return "" }
        return "{" + labels.map { "\($0.name)=\"\(escape($0.value, quotes: true))\"" }.joined(separator: ",") + "}"
    }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return Int64(exactly: value).map(String.init) ?? "\(value)"
    }

    private static func escape(_ text: String, quotes: Bool) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
