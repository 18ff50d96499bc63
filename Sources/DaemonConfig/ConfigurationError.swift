// SPDX-License-Identifier: Apache-2.0
// Owns what is wrong with a configuration: every problem with its place, key and reason.

/// All problems of a configuration, in the order of the file. The daemon ends with status 78 on it.
package struct ConfigurationError: Error, Equatable, CustomStringConvertible {
    /// At least one.
    package var problems: [Problem]

    package init(problems: [Problem]) { self.problems = problems }

    /// One problem a line: `FILE:LINE: key: reason`.
    package var description: String {
        problems.map(\.description).joined(separator: "\n")
    }

    /// Flags first, then the order of the file; what has no line stands behind.
    package static func ordered(_ problems: [Problem]) -> [Problem] {
        func rank(_ place: Place) -> (Int, Int, Int) {
            switch place {
            case .flag, .builtIn: (0, 0, 0)
            case .file(_, let line?, let column): (1, line, column ?? 0)
            case .file(_, nil, _): (2, 0, 0)
            }
        }
        return problems.enumerated().sorted { a, b in
            let (left, right) = (rank(a.element.place), rank(b.element.place))
            return left == right ? a.offset < b.offset : left < right
        }.map(\.element)
    }

    /// One thing to correct.
    package struct Problem: Equatable, Sendable, CustomStringConvertible {
        package var place: Place
        /// The path of the key, such as `membership.probe_interval`; nil when the file as a whole is meant.
        package var key: String?
        package var reason: String

        package init(place: Place, key: String? = nil, reason: String) {
            self.place = place
            self.key = key
            self.reason = reason
        }

        package var description: String {
            switch place {
            case .flag: "\(place): \(reason)"
            case .file, .builtIn: key.map { "\(place): \($0): \(reason)" } ?? "\(place): \(reason)"
            }
        }
    }

    /// Where a value comes from.
    package enum Place: Equatable, Sendable, CustomStringConvertible {
        /// Line and column count from 1, columns in Unicode scalars; nil where the whole file is meant.
        case file(String, line: Int?, column: Int?)
        /// A command line flag, such as `--bind`.
        case flag(String)
        /// A default that does not fit this host.
        case builtIn

        package var description: String {
            switch self {
            case .file(let name, let line?, _): "\(name):\(line)"
            case .file(let name, nil, _): name
            case .flag(let flag): flag
            case .builtIn: "default"
            }
        }
    }
}
