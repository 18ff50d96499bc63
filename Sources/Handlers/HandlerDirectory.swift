// SPDX-License-Identifier: Apache-2.0
// Owns reading handlers.d: the handlers of one host, and what is wrong with the rest.

import DaemonConfig
import Delivery

/// What a folder of handlers says.
package struct HandlerListing: Hashable, Sendable {
    /// Those without a problem, sorted by name.
    package var specs: [HandlerSpec] = []
    /// In order of names, then of lines.
    package var problems: [RenderProblem] = []

    package init() {}
}

package enum HandlerDirectory {
    /// Descriptions in one folder.
    package static let filesMax = 64

    /// Reads every `NAME.toml` in the folder `path`; each file fails alone. A folder that does not exist has none.
    ///
    /// - Parameter kinds: events that there are.
    package static func read(_ path: String, kinds: Set<String>) -> HandlerListing {
        var listing = HandlerListing()
        listing.problems = DescriptionFolder.read(path, filesMax: filesMax) {
            name, file, bytes throws(ConfigurationError) in
            listing.specs.append(try HandlerDescription.parse(bytes, file: file, name: name, kinds: kinds))
        }
        return listing
    }
}
