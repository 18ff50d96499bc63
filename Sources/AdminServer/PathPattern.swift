// SPDX-License-Identifier: Apache-2.0
// Owns the test whether a path fits a route's pattern, and what stands in its parameter's place.

import AdminModel

/// `/v1/members/{member}/forget`, taken apart once: each request is compared with many. Bytes are compared, not characters: a
/// combining mark behind a slash leaves it a slash.
struct PathPattern: Sendable {
    private enum Parameter {
        case none
        /// One part of the path, not empty.
        case part
        /// `{key}`: whatever follows, slashes and all.
        case rest
    }

    private let before: [UInt8]
    private let after: [UInt8]
    private let parameter: Parameter

    init(_ pattern: String) {
        guard let (before, rest) = pattern.cut(at: UInt8(ascii: "{")),
            let (name, after) = rest.cut(at: UInt8(ascii: "}"))
        else {
            self.before = Array(pattern.utf8)
            after = []
            parameter = .none
            return
        }
        self.before = Array(before.utf8)
        self.after = Array(after.utf8)
        parameter = name == "key" ? .rest : .part
    }

    /// The text of the parameter, empty when the pattern has none; nil when the path does not fit.
    func parameter(of path: Substring) -> String? {
        let bytes = path.utf8
        guard bytes.starts(with: before) else { return nil }
        let rest = bytes.dropFirst(before.count)
        switch parameter {
        case .none: return rest.isEmpty ? "" : nil
        case .rest: return String(Substring(rest))
        case .part:
            guard rest.count > after.count, rest.suffix(after.count).elementsEqual(after) else { return nil }
            let part = rest.dropLast(after.count)
            return part.contains(UInt8(ascii: "/")) ? nil : String(Substring(part))
        }
    }
}
