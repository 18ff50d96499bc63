// SPDX-License-Identifier: Apache-2.0
// Owns options with bounds, which the sentence about a wrong value names.

import ArgumentParser

/// An option's value with bounds, which the sentence about a wrong one names.
protocol BoundedArgument: ExpressibleByArgument {
    /// As it goes on after "the value is invalid:".
    static var bounds: String { get }
}

extension BoundedArgument {
    /// For the `transform` of an option: `init?(argument:)` alone cannot say why.
    static func parse(_ text: String) throws -> Self {
        guard let value = Self(argument: text) else { throw ValidationError("give \(bounds)") }
        return value
    }
}
