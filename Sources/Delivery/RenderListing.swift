// SPDX-License-Identifier: Apache-2.0
// Owns what render.d holds: what can be delivered, and what is wrong with the rest.

/// What is wrong with a description, or with the folder.
package struct RenderProblem: Hashable, Sendable {
    /// The description's name; empty when the folder as a whole is meant.
    package var name: String
    /// `FILE:LINE: key: reason`
    package var sentence: String

    package init(name: String, sentence: String) {
        self.name = name
        self.sentence = sentence
    }
}

/// What a folder of descriptions says.
package struct RenderListing: Hashable, Sendable {
    /// Those without a problem, sorted by name.
    package var specs: [RenderSpec]
    /// In order of names, then of lines; a name may have several.
    package var problems: [RenderProblem]

    package init(specs: [RenderSpec] = [], problems: [RenderProblem] = []) {
        self.specs = specs
        self.problems = problems
    }
}
