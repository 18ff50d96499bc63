// SPDX-License-Identifier: Apache-2.0
// Owns a chart of lines: axes with round numbers, units, a legend.

/// Lines over one x axis. Colours are those of Okabe and Ito, told apart by colour-blind people too; dashes tell them
/// apart without any colour.
package struct LineChart: Sendable {
    package struct Series: Sendable {
        package var name: String
        package var points: [(x: Double, y: Double)]
        package var style: Style
        /// Not in the legend: one of many of the same kind.
        package var isUnnamed = false

        package init(_ name: String, _ style: Style, _ points: [(x: Double, y: Double)], isUnnamed: Bool = false) {
            self.name = name
            self.style = style
            self.points = points
            self.isUnnamed = isUnnamed
        }
    }

    package enum Style: CaseIterable, Sendable {
        case blue
        case orange
        case vermillion
        case green

        var color: String {
            switch self {
            case .blue: "#0072B2"
            case .orange: "#E69F00"
            case .vermillion: "#D55E00"
            case .green: "#009E73"
            }
        }

        var dash: String {
            switch self {
            case .blue: "none"
            case .orange: "7 3"
            case .vermillion: "2 3"
            case .green: "10 3 2 3"
            }
        }
    }

    package var title: String
    package var xLabel: String
    package var yLabel: String
    package var series: [Series]

    package init(title: String, xLabel: String, yLabel: String, series: [Series]) {
        self.title = title
        self.xLabel = xLabel
        self.yLabel = yLabel
        self.series = series
    }

    private static let width = 820
    private static let height = 440
    private static let left = 86.0
    private static let right = 790.0
    private static let top = 72.0
    private static let bottom = 380.0

    package var svg: String {
        let xMax = Ticks(most: series.flatMap { $0.points.map(\.x) }.max() ?? 1)
        let yMax = Ticks(most: series.flatMap { $0.points.map(\.y) }.max() ?? 1)
        func x(_ value: Double) -> Double { Self.left + (Self.right - Self.left) * value / xMax.end }
        func y(_ value: Double) -> Double { Self.bottom - (Self.bottom - Self.top) * value / yMax.end }
        var svg = SVGText(width: Self.width, height: Self.height, title: title)
        svg.element("rect", [("width", "100%"), ("height", "100%"), ("fill", "#ffffff")])
        svg.element("text", [("x", Self.n(Self.left)), ("y", "24"), ("font-size", "16"), ("fill", "#000000")], title)
        for tick in yMax.values {
            line(&svg, x1: Self.left, y1: y(tick), x2: Self.right, y2: y(tick), color: "#dddddd")
            label(&svg, x: Self.left - 8, y: y(tick) + 4, anchor: "end", yMax.text(tick))
        }
        for tick in xMax.values {
            line(&svg, x1: x(tick), y1: Self.bottom, x2: x(tick), y2: Self.bottom + 5, color: "#000000")
            label(&svg, x: x(tick), y: Self.bottom + 20, anchor: "middle", xMax.text(tick))
        }
        line(&svg, x1: Self.left, y1: Self.bottom, x2: Self.right, y2: Self.bottom, color: "#000000")
        line(&svg, x1: Self.left, y1: Self.top, x2: Self.left, y2: Self.bottom, color: "#000000")
        label(&svg, x: (Self.left + Self.right) / 2, y: Self.bottom + 44, anchor: "middle", xLabel)
        let middle = Self.n((Self.top + Self.bottom) / 2)
        svg.element(
            "text",
            [
                ("x", "22"), ("y", middle), ("text-anchor", "middle"), ("fill", "#000000"),
                ("transform", "rotate(-90 22 \(middle))"),
            ], yLabel)
        legend(&svg)
        for line in series where !line.points.isEmpty {
            let points = line.points.map { "\(Self.n(x($0.x))),\(Self.n(y($0.y)))" }.joined(separator: " ")
            svg.element(
                "polyline",
                [
                    ("class", line.name), ("points", points), ("fill", "none"), ("stroke", line.style.color),
                    ("stroke-width", line.isUnnamed ? "1.2" : "2"), ("stroke-dasharray", line.style.dash),
                ])
        }
        return svg.finished()
    }

    private func legend(_ svg: inout SVGText) {
        var at = Self.left
        for line in series where !line.isUnnamed {
            svg.element(
                "line",
                [
                    ("x1", Self.n(at)), ("y1", "48"), ("x2", Self.n(at + 34)), ("y2", "48"),
                    ("stroke", line.style.color), ("stroke-width", "2"), ("stroke-dasharray", line.style.dash),
                ])
            label(&svg, x: at + 40, y: 52, anchor: "start", line.name)
            at += 60 + 7.5 * Double(line.name.count)
        }
    }

    private func line(
        _ svg: inout SVGText, x1: Double, y1: Double, x2: Double, y2: Double, color: String
    ) {
        svg.element(
            "line",
            [
                ("x1", Self.n(x1)), ("y1", Self.n(y1)), ("x2", Self.n(x2)), ("y2", Self.n(y2)), ("stroke", color),
            ])
    }

    private func label(_ svg: inout SVGText, x: Double, y: Double, anchor: String, _ text: String) {
        svg.element(
            "text", [("x", Self.n(x)), ("y", Self.n(y)), ("text-anchor", anchor), ("fill", "#000000")], text)
    }

    private static func n(_ value: Double) -> String { Figure.decimal(value, digits: 1) }
}

/// Round numbers from zero to a little beyond the largest value: steps of 1, 2 or 5 times a power of ten.
package struct Ticks: Sendable {
    package let step: Double
    package let end: Double

    package init(most: Double) {
        let most = most.isFinite && most > 0 ? most : 1
        var step = 1.0
        while step * 10 <= most / 6 { step *= 10 }
        while step > most / 6 { step /= 10 }
        // step <= most / 6 < 10 step
        step *= most / 6 <= 2 * step ? 2 : most / 6 <= 5 * step ? 5 : 10
        self.step = step
        end = step * (most / step - 1e-9).rounded(.up)
    }

    package var values: [Double] { (0...Int((end / step).rounded())).map { Double($0) * step } }

    package func text(_ value: Double) -> String {
        var digits = 0
        var unit = 1.0
        while digits < 6, unit > step * 1.000_001 {
            unit /= 10
            digits += 1
        }
        return digits == 0 ? Figure.grouped(Int(value.rounded())) : Figure.decimal(value, digits: digits)
    }
}
